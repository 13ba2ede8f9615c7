//! The file's form: its sections, the keys of each with their types, bounds and defaults.
//!
//! What a key may say by itself is decided here; whether the keys agree with each other is decided in `check`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::config::*;
use super::document::{Document, Section};
use super::secret::Secret;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
/// Bounds of everything that is counted: more than this is a slip of the keyboard.
const COUNTS: RangeInclusive<u64> = 1..=10_000_000;
/// PostgreSQL takes no message of more than this.
const LONGEST_MESSAGE: u64 = (1 << 30) - 1;
/// The words of `consistency`, worst first.
const CONSISTENCIES: [(&str, Consistency); 3] =
    [("eventual", Consistency::Eventual), ("session", Consistency::Session), ("primary", Consistency::Primary)];
const POOL_MODES: [(&str, PoolMode); 2] = [("transaction", PoolMode::Transaction), ("session", PoolMode::Session)];

/// Reads the whole file. Where something is wrong a stand-in takes its place, so that reading can go on; the result is
/// only good if the document has no problems at the end.
pub(super) fn read(document: &Document<'_>, table: &toml::de::DeTable<'_>) -> Config {
    let mut root = document.root(table);
    let config = Config {
        server: server(root.section("server"), document.processors()),
        auth: auth(root.section("auth")),
        users: root.sections("users").into_iter().map(user).collect(),
        catalog: catalog(&mut root),
        limits: limits(root.section("limits")),
        monitor: monitor(root.section("monitor")),
        log: log(root.section("log")),
        shards: root.sections("shards").into_iter().map(shard).collect(),
        databases: databases(root.section("databases")),
    };
    root.close();
    config
}

fn server(mut section: Section<'_>, processors: usize) -> Server {
    let server = Server {
        listen: section.strings("listen").unwrap_or_else(|| vec!["127.0.0.1:6432".to_owned()]),
        http: section.string("http"),
        workers: section.count("workers", 1..=1024).unwrap_or(processors),
        tls: server_tls(&mut section),
        drain_timeout: section.duration("drain_timeout", Duration::ZERO).unwrap_or(SECOND * 30),
    };
    section.not_yet("zone");
    section.close();
    server
}

fn server_tls(server: &mut Section<'_>) -> Option<ServerTls> {
    let present = server.has("tls");
    let mut section = server.section("tls");
    let (cert, key) = if present {
        (section.required_readable("cert"), section.required_readable("key"))
    } else {
        (section.readable("cert"), section.readable("key"))
    };
    let required = section.boolean("required").unwrap_or(false);
    section.close();
    present.then(|| ServerTls { cert: cert.unwrap_or_default(), key: key.unwrap_or_default(), required })
}

fn auth(mut section: Section<'_>) -> Auth {
    let methods = [("scram", AuthMethod::Scram), ("trust", AuthMethod::Trust)];
    let later = ["md5", "plain", "cert", "ldap", "pam", "hba", "scram-sha-256"];
    let auth = Auth { method: section.choice("method", &methods, &later).unwrap_or(AuthMethod::Scram) };
    section.not_yet("query");
    section.not_yet("pass_through");
    section.close();
    auth
}

fn user(mut section: Section<'_>) -> User {
    let user = User {
        name: section.required("name").and_then(|field| field.string()).unwrap_or_default(),
        password: section.secret("password"),
        scram: section.secret("scram"),
        pool_mode: section.choice("pool_mode", &POOL_MODES, &["statement"]),
        may_bypass_routing: section.boolean("may_bypass_routing").unwrap_or(false),
        admin: section.boolean("admin").unwrap_or(false),
    };
    section.not_yet("consistency");
    section.close();
    user
}

fn catalog(root: &mut Section<'_>) -> Option<Catalog> {
    let present = root.has("catalog");
    let mut section = root.section("catalog");
    let dsn = if present { section.required("dsn") } else { section.field("dsn") };
    let catalog = Catalog {
        dsn: dsn.and_then(|field| field.secret()).unwrap_or_else(|| Secret::new("")),
        poll_interval: section.duration("poll_interval", MILLISECOND * 100).unwrap_or(SECOND * 5),
        lease: section.duration("lease", SECOND).unwrap_or(SECOND * 30),
    };
    section.close();
    present.then_some(catalog)
}

