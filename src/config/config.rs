//! The checked configuration, complete with defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::Secret;

/// The whole configuration of one proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// `[auth]`.
    pub auth: Auth,
    /// `[[users]]`.
    pub users: Vec<User>,
    /// `[catalog]`.
    pub catalog: Option<Catalog>,
    /// `[limits]`.
    pub limits: Limits,
    /// `[monitor]`.
    pub monitor: Monitor,
    /// `[log]`.
    pub log: Log,
    /// `[[shards]]`, in shard order.
    pub shards: Vec<Shard>,
    /// `[databases.NAME]`.
    pub databases: BTreeMap<String, Database>,
}

/// `[server]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Addresses to listen on, `host:port`. Default `127.0.0.1:6432`.
    pub listen: Vec<String>,
    /// The address of `/metrics`, `/healthz`, `/readyz`. Default none.
    pub http: Option<String>,
    /// Threads that serve clients. Default: the processors of this machine.
    pub workers: usize,
    /// `[server.tls]`: TLS towards clients.
    pub tls: Option<ServerTls>,
    /// How long SIGTERM waits for transactions to end. Default 30 s.
    pub drain_timeout: Duration,
}

/// TLS towards clients.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerTls {
    /// PEM chain.
    pub cert: PathBuf,
    /// PEM key.
    pub key: PathBuf,
    /// Whether a client without TLS is refused.
    pub required: bool,
}

/// `[auth]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    /// How clients prove who they are. Default SCRAM.
    pub method: AuthMethod,
}

/// How clients prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// SCRAM-SHA-256.
    Scram,
    /// Not at all.
    Trust,
}

/// `[[users]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// The role's name, at the client's side and at the servers'.
    pub name: String,
    /// The password; it logs in to servers, too.
    pub password: Option<Secret>,
    /// A SCRAM verifier (`SCRAM-SHA-256$…`) in place of the password: enough for clients, not for servers that ask for SCRAM.
    pub scram: Option<Secret>,
    /// Overrides the database's mode.
    pub pool_mode: Option<PoolMode>,
    /// May run unparsed writes by hint. Default false.
    pub may_bypass_routing: bool,
    /// May use the console's commands that change things. Default false; everyone may SHOW.
    pub admin: bool,
}

/// `[catalog]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalog {
    /// The catalog's database.
    pub dsn: Secret,
    /// How often the map is asked for when no notification comes. Default 5 s.
    pub poll_interval: Duration,
    /// How long a proxy's registration lasts without renewal. Default 30 s.
    pub lease: Duration,
}

/// `[limits]`. Every one has a default.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Clients at once. 10,000.
    pub clients: usize,
    /// Clients that wait for a server, per pool. 10,000.
    pub waiters: usize,
    /// How long a client waits for a server. Then 53300. 5 s.
    pub checkout_timeout: Duration,
    /// How long a server may take to accept, authenticate and become ready. 5 s.
    pub connect_timeout: Duration,
    /// How long a client may take from accept to authenticated. 10 s.
    pub startup_timeout: Duration,
    /// The longest Query, Parse or Bind that is held whole. 64 MiB.
    pub message_bytes: usize,
    /// Prepared statements per client. 10,000.
    pub prepared_per_client: usize,
    /// Prepared statements per server connection; the least recently used is closed. 500.
    pub prepared_per_server: usize,
    /// Entries of the plan cache, per database. 10,000.
    pub plan_cache_entries: usize,
    /// Bytes of the plan cache, per database. 32 MiB.
    pub plan_cache_bytes: usize,
    /// Bytes buffered per direction of a connection. 64 KiB.
    pub buffer_bytes: usize,
    /// How long a statement waits for a shard without a primary. 30 s.
    pub failover_wait: Duration,
    /// An idle server is closed after this. 10 min.
    pub server_idle_timeout: Duration,
    /// A server is not reused past this age. 1 h.
    pub server_lifetime: Duration,
}

/// `[monitor]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// How often every node is asked. 100 ms.
    pub interval: Duration,
    /// How long a probe may take. 2 s.
    pub timeout: Duration,
    /// A replica further behind than this leaves the rotation, and is back below half of it. 10 s.
    pub max_lag: Duration,
    /// The same in bytes; `None`: no bound. Default none.
    pub max_lag_bytes: Option<u64>,
    /// Probes a node must answer to come back. 2.
    pub recover_after: u32,
    /// The user of the monitor's own connections. Default: the first of `[[users]]` that has a password.
    pub user: Option<String>,
    /// Its password. Default: that of the user of this name in `[[users]]`.
    pub password: Option<Secret>,
    /// The database it connects to. Default: that of the first database.
    pub dbname: Option<String>,
    /// How often the schema is read again when nothing announced a change. 60 s.
    pub schema_interval: Duration,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// A `tracing` filter. Default `info`.
    pub level: String,
    /// Text or JSON lines. Default text.
    pub format: LogFormat,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// `[[shards]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Shard {
    /// Its name.
    pub name: String,
    /// Its nodes.
    pub nodes: Vec<Node>,
}

