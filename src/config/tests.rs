//! The two files of `config/`, and a report for every kind of mistake.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

use super::document::Document;
use super::*;

/// An environment and files that are the same everywhere.
struct Fixed;

impl Outside for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "APP_PASSWORD" => Some("secret".to_owned()),
            "CATALOG_DSN" => Some("postgres://pgweave@10.0.0.9/pgweave".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("config/reporting.scram") => Ok(format!("{VERIFIER}\n")),
            Some("config/server.crt" | "config/server.key" | "config/ca.crt") => Ok("PEM".to_owned()),
            Some("config/empty") => Ok("\n".to_owned()),
            _ => Err(io::Error::new(io::ErrorKind::NotFound, "no such file")),
        }
    }

    fn processors(&self) -> usize {
        3
    }
}

const VERIFIER: &str = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$\
                        AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
const REFERENCE: &str = include_str!("../../config/pgweave.toml");
const MINIMAL: &str = include_str!("../../config/minimal.toml");

fn good(text: &str) -> Config {
    parse_with(text, "config/test.toml", &Fixed).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The report of a text that is wrong, without the file's name.
fn report(text: &str) -> Vec<String> {
    let errors = parse_with(text, "config/test.toml", &Fixed).expect_err("the text is wrong");
    errors
        .to_string()
        .lines()
        .map(|line| line.strip_prefix("config/test.toml:").expect("the file").to_owned())
        .collect()
}

/// The report of a good configuration with a few lines more, whose first is line 1.
fn with(lines: &str) -> Vec<String> {
    report(&format!("{lines}\n{BASE}"))
}

/// Two shards and a user; no `[server]`, `[auth]`, `[limits]`, `[monitor]`, `[log]`, `[catalog]`.
const BASE: &str = r#"
[[users]]
name = "app"
password = "secret"
[[shards]]
name = "s1"
nodes = [{ host = "10.0.1.1" }]
[[shards]]
name = "s2"
nodes = [{ host = "10.0.2.1" }]
[databases.base]
"#;

const USERS: &str = "[[users]]\nname = \"app\"\npassword = \"secret\"";

/// The reference with everything in it switched on.
fn everything() -> String {
    let switched = REFERENCE.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest,
        Some(rest) if rest.trim_start().starts_with('{') => rest,
        _ => line,
    });
    switched.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_reference_says_the_defaults() {
    let short = good(
        r#"
        [[users]]
        name = "app"
        password = { env = "APP_PASSWORD" }
        [[shards]]
        name = "s1"
        nodes = [{ host = "10.0.1.1", zone = "a" }, { host = "10.0.1.2" }]
        [[shards]]
        name = "s2"
        nodes = [{ host = "10.0.2.1" }, { host = "10.0.2.2" }]
        [databases.shop]
        [[databases.shop.distributions]]
        name = "customers"
        tables = { customers = ["id"], orders = ["customer_id"], order_items = ["customer_id"] }
        "#,
    );
    assert_eq!(parse_with(REFERENCE, "config/pgweave.toml", &Fixed), Ok(short));
}

#[test]
fn the_reference_mentions_every_key() {
    let text = everything();
    good(&text);
    let document = Document::new(&text, Path::new("config"), &Fixed);
    let (table, _) = DeTable::parse_recoverable(&text);
    raw::read(&document, table.get_ref());
    let missing: Vec<String> = document.keys().into_iter().filter(|key| !document.mentions(key)).collect();
    // A secret has two forms beside the string; the reference shows each of them somewhere.
    let missing: Vec<String> =
        missing.into_iter().filter(|key| !key.ends_with(".env") && !key.ends_with(".file")).collect();
    assert_eq!(missing, Vec::<String>::new());
    assert!(document.mentions("users[].password.env") && document.mentions("users[].scram.file"));
}

#[test]
fn the_shortest_file_is_enough() {
    let config = good(MINIMAL);
    assert_eq!(config.server.workers, 3);
    assert_eq!(config.shards.len(), 1);
    assert_eq!(config.databases["shop"].shards, ["s1"]);
    assert_eq!(config.databases["shop"].home, "s1");
}

