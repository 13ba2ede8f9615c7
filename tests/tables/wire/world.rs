//! Two shards of one scripted server each, and sessions in front of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::BytesMut;
use pgweave::config::{self, Balancing, Consistency, Limits, PoolMode, ReadFromPrimary, SslMode};
use pgweave::exec::database::Learned;
use pgweave::exec::{Database, DatabaseSettings, NodeAccess};
use pgweave::map::{Epoch, NodeId, ShardId, ShardInfo, ShardMap};
use pgweave::net::{Endpoint, Stream};
use pgweave::pool::{CancelRegistry, Login, Pools};
use pgweave::session::{Client, Greeting, Session, SessionUser};
use pgweave::sql::fingerprint::FingerprintKey;
use pgweave::sql::schema::{Column, Function, Relation, RelationKind, Volatility};
use pgweave::sql::{PlanCache, Schema};
use pgweave::stats::{Clients, DatabaseStats};
use pgweave::topology::lag::LagLimits;
use pgweave::topology::tracker::Rules;
use pgweave::topology::{
    MonitorLogin, MonitorSettings, NodeSettings, SchemaSettings, TopologyHandle, monitor, schema_watch,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::fake::{Fake, MONITOR, PARAMETERS, SECRET};
use super::script::{Peer, World};
use crate::support::LIMIT;

/// Names of the shards' only nodes.
const NODES: [NodeId; 2] = [NodeId(1), NodeId(2)];

/// A proxy without a front door: clients begin where their log-in has ended.
pub struct Scene {
    fakes: Vec<Fake>,
    /// Connections by shard, as they came; a script takes them out.
    servers: Vec<Vec<Option<Peer>>>,
    database: Arc<Database>,
    topology: TopologyHandle,
    cancels: Arc<CancelRegistry>,
    clients: Arc<Clients>,
    keys: HashMap<usize, (u32, u32)>,
    stop: watch::Sender<bool>,
}

impl Scene {
    /// Starts all of it and waits until both shards have their primaries.
    pub async fn start() -> Scene {
        let fakes = vec![Fake::start().await, Fake::start().await];
        let topology = watch_nodes(&fakes);
        let both =
            topology.wait_for(|seen| [ShardId(0), ShardId(1)].iter().all(|shard| seen.primary(*shard).is_some()));
        tokio::time::timeout(LIMIT, both).await.expect("the monitor sees both primaries");
        let database = Arc::new(database(&fakes, &topology));
        database.adopt(Some(Arc::new(schema())), None);
        Scene {
            servers: fakes.iter().map(|_| Vec::new()).collect(),
            fakes,
            database,
            topology,
            cancels: Arc::default(),
            clients: Arc::default(),
            keys: HashMap::new(),
            stop: watch::Sender::new(false),
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.topology.shutdown();
    }
}

impl World for Scene {
    async fn client(&mut self, number: usize) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = listener.local_addr().expect("has an address");
        let (outside, inside) = tokio::join!(TcpStream::connect(address), listener.accept());
        let stream = Stream::from_tcp(inside.expect("accepts").0).expect("a live socket");
        let cancel = self.cancels.register(0xcafe);
        self.keys.insert(number, (cancel.slot.process_id(), cancel.slot.secret()));
        let greeting = Greeting {
            settings: Arc::default(),
            params: Arc::new(PARAMETERS.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
            search_path: vec!["public".to_owned()],
        };
        let login = Login { user: "app".to_owned(), password: None, dbname: "wire".to_owned(), params: Vec::new() };
        let user = SessionUser { login, may_bypass_routing: false, session_mode: false };
        let session = Session::new(
            Client::new(stream, BytesMut::new()),
            self.database.clone(),
            Arc::new(user),
            &greeting,
            cancel,
            self.clients.register("app", "wire", address.to_string(), false, ""),
        );
        tokio::spawn(session.run(self.stop.subscribe()));
        Peer::new(outside.expect("connects"), Vec::new())
    }

    async fn server(&mut self, shard: usize, number: usize) -> Peer {
        let known = &mut self.servers[shard - 1];
        while known.len() <= number {
            known.push(Some(self.fakes[shard - 1].session().await));
        }
        known[number].take().expect("a connection is taken once")
    }

    async fn cancelled(&mut self, shard: usize, number: usize) {
        let (process_id, secret) = self.fakes[shard - 1].cancel().await;
        // The monitor's connection is the first of each server's, so the process ids begin behind it.
        assert!(process_id as usize > number + 1, "the cancel request is for an older connection");
        assert_eq!(secret, SECRET);
    }

    async fn cancel(&mut self, client: usize) {
        let (process_id, secret) = self.keys[&client];
        let cancels = self.cancels.clone();
        // It ends with the server's answer, which the script gives later.
        tokio::spawn(async move { cancels.cancel(process_id, secret).await });
    }
}

fn node(fake: &Fake) -> config::Node {
    config::Node {
        host: "127.0.0.1".to_owned(),
        port: fake.port,
        zone: None,
        weight: 1,
        role: None,
        sslmode: SslMode::Disable,
        root_cert: None,
    }
}

fn watch_nodes(fakes: &[Fake]) -> TopologyHandle {
    let login = MonitorLogin { user: MONITOR.to_owned(), password: None, dbname: "wire".to_owned() };
    let settings = MonitorSettings {
        interval: Duration::from_secs(3600),
        timeout: LIMIT,
        rules: Rules { lag: LagLimits { time: Duration::from_secs(10), bytes: None }, recover_after: 1 },
        login,
    };
    let nodes = fakes.iter().enumerate().map(|(index, fake)| NodeSettings {
        id: NODES[index],
        shard: ShardId(index as u16),
        node: node(fake),
    });
    monitor::start(settings, nodes.collect())
}

fn limits() -> Limits {
    config::Limits {
        clients: 100,
        waiters: 100,
        checkout_timeout: LIMIT,
        connect_timeout: LIMIT,
        startup_timeout: LIMIT,
        message_bytes: 1 << 20,
        prepared_per_client: 100,
        prepared_per_server: 100,
        plan_cache_entries: 100,
        plan_cache_bytes: 1 << 20,
        buffer_bytes: 16 << 10,
        failover_wait: LIMIT,
        server_idle_timeout: Duration::from_secs(600),
        server_lifetime: Duration::from_secs(3600),
    }
}

/// One distribution: `items` by its number, 0 to 99 on the first shard, the others on the second.
fn configured() -> config::Database {
    let range = |to: Option<&str>, shard: &str| config::Range {
        from: None,
        to: to.map(|to| vec![to.to_owned()]),
        shard: shard.to_owned(),
    };
    config::Database {
        name: "wire".to_owned(),
        dbname: "wire".to_owned(),
        shards: vec!["one".to_owned(), "two".to_owned()],
        home: "one".to_owned(),
        consistency: Consistency::Eventual,
        pool_mode: PoolMode::Transaction,
        pool_size: 10,
        balancing: Balancing::LeastConnections,
        read_from_primary: ReadFromPrimary::Fallback,
        distributions: vec![config::Distribution {
            name: "items".to_owned(),
            method: config::Method::Range,
            tables: BTreeMap::from([("items".to_owned(), vec!["id".to_owned()])]),
            ranges: vec![range(Some("100"), "one"), range(None, "two")],
        }],
        reference: Vec::new(),
        local: BTreeMap::from([("plain".to_owned(), "one".to_owned())]),
        functions: BTreeMap::new(),
        safe_triggers: Vec::new(),
    }
}

fn schema() -> Schema {
    let column = |name: &str, type_oid| Column {
        name: name.to_owned(),
        type_oid,
        typmod: -1,
        not_null: true,
        generated: false,
        deterministic: true,
        byte_order: true,
        has_default: false,
    };
    let table =
        |columns| Relation { kind: RelationKind::Table, columns, on_standby: true, view_text: None, code: Vec::new() };
    let lock =
        Function { volatility: Volatility::Volatile, builtin: true, aggregate: false, window: false, in_c: false };
    let name = |name: &str| ("public".to_owned(), name.to_owned());
    Schema {
        version: 1,
        relations: HashMap::from([
            (name("items"), table(vec![column("id", 23), column("label", 25)])),
            (name("plain"), table(vec![column("t", 25)])),
        ]),
        functions: HashMap::from([("pg_advisory_lock".to_owned(), lock)]),
        search_path: vec!["public".to_owned()],
        ..Schema::default()
    }
}

fn database(fakes: &[Fake], topology: &TopologyHandle) -> Database {
    let configured = configured();
    let infos: Vec<ShardInfo> = configured
        .shards
        .iter()
        .enumerate()
        .map(|(index, name)| ShardInfo { id: ShardId(index as u16), name: name.clone() })
        .collect();
    let map = Arc::new(ShardMap::build(&configured, &infos, Epoch(1)).expect("a sound map"));
    let nodes = fakes.iter().enumerate().map(|(index, fake)| {
        let endpoint = Endpoint { host: "127.0.0.1".to_owned(), port: fake.port, sslmode: SslMode::Disable, tls: None };
        let address = format!("127.0.0.1:{}", fake.port).into();
        (NODES[index], NodeAccess { endpoint: Arc::new(endpoint), address })
    });
    let settings = DatabaseSettings {
        name: "wire".into(),
        dbname: configured.dbname.clone(),
        consistency: configured.consistency,
        pool_mode: configured.pool_mode,
        pool_size: configured.pool_size,
        balancing: configured.balancing,
        read_from_primary: configured.read_from_primary,
        functions: BTreeMap::new(),
        safe_triggers: Vec::new(),
        limits: limits(),
    };
    // The scripted servers have no catalogs: the schema is given, and reading it fails.
    let reading = SchemaSettings {
        database: "wire".to_owned(),
        home: map.home,
        others: Vec::new(),
        login: MonitorLogin { user: MONITOR.to_owned(), password: None, dbname: "wire".to_owned() },
        interval: Duration::from_secs(3600),
        timeout: LIMIT,
    };
    Database {
        settings: ArcSwap::from_pointee(settings),
        map: Arc::new(ArcSwap::new(map.clone())),
        untyped: ArcSwap::new(map),
        schema: ArcSwap::from_pointee(Schema::default()),
        schema_reader: schema_watch::start(reading, topology.clone()),
        topology: topology.clone(),
        nodes: Arc::new(ArcSwap::from_pointee(nodes.collect())),
        pools: Arc::new(Pools::default()),
        cache: PlanCache::new(FingerprintKey([1; 16]), 100, 1 << 20),
        learned: Learned::default(),
        stats: Arc::new(DatabaseStats::default()),
        turn: AtomicU64::new(0),
        generation: ArcSwap::from_pointee(()),
        statement_key: (3, 4),
    }
}
