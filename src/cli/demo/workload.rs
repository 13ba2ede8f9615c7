//! A small load: reads by key and new orders, a few dozen a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::DemoError;
use super::client::Client;
use super::data::{CUSTOMERS, DATABASE};
use super::world::World;

/// Connections.
const CLIENTS: i64 = 2;

/// Time between two rounds of one client: a demo shall not heat the room.
const PAUSE: Duration = Duration::from_millis(25);

/// The number of the first order of a workload; those of the sample are below.
const FIRST_ORDER: i64 = 1_000;

/// What a workload has done.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Customer and number of every order whose INSERT was acknowledged.
    pub written: Vec<(i64, i64)>,
    /// Reads that were answered, and rightly.
    pub reads: u64,
    /// What failed, or was answered wrongly.
    pub errors: Vec<String>,
}

/// A running workload.
pub(super) struct Workload {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Done>>,
}

impl Workload {
    /// Connects and begins.
    pub async fn start(world: &World) -> Result<Workload, DemoError> {
        let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let client = Client::connect(world.port, DATABASE).await?;
            clients.push(tokio::spawn(work(client, number, stop.clone(), reads.clone())));
        }
        Ok(Workload { stop, reads, clients })
    }

    /// Reads that were answered so far.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Lets every client finish its round and says what all have done.
    pub async fn stop(self) -> Done {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Done::default();
        for client in self.clients {
            match client.await {
                Ok(done) => {
                    all.written.extend(done.written);
                    all.errors.extend(done.errors);
                }
                Err(error) => all.errors.push(error.to_string()),
            }
        }
        all.reads = self.reads.load(Ordering::Relaxed);
        all
    }
}

async fn work(mut client: Client, number: i64, stop: Arc<AtomicBool>, reads: Arc<AtomicU64>) -> Done {
    let mut done = Done::default();
    let mut rounds = tokio::time::interval(PAUSE);
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        rounds.tick().await;
        round += 1;
        // Every customer in turn; the clients have orders of their own numbers.
        let customer = 1 + round % CUSTOMERS;
        match client.read_prepared("SELECT name FROM customers WHERE id = $1", &[customer]).await {
            Ok(Some(name)) if name == format!("customer {customer}") => {
                reads.fetch_add(1, Ordering::Relaxed);
            }
            Ok(wrong) => done.errors.push(format!("customer {customer} was read as {wrong:?}")),
            Err(error) => done.errors.push(format!("reading customer {customer}: {error}")),
        }
        if round % 4 != 0 {
            continue;
        }
        let order = FIRST_ORDER + round * CLIENTS + number;
        let insert = "INSERT INTO orders (customer_id, id, total) VALUES ($1, $2, 9.99)";
        match client.write_prepared(insert, &[customer, order]).await {
            Ok(1) => done.written.push((customer, order)),
            Ok(rows) => done.errors.push(format!("an order was written {rows} times")),
            Err(error) => done.errors.push(format!("writing order {order} of customer {customer}: {error}")),
        }
    }
    done
}