#[test]
fn the_product_s_example_loads() {
    let config = good(
        r#"
[server]
listen = ["127.0.0.1:6432"]
http = "127.0.0.1:6433"

[[users]]
name = "app"
password = { env = "APP_PASSWORD" }      # or scram = "SCRAM-SHA-256$…", or [auth] query = "…"

[catalog]                                # absent: the map is this file's, one proxy, no moves
dsn = "postgres://pgweave@10.0.0.9/pgweave"

[[shards]]
name = "s1"
nodes = [
  { host = "10.0.1.1", zone = "a" },     # role is found out (and followed) unless given
  { host = "10.0.1.2", zone = "b", weight = 2 },
]
[[shards]]
name = "s2"
nodes = [{ host = "10.0.2.1" }, { host = "10.0.2.2" }]

[databases.shop]                         # what clients connect to
consistency = "session"                  # eventual | session | primary

[[databases.shop.distributions]]
name = "customers"
method = "range"                          # hash | range
tables = { customers = ["id"], orders = ["customer_id"], order_items = ["customer_id"] }
ranges = [ { to = "1000000", shard = "s1" }, { shard = "s2" } ]   # range method; hash defaults to an even cut

[databases.shop.reference]
tables = ["countries", "currencies"]
[databases.shop.local]
tables = { audit_log = "s1" }
"#,
    );
    assert_eq!(config.users[0].password.as_ref().map(Secret::expose), Some("secret"));
    assert_eq!(config.shards[0].nodes[1].weight, 2);
    assert_eq!(config.shards[0].nodes[1].zone.as_deref(), Some("b"));
    let shop = &config.databases["shop"];
    assert_eq!((shop.dbname.as_str(), shop.home.as_str()), ("shop", "s1"));
    assert_eq!(shop.shards, ["s1", "s2"]);
    assert_eq!(shop.reference, ["countries", "currencies"]);
    assert_eq!(shop.local["audit_log"], "s1");
    let customers = &shop.distributions[0];
    assert_eq!(customers.method, Method::Range);
    assert_eq!(customers.tables["orders"], ["customer_id"]);
    let range = |to: Option<&str>, shard: &str| Range {
        from: None,
        to: to.map(|to| vec![to.to_owned()]),
        shard: shard.to_owned(),
    };
    assert_eq!(customers.ranges, [range(Some("1000000"), "s1"), range(None, "s2")]);
    assert_eq!(config.monitor.user.as_deref(), Some("app"));
    assert_eq!(config.monitor.password.as_ref().map(Secret::expose), Some("secret"));
    assert_eq!(config.monitor.dbname.as_deref(), Some("shop"));
}

#[test]
fn bounds_are_strings_integers_or_one_of_them_per_column() {
    let config = good(&format!(
        "{BASE}\n[[databases.base.distributions]]\nname = \"d\"\nmethod = \"range\"\ntables = {{ t = [\"a\", \"b\"] }}\n\
         ranges = [{{ from = [\"a\", -5], to = [\"b\", 0x10], shard = \"s1\" }}, {{ to = [\"b\", 17], shard = \"s2\" }}]\n"
    ));
    let ranges = &config.databases["base"].distributions[0].ranges;
    let bound = |left: &str, right: &str| Some(vec![left.to_owned(), right.to_owned()]);
    assert_eq!(ranges[0].from, bound("a", "-5"));
    assert_eq!(ranges[0].to, bound("b", "16"));
    assert_eq!(ranges[1].to, bound("b", "17"));
}

#[test]
fn a_database_for_all_names_is_unsharded() {
    let config = good(&format!("{BASE}\n[databases.\"*\"]\nshards = [\"s2\"]\n"));
    let wildcard = &config.databases["*"];
    assert!(wildcard.is_wildcard());
    assert_eq!((wildcard.shards.as_slice(), wildcard.home.as_str()), (["s2".to_owned()].as_slice(), "s2"));
    assert_eq!(
        with("[databases.\"*\"]\ndbname = \"x\"\n[databases.\"*\".reference]\ntables = [\"t\"]"),
        [
            "1:1: databases.\"*\".shards: \"*\" passes through to exactly one shard, but there are 2: name one",
            "2:10: databases.\"*\".dbname: \"*\" keeps the name that the client asked for",
            "3:1: databases.\"*\".reference: \"*\" is unsharded and places no tables",
        ]
    );
}

