//! Servers that are lost: what ran may run again where nobody can notice, and is told where it cannot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pgweave::cluster::StopMode;

use super::support::{self, Database, Gate, LIMIT, Proxy, Raw, Session, eventually};
use super::tools::{SOON, blocked, codes, done, gated, run_frames, status, tags, values};

const SCHEMA: &str = "CREATE TABLE things (id int); INSERT INTO things SELECT generate_series(1, 100)";

/// Warnings that a proxy may log when its nodes go.
const EXPECTED: [&str; 6] = ["node ", "primary", "schema", "server", "shard", "no primary"];

fn tolerant(mut proxy: Proxy) -> Proxy {
    EXPECTED.iter().for_each(|part| {
        proxy.allow(part);
    });
    proxy
}

fn behind_a_gate(schema: &str) -> (Database, Gate, Proxy) {
    let database = support::database(1, 0, schema);
    let gate = Gate::to(database.cluster.shards[0].primary.port());
    let proxy = tolerant(Proxy::start(&gated(&database, &gate, "failover_wait = \"10s\"", "")));
    (database, gate, proxy)
}

/// Someone who has locked the table beside the proxy.
async fn locked(database: &Database) -> Session {
    let locker = support::app(database.cluster.shards[0].primary.port(), &database.name).await;
    locker.batch_execute("BEGIN; LOCK things IN ACCESS EXCLUSIVE MODE").await.unwrap();
    locker
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_fails_while_nodes_stop_and_start() {
    let cluster = support::private(1, 2);
    cluster.create_database("shop").unwrap();
    cluster.sql_everywhere("shop", SCHEMA).unwrap();
    cluster.wait_replayed().unwrap();
    let proxy = tolerant(Proxy::start(&Proxy::config(&cluster, "[databases.shop]\n")));
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut readers = Vec::new();
    for number in 0..24 {
        let (port, stop, count) = (proxy.port, stop.clone(), count.clone());
        readers.push(tokio::spawn(async move {
            let mut raw = Raw::login(port, "shop").await;
            let text = "SELECT count(*), sum(id) FROM things";
            while !stop.load(Ordering::Relaxed) {
                let frames = if number % 2 == 0 {
                    raw.query(text).await
                } else {
                    raw.send(&[run_frames(text), Raw::sync_frame()].concat()).await;
                    raw.until_ready().await
                };
                assert_eq!(values(&frames), ["100"], "{:?}", codes(&frames));
                count.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let go_on = async |what: &str| {
        let before = count.load(Ordering::Relaxed);
        eventually(what, LIMIT, async || count.load(Ordering::Relaxed) > before + 200).await;
    };
    let shard = &cluster.shards[0];
    go_on("reads run").await;
    for (replica, mode) in [(0, StopMode::Immediate), (1, StopMode::Fast)] {
        shard.replicas[replica].stop(mode).unwrap();
        go_on("reads go on without a replica").await;
        shard.replicas[replica].start().unwrap();
    }
    shard.replicas[0].kill9().unwrap();
    shard.replicas[1].stop(StopMode::Immediate).unwrap();
    go_on("the primary serves when no replica is left").await;
    shard.replicas.iter().for_each(|replica| replica.start().unwrap());
    eventually("replicas serve again", LIMIT, async || {
        let asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND query LIKE '%things%'";
        shard.replicas.iter().any(|replica| replica.sql("postgres", asked).is_ok_and(|n| n != "0" && n != "1"))
    })
    .await;
    shard.primary.stop(StopMode::Immediate).unwrap();
    go_on("replicas serve while there is no primary").await;
    shard.primary.start().unwrap();
    go_on("all is well").await;
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.expect("no read failed");
    }
}

#[tokio::test]
async fn a_result_that_is_cut_off_ends_in_an_error() {
    let (database, gate, proxy) = behind_a_gate(SCHEMA);
    let mut raw = Raw::login(proxy.port, &database.name).await;
    let many = "SELECT repeat('x', 1000) FROM generate_series(1, 20000)";
    for frames in [Raw::query_frame(many), [run_frames(many), Raw::sync_frame()].concat()] {
        raw.query("SELECT 1").await;
        gate.cut_after(1_000_000);
        raw.send(&frames).await;
        let frames = raw.until_ready().await;
        gate.mend();
        assert_eq!(codes(&frames), ["08006"]);
        let rows = values(&frames).len();
        assert!(rows > 100 && rows < 20_000, "{rows} rows before the error");
        assert!(done(&frames).is_empty(), "no tag says that it is complete");
        assert_eq!(values(&raw.query("SELECT 1").await), ["1"], "the client goes on");
    }
}

#[tokio::test]
async fn a_read_that_has_answered_nothing_runs_again() {
    let (database, gate, proxy) = behind_a_gate(SCHEMA);
    let mut raw = Raw::login(proxy.port, &database.name).await;
    for end in ["terminate", "cut"] {
        let locker = locked(&database).await;
        // What was answered before it in the same write does not count.
        raw.send(&[Raw::query_frame("SELECT 7"), Raw::query_frame("SELECT count(*) FROM things")].concat()).await;
        assert_eq!(values(&raw.until_ready().await), ["7"]);
        let pid = blocked(&database, "%count(*)%").await;
        let server = &database.cluster.shards[0].primary;
        match end {
            "terminate" => drop(server.sql("postgres", &format!("SELECT pg_terminate_backend({pid})")).unwrap()),
            _ => gate.cut(),
        }
        blocked(&database, "%count(*)%").await;
        locker.batch_execute("ROLLBACK").await.unwrap();
        let frames = raw.until_ready().await;
        assert_eq!((codes(&frames), values(&frames)), (vec![], vec!["100".to_owned()]), "{end}");
    }
}

#[tokio::test]
async fn a_read_outlives_the_crash_of_its_backend() {
    let cluster = support::private(1, 0);
    cluster.create_database("shop").unwrap();
    cluster.sql_everywhere("shop", SCHEMA).unwrap();
    let server = &cluster.shards[0].primary;
    let proxy = tolerant(Proxy::start(&Proxy::config(&cluster, "[databases.shop]\n")));
    let mut raw = Raw::login(proxy.port, "shop").await;
    let locker = support::app(server.port(), "shop").await;
    locker.batch_execute("BEGIN; LOCK things IN ACCESS EXCLUSIVE MODE").await.unwrap();
    raw.send(&Raw::query_frame("SELECT count(*) FROM things")).await;
    let asked = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let pid = || server.sql("postgres", asked).unwrap();
    eventually("the read waits", SOON, async || !pid().is_empty()).await;
    // A backend that is killed takes all others with it: the server starts anew.
    let killed = std::process::Command::new("/bin/kill").args(["-KILL", &pid()]).status();
    assert!(killed.is_ok_and(|status| status.success()), "kills a backend");
    let frames = raw.until_ready().await;
    assert_eq!((codes(&frames), values(&frames)), (vec![], vec!["100".to_owned()]));
}

#[tokio::test]
async fn a_write_in_flight_is_in_doubt() {
    let (database, gate, proxy) = behind_a_gate(SCHEMA);
    for extended in [false, true] {
        let mut raw = Raw::login(proxy.port, &database.name).await;
        let locker = locked(&database).await;
        let text = "INSERT INTO things VALUES (1)";
        let frames = if extended { [run_frames(text), Raw::sync_frame()].concat() } else { Raw::query_frame(text) };
        raw.send(&frames).await;
        blocked(&database, "INSERT%").await;
        gate.cut();
        let frames = raw.until_closed().await;
        assert_eq!(codes(&frames), ["08007"], "{}", tags(&frames));
        assert_eq!(frames.last().unwrap().field(b'V').as_deref(), Some("FATAL"));
        locker.batch_execute("ROLLBACK").await.unwrap();
    }
}

#[tokio::test]
async fn a_commit_in_flight_is_in_doubt() {
    let schema = "CREATE TABLE things (id int);
        CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock(5); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER w AFTER INSERT ON things DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION wait()";
    let (database, gate, proxy) = behind_a_gate(schema);
    let holder = support::app(database.cluster.shards[0].primary.port(), &database.name).await;
    holder.batch_execute("SELECT pg_advisory_lock(5)").await.unwrap();
    let mut raw = Raw::login(proxy.port, &database.name).await;
    raw.query("BEGIN").await;
    assert_eq!(done(&raw.query("INSERT INTO things VALUES (1)").await), ["INSERT 0 1"]);
    raw.send(&Raw::query_frame("COMMIT")).await;
    blocked(&database, "COMMIT").await;
    gate.cut();
    assert_eq!(codes(&raw.until_closed().await), ["08007"]);
}

#[tokio::test]
async fn a_lost_transaction_says_so_until_it_is_rolled_back() {
    let (database, gate, proxy) = behind_a_gate(SCHEMA);
    let count = async |raw: &mut Raw| values(&raw.query("SELECT count(*) FROM things").await);
    let mut raw = Raw::login(proxy.port, &database.name).await;
    // While a statement runs.
    let locker = locked(&database).await;
    raw.query("BEGIN").await;
    raw.query("SELECT 1").await;
    raw.send(&Raw::query_frame("INSERT INTO things VALUES (1)")).await;
    blocked(&database, "INSERT%").await;
    gate.cut();
    let frames = raw.until_ready().await;
    assert_eq!((codes(&frames), status(&frames)), (vec!["08006".to_owned()], 'E'));
    let frames = raw.query("SELECT 1").await;
    assert_eq!((codes(&frames), status(&frames)), (vec!["25P02".to_owned()], 'E'));
    let frames = raw.query("ROLLBACK").await;
    assert_eq!((done(&frames), status(&frames)), (vec!["ROLLBACK".to_owned()], 'I'));
    locker.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(count(&mut raw).await, ["100"]);
    // Between two statements: whatever comes next is told, a COMMIT above all.
    for next in ["INSERT INTO things VALUES (2)", "COMMIT"] {
        raw.query("BEGIN").await;
        assert_eq!(done(&raw.query("INSERT INTO things VALUES (1)").await), ["INSERT 0 1"]);
        gate.cut();
        let console = proxy.app("pgweave").await;
        eventually("the proxy knows", SOON, async || {
            super::tools::sum(&console, "POOLS", &database.name, "sv_active").await == 0
        })
        .await;
        let frames = raw.query(next).await;
        assert_eq!((codes(&frames), status(&frames)), (vec!["08006".to_owned()], 'E'), "{next}");
        assert_eq!(codes(&raw.query("SELECT 1").await), ["25P02"]);
        assert_eq!(status(&raw.query("ROLLBACK").await), 'I');
        assert_eq!(count(&mut raw).await, ["100"]);
    }
    // One who gives it up anyway needs no error.
    raw.query("BEGIN").await;
    raw.query("INSERT INTO things VALUES (1)").await;
    gate.cut();
    let frames = raw.query("ROLLBACK").await;
    assert_eq!((codes(&frames), status(&frames)), (vec![], 'I'));
    assert_eq!(count(&mut raw).await, ["100"]);
}

#[tokio::test]
async fn a_server_that_ends_a_session_is_quoted_once() {
    let database = support::database(1, 0, SCHEMA);
    let proxy = tolerant(Proxy::start(&database.config("")));
    let mut raw = Raw::login(proxy.port, &database.name).await;
    raw.query("BEGIN").await;
    raw.query("SET LOCAL idle_in_transaction_session_timeout = '50ms'").await;
    let frames = raw.until_closed().await;
    assert_eq!(codes(&frames), ["25P03"]);
    let mut other = Raw::login(proxy.port, &database.name).await;
    assert_eq!(values(&other.query("SELECT count(*) FROM things").await), ["100"], "the node is not held to be down");
}

#[tokio::test]
async fn a_dead_shard_refuses_its_statements_and_no_others() {
    let cluster = support::private(2, 0);
    cluster.create_database("shop").unwrap();
    cluster.sql_everywhere("shop", "CREATE TABLE things (id int PRIMARY KEY, name text)").unwrap();
    let body = "[databases.shop]\n[[databases.shop.distributions]]\nname = \"things\"\nmethod = \"range\"\n\
        tables = { things = [\"id\"] }\nranges = [{ to = \"100\", shard = \"s1\" }, { to = \"200\", shard = \"s2\" }]\n";
    let config = format!("[limits]\nfailover_wait = \"1s\"\n\n{}", Proxy::config(&cluster, body));
    let proxy = tolerant(Proxy::start(&config));
    let mut raw = Raw::login(proxy.port, "shop").await;
    let put = |id: i32| format!("INSERT INTO things VALUES ({id}, 'x')");
    let first = raw.query(&put(1)).await;
    assert_eq!(done(&first), ["INSERT 0 1"], "{first:?}");
    assert_eq!(done(&raw.query(&put(101)).await), ["INSERT 0 1"]);
    assert_eq!(codes(&raw.query(&put(201)).await), ["23514"], "a key that has no owner");
    cluster.shards[1].primary.stop(StopMode::Immediate).unwrap();
    let mut other = Raw::login(proxy.port, "shop").await;
    let since = Instant::now();
    other.send(&Raw::query_frame(&put(102))).await;
    let mut ran = 0;
    while since.elapsed() < Duration::from_millis(500) {
        assert_eq!(values(&raw.query("SELECT name FROM things WHERE id = 1").await), ["x"]);
        ran += 1;
    }
    assert!(ran > 5, "the other shard serves on: {ran} statements");
    let frames = other.until_ready().await;
    assert_eq!((codes(&frames), status(&frames)), (vec!["57P03".to_owned()], 'I'));
    assert!(since.elapsed() >= Duration::from_secs(1), "it waited for a primary");
    let all = "SELECT id FROM things WHERE id > 0";
    assert_eq!(codes(&raw.query(all).await), ["57P03"], "an error, never a part of the answer");
    cluster.shards[1].primary.start().unwrap();
    let end = Instant::now() + LIMIT;
    while done(&raw.query(&put(103)).await) != ["INSERT 0 1"] {
        assert!(Instant::now() < end, "the shard is back");
    }
    assert_eq!(values(&raw.query(all).await), ["1", "101", "103"]);
}
