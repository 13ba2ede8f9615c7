//! A configuration written out: every setting with its path and its value, defaults included.

use std::collections::BTreeMap;
use std::path::Path;

use super::config::*;
use super::document::shown;
use super::secret::Secret;
use super::units::{duration_text, size_text};

/// Every setting by its path, `limits.checkout_timeout`, with its value as the file would have it; secrets as `"..."`.
/// What is unset and has no default is left out.
pub fn settings(config: &Config) -> Vec<(String, String)> {
    written(config).into_iter().map(|(path, value)| (path, value.text)).collect()
}

/// A value, and what is compared: for a secret that is not what is shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Written {
    pub(super) text: String,
    secret: Option<Secret>,
}

/// All settings by path. Every struct is taken apart without `..`, so that a new field cannot be forgotten here.
pub(super) fn written(config: &Config) -> BTreeMap<String, Written> {
    let Config { server, auth, users, catalog, limits, monitor, log, shards, databases } = config;
    let mut out = Out { settings: BTreeMap::new() };
    out.server(server);
    out.text("auth.method", quoted(auth_method(auth.method)));
    for (index, user) in users.iter().enumerate() {
        out.user(&format!("users[{index}]"), user);
    }
    if let Some(Catalog { dsn, poll_interval, lease }) = catalog {
        out.secret("catalog.dsn", Some(dsn));
        out.text("catalog.poll_interval", quoted(&duration_text(*poll_interval)));
        out.text("catalog.lease", quoted(&duration_text(*lease)));
    }
    out.limits(limits);
    out.monitor(monitor);
    let Log { level, format } = log;
    out.text("log.level", quoted(level));
    out.text("log.format", quoted(log_format(*format)));
    for (index, shard) in shards.iter().enumerate() {
        out.shard(&format!("shards[{index}]"), shard);
    }
    for database in databases.values() {
        out.database(&format!("databases.{}", shown(&database.name)), database);
    }
    out.settings
}

struct Out {
    settings: BTreeMap<String, Written>,
}

impl Out {
    fn text(&mut self, path: impl Into<String>, text: String) {
        self.settings.insert(path.into(), Written { text, secret: None });
    }

    fn optional(&mut self, path: impl Into<String>, text: Option<String>) {
        if let Some(text) = text {
            self.text(path, text);
        }
    }

    fn secret(&mut self, path: impl Into<String>, secret: Option<&Secret>) {
        if let Some(secret) = secret {
            let value = Written { text: format!("{secret:?}"), secret: Some(secret.clone()) };
            self.settings.insert(path.into(), value);
        }
    }

    fn server(&mut self, server: &Server) {
        let Server { listen, http, workers, tls, drain_timeout } = server;
        self.text("server.listen", list(listen));
        self.optional("server.http", http.as_deref().map(quoted));
        self.text("server.workers", workers.to_string());
        if let Some(ServerTls { cert, key, required }) = tls {
            self.text("server.tls.cert", path_text(cert));
            self.text("server.tls.key", path_text(key));
            self.text("server.tls.required", required.to_string());
        }
        self.text("server.drain_timeout", quoted(&duration_text(*drain_timeout)));
    }

    fn user(&mut self, path: &str, user: &User) {
        let User { name, password, scram, pool_mode, may_bypass_routing, admin } = user;
        self.text(format!("{path}.name"), quoted(name));
        self.secret(format!("{path}.password"), password.as_ref());
        self.secret(format!("{path}.scram"), scram.as_ref());
        self.optional(format!("{path}.pool_mode"), pool_mode.map(|mode| quoted(self::pool_mode(mode))));
        self.text(format!("{path}.may_bypass_routing"), may_bypass_routing.to_string());
        self.text(format!("{path}.admin"), admin.to_string());
    }

    fn limits(&mut self, limits: &Limits) {
        let Limits {
            clients,
            waiters,
            checkout_timeout,
            connect_timeout,
            startup_timeout,
            message_bytes,
            prepared_per_client,
            prepared_per_server,
            plan_cache_entries,
            plan_cache_bytes,
            buffer_bytes,
            failover_wait,
            server_idle_timeout,
            server_lifetime,
        } = limits;
        for (key, count) in [
            ("clients", clients),
            ("waiters", waiters),
            ("prepared_per_client", prepared_per_client),
            ("prepared_per_server", prepared_per_server),
            ("plan_cache_entries", plan_cache_entries),
        ] {
            self.text(format!("limits.{key}"), count.to_string());
        }
        for (key, bytes) in
            [("message_bytes", message_bytes), ("plan_cache_bytes", plan_cache_bytes), ("buffer_bytes", buffer_bytes)]
        {
            let bytes = u64::try_from(*bytes).unwrap_or(u64::MAX);
            self.text(format!("limits.{key}"), quoted(&size_text(bytes)));
        }
        for (key, duration) in [
            ("checkout_timeout", checkout_timeout),
            ("connect_timeout", connect_timeout),
            ("startup_timeout", startup_timeout),
            ("failover_wait", failover_wait),
            ("server_idle_timeout", server_idle_timeout),
            ("server_lifetime", server_lifetime),
        ] {
            self.text(format!("limits.{key}"), quoted(&duration_text(*duration)));
        }
    }