#[test]
fn table_names_are_folded_as_postgresql_does() {
    let name = |text: &str| table_name(text).map(|(schema, name)| format!("{schema}|{name}"));
    for (text, expect) in [
        ("orders", Some("public|orders")),
        ("Sales.Orders", Some("sales|orders")),
        ("\"Sales\".\"or.d\"\"ers\"", Some("Sales|or.d\"ers")),
        ("a.b.c", None),
        ("a.", None),
        (".a", None),
        ("", None),
        ("\"a", None),
        ("\"a\"b", None),
        ("two words", None),
    ] {
        assert_eq!(name(text).as_deref(), expect, "{text}");
    }
}

#[test]
fn shard_order_is_the_order_of_the_shards() {
    let config = good(&format!("{BASE}\nshards = [\"s2\", \"s1\"]\n"));
    assert_eq!(config.databases["base"].shards, ["s1", "s2"]);
    assert_eq!(config.databases["base"].home, "s1");
}

#[test]
fn with_a_catalog_shards_and_databases_may_be_its_own() {
    let config = good("[[users]]\nname = \"app\"\npassword = \"x\"\n[catalog]\ndsn = { env = \"CATALOG_DSN\" }\n");
    assert_eq!(config.catalog.map(|catalog| catalog.lease), Some(Duration::from_secs(30)));
    assert_eq!(config.monitor.dbname.as_deref(), Some("postgres"));
}

#[test]
fn secrets_come_from_outside_and_are_never_shown() {
    let config = good(&BASE.replace("password = \"secret\"", "scram = { file = \"reporting.scram\" }").replace(
        "[[shards]]\nname = \"s1\"",
        "[monitor]\nuser = \"watch\"\npassword = { env = \"APP_PASSWORD\" }\n[[shards]]\nname = \"s1\"",
    ));
    assert_eq!(config.users[0].scram.as_ref().map(Secret::expose), Some(VERIFIER));
    assert_eq!(config.monitor.password.as_ref().map(Secret::expose), Some("secret"));
    let shown = format!("{config:?}{:?}", settings(&config));
    assert!(!shown.contains("secret") && !shown.contains("SCRAM-SHA"), "{shown}");
}

#[test]
fn a_secret_that_is_not_there_is_a_problem() {
    let user = |password: &str| report(&BASE.replace("\"secret\"", password));
    assert_eq!(user("{ env = \"NOWHERE\" }"), ["4:12: users[0].password: environment variable \"NOWHERE\" is not set"]);
    assert_eq!(user("{ env = \"EMPTY\" }"), ["4:12: users[0].password: environment variable \"EMPTY\" is empty"]);
    assert_eq!(user("{ file = \"nowhere\" }"), ["4:12: users[0].password: cannot read config/nowhere: no such file"]);
    assert_eq!(user("{ file = \"empty\" }"), ["4:12: users[0].password: config/empty is empty"]);
    assert_eq!(user("{}"), ["4:12: users[0].password: expected exactly one of \"env\" and \"file\""]);
    assert_eq!(
        user("{ evn = \"X\" }"),
        [
            "4:12: users[0].password: expected exactly one of \"env\" and \"file\"",
            "4:14: users[0].password.evn: unknown key \"evn\"; did you mean \"env\"?",
        ]
    );
    assert_eq!(
        user("5"),
        ["4:12: users[0].password: expected a string, { env = \"NAME\" } or { file = \"PATH\" }, found the integer 5"]
    );
    assert_eq!(user("\"\""), ["4:12: users[0].password: must not be empty"]);
}

