//! A cancel hits its own statement or none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::support::{self, LIMIT, Proxy, Raw, eventually};
use super::tools::{SOON, blocked, codes, status, sum, values};

const SCHEMA: &str = "CREATE TABLE things (id int)";

/// A client and its key.
async fn login(port: u16, dbname: &str) -> (Raw, Vec<u8>) {
    let mut raw = Raw::connect(port).await;
    let frames = raw.startup("app", "app", &[("database", dbname)]).await;
    let key = frames.iter().find(|frame| frame.tag == b'K').expect("a key").body.clone();
    (raw, key)
}

/// Sends a cancel request and waits until it has been dealt with.
async fn cancel(port: u16, key: &[u8]) {
    let mut raw = Raw::connect(port).await;
    raw.send(&[&16_i32.to_be_bytes()[..], &80_877_102_i32.to_be_bytes(), key].concat()).await;
    assert!(raw.until_closed().await.is_empty(), "nothing is answered");
}

#[tokio::test]
async fn a_running_statement_is_cancelled() {
    let database = support::database(1, 0, SCHEMA);
    let proxy = Proxy::start(&database.config(""));
    let locker = support::app(database.cluster.shards[0].primary.port(), &database.name).await;
    locker.batch_execute("BEGIN; LOCK things IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (mut raw, key) = login(proxy.port, &database.name).await;
    raw.send(&Raw::query_frame("SELECT * FROM things")).await;
    blocked(&database, "SELECT%").await;
    let mut wrong = key.clone();
    wrong[7] ^= 1;
    cancel(proxy.port, &wrong).await;
    blocked(&database, "SELECT%").await;
    cancel(proxy.port, &key).await;
    let frames = raw.until_ready().await;
    assert_eq!((codes(&frames), status(&frames)), (vec!["57014".to_owned()], 'I'));
    // One that comes when nothing runs is nobody's.
    cancel(proxy.port, &key).await;
    assert_eq!(values(&raw.query("SELECT 1").await), ["1"]);
}

#[tokio::test]
async fn a_waiting_client_is_cancelled_and_its_statement_never_runs() {
    let database = support::database(1, 0, SCHEMA);
    let proxy = Proxy::start(&database.config("pool_size = 1\n"));
    let console = proxy.app("pgweave").await;
    let mut holder = Raw::login(proxy.port, &database.name).await;
    holder.query("BEGIN").await;
    holder.query("SELECT * FROM things").await;
    let (mut raw, key) = login(proxy.port, &database.name).await;
    raw.send(&Raw::query_frame("INSERT INTO things VALUES (1)")).await;
    let waiting = async || sum(&console, "POOLS", &database.name, "cl_waiting").await;
    eventually("it waits", SOON, async || waiting().await == 1).await;
    cancel(proxy.port, &key).await;
    let frames = raw.until_ready().await;
    assert_eq!((codes(&frames), status(&frames)), (vec!["57014".to_owned()], 'I'));
    eventually("it waits no more", SOON, async || waiting().await == 0).await;
    holder.query("COMMIT").await;
    assert_eq!(values(&raw.query("SELECT count(*) FROM things").await), ["0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_cancel_never_hits_the_next_client() {
    let database = support::database(1, 0, SCHEMA);
    let proxy = Proxy::start(&database.config("pool_size = 1\n"));
    let (mut target, key) = login(proxy.port, &database.name).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (cancelled, sent) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::new();
    {
        let (stop, cancelled) = (stop.clone(), cancelled.clone());
        tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let frames = target.query("SELECT pg_sleep(0.002)").await;
                match codes(&frames).first().map(String::as_str) {
                    None => {}
                    Some("57014") => drop(cancelled.fetch_add(1, Ordering::Relaxed)),
                    Some(other) => panic!("{other}"),
                }
            }
        }));
    }
    for _ in 0..2 {
        let (stop, port, key, sent) = (stop.clone(), proxy.port, key.clone(), sent.clone());
        tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                cancel(port, &key).await;
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let mut bystander = Raw::login(proxy.port, &database.name).await;
    for turn in 0..600 {
        let frames = bystander.query("SELECT 5 FROM pg_sleep(0.001)").await;
        assert_eq!((codes(&frames), values(&frames)), (vec![], vec!["5".to_owned()]), "turn {turn}");
    }
    eventually("cancels hit their target, too", LIMIT, async || cancelled.load(Ordering::Relaxed) > 5).await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    assert!(sent.load(Ordering::Relaxed) > 50, "{sent:?} cancels were sent");
}