fn limits(mut section: Section<'_>) -> Limits {
    let buffers = (1 << 10)..=(16 << 20);
    let limits = Limits {
        clients: section.count("clients", COUNTS).unwrap_or(10_000),
        waiters: section.count("waiters", COUNTS).unwrap_or(10_000),
        checkout_timeout: section.duration("checkout_timeout", MILLISECOND).unwrap_or(SECOND * 5),
        connect_timeout: section.duration("connect_timeout", MILLISECOND).unwrap_or(SECOND * 5),
        startup_timeout: section.duration("startup_timeout", MILLISECOND).unwrap_or(SECOND * 10),
        message_bytes: bytes(&mut section, "message_bytes", (64 << 10)..=LONGEST_MESSAGE, 64 << 20),
        prepared_per_client: section.count("prepared_per_client", COUNTS).unwrap_or(10_000),
        prepared_per_server: section.count("prepared_per_server", COUNTS).unwrap_or(500),
        plan_cache_entries: section.count("plan_cache_entries", COUNTS).unwrap_or(10_000),
        plan_cache_bytes: bytes(&mut section, "plan_cache_bytes", (64 << 10)..=(64 << 30), 32 << 20),
        buffer_bytes: bytes(&mut section, "buffer_bytes", buffers, 64 << 10),
        failover_wait: section.duration("failover_wait", Duration::ZERO).unwrap_or(SECOND * 30),
        server_idle_timeout: section.duration("server_idle_timeout", SECOND).unwrap_or(SECOND * 600),
        server_lifetime: section.duration("server_lifetime", SECOND).unwrap_or(SECOND * 3600),
    };
    section.close();
    limits
}

fn bytes(section: &mut Section<'_>, name: &'static str, bounds: RangeInclusive<u64>, default: u64) -> usize {
    usize::try_from(section.size(name, bounds).unwrap_or(default)).unwrap_or(usize::MAX)
}

fn monitor(mut section: Section<'_>) -> Monitor {
    let monitor = Monitor {
        interval: section.duration("interval", MILLISECOND * 10).unwrap_or(MILLISECOND * 100),
        timeout: section.duration("timeout", MILLISECOND * 10).unwrap_or(SECOND * 2),
        max_lag: section.duration("max_lag", MILLISECOND).unwrap_or(SECOND * 10),
        max_lag_bytes: section.size("max_lag_bytes", 1..=u64::MAX),
        recover_after: section.integer("recover_after", 1..=1000).and_then(|n| u32::try_from(n).ok()).unwrap_or(2),
        user: section.string("user"),
        password: section.secret("password"),
        dbname: section.string("dbname"),
        schema_interval: section.duration("schema_interval", SECOND).unwrap_or(SECOND * 60),
    };
    section.close();
    monitor
}

fn log(mut section: Section<'_>) -> Log {
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let log = Log {
        level: section.string("level").unwrap_or_else(|| "info".to_owned()),
        format: section.choice("format", &formats, &[]).unwrap_or(LogFormat::Text),
    };
    section.close();
    log
}

fn shard(mut section: Section<'_>) -> Shard {
    let name = section.required("name").and_then(|field| field.string()).unwrap_or_default();
    let nodes = section.required("nodes").map(|field| field.elements()).unwrap_or_default();
    section.close();
    Shard { name, nodes: nodes.iter().map(|field| node(field.section())).collect() }
}

fn node(mut section: Section<'_>) -> Node {
    let sslmodes = [
        ("disable", SslMode::Disable),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-ca", SslMode::VerifyCa),
        ("verify-full", SslMode::VerifyFull),
    ];
    let roles = [("primary", NodeRole::Primary), ("replica", NodeRole::Replica)];
    let node = Node {
        host: section.required("host").and_then(|field| field.string()).unwrap_or_default(),
        port: section.integer("port", 1..=65_535).and_then(|port| u16::try_from(port).ok()).unwrap_or(5432),
        zone: section.string("zone"),
        weight: section.integer("weight", 1..=1000).and_then(|weight| u32::try_from(weight).ok()).unwrap_or(1),
        role: section.choice("role", &roles, &[]),
        sslmode: section.choice("sslmode", &sslmodes, &["allow"]).unwrap_or(SslMode::Disable),
        root_cert: section.readable("root_cert"),
    };
    section.close();
    node
}