#[test]
fn all_problems_are_in_one_report_in_the_order_of_the_file() {
    assert_eq!(
        report(
            r#"[server]
listen = ["127.0.0.1"]
worker = 2
drain_timeout = 30

[limits]
clients = 0
message_bytes = "64MB"

[[users]]
password = "x"

[[shards]]
name = "s1"
nodes = [{ host = "a", prot = 5433 }, { hots = "b", port = 99999 }]

[databases.shop]
home = "s9"
consistency = "sesion"
"#
        ),
        [
            "2:11: server.listen[0]: expected an address such as \"127.0.0.1:6432\" or \"[::1]:6432\", found \"127.0.0.1\"",
            "3:1: server.worker: unknown key \"worker\"; did you mean \"workers\"?",
            "4:17: server.drain_timeout: expected a duration such as \"30s\", found the integer 30",
            "7:11: limits.clients: must be between 1 and 10000000, is 0",
            "8:17: limits.message_bytes: expected a size such as \"64MiB\" (units: B, KiB, MiB, GiB, TiB), found \"64MB\"",
            "10:1: users[0].name: missing key \"name\"",
            "15:24: shards[0].nodes[0].prot: unknown key \"prot\"; did you mean \"port\"?",
            "15:39: shards[0].nodes[1].host: missing key \"host\"",
            "15:41: shards[0].nodes[1].hots: unknown key \"hots\"; did you mean \"host\"?",
            "15:60: shards[0].nodes[1].port: must be between 1 and 65535, is 99999",
            "18:8: databases.shop.home: shard \"s9\": not among this database's shards; did you mean \"s1\"?",
            "19:15: databases.shop.consistency: expected one of \"eventual\", \"session\", \"primary\", found \"sesion\"; \
             did you mean \"session\"?",
        ]
    );
}

#[test]
fn what_is_no_toml_is_told_with_its_place() {
    assert_eq!(report("[server\nlisten = [\"a:1\"]\n")[0].split(": ").next(), Some("1:8"));
    let two = report("[server]\nlisten = = 1\n[limits]\nclients = \n");
    assert!(two.len() >= 2 && two[0].starts_with("2:") && two[two.len() - 1].starts_with("4:"), "{two:?}");
    let duplicate = report("[log]\nlevel = \"info\"\nlevel = \"warn\"\n");
    assert_eq!(duplicate, ["3:1: duplicate key"]);
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let errors = load(PathBuf::from("config/no-such-file.toml")).expect_err("there is none");
    assert!(errors.to_string().starts_with("config/no-such-file.toml: cannot read the configuration: No such file"));
}

#[test]
fn wrong_types_are_told() {
    for (lines, expect) in [
        ("server = 1", "1:10: server: expected a table, found the integer 1"),
        ("[server]\nlisten = \"127.0.0.1:1\"", "2:10: server.listen: expected an array, found a string"),
        ("[server]\nlisten = [1.5]", "2:11: server.listen[0]: expected a string, found the number 1.5"),
        ("[server]\nhttp = false", "2:8: server.http: expected a string, found false"),
        ("[server]\nhttp = \"\"", "2:8: server.http: must not be empty"),
        ("[server]\nworkers = \"4\"", "2:11: server.workers: expected an integer, found a string"),
        ("[server]\nworkers = -1", "2:11: server.workers: must be between 1 and 1024, is -1"),
        (
            "[limits]\nbuffer_bytes = 16384",
            "2:16: limits.buffer_bytes: expected a size such as \"64MiB\", found the integer 16384",
        ),
        (
            "[limits]\nbuffer_bytes = \"16B\"",
            "2:16: limits.buffer_bytes: must be between \"1KiB\" and \"16MiB\", is \"16B\"",
        ),
        ("[limits]\ncheckout_timeout = \"0s\"", "2:20: limits.checkout_timeout: must be at least \"1ms\", is \"0s\""),
        ("[limits]\nserver_lifetime = \"900d\"", "2:19: limits.server_lifetime: must be at most \"365d\", is \"900d\""),
        (
            "[limits]\nserver_lifetime = \"1 hour\"",
            "2:19: limits.server_lifetime: expected a duration such as \"30s\" (units: us, ms, s, min, h, d), found \"1 hour\"",
        ),
        ("[log]\nformat = [\"json\"]", "2:10: log.format: expected one of \"text\", \"json\", found an array"),
        ("[log]\nformat = \"xml\"", "2:10: log.format: expected one of \"text\", \"json\", found \"xml\""),
        ("[log]\nlevel = 2024-01-01", "2:9: log.level: expected a string, found a date or time"),
        ("users = 1", "1:9: users: expected an array, found the integer 1"),
    ] {
        // The base must not define the table that is wrong.
        let base = if lines.starts_with("users") { BASE.replace(USERS, "") } else { BASE.to_owned() };
        assert_eq!(report(&format!("{lines}\n{base}")), [expect]);
    }
}

