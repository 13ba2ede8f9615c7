//! `status`, `map` and `lag`: what the console of a running proxy says.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use tokio::time::MissedTickBehavior;
use url::Url;

use super::args::{ConsoleArgs, LagArgs};
use super::client::{Client, Target};
use super::error::CliError;
use super::rows::{OutputForm, Rows};
use crate::config::{self, AuthMethod, Config, Node, Secret, SslMode};

/// The database that is the console.
const DATABASE: &str = "pgweave";
/// Clears the screen and goes to its top.
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

/// `pgweave status`: shards and nodes.
///
/// # Errors
/// The proxy cannot be asked.
pub async fn status(args: &ConsoleArgs) -> Result<(), CliError> {
    let mut console = Console::open(args).await?;
    let (shards, nodes) = (console.ask("SHOW SHARDS").await?, console.ask("SHOW NODES").await?);
    let text = match args.output.form {
        OutputForm::Table => format!("{}\n{}", shards.written(OutputForm::Table), nodes.written(OutputForm::Table)),
        OutputForm::Json => format!("{{\"shards\": {},\n\"nodes\": {}}}\n", shards.json(), nodes.json()),
    };
    write(&text)
}

/// `pgweave map`: ranges and their owners.
///
/// # Errors
/// The proxy cannot be asked.
pub async fn map(args: &ConsoleArgs) -> Result<(), CliError> {
    let rows = Console::open(args).await?.ask("SHOW MAP").await?;
    write(&rows.written(args.output.form))
}

/// `pgweave lag`: how far replicas are behind, once or again and again.
///
/// # Errors
/// The proxy cannot be asked.
pub async fn lag(args: &LagArgs) -> Result<(), CliError> {
    let mut console = Console::open(&args.console).await?;
    let form = args.console.output.form;
    if !args.watch {
        return write(&console.ask("SHOW LAG").await?.written(form));
    }
    let clear = if form == OutputForm::Table && std::io::stdout().is_terminal() { CLEAR } else { "" };
    let mut ticks = tokio::time::interval(args.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let rows = console.ask("SHOW LAG").await?;
        write(&format!("{clear}{}", rows.written(form)))?;
    }
}

/// Writes to standard output and shows it at once.
pub(super) fn write(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// A connection to the console.
struct Console {
    client: Client,
    place: String,
}

impl Console {
    async fn open(args: &ConsoleArgs) -> Result<Console, CliError> {
        let target = match &args.dsn {
            Some(dsn) => target_of_dsn(dsn, std::env::var("PGPASSWORD").ok())?,
            None => target_of_config(&config::load(args.config.clone().unwrap_or_default())?, args.user.as_deref())?,
        };
        let place = format!("the proxy at {}:{}", target.node.host, target.node.port);
        let failed = |source| CliError::Client { place: place.clone(), source };
        let connection = Target::new(&target.node, &target.user, target.password, DATABASE).map_err(failed)?;
        let client = Client::connect(&connection).await.map_err(failed)?;
        Ok(Console { client, place })
    }

    async fn ask(&mut self, command: &str) -> Result<Rows, CliError> {
        let failed = |source| CliError::Client { place: self.place.clone(), source };
        self.client.query(command).await.map_err(failed)
    }
}

/// Where the proxy listens, and as whom to log in there.
#[derive(Debug, PartialEq)]
struct Proxy {
    node: Node,
    user: String,
    password: Option<Secret>,
}

/// `postgres://USER[:PASSWORD]@HOST[:PORT][/?sslmode=...&sslrootcert=...]`.
fn target_of_dsn(dsn: &str, password: Option<String>) -> Result<Proxy, CliError> {
    let wrong = |what: &str| {
        let form = "postgres://USER:PASSWORD@HOST:PORT/pgweave";
        CliError::Usage(format!("--dsn: {what}; expected {form} (the password may be in PGPASSWORD)"))
    };
    let url = Url::parse(dsn).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(wrong("not a PostgreSQL URL"));
    }
    if !matches!(url.path(), "" | "/" | "/pgweave") {
        return Err(wrong("the console is the database \"pgweave\""));
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("no host"))?;
    if url.username().is_empty() {
        return Err(wrong("no user"));
    }
    let (mut sslmode, mut root_cert) = (SslMode::Prefer, None);
    for (key, value) in url.query_pairs() {
        match (&*key, &*value) {
            ("sslmode", "disable") => sslmode = SslMode::Disable,
            ("sslmode", "prefer") => sslmode = SslMode::Prefer,
            ("sslmode", "require") => sslmode = SslMode::Require,
            ("sslmode", "verify-ca") => sslmode = SslMode::VerifyCa,
            ("sslmode", "verify-full") => sslmode = SslMode::VerifyFull,
            ("sslrootcert", path) => root_cert = Some(PathBuf::from(path)),
            (key, value) => return Err(wrong(&format!("unknown parameter {key}={value}"))),
        }
    }
    Ok(Proxy {
        node: node(host.trim_matches(['[', ']']), url.port().unwrap_or(6432), sslmode, root_cert),
        user: unescaped(url.username()),
        password: url.password().map(unescaped).or(password).map(Secret::new),
    })
}

