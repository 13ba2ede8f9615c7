//! The console and `/metrics` of a running proxy: what happens moves the numbers.

use std::time::Duration;

use pgweave::cluster::{Cluster, StopMode};

use super::support::{self, LIMIT, Proxy, Session, eventually};

const SCHEMA: &str = "CREATE TABLE customers (id bigint PRIMARY KEY, name text); CREATE TABLE notes (n int)";

const BODY: &str = r#"
[[databases.{db}.distributions]]
name = "customers"
method = "hash"
tables = { customers = ["id"] }
"#;

/// The rows of a table as maps from column to text.
async fn show(console: &Session, what: &str) -> Vec<Row> {
    let messages = console.simple_query(&format!("SHOW {what}")).await.unwrap();
    let rows = messages.iter().filter_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => {
            let columns = row.columns().iter().enumerate();
            Some(Row(columns.map(|(i, c)| (c.name().to_owned(), row.get(i).map(str::to_owned))).collect()))
        }
        _ => None,
    });
    rows.collect()
}

#[derive(Debug)]
struct Row(Vec<(String, Option<String>)>);

impl Row {
    fn text(&self, column: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == column);
        found.unwrap_or_else(|| panic!("no column {column} in {self:?}")).1.as_deref()
    }

    fn is(&self, column: &str, value: &str) -> bool {
        self.text(column) == Some(value)
    }

    fn number(&self, column: &str) -> f64 {
        self.text(column).unwrap_or_else(|| panic!("{column} is NULL in {self:?}")).parse().unwrap()
    }
}

async fn started() -> (support::Database, Proxy, Session) {
    let database = support::database(2, 1, SCHEMA);
    let proxy =
        Proxy::start(&database.config(BODY).replace("password = \"app\"\n", "password = \"app\"\nadmin = true\n"));
    let console = proxy.app("pgweave").await;
    (database, proxy, console)
}

/// A proxy on a cluster of its own with one shard and one replica, database `shop`.
async fn private() -> (Cluster, Proxy, Session) {
    let cluster = support::private(1, 1);
    cluster.create_database("shop").unwrap();
    cluster.sql_everywhere("shop", SCHEMA).unwrap();
    cluster.wait_replayed().unwrap();
    let proxy = Proxy::start(&Proxy::config(&cluster, "[databases.shop]\n"));
    let console = proxy.app("pgweave").await;
    (cluster, proxy, console)
}

#[tokio::test]
async fn pools_and_servers_move_with_a_transaction() {
    let (database, proxy, console) = started().await;
    let client = proxy.app(&database.name).await;
    client.batch_execute("BEGIN; INSERT INTO notes VALUES (1)").await.unwrap();
    let pid = client.text("SELECT pg_backend_pid()").await.unwrap();
    let pools = show(&console, "POOLS").await;
    let active: Vec<_> = pools.iter().filter(|row| row.number("sv_active") > 0.0).collect();
    assert_eq!(active.len(), 1, "{pools:?}");
    let primary = format!("127.0.0.1:{}", database.cluster.shards[0].primary.port());
    assert!(active[0].is("database", &database.name) && active[0].is("user", "app"), "{pools:?}");
    assert!(active[0].is("node", &primary) && active[0].is("shard", "s1") && active[0].is("cl_active", "1"));
    let servers = show(&console, "SERVERS").await;
    let mine: Vec<_> = servers.iter().filter(|row| row.is("remote_pid", &pid)).collect();
    assert_eq!(mine.len(), 1, "{servers:?}");
    assert!(mine[0].is("state", "active") && mine[0].is("role", "primary") && mine[0].number("checkouts") >= 1.0);
    client.batch_execute("COMMIT").await.unwrap();
    eventually("the server rests", LIMIT, async || {
        let pools = show(&console, "POOLS").await;
        let pool = pools.iter().find(|row| row.is("node", &primary) && row.is("database", &database.name)).unwrap();
        pool.is("sv_active", "0") && pool.number("sv_idle") >= 1.0
    })
    .await;
}

#[tokio::test]
async fn a_full_pool_shows_who_waits() {
    let database = support::database(2, 1, SCHEMA);
    let proxy = Proxy::start(&database.config(&format!("pool_size = 1\n{BODY}")));
    let console = proxy.app("pgweave").await;
    let holder = proxy.app(&database.name).await;
    holder.batch_execute("BEGIN; INSERT INTO notes VALUES (1)").await.unwrap();
    let waiter = proxy.app(&database.name).await;
    let waiting = tokio::spawn(async move { waiter.batch_execute("INSERT INTO notes VALUES (2)").await });
    let waits = async || {
        let pools = show(&console, "POOLS").await;
        pools.iter().any(|row| row.is("cl_waiting", "1") && row.is("pool_size", "1") && row.is("sv_active", "1"))
    };
    eventually("one waits", LIMIT, waits).await;
    assert!(
        proxy.get("/metrics").unwrap().lines().any(|l| l.starts_with("pgweave_pool_waiting{") && l.ends_with(" 1"))
    );
    holder.batch_execute("COMMIT").await.unwrap();
    waiting.await.unwrap().unwrap();
    eventually("nobody waits", LIMIT, async || {
        show(&console, "POOLS").await.iter().all(|row| row.is("cl_waiting", "0"))
    })
    .await;
}