#[test]
fn unknown_keys_far_from_any_name_the_known_ones() {
    assert_eq!(with("[log]\ncolour = true"), ["2:1: log.colour: unknown key \"colour\"; known here: level, format"]);
    assert_eq!(with("[[user]]\nname = \"x\""), ["1:3: user: unknown key \"user\"; did you mean \"users\"?"]);
}

#[test]
fn what_is_not_built_is_told_so() {
    for (lines, expect) in [
        ("[auth]\nquery = \"SELECT 1\"", "2:1: auth.query: key \"query\" is not supported yet"),
        ("[auth]\npass_through = true", "2:1: auth.pass_through: key \"pass_through\" is not supported yet"),
        (
            "[auth]\nmethod = \"md5\"",
            "2:10: auth.method: \"md5\" is not supported yet; supported: \"scram\", \"trust\"",
        ),
        ("[server]\nzone = \"a\"", "2:1: server.zone: key \"zone\" is not supported yet"),
        (
            "[server]\nlisten = [\"/run/pgweave\"]",
            "2:11: server.listen[0]: listening on a Unix socket is not supported yet, found \"/run/pgweave\"",
        ),
        (
            "[databases.d]\nserver_auth = \"role\"",
            "2:15: databases.d.server_auth: \"role\" is not supported yet; supported: \"same_user\"",
        ),
        (
            "[databases.d]\nconsistency = \"user\"",
            "2:15: databases.d.consistency: \"user\" is not supported yet; supported: \"eventual\", \"session\", \"primary\"",
        ),
        (
            "[databases.d]\nbalancing = \"latency\"",
            "2:13: databases.d.balancing: \"latency\" is not supported yet; \
             supported: \"least_connections\", \"round_robin\", \"weighted\"",
        ),
        (
            "[databases.d]\npool_mode = \"statement\"",
            "2:13: databases.d.pool_mode: \"statement\" is not supported yet; supported: \"transaction\", \"session\"",
        ),
        (
            "[databases.d]\nunique_by_origin = [\"k\"]",
            "2:1: databases.d.unique_by_origin: key \"unique_by_origin\" is not supported yet",
        ),
        ("[databases.d]\nprefer_zone = true", "2:1: databases.d.prefer_zone: key \"prefer_zone\" is not supported yet"),
    ] {
        assert_eq!(with(lines), [expect]);
    }
}

#[test]
fn listen_addresses_are_checked() {
    good(&format!("[server]\nlisten = [\"0.0.0.0:6432\", \"[::1]:6432\", \"localhost:0\", \"localhost:0\"]\n{BASE}"));
    for address in
        ["127.0.0.1", "127.0.0.1:", ":6432", "127.0.0.1:65536", "::1:6432", "[::1:6432", "300.0.0.1:1", "a b:1", "h:+1"]
    {
        let expect = format!(
            "2:11: server.listen[0]: expected an address such as \"127.0.0.1:6432\" or \"[::1]:6432\", found {address:?}"
        );
        assert_eq!(with(&format!("[server]\nlisten = [{address:?}]")), [expect]);
    }
    assert_eq!(with("[server]\nlisten = []"), ["2:10: server.listen: no address to listen on"]);
    assert_eq!(
        with("[server]\nlisten = [\"*:6432\"]"),
        ["2:11: server.listen[0]: write \"0.0.0.0:6432\" or \"[::]:6432\" for all addresses, found \"*:6432\""]
    );
    assert_eq!(
        with("[server]\nlisten = [\"a:1\"]\nhttp = \"a:1\""),
        ["3:8: server.http: the address \"a:1\" is taken by server.listen[0]"]
    );
}