/// Undoes a URL's `%XX`.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match escaped {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The proxy that this configuration is of: its first address, and the user named or the first that can log in.
fn target_of_config(config: &Config, user: Option<&str>) -> Result<Proxy, CliError> {
    let address = &config.server.listen[0];
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "6432"));
    let port: u16 = port.parse().unwrap_or(0);
    if port == 0 {
        return Err(CliError::Usage(format!("server.listen is {address:?}: say the port by --dsn")));
    }
    let host = match host.trim_matches(['[', ']']) {
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    let can = |user: &&config::User| user.password.is_some() || config.auth.method == AuthMethod::Trust;
    let chosen = match user {
        Some(name) => config.users.iter().find(|user| user.name == name),
        None => config.users.iter().filter(can).min_by_key(|user| !user.admin),
    };
    let Some(chosen) = chosen.filter(can) else {
        let who = user.map_or_else(|| "no user has one".to_owned(), |user| format!("user {user:?} has none"));
        return Err(CliError::Usage(format!("the console wants a password and {who} in [[users]]: use --dsn")));
    };
    Ok(Proxy {
        // Clients prove themselves by SCRAM, which shows nothing to a stranger at the proxy's port.
        node: node(host, port, if config.server.tls.is_some() { SslMode::Prefer } else { SslMode::Disable }, None),
        user: chosen.name.clone(),
        password: chosen.password.clone(),
    })
}

fn node(host: &str, port: u16, sslmode: SslMode, root_cert: Option<PathBuf>) -> Node {
    Node { host: host.to_owned(), port, zone: None, weight: 1, role: None, sslmode, root_cert }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_says_where_and_as_whom() {
        let proxy =
            target_of_dsn("postgres://a%40b:p%2F+x&y=%25z@db.example:7000/pgweave?sslmode=require", None).unwrap();
        assert_eq!(proxy.node, node("db.example", 7000, SslMode::Require, None));
        assert_eq!((proxy.user.as_str(), proxy.password.as_ref().map(Secret::expose)), ("a@b", Some("p/+x&y=%z")));
        let proxy = target_of_dsn("postgresql://u@[::1]", Some("env".to_owned())).unwrap();
        assert_eq!(proxy.node, node("::1", 6432, SslMode::Prefer, None));
        assert_eq!(proxy.password.as_ref().map(Secret::expose), Some("env"));
        for (dsn, expect) in [
            ("nonsense", "relative URL without a base"),
            ("http://u@h", "not a PostgreSQL URL"),
            ("postgres://u@h/shop", "the console is the database \"pgweave\""),
            ("postgres://h", "no user"),
            ("postgres://u@h/?colour=red", "unknown parameter colour=red"),
        ] {
            let error = target_of_dsn(dsn, None).unwrap_err();
            assert!(
                matches!(&error, CliError::Usage(text) if text.starts_with(&format!("--dsn: {expect};"))),
                "{error}"
            );
        }
    }

    #[test]
    fn a_configuration_says_where_and_as_whom() {
        let parse = |head: &str, users: &str| {
            let rest = "[[shards]]\nname = \"s\"\nnodes = [{ host = \"h\" }]\n[databases.d]\n";
            config::parse(&format!("{head}\n{users}\n{rest}"), "test.toml").unwrap()
        };
        let user = |name: &str, more: &str| format!("[[users]]\nname = {name:?}\n{more}\n");
        let two = user("a", "password = \"x\"") + &user("root", "password = \"y\"\nadmin = true");
        let config = parse("[server]\nlisten = [\"0.0.0.0:7000\"]", &two);
        let proxy = target_of_config(&config, None).unwrap();
        assert_eq!((proxy.node.host.as_str(), proxy.node.port, proxy.user.as_str()), ("127.0.0.1", 7000, "root"));
        assert_eq!(target_of_config(&config, Some("a")).unwrap().user, "a");
        assert!(matches!(target_of_config(&config, Some("b")), Err(CliError::Usage(_))));
        let config = parse("[server]\nlisten = [\"[::]:0\"]", &two);
        assert!(matches!(target_of_config(&config, None), Err(CliError::Usage(_))));
    }
}
