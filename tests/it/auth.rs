//! Logins against real servers, of every method and over TLS; and libpq's logins with us.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pgweave::auth::{Users, Verifier};
use pgweave::cluster::{Cluster, Node};
use pgweave::config::{AuthMethod, Secret, ServerTls, SslMode, User};
use pgweave::net::{Endpoint, framed, tls};
use pgweave::pool::handshake::{self, ConnectError, Handshaken, Login};
use pgweave::session::{Accepted, StartupError, StartupSettings, startup};
use pgweave::wire::backend::{self, Column};
use pgweave::wire::diagnostic::Fields;
use postgres_protocol::message::frontend;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::support::{self, LIMIT, eventually_blocking};

/// A CA and a server's certificate for `localhost`, as files.
struct Certificates {
    dir: PathBuf,
}

impl Certificates {
    fn new(dir: &Path) -> Certificates {
        std::fs::create_dir_all(dir).unwrap();
        let ca = || {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            // Of the same name as its certificates it would be taken for one of them.
            params.distinguished_name.push(rcgen::DnType::CommonName, "CA of a test");
            CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        };
        let (issuer, other, key) = (ca(), ca(), KeyPair::generate().unwrap());
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(dir.join("ca.pem"), issuer.pem()).unwrap();
        std::fs::write(dir.join("other-ca.pem"), other.pem()).unwrap();
        std::fs::write(dir.join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
        Certificates { dir: dir.to_owned() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// A server with a role of each method, each with the password `secret`, and TLS.
fn server_of_every_method() -> (Cluster, Certificates) {
    let cluster = support::private(1, 0);
    let node = &cluster.shards[0].primary;
    let certificates = Certificates::new(&cluster.dir().join("certificates"));
    give_certificates(node, &certificates);
    for sql in [
        "CREATE ROLE by_scram LOGIN PASSWORD 'secret'",
        "SET password_encryption = 'md5'; CREATE ROLE by_md5 LOGIN PASSWORD 'secret'",
        "CREATE ROLE by_password LOGIN PASSWORD 'secret'",
        "CREATE ROLE by_trust LOGIN",
        "CREATE ROLE full LOGIN CONNECTION LIMIT 0",
        "CREATE ROLE by_tls LOGIN",
        "ALTER SYSTEM SET ssl = on",
    ] {
        node.sql("postgres", sql).unwrap();
    }
    let rules = [
        "local all all trust",
        "host all postgres 127.0.0.1/32 scram-sha-256",
        "host all by_scram 127.0.0.1/32 scram-sha-256",
        "host all by_md5 127.0.0.1/32 md5",
        "host all by_password 127.0.0.1/32 password",
        "host all by_trust 127.0.0.1/32 trust",
        "host all full 127.0.0.1/32 trust",
        "hostssl all by_tls 127.0.0.1/32 trust",
    ];
    std::fs::write(node.data().join("pg_hba.conf"), rules.join("\n") + "\n").unwrap();
    node.stop(pgweave::cluster::StopMode::Fast).unwrap();
    node.start().unwrap();
    (cluster, certificates)
}

/// Puts certificate and key where the server looks for them, as its own.
fn give_certificates(node: &Node, certificates: &Certificates) {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let owner = std::fs::metadata(node.data()).unwrap();
    for (from, to) in [("cert.pem", "server.crt"), ("key.pem", "server.key")] {
        let to = node.data().join(to);
        std::fs::copy(certificates.path(from), &to).unwrap();
        chown(&to, Some(owner.uid()), Some(owner.gid())).unwrap();
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn endpoint(node: &Node, host: &str, sslmode: SslMode, root: Option<PathBuf>) -> Endpoint {
    let tls = tls::connector(sslmode, root.as_deref()).unwrap();
    Endpoint { host: host.to_owned(), port: node.port(), sslmode, tls }
}

fn login(user: &str, password: Option<&str>) -> Login {
    Login {
        user: user.to_owned(),
        password: password.map(Secret::new),
        dbname: "postgres".to_owned(),
        params: vec![("application_name".to_owned(), "pgweave test".to_owned())],
    }
}

async fn connect(endpoint: &Endpoint, login: &Login) -> Result<Handshaken, ConnectError> {
    handshake::connect(endpoint, login, Instant::now() + LIMIT).await
}

fn param<'a>(server: &'a Handshaken, name: &str) -> Option<&'a str> {
    server.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn servers_of_every_method() {
    let (cluster, certificates) = server_of_every_method();
    let node = &cluster.shards[0].primary;
    let plain = endpoint(node, "127.0.0.1", SslMode::Disable, None);
    for user in ["by_scram", "by_md5", "by_password", "by_trust"] {
        let server = connect(&plain, &login(user, Some("secret"))).await.unwrap_or_else(|e| panic!("{user}: {e:?}"));
        assert_eq!(param(&server, "application_name"), Some("pgweave test"));
        assert_eq!(param(&server, "session_authorization"), Some(user));
        assert!(server.process_id != 0 && server.leftover.is_empty() && !server.stream.is_tls());
    }
    for user in ["by_scram", "by_md5", "by_password"] {
        let failure = connect(&plain, &login(user, Some("wrong"))).await.unwrap_err();
        assert!(matches!(&failure, ConnectError::Auth { code, .. } if code.as_str() == "28P01"), "{failure:?}");
        assert!(!failure.is_about_node());
        let failure = connect(&plain, &login(user, None)).await.unwrap_err();
        assert!(matches!(failure, ConnectError::Login(_)), "{failure:?}");
    }
    the_server_says_no(&plain).await;

    let socket = Endpoint { host: node.dir().to_str().unwrap().to_owned(), ..plain };
    let server = connect(&socket, &login("by_trust", None)).await.unwrap();
    assert!(matches!(server.stream, pgweave::net::Stream::Unix(_)));
    let nowhere = Endpoint { host: certificates.dir.to_str().unwrap().to_owned(), ..socket };
    assert!(matches!(connect(&nowhere, &login("by_trust", None)).await, Err(ConnectError::Refused(_))));

    every_sslmode(node, &certificates).await;
    cancels(node).await;
}

/// Errors that are the server's own.
async fn the_server_says_no(plain: &Endpoint) {
    let missing = Login { dbname: "nowhere".to_owned(), ..login("by_trust", None) };
    for (login, expected) in [
        (missing, "3D000"),
        (login("full", None), "53300"),
        (login("nobody", None), "28000"),
        (login("by_tls", None), "28000"),
        (Login { params: vec![("no_such_setting".to_owned(), "1".to_owned())], ..login("by_trust", None) }, "42704"),
    ] {
        let failure = connect(plain, &login).await.unwrap_err();
        let (ConnectError::Server { code, .. } | ConnectError::Auth { code, .. }) = &failure else {
            panic!("{failure:?}")
        };
        assert_eq!(code.as_str(), expected);
        assert!(!failure.is_about_node());
    }
}

async fn every_sslmode(node: &Node, certificates: &Certificates) {
    use SslMode::{Prefer, Require, VerifyCa, VerifyFull};
    let (ca, other) = (|| Some(certificates.path("ca.pem")), || Some(certificates.path("other-ca.pem")));
    for (host, mode, root, trusted) in [
        ("127.0.0.1", Prefer, None, true),
        ("127.0.0.1", Require, None, true),
        ("127.0.0.1", VerifyCa, ca(), true),
        ("127.0.0.1", VerifyCa, other(), false),
        ("127.0.0.1", VerifyFull, ca(), false),
        ("localhost", VerifyFull, ca(), true),
        ("localhost", VerifyFull, other(), false),
    ] {
        let outcome = connect(&endpoint(node, host, mode, root), &login("by_tls", None)).await;
        match outcome {
            Ok(server) => {
                assert!(trusted, "{host} {mode:?} must not be trusted");
                assert!(server.stream.is_tls());
                let seen = format!("SELECT ssl FROM pg_stat_ssl WHERE pid = {}", server.process_id);
                assert_eq!(node.sql("postgres", &seen).unwrap(), "t", "{host} {mode:?}");
            }
            Err(ConnectError::Tls(_)) if !trusted => {}
            Err(error) => panic!("{host} {mode:?}: {error:?}"),
        }
    }
    assert!(matches!(tls::connector(VerifyFull, None), Err(pgweave::net::TlsError::NoRoots)));
    assert!(matches!(tls::connector(VerifyCa, Some(Path::new("/nowhere"))), Err(pgweave::net::TlsError::Pem { .. })));
}

/// A cancel request reaches the statement, in the clear and over TLS.
async fn cancels(node: &Node) {
    for mode in [SslMode::Disable, SslMode::Require] {
        let endpoint = endpoint(node, "127.0.0.1", mode, None);
        let mut server = connect(&endpoint, &login("by_trust", None)).await.unwrap();
        let mut out = BytesMut::new();
        frontend::query("SELECT pg_sleep(60)", &mut out).unwrap();
        framed::send(&mut server.stream, &mut out).await.unwrap();
        let running = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND state = 'active' AND wait_event = 'PgSleep'",
            server.process_id
        );
        eventually_blocking("the statement runs", LIMIT, || node.sql("postgres", &running).unwrap() == "1");
        handshake::cancel(&endpoint, server.process_id, server.secret, Instant::now() + LIMIT).await.unwrap();
        let mut buf = std::mem::take(&mut server.leftover);
        let code = loop {
            let frame = framed::read_frame(&mut server.stream, &mut buf, 4096).await.unwrap();
            if frame.tag == b'E' {
                break Fields::new(&frame.body).code().unwrap();
            }
        };
        assert_eq!(code.as_str(), "57014");
    }
}

#[tokio::test]
async fn a_server_without_tls() {
    let cluster = support::cluster(1, 0);
    let node = &cluster.shards[0].primary;
    let app = Login { password: Some(Secret::new("app")), ..login("app", None) };
    let server = connect(&endpoint(node, "127.0.0.1", SslMode::Prefer, None), &app).await.unwrap();
    assert!(!server.stream.is_tls());
    let failure = connect(&endpoint(node, "127.0.0.1", SslMode::Require, None), &app).await.unwrap_err();
    assert!(matches!(failure, ConnectError::Tls(_)), "{failure:?}");
}

fn user(name: &str, password: Option<&str>, scram: Option<String>) -> User {
    User {
        name: name.to_owned(),
        password: password.map(Secret::new),
        scram: scram.map(Secret::new),
        pool_mode: None,
        may_bypass_routing: false,
        admin: false,
    }
}

/// A door that takes clients in and answers every query with whether TLS is on; ends with the test.
struct Door {
    port: u16,
    certificates: Certificates,
    failures: tokio::sync::mpsc::UnboundedReceiver<StartupError>,
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.certificates.dir);
    }
}

async fn door(tls_required: bool) -> Door {
    let dir = std::env::temp_dir().join(format!("pgweave-auth-{:016x}", rand::random::<u64>()));
    let certificates = Certificates::new(&dir);
    let files =
        ServerTls { cert: certificates.path("cert.pem"), key: certificates.path("key.pem"), required: tls_required };
    let verifier = Verifier::from_password("p\u{e4}\u{df}w\u{f6}rd 'x\\\"", b"0123456789abcdef", 4096).to_text();
    // Passwords are compared as SASLprep has them: the soft hyphen is not there.
    let users = [user("bob", Some("se\u{ad}cret"), None), user("ann", None, Some(verifier))];
    let settings = Arc::new(StartupSettings {
        tls: Some(tls::acceptor(&files).unwrap()),
        tls_required,
        method: AuthMethod::Scram,
        users: Arc::new(Users::new(&users, [3; 32]).unwrap()),
        throttle: Arc::default(),
        timeout: Duration::from_secs(20),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, failures) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (settings, sender) = (settings.clone(), sender.clone());
            tokio::spawn(async move {
                match startup::accept(tcp, &settings).await {
                    Ok(Accepted::Client(client)) => answer(*client).await,
                    Ok(Accepted::Cancel { .. }) => {}
                    Err(error) => drop(sender.send(error)),
                }
            });
        }
    });
    Door { port, certificates, failures }
}