#[tokio::test]
async fn clients_come_and_go() {
    let (database, proxy, console) = started().await;
    let clients = || show(&console, "CLIENTS");
    let of_database = |rows: &[Row]| rows.iter().filter(|row| row.is("database", &database.name)).count();
    assert_eq!(of_database(&clients().await), 0);
    let client = proxy.app(&database.name).await;
    client.batch_execute("BEGIN; INSERT INTO notes VALUES (1)").await.unwrap();
    let rows = clients().await;
    let mine = rows.iter().find(|row| row.is("database", &database.name)).unwrap();
    assert!(mine.is("user", "app") && mine.is("addr", "127.0.0.1") && mine.is("tls", "f"), "{mine:?}");
    assert!(mine.is("state", "active") && mine.is("servers", "1"), "{mine:?}");
    let databases = show(&console, "DATABASES").await;
    let row = databases.iter().find(|row| row.is("name", &database.name)).unwrap();
    assert!(row.is("clients", "1") && row.is("shards", "s1, s2") && row.is("home", "s1"), "{row:?}");
    assert!(row.number("current_connections") >= 1.0, "{row:?}");
    client.batch_execute("COMMIT").await.unwrap();
    eventually("the client is idle", LIMIT, async || {
        clients().await.iter().any(|row| row.is("database", &database.name) && row.is("state", "idle"))
    })
    .await;
    drop(client);
    eventually("the client is gone", LIMIT, async || of_database(&clients().await) == 0).await;
    assert!(clients().await.iter().all(|row| row.is("database", "pgweave")), "only the console is left");
}

#[tokio::test]
async fn stats_count_what_statements_do() {
    let (database, proxy, console) = started().await;
    let client = proxy.app(&database.name).await;
    let stats = async || {
        let rows = show(&console, "STATS").await;
        rows.into_iter().find(|row| row.is("database", &database.name)).unwrap()
    };
    let before = stats().await;
    client.batch_execute("INSERT INTO customers VALUES (1, 'a')").await.unwrap();
    client.batch_execute("SELECT name FROM customers WHERE id = 1").await.unwrap();
    client.batch_execute("SELECT name FROM customers").await.unwrap();
    assert_eq!(client.refusal("SELECT sum(id) OVER () FROM customers").await, "0A000");
    let after = stats().await;
    let grown = |column: &str| after.number(column) - before.number(column);
    assert_eq!((grown("direct"), grown("scatter"), grown("refused")), (2.0, 1.0, 1.0), "{before:?}\n{after:?}");
    assert!(grown("total_query_count") >= 3.0 && grown("total_xact_count") >= 3.0, "{before:?}\n{after:?}");
    assert!(grown("total_received") > 100.0 && grown("total_sent") > 50.0, "{before:?}\n{after:?}");
    let series = format!("pgweave_statements_direct_total{{database=\"{}\"}}", database.name);
    assert_eq!(proxy.metric(&series), Some(after.number("direct")));
    assert_eq!(proxy.metric(&format!("pgweave_clients{{database=\"{}\"}}", database.name)), Some(1.0));
}

#[tokio::test]
async fn the_map_and_the_shards_are_those_of_the_file() {
    let (database, _proxy, console) = started().await;
    let map = show(&console, "MAP").await;
    let mine: Vec<_> = map.iter().filter(|row| row.is("database", &database.name)).collect();
    assert_eq!(mine.len(), 2, "{map:?}");
    assert!(mine.iter().all(|row| row.is("tables", "public.customers (id)") && row.is("method", "hash")), "{map:?}");
    assert_eq!((mine[0].text("range_from"), mine[0].text("range_to")), (None, Some("0")));
    assert!(mine[0].is("shard", "s1") && mine[1].is("shard", "s2"), "{map:?}");
    let shards = show(&console, "SHARDS").await;
    assert_eq!(shards.len(), 2);
    for (row, shard) in shards.iter().zip(&database.cluster.shards) {
        assert!(row.is("shard", &shard.name) && row.is("databases", &database.name), "{row:?}");
        assert!(row.is("primary", &format!("127.0.0.1:{}", shard.primary.port())), "{row:?}");
        let sql = "SELECT system_identifier FROM pg_control_system()";
        assert!(row.is("system_identifier", &shard.primary.sql("postgres", sql).unwrap()), "{row:?}");
    }
}