    fn monitor(&mut self, monitor: &Monitor) {
        let Monitor {
            interval,
            timeout,
            max_lag,
            max_lag_bytes,
            recover_after,
            user,
            password,
            dbname,
            schema_interval,
        } = monitor;
        self.text("monitor.interval", quoted(&duration_text(*interval)));
        self.text("monitor.timeout", quoted(&duration_text(*timeout)));
        self.text("monitor.max_lag", quoted(&duration_text(*max_lag)));
        self.optional("monitor.max_lag_bytes", max_lag_bytes.map(|bytes| quoted(&size_text(bytes))));
        self.text("monitor.recover_after", recover_after.to_string());
        self.optional("monitor.user", user.as_deref().map(quoted));
        self.secret("monitor.password", password.as_ref());
        self.optional("monitor.dbname", dbname.as_deref().map(quoted));
        self.text("monitor.schema_interval", quoted(&duration_text(*schema_interval)));
    }

    fn shard(&mut self, path: &str, shard: &Shard) {
        let Shard { name, nodes } = shard;
        self.text(format!("{path}.name"), quoted(name));
        for (index, node) in nodes.iter().enumerate() {
            let path = format!("{path}.nodes[{index}]");
            let Node { host, port, zone, weight, role, sslmode, root_cert } = node;
            self.text(format!("{path}.host"), quoted(host));
            self.text(format!("{path}.port"), port.to_string());
            self.optional(format!("{path}.zone"), zone.as_deref().map(quoted));
            self.text(format!("{path}.weight"), weight.to_string());
            self.optional(format!("{path}.role"), role.map(|role| quoted(node_role(role))));
            self.text(format!("{path}.sslmode"), quoted(self::sslmode(*sslmode)));
            self.optional(format!("{path}.root_cert"), root_cert.as_deref().map(path_text));
        }
    }

    fn database(&mut self, path: &str, database: &Database) {
        let Database {
            name: _,
            dbname,
            shards,
            home,
            consistency,
            pool_mode,
            pool_size,
            balancing,
            read_from_primary,
            distributions,
            reference,
            local,
            functions,
            safe_triggers,
        } = database;
        self.text(format!("{path}.dbname"), quoted(dbname));
        self.text(format!("{path}.shards"), list(shards));
        self.text(format!("{path}.home"), quoted(home));
        self.text(format!("{path}.consistency"), quoted(self::consistency(*consistency)));
        self.text(format!("{path}.pool_mode"), quoted(self::pool_mode(*pool_mode)));
        self.text(format!("{path}.pool_size"), pool_size.to_string());
        self.text(format!("{path}.balancing"), quoted(self::balancing(*balancing)));
        self.text(format!("{path}.read_from_primary"), quoted(self::read_from_primary(*read_from_primary)));
        for (index, distribution) in distributions.iter().enumerate() {
            self.distribution(&format!("{path}.distributions[{index}]"), distribution);
        }
        if !reference.is_empty() {
            self.text(format!("{path}.reference.tables"), list(reference));
        }
        for (table, shard) in local {
            self.text(format!("{path}.local.tables.{}", shown(table)), quoted(shard));
        }
        for (function, declared) in functions {
            self.text(format!("{path}.functions.{}", shown(function)), quoted(declaration(*declared)));
        }
        if !safe_triggers.is_empty() {
            self.text(format!("{path}.triggers.safe"), list(safe_triggers));
        }
    }

    fn distribution(&mut self, path: &str, distribution: &Distribution) {
        let Distribution { name, method, tables, ranges } = distribution;
        self.text(format!("{path}.name"), quoted(name));
        self.text(format!("{path}.method"), quoted(self::method(*method)));
        for (table, columns) in tables {
            self.text(format!("{path}.tables.{}", shown(table)), list(columns));
        }
        for (index, Range { from, to, shard }) in ranges.iter().enumerate() {
            self.optional(format!("{path}.ranges[{index}].from"), from.as_deref().map(list));
            self.optional(format!("{path}.ranges[{index}].to"), to.as_deref().map(list));
            self.text(format!("{path}.ranges[{index}].shard"), quoted(shard));
        }
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn path_text(path: &Path) -> String {
    quoted(&path.display().to_string())
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", "))
}

fn auth_method(method: AuthMethod) -> &'static str {
    match method {
        AuthMethod::Scram => "scram",
        AuthMethod::Trust => "trust",
    }
}

fn log_format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}

fn pool_mode(mode: PoolMode) -> &'static str {
    match mode {
        PoolMode::Transaction => "transaction",
        PoolMode::Session => "session",
    }
}

fn node_role(role: NodeRole) -> &'static str {
    match role {
        NodeRole::Primary => "primary",
        NodeRole::Replica => "replica",
    }
}

fn sslmode(mode: SslMode) -> &'static str {
    match mode {
        SslMode::Disable => "disable",
        SslMode::Prefer => "prefer",
        SslMode::Require => "require",
        SslMode::VerifyCa => "verify-ca",
        SslMode::VerifyFull => "verify-full",
    }
}

fn consistency(level: Consistency) -> &'static str {
    match level {
        Consistency::Eventual => "eventual",
        Consistency::Session => "session",
        Consistency::Primary => "primary",
    }
}

fn balancing(balancing: Balancing) -> &'static str {
    match balancing {
        Balancing::LeastConnections => "least_connections",
        Balancing::RoundRobin => "round_robin",
        Balancing::Weighted => "weighted",
    }
}

fn read_from_primary(when: ReadFromPrimary) -> &'static str {
    match when {
        ReadFromPrimary::Fallback => "fallback",
        ReadFromPrimary::Always => "always",
    }
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Hash => "hash",
        Method::Range => "range",
    }
}

fn declaration(declared: FunctionDeclaration) -> &'static str {
    match declared {
        FunctionDeclaration::ShardLocal => "shard_local",
        FunctionDeclaration::Home => "home",
        FunctionDeclaration::Any => "any",
    }
}
