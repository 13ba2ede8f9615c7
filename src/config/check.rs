//! Whether the parts of a configuration agree with each other.
//!
//! Names that are empty here are stand-ins for what could not be read and has its problem already: nothing more is said
//! about them.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::config::*;
use super::document::shown;

/// Where problems go: the key's path and what is wrong.
type Note<'n> = &'n mut dyn FnMut(&str, String);

/// Finds what is wrong in the configuration as a whole.
pub(super) fn check(config: &Config, note: Note<'_>) {
    listeners(&config.server, note);
    users(config, note);
    monitor(config, note);
    catalog(config.catalog.as_ref(), note);
    log(&config.log, note);
    shards(&config.shards, note);
    // With a catalog, shards and databases are the catalog's: the file only brings the first ones.
    if config.shards.is_empty() && config.catalog.is_none() {
        note("shards", "no shard: add [[shards]] with name and nodes".to_owned());
    }
    if config.databases.is_empty() && config.catalog.is_none() {
        note("databases", "no database: add a section such as [databases.shop]".to_owned());
    }
    for database in config.databases.values() {
        self::database(database, &config.shards, note);
    }
}

/// Fills in the defaults that depend on other keys: a database's shards and home, the monitor's user and database.
pub(super) fn complete(config: &mut Config) {
    let all: Vec<String> = config.shards.iter().map(|shard| shard.name.clone()).collect();
    for database in config.databases.values_mut() {
        if database.shards.is_empty() {
            database.shards.clone_from(&all);
        } else {
            // Shard order is the order of the shards, not of the names that a database happens to list.
            database.shards.sort_by_key(|name| all.iter().position(|shard| shard == name));
        }
        if database.home.is_empty() {
            database.home = database.shards.first().cloned().unwrap_or_default();
        }
    }
    let monitor = &mut config.monitor;
    if monitor.user.is_none() {
        let with_password = config.users.iter().find(|user| user.password.is_some());
        monitor.user = with_password.or(config.users.first()).map(|user| user.name.clone());
    }
    if monitor.password.is_none() {
        let own = config.users.iter().find(|user| Some(&user.name) == monitor.user.as_ref());
        monitor.password = own.and_then(|user| user.password.clone());
    }
    if monitor.dbname.is_none() {
        let first = config.databases.values().find(|database| !database.is_wildcard());
        monitor.dbname = Some(first.map_or_else(|| "postgres".to_owned(), |database| database.dbname.clone()));
    }
}

fn listeners(server: &Server, note: Note<'_>) {
    if server.listen.is_empty() {
        note("server.listen", "no address to listen on".to_owned());
    }
    let mut seen: Vec<(&str, String)> = Vec::new();
    let listen =
        server.listen.iter().enumerate().map(|(index, address)| (address.as_str(), format!("server.listen[{index}]")));
    let http = server.http.iter().map(|address| (address.as_str(), "server.http".to_owned()));
    for (address, path) in listen.chain(http).filter(|(address, _)| !address.is_empty()) {
        if let Err(message) = listen_address(address) {
            note(&path, message);
        } else if let Some((_, before)) = seen.iter().find(|(other, _)| *other == address && !address.ends_with(":0")) {
            note(&path, format!("the address {address:?} is taken by {before}"));
        } else {
            seen.push((address, path));
        }
    }
}

/// `HOST:PORT`; an IPv6 address in brackets. Port 0 lets the system choose.
fn listen_address(address: &str) -> Result<(), String> {
    if address.starts_with('/') {
        return Err(format!("listening on a Unix socket is not supported yet, found {address:?}"));
    }
    let expected = || format!("expected an address such as \"127.0.0.1:6432\" or \"[::1]:6432\", found {address:?}");
    let (host, port) = address.rsplit_once(':').ok_or_else(expected)?;
    if host == "*" {
        return Err(format!("write \"0.0.0.0:{port}\" or \"[::]:{port}\" for all addresses, found {address:?}"));
    }
    port.parse::<u16>().ok().filter(|_| port.bytes().all(|b| b.is_ascii_digit())).ok_or_else(expected)?;
    let valid = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host_name(host),
    };
    if valid { Ok(()) } else { Err(expected()) }
}

/// A name or an IPv4 address.
fn host_name(host: &str) -> bool {
    let numeric = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    let name = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if numeric { host.parse::<std::net::Ipv4Addr>().is_ok() } else { name }
}