#[test]
fn users_are_checked() {
    let users = |text: &str| report(&BASE.replace(USERS, text));
    assert_eq!(users(""), ["1:1: users: no user: nobody could log in; add [[users]] with name and password"]);
    assert_eq!(
        users("[[users]]\nname = \"a\"\n[[users]]\nname = \"b\"\npassword = \"x\""),
        ["2:1: users[0]: user \"a\" has neither \"password\" nor \"scram\""]
    );
    assert_eq!(
        users("[[users]]\nname = \"a\"\npassword = \"x\"\n[[users]]\nname = \"a\"\npassword = \"y\""),
        ["6:8: users[1].name: user \"a\" is already users[0]"]
    );
    assert_eq!(
        users(&format!("[[users]]\nname = \"a\"\npassword = \"x\"\nscram = {VERIFIER:?}")),
        ["5:9: users[0].scram: give either \"password\" or \"scram\""]
    );
    assert_eq!(
        users("[[users]]\nname = \"a\"\npassword = \"x\"\n[[users]]\nname = \"b\"\nscram = \"md5abc\""),
        ["7:9: users[1].scram: expected a verifier as in pg_authid.rolpassword, \
             SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY"]
    );
    assert_eq!(
        users(&format!("[[users]]\nname = \"a\"\nscram = {VERIFIER:?}")),
        ["2:1: users: no user has a password for the monitor: add \"user\" and \"password\" to [monitor]"]
    );
    assert_eq!(
        users("[auth]\nmethod = \"trust\""),
        ["1:1: monitor.user: missing, and there is no user in [[users]] to take its place"]
    );
    assert_eq!(
        users("[monitor]\npassword = \"x\"\n[[users]]\nname = \"a\"\npassword = \"x\""),
        ["3:12: monitor.password: a password without \"user\""]
    );
    assert_eq!(
        users(&format!("[monitor]\nuser = \"a\"\n[[users]]\nname = \"a\"\nscram = {VERIFIER:?}")),
        ["2:1: monitor.password: missing: user \"a\" has only a SCRAM verifier, which cannot log in to a server"]
    );
    good(&BASE.replace("password = \"secret\"", "").replace("[[users]]", "[auth]\nmethod = \"trust\"\n[[users]]"));
}

#[test]
fn shards_and_nodes_are_checked() {
    let shards = |text: &str| report(&format!("[[users]]\nname = \"a\"\npassword = \"x\"\n{text}\n[databases.d]\n"));
    assert_eq!(shards(""), ["1:1: shards: no shard: add [[shards]] with name and nodes"]);
    assert_eq!(shards("[[shards]]\nname = \"s\""), ["4:1: shards[0].nodes: missing key \"nodes\""]);
    assert_eq!(
        shards("[[shards]]\nname = \"s\"\nnodes = []"),
        ["6:9: shards[0].nodes: a shard needs at least one node"]
    );
    assert_eq!(
        shards(
            "[[shards]]\nname = \"s\"\nnodes = [{ host = \"a\" }]\n[[shards]]\nname = \"s\"\nnodes = [{ host = \"a\" }]"
        ),
        [
            "8:8: shards[1].name: shard \"s\" is already shards[0]",
            "9:10: shards[1].nodes[0]: the same node as shards[0].nodes[0]: a:5432",
        ]
    );
    let node = |text: &str| shards(&format!("[[shards]]\nname = \"s\"\nnodes = [{text}]"));
    assert_eq!(
        node("{ host = \"a b\" }"),
        [
            "6:19: shards[0].nodes[0].host: expected a host name, an address or the directory of a Unix socket, found \"a b\""
        ]
    );
    assert_eq!(
        node("{ host = \"a\", sslmode = \"verify-full\" }"),
        ["6:10: shards[0].nodes[0].root_cert: missing: this sslmode checks the server's certificate"]
    );
    assert_eq!(
        node("{ host = \"a\", sslmode = \"require\", root_cert = \"ca.crt\" }"),
        ["6:57: shards[0].nodes[0].root_cert: is only used by sslmode = \"verify-ca\" or \"verify-full\"; \
             as it is, no certificate is checked"]
    );
    assert_eq!(
        node("{ host = \"a\", sslmode = \"verify-ca\", root_cert = \"nowhere\" }"),
        ["6:59: shards[0].nodes[0].root_cert: cannot read config/nowhere: no such file"]
    );
    assert_eq!(
        node("{ host = \"/run/postgresql\", sslmode = \"prefer\" }"),
        ["6:48: shards[0].nodes[0].sslmode: there is no TLS on a Unix socket"]
    );
    assert_eq!(
        node("{ host = \"a\", role = \"primary\" }, { host = \"b\", role = \"primary\" }"),
        ["6:9: shards[0].nodes: at most one node can have role = \"primary\""]
    );
    assert_eq!(node("\"10.0.0.1\""), ["6:10: shards[0].nodes[0]: expected a table, found a string"]);
}

