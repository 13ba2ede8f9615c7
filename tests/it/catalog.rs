//! The catalog on a real server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pgweave::catalog::{CatalogError, CatalogState, Follower, Lease, LeaseKeeper, Store, TablePlace};
use pgweave::cluster::{Node, Spec, StopMode};
use pgweave::config::{self, Config, Secret};
use pgweave::map::{Epoch, Placement, ShardId, TableName};
use tokio::sync::watch;
use tokio::time::Instant;

use super::support::{self, LIMIT, eventually};

/// How often a follower asks in tests that are about notifications: so seldom that only they can be what it hears.
const NEVER: Duration = Duration::from_secs(3600);

/// How often it asks in tests that are about asking.
const OFTEN: Duration = Duration::from_millis(50);

/// An answer takes no longer, unless the machine is very busy.
const TIMEOUT: Duration = Duration::from_secs(20);

const FILE: &str = r#"
    [[users]]
    name = "app"
    password = "app"

    [[shards]]
    name = "s1"
    nodes = [{ host = "10.0.1.1", zone = "a" }, { host = "10.0.1.2", weight = 2, role = "replica" }]
    [[shards]]
    name = "s2"
    nodes = [{ host = "10.0.2.1", port = 5433 }]

    [databases.shop]
    pool_size = 7
    consistency = "eventual"
    [[databases.shop.distributions]]
    name = "customers"
    method = "hash"
    tables = { customers = ["id"], "Sales.\"Orders\"" = ["Customer_ID"] }
    [[databases.shop.distributions]]
    name = "events"
    method = "range"
    tables = { events = ["tenant", "at"] }
    ranges = [{ from = ["1", "0"], to = ["100", "5"], shard = "s2" }, { shard = "s1" }]
    [databases.shop.reference]
    tables = ["countries"]
    [databases.shop.local]
    tables = { audit_log = "s2" }
    [databases.shop.functions]
    next_invoice = "home"
    [databases.shop.triggers]
    safe = ["touch"]
"#;

fn file(text: &str) -> Config {
    config::parse(text, "test.toml").unwrap_or_else(|errors| panic!("{errors}"))
}

/// An empty database for a catalog, on the catalog's server of the shared cluster.
struct Home {
    node: &'static Node,
    name: String,
}