fn users(config: &Config, note: Note<'_>) {
    let scram = config.auth.method == AuthMethod::Scram;
    if scram && config.users.is_empty() {
        note("users", "no user: nobody could log in; add [[users]] with name and password".to_owned());
    }
    let names = config.users.iter().map(|user| user.name.as_str());
    duplicates(names, "users", "name", "user", note);
    for (index, user) in config.users.iter().enumerate() {
        let path = format!("users[{index}]");
        match (&user.password, &user.scram) {
            (Some(_), Some(_)) => note(&format!("{path}.scram"), "give either \"password\" or \"scram\"".to_owned()),
            (None, None) if scram => {
                // Under the keys' own paths nothing else is noted, if one of them is there but wrong.
                note(&path, format!("user {:?} has neither \"password\" nor \"scram\"", user.name));
            }
            (None, Some(verifier)) if !is_verifier(verifier.expose()) => {
                note(
                    &format!("{path}.scram"),
                    "expected a verifier as in pg_authid.rolpassword, \
                     SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY"
                        .to_owned(),
                );
            }
            _ => {}
        }
    }
}

/// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, both keys of 32 bytes.
fn is_verifier(text: &str) -> bool {
    let parts = || {
        let (first, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
        let (iterations, salt) = first.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let key = |text: &str| STANDARD.decode(text).is_ok_and(|key| key.len() == 32);
        let salted = STANDARD.decode(salt).is_ok_and(|salt| !salt.is_empty());
        Some(iterations.parse::<u32>().is_ok_and(|n| n > 0) && salted && key(stored) && key(server))
    };
    parts().unwrap_or(false)
}

fn monitor(config: &Config, note: Note<'_>) {
    let (monitor, users) = (&config.monitor, &config.users);
    let Some(name) = &monitor.user else {
        if monitor.password.is_some() {
            note("monitor.password", "a password without \"user\"".to_owned());
        } else if !users.is_empty() && users.iter().all(|user| user.password.is_none() && user.scram.is_some()) {
            let message = "no user has a password for the monitor: add \"user\" and \"password\" to [monitor]";
            note("users", message.to_owned());
        } else if users.is_empty() && config.auth.method == AuthMethod::Trust {
            note("monitor.user", "missing, and there is no user in [[users]] to take its place".to_owned());
        }
        return;
    };
    if monitor.password.is_none() && users.iter().any(|user| user.name == *name && user.scram.is_some()) {
        let message = format!("missing: user {name:?} has only a SCRAM verifier, which cannot log in to a server");
        note("monitor.password", message);
    }
}

fn catalog(catalog: Option<&Catalog>, note: Note<'_>) {
    let Some(catalog) = catalog else { return };
    let dsn = catalog.dsn.expose();
    if !dsn.is_empty() && !dsn.starts_with("postgres://") && !dsn.starts_with("postgresql://") {
        note("catalog.dsn", "expected a URL that begins with \"postgres://\"".to_owned());
    }
    if catalog.lease < catalog.poll_interval * 2 {
        note(
            "catalog.lease",
            "must be at least twice \"poll_interval\", or a lease ends between two renewals".to_owned(),
        );
    }
}

fn log(log: &Log, note: Note<'_>) {
    if let Err(e) = log.level.parse::<tracing_subscriber::EnvFilter>() {
        note("log.level", format!("expected a filter such as \"info\" or \"info,pgweave::pool=debug\": {e}"));
    }
}

fn shards(shards: &[Shard], note: Note<'_>) {
    duplicates(shards.iter().map(|shard| shard.name.as_str()), "shards", "name", "shard", note);
    let mut seen: HashMap<(&str, u16), String> = HashMap::new();
    for (index, shard) in shards.iter().enumerate() {
        let nodes = format!("shards[{index}].nodes");
        if shard.nodes.is_empty() {
            note(&nodes, "a shard needs at least one node".to_owned());
        }
        let primaries = |node: &&Node| node.role == Some(NodeRole::Primary);
        if shard.nodes.iter().filter(primaries).count() > 1 {
            note(&nodes, "at most one node can have role = \"primary\"".to_owned());
        }
        for (number, node) in shard.nodes.iter().enumerate() {
            let path = format!("{nodes}[{number}]");
            self::node(node, &path, note);
            if node.host.is_empty() {
                continue;
            }
            if let Some(before) = seen.get(&(node.host.as_str(), node.port)) {
                note(&path, format!("the same node as {before}: {}:{}", node.host, node.port));
            } else {
                seen.insert((&node.host, node.port), path);
            }
        }
    }
}

fn node(node: &Node, path: &str, note: Note<'_>) {
    let socket = node.host.starts_with('/');
    let v6 = node.host.parse::<std::net::Ipv6Addr>().is_ok();
    if !node.host.is_empty() && !socket && !v6 && !host_name(&node.host) {
        let found = &node.host;
        let message = format!("expected a host name, an address or the directory of a Unix socket, found {found:?}");
        note(&format!("{path}.host"), message);
    }
    let verifies = matches!(node.sslmode, SslMode::VerifyCa | SslMode::VerifyFull);
    if verifies && node.root_cert.is_none() {
        note(&format!("{path}.root_cert"), "missing: this sslmode checks the server's certificate".to_owned());
    }
    if !verifies && node.root_cert.is_some() {
        let message = "is only used by sslmode = \"verify-ca\" or \"verify-full\"; as it is, no certificate is checked";
        note(&format!("{path}.root_cert"), message.to_owned());
    }
    if socket && node.sslmode != SslMode::Disable {
        note(&format!("{path}.sslmode"), "there is no TLS on a Unix socket".to_owned());
    }
}

fn database(database: &Database, all: &[Shard], note: Note<'_>) {
    let path = format!("databases.{}", shown(&database.name));
    if database.name == "pgweave" {
        note(&path, "the database \"pgweave\" is the console".to_owned());
    }
    let known: Vec<&str> = all.iter().map(|shard| shard.name.as_str()).collect();
    duplicates_in(&database.shards, &format!("{path}.shards"), "shard", note);
    for (index, name) in database.shards.iter().enumerate() {
        shard_exists(name, &known, "no shard of this name in [[shards]]", &format!("{path}.shards[{index}]"), note);
    }
    // The rest of the section may name only these.
    let own: Vec<&str> =
        if database.shards.is_empty() { known } else { database.shards.iter().map(String::as_str).collect() };
    shard_exists(&database.home, &own, "not among this database's shards", &format!("{path}.home"), note);
    if database.is_wildcard() {
        return wildcard(database, own.len(), &path, note);
    }
    let mut placed: HashMap<(String, String), String> = HashMap::new();
    duplicates(
        database.distributions.iter().map(|distribution| distribution.name.as_str()),
        &format!("{path}.distributions"),
        "name",
        "distribution",
        note,
    );
    for (index, distribution) in database.distributions.iter().enumerate() {
        let path = format!("{path}.distributions[{index}]");
        for (table, columns) in &distribution.tables {
            let path = format!("{path}.tables.{}", shown(table));
            place(table, &path, &mut placed, note);
            if columns.is_empty() {
                note(&path, "needs at least one key column".to_owned());
            }
            duplicates_in(columns, &path, "column", note);
        }
        key_lengths(distribution, &path, note);
        ranges(distribution, &own, &path, note);
    }
    for (index, table) in database.reference.iter().enumerate() {
        place(table, &format!("{path}.reference.tables[{index}]"), &mut placed, note);
    }
    for (table, shard) in &database.local {
        let path = format!("{path}.local.tables.{}", shown(table));
        place(table, &path, &mut placed, note);
        shard_exists(shard, &own, "not among this database's shards", &path, note);
    }
}

/// `[databases."*"]` passes every name through to one shard.
fn wildcard(database: &Database, shards: usize, path: &str, note: Note<'_>) {
    if shards != 1 {
        let message = format!("\"*\" passes through to exactly one shard, but there are {shards}: name one");
        note(&format!("{path}.shards"), message);
    }
    if database.dbname != database.name {
        note(&format!("{path}.dbname"), "\"*\" keeps the name that the client asked for".to_owned());
    }
    for (key, set) in [
        ("distributions", !database.distributions.is_empty()),
        ("reference", !database.reference.is_empty()),
        ("local", !database.local.is_empty()),
    ] {
        if set {
            note(&format!("{path}.{key}"), "\"*\" is unsharded and places no tables".to_owned());
        }
    }
}

fn shard_exists(name: &str, known: &[&str], otherwise: &str, path: &str, note: Note<'_>) {
    if name.is_empty() || known.contains(&name) {
        return;
    }
    let advice = match super::nearest::nearest(name, known.iter().copied().filter(|name| !name.is_empty())) {
        Some(near) => format!("; did you mean {near:?}?"),
        None => String::new(),
    };
    note(path, format!("shard {name:?}: {otherwise}{advice}"));
}

/// Enters a table among those that have a place.
fn place(table: &str, path: &str, placed: &mut HashMap<(String, String), String>, note: Note<'_>) {
    if table.is_empty() && path.ends_with(']') {
        return;
    }
    let Some(name) = table_name(table) else {
        return note(path, format!("expected a table such as \"orders\" or \"sales.orders\", found {table:?}"));
    };
    if let Some(before) = placed.get(&name) {
        return note(path, format!("table {table:?} is already placed by {before}"));
    }
    placed.insert(name, path.to_owned());
}

/// All tables of a distribution have keys of the same length.
fn key_lengths(distribution: &Distribution, path: &str, note: Note<'_>) {
    let mut tables = distribution.tables.iter().filter(|(_, columns)| !columns.is_empty());
    let Some((first, columns)) = tables.next() else { return };
    for (table, other) in tables {
        if other.len() != columns.len() {
            let (here, there) = (plural(other.len()), plural(columns.len()));
            let message = format!("a key of {here}, but table {first:?} of this distribution has one of {there}");
            note(&format!("{path}.tables.{}", shown(table)), message);
        }
    }
}

fn plural(columns: usize) -> String {
    format!("{columns} column{}", if columns == 1 { "" } else { "s" })
}

fn ranges(distribution: &Distribution, shards: &[&str], path: &str, note: Note<'_>) {
    let ranges = &distribution.ranges;
    if ranges.is_empty() && distribution.method == Method::Range {
        return note(
            &format!("{path}.ranges"),
            "missing: method \"range\" has no default for who owns what".to_owned(),
        );
    }
    let columns = distribution.tables.values().map(Vec::len).find(|length| *length > 0);
    let mut before: Option<&[String]> = None;
    for (index, range) in ranges.iter().enumerate() {
        let path = format!("{path}.ranges[{index}]");
        shard_exists(&range.shard, shards, "not among this database's shards", &format!("{path}.shard"), note);
        if range.from.is_some() && index > 0 {
            note(
                &format!("{path}.from"),
                "only the first range has \"from\"; each begins where the one before ends".to_owned(),
            );
        }
        if range.to.is_none() && index + 1 < ranges.len() {
            note(&path, "missing key \"to\": only the last range has no end".to_owned());
        }
        for (key, bound) in [("from", &range.from), ("to", &range.to)] {
            let Some(bound) = bound else { continue };
            let path = format!("{path}.{key}");
            bound_form(distribution.method, bound, columns, &path, note);
            if before.is_some_and(|before| !ascending(distribution.method, before, bound)) {
                note(&path, "must be greater than the bound before it".to_owned());
            }
            before = Some(bound);
        }
    }
    if distribution.method == Method::Hash {
        whole_hash_space(ranges, path, note);
    }
}

/// A bound of the range method has a value per key column; one of the hash method is a position.
fn bound_form(method: Method, bound: &[String], columns: Option<usize>, path: &str, note: Note<'_>) {
    match method {
        Method::Hash if bound.len() != 1 || bound[0].parse::<i64>().is_err() => {
            note(path, "a bound of method \"hash\" is a position: one integer of 64 bits".to_owned());
        }
        Method::Range if columns.is_some_and(|columns| columns != bound.len()) => {
            let columns = plural(columns.unwrap_or_default());
            note(path, format!("the key has {columns}, but the bound has {}", values(bound.len())));
        }
        _ => {}
    }
}

fn values(count: usize) -> String {
    format!("{count} value{}", if count == 1 { "" } else { "s" })
}

/// Every row has a position, so every position has an owner.
fn whole_hash_space(ranges: &[Range], path: &str, note: Note<'_>) {
    if ranges.first().is_some_and(|range| range.from.is_some()) {
        note(
            &format!("{path}.ranges[0].from"),
            "method \"hash\" covers all positions: the first has no \"from\"".to_owned(),
        );
    }
    if ranges.last().is_some_and(|range| range.to.is_some()) {
        let last = ranges.len() - 1;
        note(
            &format!("{path}.ranges[{last}].to"),
            "method \"hash\" covers all positions: the last has no \"to\"".to_owned(),
        );
    }
}

/// Whether `right` can be greater than `left`. The columns' types are the servers' to say; until they are known, what
/// ascends neither as integers nor by bytes ascends in no way.
fn ascending(method: Method, left: &[String], right: &[String]) -> bool {
    let integers = |bound: &[String]| bound.iter().map(|value| value.parse::<i64>().ok()).collect::<Option<Vec<_>>>();
    match (integers(left), integers(right)) {
        (Some(left), Some(right)) if left < right => true,
        // A position that is no integer has its problem already.
        (None, _) | (_, None) if method == Method::Hash => true,
        _ => method == Method::Range && left < right,
    }
}

/// Notes every name that stands for the second time in an array of sections.
fn duplicates<'a>(names: impl Iterator<Item = &'a str>, path: &str, key: &str, kind: &str, note: Note<'_>) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (index, name) in names.enumerate().filter(|(_, name)| !name.is_empty()) {
        match seen.get(name) {
            Some(before) => {
                note(&format!("{path}[{index}].{key}"), format!("{kind} {name:?} is already {path}[{before}]"))
            }
            None => {
                seen.insert(name, index);
            }
        }
    }
}

/// The same in an array of names.
fn duplicates_in(names: &[String], path: &str, kind: &str, note: Note<'_>) {
    for (index, name) in names.iter().enumerate() {
        if !name.is_empty() && names[..index].contains(name) {
            note(&format!("{path}[{index}]"), format!("{kind} {name:?} stands here twice"));
        }
    }
}