#[test]
fn databases_are_checked() {
    let none = BASE.replace("[databases.base]", "");
    assert_eq!(report(&none), ["1:1: databases: no database: add a section such as [databases.shop]"]);
    assert_eq!(with("[databases.pgweave]"), ["1:1: databases.pgweave: the database \"pgweave\" is the console"]);
    assert_eq!(
        with("[databases.d]\nshards = [\"s1\", \"s3\", \"s1\"]\nhome = \"s2\"\npool_size = 0"),
        [
            "2:17: databases.d.shards[1]: shard \"s3\": no shard of this name in [[shards]]; did you mean \"s1\"?",
            "2:23: databases.d.shards[2]: shard \"s1\" stands here twice",
            "3:8: databases.d.home: shard \"s2\": not among this database's shards; did you mean \"s1\"?",
            "4:13: databases.d.pool_size: must be between 1 and 100000, is 0",
        ]
    );
}

#[test]
fn placements_are_checked() {
    assert_eq!(
        with(
            r#"[[databases.d.distributions]]
name = "x"
tables = { a = ["id"], b = ["x", "y"], c = [], d = ["x", "x"], "p.q.r" = ["id"] }
[[databases.d.distributions]]
name = "x"
tables = { "public.a" = ["id"] }
[databases.d.reference]
tables = ["b", "e"]
[databases.d.local]
tables = { e = "s1", f = "s3" }"#
        ),
        [
            "3:28: databases.d.distributions[0].tables.b: \
             a key of 2 columns, but table \"a\" of this distribution has one of 1 column",
            "3:44: databases.d.distributions[0].tables.c: needs at least one key column",
            "3:52: databases.d.distributions[0].tables.d: \
             a key of 2 columns, but table \"a\" of this distribution has one of 1 column",
            "3:58: databases.d.distributions[0].tables.d[1]: column \"x\" stands here twice",
            "3:74: databases.d.distributions[0].tables.\"p.q.r\": \
             expected a table such as \"orders\" or \"sales.orders\", found \"p.q.r\"",
            "5:8: databases.d.distributions[1].name: distribution \"x\" is already databases.d.distributions[0]",
            "6:25: databases.d.distributions[1].tables.\"public.a\": \
             table \"public.a\" is already placed by databases.d.distributions[0].tables.a",
            "8:11: databases.d.reference.tables[0]: \
             table \"b\" is already placed by databases.d.distributions[0].tables.b",
            "10:16: databases.d.local.tables.e: table \"e\" is already placed by databases.d.reference.tables[1]",
            "10:26: databases.d.local.tables.f: shard \"s3\": not among this database's shards; did you mean \"s1\"?",
        ]
    );
}

/// The report of a distribution of method range (or what `head` says) with these ranges, in line 4.
fn with_ranges(head: &str, ranges: &str) -> Vec<String> {
    with(&format!("[[databases.d.distributions]]\nname = \"x\"\n{head}\nranges = [{ranges}]"))
}

#[test]
fn ranges_are_checked() {
    const HEAD: &str = "method = \"range\"\ntables = { a = [\"id\"] }";
    let check = |ranges: &str| with_ranges(HEAD, ranges);
    assert_eq!(
        with("[[databases.d.distributions]]\nname = \"x\"\nmethod = \"range\"\ntables = { a = [\"id\"] }"),
        ["1:1: databases.d.distributions[0].ranges: missing: method \"range\" has no default for who owns what"]
    );
    assert_eq!(
        check(
            "{ to = 10, shard = \"s1\" }, { to = 10, shard = \"s2\" }, { to = 9, shard = \"s1\" }, { shard = \"s3\" }"
        ),
        [
            "5:45: databases.d.distributions[0].ranges[1].to: must be greater than the bound before it",
            "5:101: databases.d.distributions[0].ranges[3].shard: \
             shard \"s3\": not among this database's shards; did you mean \"s1\"?",
        ]
    );
    assert_eq!(
        check("{ from = \"b\", to = \"a\", shard = \"s1\" }, { shard = \"s2\" }"),
        ["5:30: databases.d.distributions[0].ranges[0].to: must be greater than the bound before it"]
    );
    assert_eq!(
        check("{ shard = \"s1\" }, { from = 5, shard = \"s2\" }"),
        [
            "5:11: databases.d.distributions[0].ranges[0]: missing key \"to\": only the last range has no end",
            "5:38: databases.d.distributions[0].ranges[1].from: \
             only the first range has \"from\"; each begins where the one before ends",
        ]
    );
    assert_eq!(
        check("{ to = [1, 2], shard = \"s1\" }, { to = 1.5 }"),
        [
            "5:18: databases.d.distributions[0].ranges[0].to: the key has 1 column, but the bound has 2 values",
            "5:42: databases.d.distributions[0].ranges[1].shard: missing key \"shard\"",
            "5:49: databases.d.distributions[0].ranges[1].to: expected a string or an integer, found the number 1.5",
        ]
    );
    // The column may be a text, and then this ascends.
    good(&format!(
        "{BASE}\n[[databases.base.distributions]]\nname = \"x\"\n{HEAD}\n\
         ranges = [{{ to = \"10\", shard = \"s1\" }}, {{ to = \"9\", shard = \"s2\" }}]"
    ));
}