impl Home {
    fn new() -> Home {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let node = support::cluster(1, 0).catalog.as_ref().expect("the shared cluster has a catalog");
        let name = format!("c{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        node.sql("postgres", &format!("CREATE DATABASE {name} OWNER app")).unwrap();
        Home { node, name }
    }

    async fn store(&self) -> Store {
        connect(self.node, &self.name, TIMEOUT).await
    }

    fn sql(&self, sql: &str) -> String {
        self.node.sql(&self.name, sql).unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Only to keep a long run small, so an error is no failure.
        let _ = self.node.sql("postgres", &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

async fn connect(node: &Node, dbname: &str, timeout: Duration) -> Store {
    let dsn = Secret::new(format!("postgres://app:app@127.0.0.1:{}/{dbname}", node.port()));
    Store::connect(&dsn, timeout).await.unwrap()
}

/// A migrated catalog that holds [`FILE`].
async fn filled(home: &Home) -> Store {
    let store = home.store().await;
    store.migrate().await.unwrap();
    assert!(store.write_from_config(&file(FILE), false).await.unwrap().created);
    store
}

fn distributed(key: &str) -> TablePlace {
    TablePlace::Distributed { distribution: "customers".into(), key: vec![key.into()] }
}

/// Waits for a value that the condition holds of.
async fn wait_for<T: Clone>(values: &mut watch::Receiver<T>, what: &str, condition: impl FnMut(&T) -> bool) -> T {
    let waited = tokio::time::timeout(LIMIT, values.wait_for(condition)).await;
    waited.unwrap_or_else(|_| panic!("{what}: not within {LIMIT:?}")).unwrap().clone()
}

#[tokio::test]
async fn the_catalog_gives_the_map_that_the_file_gives() {
    let home = Home::new();
    let store = filled(&home).await;
    let from_file = CatalogState::from_config(&file(FILE));
    let from_catalog = store.load().await.unwrap();
    assert_eq!(from_catalog.shards, from_file.shards);
    assert_eq!(from_catalog.shard_maps().unwrap(), from_file.shard_maps().unwrap());
    let (ours, theirs) = (&from_catalog.databases["shop"].database, &from_file.databases["shop"].database);
    assert_eq!(
        (ours.pool_size, ours.consistency, &ours.functions, &ours.safe_triggers),
        (7, config::Consistency::Eventual, &theirs.functions, &theirs.safe_triggers)
    );
    // An even cut that is implied by the file is written out, so that a new shard does not move it.
    assert_eq!(
        home.sql("SELECT string_agg(format('%s %s %s', lo, hi, shard), ';' ORDER BY ordinal) FROM pgweave.ranges WHERE distribution = 0"),
        " 0 0;0  1"
    );
    assert_eq!(
        home.sql("SELECT string_agg(format('%s %s %s', lo_key, hi_key, shard), ';' ORDER BY ordinal) FROM pgweave.ranges WHERE distribution = 1"),
        "{1,0} {100,5} 1;{100,5}  0"
    );
}

#[tokio::test]
async fn init_twice_changes_nothing() {
    let home = Home::new();
    let store = home.store().await;
    assert!(matches!(store.load().await, Err(CatalogError::NotInitialised)));
    store.migrate().await.unwrap();
    store.migrate().await.unwrap();
    let first = store.write_from_config(&file(FILE), false).await.unwrap();
    assert_eq!((first.created, first.applied, first.epoch), (true, false, Epoch(1)));
    for apply in [false, true] {
        let again = store.write_from_config(&file(FILE), apply).await.unwrap();
        assert!(!again.created && !again.applied && again.differences.is_empty(), "{again:?}");
        assert_eq!(again.epoch, Epoch(1));
    }
}

#[tokio::test]
async fn a_newer_catalog_is_left_alone() {
    let home = Home::new();
    let store = filled(&home).await;
    home.sql(
        "INSERT INTO pgweave.migrations (version, description, success, checksum, execution_time) \
         VALUES (99991231000000, 'of a later version', true, '', 0)",
    );
    assert!(matches!(store.migrate().await, Err(CatalogError::Migrate(_))));
}

#[tokio::test]
async fn differences_are_told_and_applied_only_when_asked() {
    let home = Home::new();
    let store = filled(&home).await;
    let changed = file(
        &FILE
            .replace("pool_size = 7", "pool_size = 8")
            .replace("weight = 2, ", "")
            .replace("next_invoice = \"home\"", "next_number = \"any\"")
            .replace("tables = [\"countries\"]", "tables = [\"countries\", \"currencies\"]")
            .replace("[databases.shop]\n", "[[shards]]\nname = \"s3\"\nnodes = [{ host = \"10.0.3.1\" }]\n[databases.shop]\nshards = [\"s1\", \"s2\"]\n"),
    );
    let told = store.write_from_config(&changed, false).await.unwrap();
    assert!(!told.applied);
    let paths: Vec<&str> = told.differences.iter().map(|difference| difference.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "databases.shop.functions.next_invoice",
            "databases.shop.functions.next_number",
            "databases.shop.pool_size",
            "databases.shop.tables.public.currencies",
            "shards.s1.nodes.10.0.1.2:5432",
            "shards.s3",
            "shards.s3.nodes.10.0.3.1:5432",
        ]
    );
    assert_eq!(told.differences[2].to_string(), "databases.shop.pool_size: \"8\" in the file, \"7\" in the catalog");
    let before = store.load().await.unwrap();
    assert_eq!((before.epoch, before.databases["shop"].database.pool_size), (Epoch(1), 7));

    let applied = store.write_from_config(&changed, true).await.unwrap();
    assert!(applied.applied && applied.differences == told.differences);
    let after = store.load().await.unwrap();
    assert_eq!((after.epoch, applied.epoch), (Epoch(2), Epoch(2)));
    assert_eq!(after.databases["shop"].epoch, Epoch(2));
    assert_eq!(after.databases["shop"].database.pool_size, 8);
    assert_eq!(after.shards.iter().map(|shard| shard.id).collect::<Vec<_>>(), [ShardId(0), ShardId(1), ShardId(2)]);
    assert_eq!(after.nodes().map(|(_, entry)| entry.id).collect::<Vec<_>>().len(), 4);
    // What was there keeps its numbers, and nothing moved.
    assert_eq!(after.shards[0].nodes[0], before.shards[0].nodes[0]);
    assert_eq!(after.shard_maps().unwrap()["shop"].distributions, before.shard_maps().unwrap()["shop"].distributions);
    assert!(store.write_from_config(&changed, false).await.unwrap().differences.is_empty());
}

#[tokio::test]
async fn what_would_leave_rows_behind_is_refused() {
    let home = Home::new();
    let store = filled(&home).await;
    for (from, to, path) in [
        ("[databases.shop]\n", "[databases.shop]\nhome = \"s2\"\n", "databases.shop.home"),
        ("\"Customer_ID\"", "\"customer\"", "databases.shop.tables.sales.\"Orders\""),
        ("audit_log = \"s2\"", "audit_log = \"s1\"", "databases.shop.tables.public.audit_log"),
        ("\"100\", \"5\"", "\"100\", \"6\"", "databases.shop.distributions.events.ranges"),
        ("tables = [\"countries\"]", "tables = []", "databases.shop.tables.public.countries"),
    ] {
        assert!(FILE.contains(from), "{from}");
        let error = store.write_from_config(&file(&FILE.replacen(from, to, 1)), true).await.unwrap_err();
        let CatalogError::NeedsMove(blocked) = &error else { panic!("{error}") };
        assert_eq!(blocked.iter().map(|difference| difference.path.as_str()).collect::<Vec<_>>(), [path]);
    }
    assert_eq!(store.epoch().await.unwrap(), Epoch(1));
}

#[tokio::test]
async fn a_table_added_is_a_new_epoch() {
    let home = Home::new();
    let store = filled(&home).await;
    let table = TableName::new("public", "Invoices");
    let state = store.table_add("shop", &table, &distributed("\"customerId\"")).await.unwrap();
    assert_eq!((state.epoch, state.databases["shop"].epoch), (Epoch(2), Epoch(2)));
    assert_eq!(store.load().await.unwrap(), state);
    let listed = store.table_list("shop").await.unwrap();
    assert_eq!(listed.len(), 6);
    assert!(matches!(&listed[&table], Placement::Distributed { key, .. } if *key == ["customerId"]));
    store.table_add("shop", &TableName::new("a", "b"), &TablePlace::Reference).await.unwrap();
    let state = store.table_add("shop", &TableName::new("a", "c"), &TablePlace::Local("s2".into())).await.unwrap();
    assert_eq!(state.epoch, Epoch(4));

    let error = store.table_add("shop", &table, &TablePlace::Reference).await.unwrap_err();
    assert!(matches!(error, CatalogError::TableExists(_)), "{error}");
    let error = store.table_add("nothing", &table, &TablePlace::Reference).await.unwrap_err();
    assert!(matches!(error, CatalogError::UnknownDatabase(_)), "{error}");
    let other = TableName::new("public", "other");
    for wrong in [
        TablePlace::Local("s9".into()),
        TablePlace::Distributed { distribution: "nothing".into(), key: vec!["id".into()] },
        TablePlace::Distributed { distribution: "customers".into(), key: vec!["a".into(), "b".into()] },
    ] {
        let error = store.table_add("shop", &other, &wrong).await.unwrap_err();
        assert!(matches!(error, CatalogError::Map(_)), "{error}");
    }
    assert_eq!(store.epoch().await.unwrap(), Epoch(4));
    // The ranges of the first epoch still count: nothing about them has changed.
    assert_eq!(home.sql("SELECT count(*), max(valid_from), count(valid_to) FROM pgweave.ranges"), "4|1|0");
}

#[tokio::test]
async fn changes_at_once_follow_each_other() {
    let home = Home::new();
    let store = filled(&home).await;
    let other = home.store().await;
    let add = |store: Store, n: u32| async move {
        store.table_add("shop", &TableName::new("public", format!("t{n}")), &TablePlace::Reference).await.unwrap().epoch
    };
    let tasks: Vec<_> =
        (0..8).map(|n| tokio::spawn(add(if n % 2 == 0 { store.clone() } else { other.clone() }, n))).collect();
    let mut epochs = Vec::new();
    for task in tasks {
        epochs.push(task.await.unwrap().0);
    }
    epochs.sort();
    assert_eq!(epochs, (2..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn two_followers_hear_of_a_change() {
    let home = Home::new();
    let store = filled(&home).await;
    let one = Follower::start(store.clone(), NEVER).await.unwrap();
    let two = Follower::start(home.store().await, NEVER).await.unwrap();
    let mut states = [one.subscribe(), two.subscribe()];
    for n in 0..3 {
        let name = format!("t{n}");
        let epoch =
            store.table_add("shop", &TableName::new("public", &name), &TablePlace::Reference).await.unwrap().epoch;
        for states in &mut states {
            let state = wait_for(states, "the change is heard", |state| state.epoch >= epoch).await;
            assert_eq!(state.shard_maps().unwrap()["shop"].placement("public", &name), Some(&Placement::Reference));
        }
    }
}

#[tokio::test]
async fn a_lost_notification_is_made_up_for_by_asking() {
    let home = Home::new();
    let store = filled(&home).await;
    let follower = Follower::start(store, OFTEN).await.unwrap();
    // Nobody is notified of this.
    home.sql("UPDATE pgweave.databases SET pool_size = 99, epoch = 2; UPDATE pgweave.map_head SET epoch = 2");
    let state = wait_for(&mut follower.subscribe(), "the change is found", |state| state.epoch == Epoch(2)).await;
    assert_eq!(state.databases["shop"].database.pool_size, 99);
}

#[tokio::test]
async fn a_follower_whose_connection_is_cut_follows_on() {
    let home = Home::new();
    let store = filled(&home).await;
    let follower = Follower::start(store, NEVER).await.unwrap();
    let mut states = follower.subscribe();
    let listening = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%'";
    for round in 2..5 {
        // Cut and changed at once: what is notified before it listens again, it must find by itself.
        eventually("it listens", LIMIT, async || !home.sql(listening).is_empty()).await;
        home.sql(&format!("SELECT pg_terminate_backend(pid) FROM ({listening}) AS listening"));
        home.store()
            .await
            .table_add("shop", &TableName::new("public", format!("t{round}")), &TablePlace::Reference)
            .await
            .unwrap();
        wait_for(&mut states, "the change is found", |state| state.epoch == Epoch(round)).await;
    }
}

#[tokio::test]
async fn the_last_state_serves_while_the_catalog_is_away() {
    let cluster = support::cluster_with(&Spec { catalog: true, ..Spec::new(1, 0) });
    let node = cluster.catalog.as_ref().unwrap();
    node.sql("postgres", "CREATE DATABASE catalog OWNER app").unwrap();
    let store = connect(node, "catalog", TIMEOUT).await;
    store.migrate().await.unwrap();
    store.write_from_config(&file(FILE), false).await.unwrap();
    // A server that is away is given up after this.
    let impatient = connect(node, "catalog", Duration::from_secs(3)).await;
    let follower = Follower::start(impatient, OFTEN).await.unwrap();
    let (mut states, mut connected) = (follower.subscribe(), follower.connected());
    let before = states.borrow().clone();

    node.stop(StopMode::Fast).unwrap();
    wait_for(&mut connected, "the follower sees that the catalog is away", |connected| !connected).await;
    assert_eq!(*states.borrow(), before);

    node.start().unwrap();
    wait_for(&mut connected, "the follower comes back", |connected| *connected).await;
    let epoch = store.table_add("shop", &TableName::new("public", "t"), &TablePlace::Reference).await.unwrap().epoch;
    wait_for(&mut states, "the change is heard", |state| state.epoch == epoch).await;
}

#[tokio::test]
async fn a_catalog_that_went_back_or_is_no_map_is_not_followed() {
    let home = Home::new();
    let store = filled(&home).await;
    store.table_add("shop", &TableName::new("public", "t"), &TablePlace::Reference).await.unwrap();
    let follower = Follower::start(store, OFTEN).await.unwrap();
    let (states, mut connected) = (follower.subscribe(), follower.connected());
    let before = states.borrow().clone();
    for (harm, repair) in [
        ("UPDATE pgweave.map_head SET epoch = 1", "UPDATE pgweave.map_head SET epoch = 2"),
        (
            "DELETE FROM pgweave.ranges WHERE hi = 0; UPDATE pgweave.map_head SET epoch = 3",
            "INSERT INTO pgweave.ranges (database, distribution, valid_from, ordinal, hi, shard) \
             VALUES ('shop', 0, 1, 0, 0, 0); UPDATE pgweave.map_head SET epoch = 2",
        ),
    ] {
        home.sql(harm);
        wait_for(&mut connected, harm, |connected| !connected).await;
        assert_eq!(*states.borrow(), before, "{harm}");
        home.sql(repair);
        wait_for(&mut connected, repair, |connected| *connected).await;
    }
}

#[tokio::test]
async fn a_lease_holds_while_it_is_renewed() {
    let home = Home::new();
    let store = filled(&home).await;
    let long = Duration::from_secs(600);
    let mut lease = Lease::register(&store, "proxy-a", long, Epoch(0)).await.unwrap();
    assert!(lease.valid_until() > Instant::now() && lease.valid_until() < Instant::now() + long);
    assert_eq!(lease.renew(Epoch(1)).await.unwrap(), Epoch(1));
    // Acknowledgements never go back.
    lease.renew(Epoch(0)).await.unwrap();
    let proxies = store.proxies().await.unwrap();
    assert_eq!(proxies.len(), 1);
    assert_eq!((proxies[0].id.as_str(), proxies[0].name.as_str()), (lease.id(), "proxy-a"));
    assert!(proxies[0].live && proxies[0].acked == Epoch(1) && proxies[0].remaining > long / 2);

    home.sql("UPDATE pgweave.proxies SET lease_until = now() - interval '1 second'");
    assert!(!store.proxies().await.unwrap()[0].live);
    assert!(matches!(lease.renew(Epoch(1)).await, Err(CatalogError::LeaseLost)));
    lease.release().await.unwrap();
    assert_eq!(store.proxies().await.unwrap(), []);
}

#[tokio::test]
async fn a_short_lease_runs_out_by_itself() {
    let home = Home::new();
    let store = filled(&home).await;
    let mut lease = Lease::register(&store, "proxy-a", Duration::from_millis(300), Epoch(0)).await.unwrap();
    eventually("the lease runs out", LIMIT, async || !store.proxies().await.unwrap()[0].live).await;
    assert!(lease.valid_until() < Instant::now());
    assert!(matches!(lease.renew(Epoch(0)).await, Err(CatalogError::LeaseLost)));
}

#[tokio::test]
async fn a_keeper_renews_acknowledges_registers_again_and_releases() {
    let home = Home::new();
    let store = filled(&home).await;
    let (ack, acked) = watch::channel(Epoch(1));
    let length = Duration::from_secs(3);
    let keeper = LeaseKeeper::start(store.clone(), "proxy-a".into(), length, acked).await.unwrap();
    let first = store.proxies().await.unwrap().remove(0);
    let start = Instant::now();
    wait_for(&mut keeper.valid_until(), "the lease is renewed", |until| *until > start + length).await;
    assert!(keeper.is_valid(start) && !keeper.is_valid(start + length * 1000));

    ack.send_replace(Epoch(5));
    eventually("the epoch is acknowledged", LIMIT, async || {
        store.proxies().await.unwrap().iter().any(|proxy| proxy.acked == Epoch(5))
    })
    .await;

    home.sql("DELETE FROM pgweave.proxies");
    eventually("it registers again", LIMIT, async || {
        store.proxies().await.unwrap().iter().any(|proxy| proxy.live && proxy.id != first.id && proxy.acked == Epoch(5))
    })
    .await;
    keeper.stop().await;
    assert_eq!(store.proxies().await.unwrap(), []);
}

#[tokio::test]
async fn a_wrong_dsn_is_told_without_its_password() {
    let told = async |dsn: &str| {
        let error = Store::connect(&Secret::new(dsn), Duration::from_secs(5)).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
        error
    };
    assert!(matches!(told("no url, hidden").await, CatalogError::Dsn));
    let port = Home::new().node.port();
    assert!(matches!(told(&format!("postgres://app:hidden@127.0.0.1:{port}/postgres")).await, CatalogError::Sql(_)));
}
