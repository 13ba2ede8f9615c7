//! Pools and limits that are full.

use super::support::{self, LIMIT, Proxy, Raw, eventually};
use super::tools::{codes, done, limited, run_frames, status, sum, tags, values};

const SCHEMA: &str = "CREATE TABLE things (n serial, name text)";

#[tokio::test]
async fn a_full_pool_refuses_after_a_while() {
    let database = support::database(1, 0, SCHEMA);
    let proxy = Proxy::start(&limited(&database, "checkout_timeout = \"1500ms\"", "pool_size = 1\n"));
    let mut other = Raw::login(proxy.port, &database.name).await;
    let mut holder = Raw::login(proxy.port, &database.name).await;
    holder.query("BEGIN").await;
    holder.query("INSERT INTO things (name) VALUES ('holder')").await;
    let text = "INSERT INTO things (name) VALUES ('other')";
    let pipeline = [run_frames(text), run_frames(text), Raw::sync_frame()].concat();
    for bytes in [Raw::query_frame(text), pipeline] {
        other.send(&bytes).await;
        let frames = other.until_ready().await;
        assert_eq!(tags(&frames), "EZ");
        assert_eq!((codes(&frames), status(&frames)), (vec!["53300".to_owned()], 'I'));
        let detail = frames[0].field(b'D').unwrap_or_default();
        assert!(detail.contains(&database.name) && detail.contains("app"), "names the pool: {detail}");
    }
    // Nothing more comes: the next answer is the next question's.
    holder.query("COMMIT").await;
    assert_eq!(values(&other.query("SELECT count(*) FROM things").await), ["1"]);
}

#[tokio::test]
async fn who_waits_longest_is_next() {
    let database = support::database(1, 0, SCHEMA);
    let proxy = Proxy::start(&database.config("pool_size = 1\n"));
    let console = proxy.app("pgweave").await;
    let mut holder = Raw::login(proxy.port, &database.name).await;
    holder.query("BEGIN").await;
    holder.query("SELECT count(*) FROM things").await;
    let mut queue = Vec::new();
    for number in 0..8 {
        let mut raw = Raw::login(proxy.port, &database.name).await;
        raw.send(&Raw::query_frame(&format!("INSERT INTO things (name) VALUES ('{number}')"))).await;
        eventually("one more waits", LIMIT, async || {
            sum(&console, "POOLS", &database.name, "cl_waiting").await == number + 1
        })
        .await;
        queue.push(raw);
    }
    holder.query("COMMIT").await;
    for raw in &mut queue {
        assert_eq!(done(&raw.until_ready().await), ["INSERT 0 1"]);
    }
    let order = values(&holder.query("SELECT name FROM things ORDER BY n").await);
    assert_eq!(order, ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[tokio::test]
async fn one_client_too_many_is_told_so() {
    let database = support::database(1, 0, SCHEMA);
    let proxy = Proxy::start(&limited(&database, "clients = 2", ""));
    let first = Raw::login(proxy.port, &database.name).await;
    let mut second = Raw::login(proxy.port, &database.name).await;
    let login = async || {
        let mut raw = Raw::connect(proxy.port).await;
        raw.startup("app", "app", &[("database", &database.name)]).await
    };
    let frames = login().await;
    assert_eq!(codes(&frames), ["53300"], "{frames:?}");
    assert_eq!(values(&second.query("SELECT 1").await), ["1"]);
    drop(first);
    eventually("there is room again", LIMIT, async || codes(&login().await).is_empty()).await;
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let database = support::database(1, 0, SCHEMA);
    let proxy = Proxy::start(&database.config(""));
    for (user, password) in [("app", "wrong"), ("nobody", "app")] {
        let mut raw = Raw::connect(proxy.port).await;
        let frames = raw.startup(user, password, &[("database", &database.name)]).await;
        assert_eq!(codes(&frames), ["28P01"], "{user}");
        assert!(raw.until_closed().await.is_empty());
    }
    let mut raw = Raw::connect(proxy.port).await;
    assert_eq!(codes(&raw.startup("app", "app", &[("database", "nowhere")]).await), ["3D000"]);
}