fn databases(section: Section<'_>) -> BTreeMap<String, Database> {
    section.entries().into_iter().map(|(name, field)| (name.clone(), database(name, field.section()))).collect()
}

/// `shards` and `home` stay empty where the file is silent; `check` fills them in.
fn database(name: String, mut section: Section<'_>) -> Database {
    let balancings = [
        ("least_connections", Balancing::LeastConnections),
        ("round_robin", Balancing::RoundRobin),
        ("weighted", Balancing::Weighted),
    ];
    let from_primary = [("fallback", ReadFromPrimary::Fallback), ("always", ReadFromPrimary::Always)];
    let consistency = section.choice("consistency", &CONSISTENCIES, &["database", "user"]);
    let database = Database {
        dbname: section.string("dbname").unwrap_or_else(|| name.clone()),
        name,
        shards: section.strings("shards").unwrap_or_default(),
        home: section.string("home").unwrap_or_default(),
        consistency: consistency.unwrap_or(Consistency::Session),
        pool_mode: section.choice("pool_mode", &POOL_MODES, &["statement"]).unwrap_or(PoolMode::Transaction),
        pool_size: section.count("pool_size", 1..=100_000).unwrap_or(20),
        balancing: section
            .choice("balancing", &balancings, &["random", "latency", "client_ip"])
            .unwrap_or(Balancing::LeastConnections),
        read_from_primary: section.choice("read_from_primary", &from_primary, &[]).unwrap_or(ReadFromPrimary::Fallback),
        distributions: section.sections("distributions").into_iter().map(distribution).collect(),
        reference: only(section.section("reference"), |section| section.strings("tables").unwrap_or_default()),
        local: only(section.section("local"), |section| local_tables(section.section("tables"))),
        functions: functions(section.section("functions")),
        safe_triggers: only(section.section("triggers"), |section| section.strings("safe").unwrap_or_default()),
    };
    // The only way so far that the proxy logs in to servers; the key is there so that it can be said.
    section.choice("server_auth", &[("same_user", ())], &["role"]);
    section.not_yet("prefer_zone");
    section.not_yet("unique_by_origin");
    section.not_yet("position");
    section.close();
    database
}

/// Reads a section of few keys and ends it.
fn only<T>(mut section: Section<'_>, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
    let value = read(&mut section);
    section.close();
    value
}

fn local_tables(section: Section<'_>) -> BTreeMap<String, String> {
    section.entries().into_iter().map(|(table, shard)| (table, shard.string().unwrap_or_default())).collect()
}

fn functions(section: Section<'_>) -> BTreeMap<String, FunctionDeclaration> {
    let words = [
        ("shard_local", FunctionDeclaration::ShardLocal),
        ("home", FunctionDeclaration::Home),
        ("any", FunctionDeclaration::Any),
    ];
    let declared = |(name, field): (String, super::document::Field<'_>)| Some((name, field.choice(&words, &[])?));
    section.entries().into_iter().filter_map(declared).collect()
}

fn distribution(mut section: Section<'_>) -> Distribution {
    let methods = [("hash", Method::Hash), ("range", Method::Range)];
    let tables = section.section("tables").entries();
    let distribution = Distribution {
        name: section.required("name").and_then(|field| field.string()).unwrap_or_default(),
        method: section.choice("method", &methods, &[]).unwrap_or(Method::Hash),
        tables: tables.into_iter().map(|(table, field)| (table, field.strings().unwrap_or_default())).collect(),
        ranges: section.sections("ranges").into_iter().map(range).collect(),
    };
    section.close();
    distribution
}

fn range(mut section: Section<'_>) -> Range {
    let range = Range {
        from: section.field("from").and_then(|field| field.key_values()),
        to: section.field("to").and_then(|field| field.key_values()),
        shard: section.required("shard").and_then(|field| field.string()).unwrap_or_default(),
    };
    section.close();
    range
}
