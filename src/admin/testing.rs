//! Sources for tests without a server: two shards of which no node answers, one database.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use crate::admin::{DatabaseSource, Readiness, Reload, Sources};
use crate::config::Config;
use crate::map::{Epoch, ShardId, ShardInfo, ShardMap};
use crate::pool::Pools;
use crate::stats::{Clients, DatabaseStats};
use crate::topology::{MonitorLogin, MonitorSettings, monitor};

const CONFIG: &str = r#"
[[users]]
name = "app"
password = "secret"
[[shards]]
name = "s1"
nodes = [{ host = "127.0.0.1", port = 1 }]
[[shards]]
name = "s2"
nodes = [{ host = "127.0.0.1", port = 2 }]
[databases.shop]
[[databases.shop.distributions]]
name = "customers"
method = "hash"
tables = { customers = ["id"], orders = ["customer_id"] }
[databases.shop.reference]
tables = ["countries"]
[databases.shop.local]
tables = { audit_log = "s2" }
"#;

/// The sources, and where requests to reload arrive. No node is watched.
pub fn sources() -> (Arc<Sources>, mpsc::Receiver<Reload>) {
    let config = crate::config::parse(CONFIG, "test").unwrap();
    let map = map_of(&config);
    let rules = crate::topology::tracker::Rules {
        lag: crate::topology::lag::LagLimits { time: config.monitor.max_lag, bytes: None },
        recover_after: 1,
    };
    let settings = MonitorSettings {
        interval: config.monitor.interval,
        timeout: config.monitor.timeout,
        rules,
        login: MonitorLogin { user: "app".into(), password: None, dbname: "shop".into() },
    };
    let shop = DatabaseSource { map: Arc::new(ArcSwap::from_pointee(map)), stats: Arc::new(DatabaseStats::default()) };
    let (reload, reloads) = mpsc::channel(1);
    let sources = Sources {
        topology: monitor::start(settings, Vec::new()),
        databases: Arc::new(ArcSwap::from_pointee(BTreeMap::from([("shop".to_owned(), shop)]))),
        config: Arc::new(ArcSwap::from_pointee(config)),
        pools: Arc::new(Pools::default()),
        clients: Arc::new(Clients::default()),
        readiness: Arc::new(Readiness::default()),
        reload,
    };
    (Arc::new(sources), reloads)
}

fn map_of(config: &Config) -> ShardMap {
    let shards = config.shards.iter().enumerate();
    let shards: Vec<_> =
        shards.map(|(id, shard)| ShardInfo { id: ShardId(id as u16), name: shard.name.clone() }).collect();
    ShardMap::build(&config.databases["shop"], &shards, Epoch(1)).unwrap()
}