#[test]
fn a_hash_distribution_covers_all_positions() {
    const HEAD: &str = "tables = { a = [\"id\"] }";
    assert_eq!(
        with_ranges(HEAD, "{ from = 0, to = \"x\", shard = \"s1\" }, { to = 5, shard = \"s2\" }"),
        [
            "4:20: databases.d.distributions[0].ranges[0].from: method \"hash\" covers all positions: the first has no \"from\"",
            "4:28: databases.d.distributions[0].ranges[0].to: a bound of method \"hash\" is a position: one integer of 64 bits",
            "4:56: databases.d.distributions[0].ranges[1].to: method \"hash\" covers all positions: the last has no \"to\"",
        ]
    );
}

#[test]
fn the_rest_is_checked() {
    assert_eq!(
        with("[log]\nlevel = \"info,=\""),
        [
            "2:9: log.level: expected a filter such as \"info\" or \"info,pgweave::pool=debug\": invalid filter directive"
        ]
    );
    assert_eq!(
        with("[catalog]\ndsn = \"host=10.0.0.9\"\nlease = \"5s\""),
        [
            "2:7: catalog.dsn: expected a URL that begins with \"postgres://\"",
            "3:9: catalog.lease: must be at least twice \"poll_interval\", or a lease ends between two renewals",
        ]
    );
    assert_eq!(with("[catalog]"), ["1:1: catalog.dsn: missing key \"dsn\""]);
    assert_eq!(
        with("[server.tls]\ncert = \"nowhere\""),
        ["1:1: server.tls.key: missing key \"key\"", "2:8: server.tls.cert: cannot read config/nowhere: no such file",]
    );
    assert_eq!(
        with("[databases.d.functions]\nf = \"everywhere\""),
        ["2:5: databases.d.functions.f: expected one of \"shard_local\", \"home\", \"any\", found \"everywhere\""]
    );
}

#[test]
fn a_reload_names_what_changed_and_what_waits() {
    let old = good(BASE);
    let new = good(&format!(
        "[limits]\nclients = 5\n[server]\nhttp = \"127.0.0.1:1\"\n{}",
        BASE.replace("\"secret\"", "\"other\"")
    ));
    let lines: Vec<String> = changes(&old, &new).iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "limits.clients: 10000 -> 5",
            "monitor.password: \"...\" -> \"...\" (needs a restart)",
            "server.http: not set -> \"127.0.0.1:1\" (needs a restart)",
            "users[0].password: \"...\" -> \"...\"",
        ]
    );
    assert_eq!(changes(&old, &old), []);

    let effects = |old: &str, new: &str| {
        let effect = |change: Change| (change.path, change.effect);
        changes(&good(old), &good(new)).into_iter().map(effect).collect::<Vec<_>>()
    };
    let sized = format!("{BASE}\npool_size = 5\nconsistency = \"primary\"\n");
    let expect = |pool_size, consistency| {
        [("databases.base.consistency".to_owned(), consistency), ("databases.base.pool_size".to_owned(), pool_size)]
    };
    assert_eq!(effects(BASE, &sized), expect(Effect::Restart, Effect::Now));
    let catalog = "[catalog]\ndsn = { env = \"CATALOG_DSN\" }\n";
    let found = effects(&format!("{catalog}{BASE}"), &format!("{catalog}{sized}"));
    assert_eq!(found, expect(Effect::Catalog, Effect::Catalog));
}
