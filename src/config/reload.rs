//! What changed between two configurations, and what of it a running proxy can take up.

use std::fmt;

use super::config::Config;
use super::settings::written;

/// When a changed setting counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// From the next time it is looked at.
    Now,
    /// Only when the proxy starts again; until then the old value holds, at least for what is there already.
    Restart,
    /// Not at all: the catalog counts, and takes the file's side only by `pgweave init --apply`.
    Catalog,
}

/// One setting that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// As `limits.clients`.
    pub path: String,
    /// What it was; `None`: not set. Secrets show as `"..."`.
    pub from: Option<String>,
    /// What it is; `None`: not set any more.
    pub to: Option<String>,
    /// When it counts.
    pub effect: Effect,
}

/// `limits.clients: 10000 -> 20000`, and whether that waits for a restart.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
        write!(f, "{}: {} -> {}", self.path, side(&self.from), side(&self.to))?;
        match self.effect {
            Effect::Now => Ok(()),
            Effect::Restart => f.write_str(" (needs a restart)"),
            Effect::Catalog => f.write_str(" (the catalog counts: pgweave init --apply)"),
        }
    }
}

/// Every setting that differs, by path.
pub fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let catalog = new.catalog.is_some();
    let (old, new) = (written(old), written(new));
    let mut paths: Vec<&String> = old.keys().chain(new.keys()).collect();
    paths.sort();
    paths.dedup();
    let differing = paths.into_iter().filter(|path| old.get(*path) != new.get(*path));
    let text = |value: Option<&super::settings::Written>| value.map(|value| value.text.clone());
    differing
        .map(|path| Change {
            path: path.clone(),
            from: text(old.get(path)),
            to: text(new.get(path)),
            effect: effect(path, catalog),
        })
        .collect()
}

fn effect(path: &str, catalog: bool) -> Effect {
    // Made once at the start: sockets, threads, the log, the way to the catalog, the login that schemas are read by.
    const AT_START: [&str; 9] = [
        "server.listen",
        "server.http",
        "server.workers",
        "catalog.",
        "log.",
        "monitor.user",
        "monitor.password",
        "monitor.dbname",
        "monitor.schema_interval",
    ];
    // Made with a pool or a cache, and kept for as long as that is.
    const KEPT: [&str; 8] = [
        "limits.waiters",
        "limits.checkout_timeout",
        "limits.connect_timeout",
        "limits.prepared_per_server",
        "limits.plan_cache_entries",
        "limits.plan_cache_bytes",
        "limits.server_idle_timeout",
        "limits.server_lifetime",
    ];
    const KEPT_OF_DATABASE: [&str; 3] = [".pool_size", ".dbname", ".home"];
    let of_database = path.starts_with("databases.");
    if catalog && (of_database || path.starts_with("shards[")) {
        return Effect::Catalog;
    }
    let kept = KEPT.contains(&path) || (of_database && KEPT_OF_DATABASE.iter().any(|end| path.ends_with(end)));
    if kept || AT_START.iter().any(|start| path.starts_with(start)) { Effect::Restart } else { Effect::Now }
}
