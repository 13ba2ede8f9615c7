//! Two proxies on one catalog: what one command changes both see, and each goes on without the other.

use std::process::Command;

use pgweave::cluster::{Cluster, Spec};

use super::support::{self, LIMIT, Proxy, eventually};

/// A cluster with a catalog, and the configuration that all of its proxies share.
struct Fleet {
    cluster: Cluster,
    config: String,
}

impl Fleet {
    fn start() -> Fleet {
        let cluster = support::cluster_with(&Spec { catalog: true, ..Spec::new(2, 0) });
        cluster.create_database("shop").unwrap();
        cluster
            .sql_everywhere(
                "shop",
                "CREATE TABLE customers (id bigint PRIMARY KEY, name text);
                 CREATE TABLE orders (customer_id bigint NOT NULL, id int NOT NULL);",
            )
            .unwrap();
        let catalog = cluster.catalog.as_ref().unwrap();
        catalog.sql("postgres", "CREATE DATABASE pgweave OWNER app").unwrap();
        // Asked so seldom that what a proxy learns within the test it was notified of.
        let dsn = format!("postgres://app:app@127.0.0.1:{}/pgweave", catalog.port());
        let databases = format!(
            "[catalog]\ndsn = \"{dsn}\"\npoll_interval = \"600s\"\nlease = \"1h\"\n\n[databases.shop]\n\
             [[databases.shop.distributions]]\nname = \"customers\"\ntables = {{ customers = [\"id\"] }}\n"
        );
        let config = Proxy::config(&cluster, &databases);
        Fleet { cluster, config }
    }

    /// Runs a command of the command line with this configuration.
    fn run(&self, args: &[&str]) {
        let file = self.cluster.dir().join("fleet.toml");
        std::fs::write(&file, &self.config).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_pgweave")).args(args).arg("-c").arg(&file).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// How many orders each shard has, asked behind the proxies' back.
    fn orders(&self) -> Vec<u32> {
        let count = |sql| self.cluster.shards.iter().map(move |shard| shard.primary.sql("shop", sql).unwrap());
        count("SELECT count(*) FROM orders").map(|rows| rows.parse().unwrap()).collect()
    }
}

const TABLE_ADD: [&str; 8] =
    ["table", "add", "orders", "--database", "shop", "--distribution", "customers", "--key=customer_id"];

#[tokio::test]
async fn both_proxies_follow_and_one_outlives_the_other() {
    let fleet = Fleet::start();
    fleet.run(&["init"]);
    let (mut one, two) = (Proxy::start(&fleet.config), Proxy::start(&fleet.config));
    let (first, second) = (one.app("shop").await, two.app("shop").await);
    let catalog = fleet.cluster.catalog.as_ref().unwrap();
    eventually("both are registered", LIMIT, async || {
        catalog.sql("pgweave", "SELECT count(*) FROM pgweave.proxies").unwrap() == "2"
    })
    .await;

    // What one writes the other reads.
    for id in 1..=20 {
        let writer = if id % 2 == 0 { &first } else { &second };
        writer.simple_query(&format!("INSERT INTO customers VALUES ({id}, 'c{id}')")).await.unwrap();
    }
    for id in 1..=20 {
        for reader in [&first, &second] {
            let name = reader.text(&format!("SELECT name FROM customers WHERE id = {id}")).await;
            assert_eq!(name, Some(format!("c{id}")));
        }
    }

    // A table that gets its place is sharded for both.
    let route = "EXPLAIN (ROUTE) SELECT * FROM orders";
    let scatters = async |client: &support::Session| client.text(route).await.unwrap().contains("scatter");
    assert!(!scatters(&first).await && !scatters(&second).await);
    fleet.run(&TABLE_ADD);
    eventually("the first proxy follows", LIMIT, async || scatters(&first).await).await;
    eventually("the second proxy follows", LIMIT, async || scatters(&second).await).await;

    // One dies in the middle of a transaction; nothing of it stays, and the other does not notice.
    first.batch_execute("BEGIN").await.unwrap();
    first.simple_query("UPDATE customers SET name = 'lost' WHERE id = 1").await.unwrap();
    second.batch_execute("BEGIN").await.unwrap();
    second.simple_query("INSERT INTO orders VALUES (2, 1)").await.unwrap();
    one.signal("KILL");
    one.wait_end();
    assert!(first.simple_query("COMMIT").await.is_err());
    second.batch_execute("COMMIT").await.unwrap();
    for id in 3..=20 {
        second.simple_query(&format!("INSERT INTO orders VALUES ({id}, 1)")).await.unwrap();
    }
    second.simple_query("UPDATE customers SET name = 'kept' WHERE id = 1 AND name = 'c1'").await.unwrap();
    assert_eq!(second.text("SELECT name FROM customers WHERE id = 1").await.as_deref(), Some("kept"));
    let orders = fleet.orders();
    assert!(orders.iter().all(|rows| *rows > 0) && orders.iter().sum::<u32>() == 19, "{orders:?}");

    // A client of the dead one comes to the other; the dead one comes back and knows what it missed nothing of.
    let moved = two.app("shop").await;
    assert_eq!(moved.rows("SELECT id FROM customers").await.len(), 20);
    let one = one.restart();
    let again = one.app("shop").await;
    assert!(scatters(&again).await);
    assert_eq!(again.rows("SELECT customer_id FROM orders").await.len(), 19);
}
