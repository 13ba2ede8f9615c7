//! Signals: draining, and a configuration that is read again.

use super::support::{self, LIMIT, Proxy, Raw, eventually};
use super::tools::{codes, done, values};

const SCHEMA: &str = "CREATE TABLE things (id int)";

#[tokio::test]
async fn a_proxy_that_is_stopped_lets_transactions_finish() {
    let database = support::database(1, 0, SCHEMA);
    let mut proxy = Proxy::start(&database.config(""));
    let mut idle = Raw::login(proxy.port, &database.name).await;
    let mut working = Raw::login(proxy.port, &database.name).await;
    idle.query("SELECT 1").await;
    working.query("BEGIN").await;
    assert_eq!(done(&working.query("INSERT INTO things VALUES (1)").await), ["INSERT 0 1"]);
    proxy.signal("TERM");
    assert_eq!(codes(&idle.until_closed().await), ["57P01"], "who is idle is sent away");
    assert_eq!(done(&working.query("INSERT INTO things VALUES (2)").await), ["INSERT 0 1"]);
    assert_eq!(done(&working.query("COMMIT").await), ["COMMIT"]);
    assert_eq!(codes(&working.until_closed().await), ["57P01"]);
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", proxy.port)).await.is_err(), "nobody is let in any more");
    assert!(proxy.wait_end().success());
    let rows = database.cluster.shards[0].primary.sql(&database.name, "SELECT count(*) FROM things").unwrap();
    assert_eq!(rows, "2");
}

#[tokio::test]
async fn who_does_not_finish_is_cut_off() {
    let database = support::database(1, 0, SCHEMA);
    let head = "[server]\nlisten = [\"127.0.0.1:{port}\"]\nhttp = \"127.0.0.1:{http}\"\ndrain_timeout = \"500ms\"\n\n";
    let mut proxy = Proxy::start(&format!("{head}{}", database.config("")));
    proxy.allow("drain timeout");
    let mut working = Raw::login(proxy.port, &database.name).await;
    working.query("BEGIN").await;
    working.query("INSERT INTO things VALUES (1)").await;
    proxy.signal("TERM");
    assert!(proxy.wait_end().success());
    working.until_closed().await;
    let rows = database.cluster.shards[0].primary.sql(&database.name, "SELECT count(*) FROM things").unwrap();
    assert_eq!(rows, "0");
}

#[tokio::test]
async fn a_wrong_file_changes_nothing() {
    let database = support::database(1, 0, SCHEMA);
    let mut proxy = Proxy::start(&database.config("pool_size = 3\n"));
    proxy.allow("configuration refused");
    let mut raw = Raw::login(proxy.port, &database.name).await;
    raw.query("BEGIN").await;
    let pid = values(&raw.query("SELECT pg_backend_pid()").await);
    let good = std::fs::read_to_string(proxy.config_path()).unwrap();
    let cases = [
        good.replace("pool_size = 3", "pool_size = \"many\""),
        good.replace("[databases.", "[database."),
        format!("{good}\n]["),
        String::new(),
    ];
    for (number, wrong) in cases.iter().enumerate() {
        std::fs::write(proxy.config_path(), wrong).unwrap();
        proxy.signal("HUP");
        eventually("the file is refused", LIMIT, async || {
            proxy.log().matches("configuration refused").count() == number + 1
        })
        .await;
        assert_eq!(values(&raw.query("SELECT pg_backend_pid()").await), pid, "the session is left alone");
        let mut next = Raw::login(proxy.port, &database.name).await;
        assert_eq!(values(&next.query("SELECT count(*) FROM things").await), ["0"]);
    }
    std::fs::write(proxy.config_path(), good.replace("pool_size = 3", "pool_size = 4")).unwrap();
    proxy.signal("HUP");
    eventually("a right one is taken", LIMIT, async || proxy.log().contains("configuration read again")).await;
    assert_eq!(values(&raw.query("SELECT pg_backend_pid()").await), pid);
}