async fn answer(mut client: startup::Authenticated) {
    let mut out = BytesMut::new();
    backend::parameter_status(&mut out, "server_version", "15.0");
    backend::parameter_status(&mut out, "client_encoding", "UTF8");
    backend::backend_key_data(&mut out, 1, 2);
    backend::ready_for_query(&mut out, b'I');
    while framed::send(&mut client.stream, &mut out).await.is_ok() {
        let Ok(frame) = framed::read_frame(&mut client.stream, &mut client.leftover, 4096).await else { return };
        if frame.tag != b'Q' {
            return;
        }
        let values = [client.user.as_str(), &client.database, if client.stream.is_tls() { "tls" } else { "plain" }];
        backend::row_description(&mut out, &["u", "d", "t"].map(Column::text));
        backend::data_row(&mut out, &values.map(Some));
        backend::command_complete(&mut out, "SELECT 1");
        backend::ready_for_query(&mut out, b'I');
    }
}

async fn psql(door: &Door, user: &str, password: &str, options: &str) -> Output {
    let conninfo = format!("host=localhost hostaddr=127.0.0.1 port={} user={user} dbname=d {options}", door.port);
    let program = support::cluster(1, 0).binaries().program("psql");
    let mut command = Command::new(program);
    command.args(["--no-psqlrc", "-Atw", "-c", "SELECT 1", &conninfo]);
    command.env("PGPASSWORD", password).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    // psql would wait in vain for a door on the same thread.
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn psql_logs_in_over_tls_and_in_the_clear() {
    let door = door(false).await;
    let root = format!("sslrootcert={}", door.certificates.path("ca.pem").display());
    for (options, carrier) in [
        ("sslmode=disable".to_owned(), "plain"),
        ("sslmode=prefer".to_owned(), "tls"),
        ("sslmode=require".to_owned(), "tls"),
        (format!("sslmode=verify-full {root}"), "tls"),
        ("sslmode=require ssl_max_protocol_version=TLSv1.2".to_owned(), "tls"),
        ("sslmode=require channel_binding=disable".to_owned(), "tls"),
    ] {
        for (user, password) in [("bob", "secret"), ("ann", "p\u{e4}\u{df}w\u{f6}rd 'x\\\"")] {
            let output = psql(&door, user, password, &options).await;
            let text = String::from_utf8_lossy(&output.stdout);
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(text.trim(), format!("{user}|d|{carrier}"), "{options}: {error}");
        }
    }
    // It cannot be had without SCRAM-SHA-256-PLUS, and libpq says so itself.
    let output = psql(&door, "bob", "secret", "sslmode=require channel_binding=require").await;
    assert!(String::from_utf8_lossy(&output.stderr).contains("channel binding"), "{output:?}");
}

#[tokio::test]
async fn psql_is_turned_away_with_postgresqls_words() {
    let mut door = door(false).await;
    for user in ["bob", "ann", "nobody"] {
        for options in ["sslmode=disable", "sslmode=require"] {
            let output = psql(&door, user, "wrong", options).await;
            let error = String::from_utf8_lossy(&output.stderr);
            let expected = format!("FATAL:  password authentication failed for user \"{user}\"");
            assert!(!output.status.success() && error.contains(&expected), "{user} {options}: {error}");
            assert!(matches!(door.failures.recv().await, Some(StartupError::Password { .. })));
        }
    }
    // Without a password psql goes away, which is nobody's failure.
    let output = psql(&door, "bob", "", "sslmode=disable").await;
    assert!(String::from_utf8_lossy(&output.stderr).contains("no password supplied"), "{output:?}");
    assert!(matches!(door.failures.recv().await, Some(StartupError::Gone)));

    let strict = self::door(true).await;
    let output = psql(&strict, "bob", "secret", "sslmode=disable").await;
    assert!(String::from_utf8_lossy(&output.stderr).contains("connection without TLS is not allowed"), "{output:?}");
    let output = psql(&strict, "bob", "secret", "sslmode=prefer").await;
    assert!(output.status.success(), "{output:?}");
}