#[tokio::test]
async fn a_reload_shows_in_config() {
    let (_database, mut proxy, console) = started().await;
    proxy.allow("configuration refused");
    let value = async || {
        let rows = show(&console, "CONFIG").await;
        rows.iter().find(|row| row.is("key", "limits.waiters")).unwrap().text("value").map(str::to_owned)
    };
    assert_eq!(value().await.as_deref(), Some("10000"));
    let path = proxy.config_path();
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{config}\n[limits]\nwaiters = 77\n")).unwrap();
    console.batch_execute("RELOAD").await.unwrap();
    assert_eq!(value().await.as_deref(), Some("77"));
    // A file that is wrong is refused, and the old one holds.
    std::fs::write(&path, format!("{config}\n[limits]\nwaiter = 78\n")).unwrap();
    let refused = console.batch_execute("RELOAD").await.unwrap_err();
    let detail = refused.as_db_error().unwrap().detail().unwrap();
    assert!(detail.contains("waiter"), "{detail}");
    assert_eq!(value().await.as_deref(), Some("77"));
}

#[tokio::test]
async fn lag_shows_a_paused_replica() {
    let (cluster, mut proxy, console) = private().await;
    proxy.allow("replica too far behind");
    let shard = &cluster.shards[0];
    let lag = async || show(&console, "LAG").await.remove(0);
    eventually("no lag", LIMIT, async || lag().await.is("lag_bytes", "0")).await;
    shard.replicas[0].pause_replay().unwrap();
    shard.primary.sql("shop", "INSERT INTO notes VALUES (1)").unwrap();
    eventually("lag grows", LIMIT, async || {
        let row = lag().await;
        row.is("replay_paused", "t")
            && row.text("lag_bytes").is_some_and(|bytes| bytes != "0")
            && row.text("lag_ms").is_some_and(|ms| ms.parse::<f64>().unwrap() > 200.0)
    })
    .await;
    let series = format!("pgweave_replica_lag_seconds{{shard=\"s1\",node=\"127.0.0.1:{}\"}}", shard.replicas[0].port());
    assert!(proxy.metric(&series).is_some_and(|seconds| seconds > 0.2), "{:?}", proxy.get("/metrics"));
    shard.replicas[0].resume_replay().unwrap();
    eventually("lag goes", LIMIT, async || {
        let row = lag().await;
        row.is("lag_bytes", "0") && row.is("lag_ms", "0") && row.is("in_rotation", "t")
    })
    .await;
}

#[tokio::test]
async fn nodes_and_shards_show_who_is_down() {
    let (cluster, mut proxy, console) = private().await;
    for expected in ["node lost", "no primary", "cannot read the schema"] {
        proxy.allow(expected);
    }
    let shard = &cluster.shards[0];
    let (primary, replica) =
        (format!("127.0.0.1:{}", shard.primary.port()), format!("127.0.0.1:{}", shard.replicas[0].port()));
    let node =
        async |address: &str| show(&console, "NODES").await.into_iter().find(|row| row.is("address", address)).unwrap();
    let summary = async || show(&console, "SHARDS").await.remove(0);
    assert!(node(&primary).await.is("role", "primary") && node(&replica).await.is("role", "replica"));
    eventually("the replica is fit", LIMIT, async || summary().await.is("replicas_fit", "1")).await;
    shard.replicas[0].stop(StopMode::Fast).unwrap();
    eventually("the replica is down", LIMIT, async || {
        let row = node(&replica).await;
        row.is("health", "down") && row.text("why").is_some_and(|why| why.contains("refused"))
    })
    .await;
    assert!(summary().await.is("replicas_fit", "0"));
    shard.replicas[0].start().unwrap();
    eventually("the replica is back", LIMIT, async || summary().await.is("replicas_fit", "1")).await;
    assert!(proxy.get("/readyz").unwrap().starts_with("HTTP/1.1 200"));
    shard.primary.stop(StopMode::Fast).unwrap();
    eventually("the shard has no primary", LIMIT, async || summary().await.text("primary").is_none()).await;
    assert!(proxy.get("/readyz").unwrap().starts_with("HTTP/1.1 503"));
    assert!(proxy.get("/healthz").unwrap().starts_with("HTTP/1.1 200"), "alive all the same");
    assert_eq!(proxy.metric("pgweave_shard_has_primary{shard=\"s1\"}"), Some(0.0));
    shard.primary.start().unwrap();
    let ready = async || proxy.get("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"));
    eventually("ready again", LIMIT, ready).await;
}

#[tokio::test]
async fn psql_reads_the_console() {
    let (_database, proxy, _console) = started().await;
    let output = std::process::Command::new("psql")
        .args(["--no-psqlrc", "-h", "127.0.0.1", "-p", &proxy.port.to_string(), "-U", "app", "-d", "pgweave"])
        .args(["--no-align", "--tuples-only", "-c", "SHOW LAG", "-c", "show version;", "-c", "SELECT 1"])
        .env("PGPASSWORD", "app")
        .env("PGCONNECT_TIMEOUT", Duration::from_secs(30).as_secs().to_string())
        .output()
        .expect("runs psql");
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(told.lines().filter(|line| line.contains("|replica|up|")).count(), 2, "{told}{errors}");
    assert!(told.contains("pgweave 0."), "{told}");
    assert!(errors.contains("ERROR:  unknown command \"SELECT 1\"") && errors.contains("HINT:"), "{errors}");
}