/// A node of a shard.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Host name, address, or the directory of a Unix socket (beginning with `/`).
    pub host: String,
    /// Default 5432.
    pub port: u16,
    /// Its zone.
    pub zone: Option<String>,
    /// Its weight for `weighted` balancing. Default 1.
    pub weight: u32,
    /// Its role if it is not to be found out.
    pub role: Option<NodeRole>,
    /// Default `disable`.
    pub sslmode: SslMode,
    /// CA certificates for `verify-ca` and `verify-full`.
    pub root_cert: Option<PathBuf>,
}

/// The role of a node, as configured or found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeRole {
    /// Takes writes.
    Primary,
    /// Follows a primary.
    Replica,
}

/// TLS towards a server, as libpq names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// None.
    Disable,
    /// If the server has it; certificate unchecked.
    Prefer,
    /// Always; certificate unchecked.
    Require,
    /// Always; certificate by a known CA.
    VerifyCa,
    /// Always; certificate by a known CA for this host.
    VerifyFull,
}

/// When a server goes back to its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMode {
    /// After each unit of commit.
    Transaction,
    /// When the client leaves.
    Session,
}

/// How old a read may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Any replica within `max_lag`.
    Eventual,
    /// Never older than what this connection wrote.
    Session,
    /// Primaries only.
    Primary,
}

/// How a replica is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balancing {
    /// Fewest servers in use.
    LeastConnections,
    /// In turn.
    RoundRobin,
    /// In turn, by weight.
    Weighted,
}

/// When a primary takes reads that a replica could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFromPrimary {
    /// When no replica is fit.
    Fallback,
    /// Like one more replica.
    Always,
}

/// `[databases.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    /// As clients name it.
    pub name: String,
    /// As the servers name it. Default: the same.
    pub dbname: String,
    /// The shards it lies on, in shard order. Default: all.
    pub shards: Vec<String>,
    /// Its home shard. Default: the first.
    pub home: String,
    /// Default session.
    pub consistency: Consistency,
    /// Default transaction.
    pub pool_mode: PoolMode,
    /// Servers per node and user. Default 20.
    pub pool_size: usize,
    /// Default least_connections.
    pub balancing: Balancing,
    /// Default fallback.
    pub read_from_primary: ReadFromPrimary,
    /// `[[databases.NAME.distributions]]`.
    pub distributions: Vec<Distribution>,
    /// `[databases.NAME.reference] tables`.
    pub reference: Vec<String>,
    /// `[databases.NAME.local] tables`: table to shard.
    pub local: BTreeMap<String, String>,
    /// `[databases.NAME.functions]`: what undeclared code does.
    pub functions: BTreeMap<String, FunctionDeclaration>,
    /// `[databases.NAME.triggers] safe`.
    pub safe_triggers: Vec<String>,
}

impl Database {
    /// Whether this is `[databases."*"]`: it passes every name that has no section of its own to its one shard, as the
    /// client gave it.
    pub fn is_wildcard(&self) -> bool {
        self.name == "*"
    }
}

/// Reads a table's name as an operator writes it into schema and name: `orders`, `sales.orders`, `"Sales"."Orders"`.
/// Unquoted parts are folded to lower case; a bare name is in `public`. `None` if it is no such name.
pub fn table_name(text: &str) -> Option<(String, String)> {
    let (first, rest) = identifier(text.trim())?;
    match rest.strip_prefix('.') {
        None => rest.is_empty().then(|| ("public".to_owned(), first)),
        Some(rest) => {
            let (name, rest) = identifier(rest)?;
            rest.is_empty().then_some((first, name))
        }
    }
}

/// Takes one identifier off the front.
fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (name, rest) = text.split_at(text.find(['.', '"']).unwrap_or(text.len()));
        let plain = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control());
        return plain.then(|| (name.to_ascii_lowercase(), rest));
    };
    let mut from = 0;
    loop {
        let quote = from + quoted[from..].find('"')?;
        if quoted[quote + 1..].starts_with('"') {
            from = quote + 2;
        } else {
            let name = quoted[..quote].replace("\"\"", "\"");
            return (!name.is_empty()).then(|| (name, &quoted[quote + 1..]));
        }
    }
}

/// What a function may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionDeclaration {
    /// Right with only its shard's rows.
    ShardLocal,
    /// Right on the home shard.
    Home,
    /// Right anywhere.
    Any,
}

/// `[[databases.NAME.distributions]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Its name.
    pub name: String,
    /// Hash or range.
    pub method: Method,
    /// Table to key columns, in key order.
    pub tables: BTreeMap<String, Vec<String>>,
    /// Range method: required. Hash method: default an even cut over the database's shards.
    pub ranges: Vec<Range>,
}

/// `method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// By PostgreSQL's hash.
    Hash,
    /// By the key.
    Range,
}

/// One of `ranges`: each begins where the one before ends. The first begins at `from`, or unbounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first value, only on the first range; `None`: unbounded. Text of one value, or several for several columns.
    pub from: Option<Vec<String>>,
    /// The first value behind the range; `None` (only on the last): unbounded.
    pub to: Option<Vec<String>>,
    /// The owner.
    pub shard: String,
}
