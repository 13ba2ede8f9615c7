//! Clients that vanish, at the worst of times.

use super::support::{self, Database, Proxy, Raw, Session, eventually};
use super::tools::{SOON, all_at_rest, blocked, busy, run_frames, tags, values};

const SCHEMA: &str = "CREATE TABLE things (id int); INSERT INTO things SELECT generate_series(1, 100)";

async fn locked(database: &Database) -> Session {
    let locker = support::app(database.cluster.shards[0].primary.port(), &database.name).await;
    locker.batch_execute("BEGIN; LOCK things IN ACCESS EXCLUSIVE MODE").await.unwrap();
    locker
}

/// What the client has sent when it vanishes.
fn unfinished() -> Vec<(&'static str, Vec<u8>)> {
    let half = |bytes: Vec<u8>| bytes[..bytes.len() - bytes.len() / 3].to_vec();
    let select = run_frames("SELECT * FROM things");
    vec![
        ("a header", Raw::query_frame("SELECT 1")[..3].to_vec()),
        ("half of a query", half(Raw::query_frame("SELECT 1 FROM things"))),
        ("a Parse and half of a Bind", [Raw::parse_frame("", "SELECT 1"), half(Raw::bind_frame("", "", &[]))].concat()),
        ("no Sync", select.clone()),
        ("a Flush for the Sync", [select.clone(), Raw::flush_frame()].concat()),
        ("a write without Sync", [run_frames("INSERT INTO things VALUES (1)"), Raw::flush_frame()].concat()),
        ("an open block", [Raw::query_frame("BEGIN"), Raw::query_frame("INSERT INTO things VALUES (1)")].concat()),
        ("a failed block", [Raw::query_frame("BEGIN"), Raw::query_frame("SELECT 1/0 FROM things")].concat()),
        ("a COPY without an end", [Raw::query_frame("COPY things FROM STDIN"), b"d\0\0\0\x061\n".to_vec()].concat()),
        (
            "a COPY in half of a row",
            [Raw::query_frame("COPY things FROM STDIN"), b"d\0\0\x10\x00123".to_vec()].concat(),
        ),
        ("a long result", Raw::query_frame("SELECT repeat('x', 1000) FROM generate_series(1, 200000)")),
        (
            "a portal half read",
            [
                Raw::parse_frame("", "SELECT * FROM things"),
                Raw::bind_frame("p", "", &[]),
                Raw::execute_frame("p", 2),
                Raw::flush_frame(),
            ]
            .concat(),
        ),
    ]
}

#[tokio::test]
async fn nothing_stays_behind_a_client_that_vanishes() {
    let database = support::database(1, 0, SCHEMA);
    let proxy = Proxy::start(&database.config("pool_size = 1\n"));
    for (what, bytes) in unfinished() {
        let mut raw = Raw::login(proxy.port, &database.name).await;
        raw.send(&bytes).await;
        drop(raw);
        // The only server of the pool is of use to the next one.
        let mut next = Raw::login(proxy.port, &database.name).await;
        let frames = next.query("SELECT count(*) FROM things").await;
        assert_eq!(values(&frames), ["100"], "{what}: {}", tags(&frames));
        drop(next);
        all_at_rest(&proxy, &database).await;
    }
}

#[tokio::test]
async fn what_a_vanished_client_asked_for_is_not_gone_on_with() {
    let database = support::database(1, 0, SCHEMA);
    let proxy = Proxy::start(&database.config(""));
    let _locker = locked(&database).await;
    let texts = [
        Raw::query_frame("SELECT count(*) FROM things"),
        [run_frames("UPDATE things SET id = id"), Raw::sync_frame()].concat(),
        [run_frames("SELECT count(*) FROM things"), Raw::flush_frame()].concat(),
    ];
    for bytes in texts {
        let mut raw = Raw::login(proxy.port, &database.name).await;
        raw.send(&bytes).await;
        blocked(&database, "% things%").await;
        drop(raw);
        // The locker itself is in a transaction.
        eventually("the statement is cancelled", SOON, async || busy(&database) == 1).await;
    }
}

#[tokio::test]
async fn one_who_leaves_the_queue_is_not_served() {
    let database = support::database(1, 0, SCHEMA);
    let proxy = Proxy::start(&database.config("pool_size = 1\n"));
    let console = proxy.app("pgweave").await;
    let waiting = async || super::tools::sum(&console, "POOLS", &database.name, "cl_waiting").await;
    let mut holder = Raw::login(proxy.port, &database.name).await;
    holder.query("BEGIN").await;
    holder.query("SELECT count(*) FROM things").await;
    let mut leaver = Raw::login(proxy.port, &database.name).await;
    leaver.send(&Raw::query_frame("INSERT INTO things VALUES (1)")).await;
    eventually("it waits", SOON, async || waiting().await == 1).await;
    drop(leaver);
    eventually("it waits no more", SOON, async || waiting().await == 0).await;
    holder.query("COMMIT").await;
    assert_eq!(values(&holder.query("SELECT count(*) FROM things").await), ["100"]);
}
