//! The sample: a shop whose customers are spread over the shards.

use super::DemoError;
use super::client::Client;
use super::world::World;

/// The database's name, for clients and on the servers.
pub(super) const DATABASE: &str = "shop";

/// Customers at the start, numbered from 1.
pub(super) const CUSTOMERS: i64 = 400;

/// Orders of each customer at the start.
const ORDERS: i64 = 3;

/// Connections that load at once.
const LOADERS: i64 = 4;

/// What is created on every shard.
pub(super) const SCHEMA: &str = "
CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL);
CREATE TABLE customers (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    country text NOT NULL REFERENCES countries,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE orders (
    customer_id bigint NOT NULL REFERENCES customers,
    id bigint NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now(),
    total numeric(12, 2) NOT NULL,
    PRIMARY KEY (customer_id, id)
);
CREATE TABLE order_items (
    customer_id bigint NOT NULL,
    order_id bigint NOT NULL,
    line int NOT NULL,
    product text NOT NULL,
    quantity int NOT NULL,
    PRIMARY KEY (customer_id, order_id, line),
    FOREIGN KEY (customer_id, order_id) REFERENCES orders
);
CREATE TABLE audit_log (at timestamptz NOT NULL DEFAULT now(), what text NOT NULL);
INSERT INTO countries VALUES ('DE', 'Germany'), ('FR', 'France'), ('IT', 'Italy'), ('PL', 'Poland');
";

/// How the sample is spread: the end of the configuration file.
pub(super) const CONFIG: &str = r#"[databases.shop]
consistency = "session"

[[databases.shop.distributions]]
name = "customers"
method = "hash"
tables = { customers = ["id"], orders = ["customer_id"], order_items = ["customer_id"] }

[databases.shop.reference]
tables = ["countries"]

[databases.shop.local]
tables = { audit_log = "s1" }
"#;

/// Loads the sample through the proxy, every row by its key, and waits until the replicas have it.
pub(super) async fn fill(world: &World) -> Result<(), DemoError> {
    let began = std::time::Instant::now();
    let loaders = (0..LOADERS).map(|loader| tokio::spawn(load(world.port, loader)));
    for loader in loaders.collect::<Vec<_>>() {
        loader.await.map_err(|error| DemoError::io("load the sample")(error.into()))??;
    }
    world.cluster.wait_replayed()?;
    println!(
        "{CUSTOMERS} customers with their orders were loaded through it in {:.1} s",
        began.elapsed().as_secs_f32()
    );
    Ok(())
}

/// Every fourth customer or so: those whose number gives `loader`.
async fn load(port: u16, loader: i64) -> Result<(), DemoError> {
    let mut client = Client::connect(port, DATABASE).await?;
    for id in (1..=CUSTOMERS).filter(|id| id % LOADERS == loader) {
        let country = ["DE", "FR", "IT", "PL"][id as usize % 4];
        client
            .write(&format!("INSERT INTO customers (id, name, country) VALUES ({id}, 'customer {id}', '{country}')"))
            .await?;
        let orders = list(1..=ORDERS, |order| format!("({id}, {order}, {}.50)", 10 * order));
        client.write(&format!("INSERT INTO orders (customer_id, id, total) VALUES {orders}")).await?;
        let items =
            list(1..=ORDERS, |order| format!("({id}, {order}, 1, 'yarn', {order}), ({id}, {order}, 2, 'needle', 1)"));
        client
            .write(&format!("INSERT INTO order_items (customer_id, order_id, line, product, quantity) VALUES {items}"))
            .await?;
    }
    Ok(())
}

fn list(numbers: impl Iterator<Item = i64>, item: impl Fn(i64) -> String) -> String {
    numbers.map(item).collect::<Vec<_>>().join(", ")
}
