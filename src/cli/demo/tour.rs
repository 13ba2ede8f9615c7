//! The main job from end to end, unattended: every step says what it does, does it through the proxy, and checks the outcome
//! against the servers themselves.

use std::time::{Duration, Instant};

use crate::cluster::Node;

use super::client::{Client, Table};
use super::data::{self, CUSTOMERS, DATABASE};
use super::workload::Workload;
use super::world::World;
use super::{DemoArgs, DemoError};

/// How long a change may take to be seen.
const LIMIT: Duration = Duration::from_secs(30);

/// A customer that the tour writes.
const NEW: i64 = 9_001;

/// Reads that must go on while a replica is gone.
const READS: u64 = 200;

/// Runs the tour.
pub(super) async fn run(args: &DemoArgs) -> Result<(), DemoError> {
    let began = Instant::now();
    let world = World::start(args)?;
    data::fill(&world).await?;
    let mut tour = Tour { client: Client::connect(world.port, DATABASE).await?, world: &world, step: 0 };
    tour.write_by_key().await?;
    tour.read_at_replica().await?;
    tour.join_in_one_shard().await?;
    tour.read_everywhere().await?;
    tour.refuse().await?;
    let workload = Workload::start(&world).await?;
    // The troubled replica is of the shard that has the tour's own customer: the workload leaves that one alone.
    let holder = tour.holders(NEW)?.first().map(|&name| name.to_owned());
    let shard = world.cluster.shards.iter().find(|shard| Some(&shard.name) == holder.as_ref());
    if let Some(replica) = shard.and_then(|shard| shard.replicas.first()) {
        tour.fall_behind(replica).await?;
        tour.lose_replica(replica, &workload).await?;
    } else {
        println!("\n(no replicas: lag and the loss of a replica are left out)");
    }
    tour.count_acknowledged(workload).await?;
    println!("\nthe tour is complete: {} steps in {:.1} s", tour.step, began.elapsed().as_secs_f32());
    Ok(())
}

struct Tour<'a> {
    world: &'a World,
    client: Client,
    step: u32,
}

impl Tour<'_> {
    async fn write_by_key(&mut self) -> Result<(), DemoError> {
        self.title("a write goes to the shard that owns its key");
        let insert = format!("INSERT INTO customers (id, name, country) VALUES ({NEW}, 'customer {NEW}', 'FR')");
        let explained = self.show_rows(&format!("EXPLAIN (ROUTE) {insert}")).await?;
        self.show_sql(&insert);
        expect("1 row written", self.client.write(&insert).await?, 1)?;
        let holders = self.holders(NEW)?;
        expect("one shard that has the row", holders.len(), 1)?;
        let explained = text(&explained);
        if !explained.split(|c: char| !c.is_alphanumeric()).any(|word| word == holders[0]) {
            return Err(unexpected(format!("EXPLAIN (ROUTE) to name {}", holders[0]), explained));
        }
        seen(format!("its row is on {} and nowhere else", holders[0]));
        Ok(())
    }

    async fn read_at_replica(&mut self) -> Result<(), DemoError> {
        self.title("a read by key goes to a replica of that shard");
        self.world.cluster.wait_replayed()?;
        let read = format!("SELECT id, name FROM customers WHERE id = {NEW} /* tour: read by key */");
        // A session that wrote reads at the primary until a replica is known to have the write.
        let mut fresh = Client::connect(self.world.port, DATABASE).await?;
        self.show_sql(&read);
        let end = Instant::now() + LIMIT;
        loop {
            let table = fresh.rows(&read).await?;
            expect("the row just written", table.value(0, "name"), Some(format!("customer {NEW}").as_str()))?;
            let node = self.world.server_of("tour: read by key */")?;
            let name = node.map_or("no server", Node::name);
            let holders = self.holders(NEW)?;
            let wanted = if self.world.cluster.shards[0].replicas.is_empty() { "primary" } else { "replica" };
            if name.starts_with(&format!("{}-{wanted}", holders[0])) {
                seen(format!("{name} answered"));
                return Ok(());
            }
            if Instant::now() > end {
                return Err(unexpected(format!("a {wanted} of {} to answer", holders[0]), name));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn join_in_one_shard(&mut self) -> Result<(), DemoError> {
        self.title("tables that are spread alike are joined inside one shard");
        let sql = "SELECT c.name, k.name AS country, sum(i.quantity) AS items FROM customers c \
                   JOIN countries k ON k.code = c.country \
                   JOIN order_items i ON i.customer_id = c.id WHERE c.id = 7 GROUP BY c.name, k.name";
        let table = self.show_rows(sql).await?;
        expect("the customer's name", table.value(0, "name"), Some("customer 7"))?;
        expect("his items: 1 + 2 + 3, and a needle each", table.value(0, "items"), Some("9"))?;
        Ok(())
    }

    async fn read_everywhere(&mut self) -> Result<(), DemoError> {
        self.title("a read without a key asks every shard and misses none");
        let sql = "SELECT id FROM customers WHERE country = 'FR'";
        self.show_sql(sql);
        let table = self.client.rows(sql).await?;
        let mut ids: Vec<&str> = table.first_column().collect();
        ids.sort_unstable();
        let own = self.world.ask_primaries(&format!("{sql} ORDER BY id"))?;
        let mut expected: Vec<&str> = own.iter().flat_map(|(_, ids)| ids.lines()).collect();
        expected.sort_unstable();
        expect("the customers that the shards themselves have", &ids, &expected)?;
        let shares: Vec<String> =
            own.iter().map(|(shard, ids)| format!("{} from {shard}", ids.lines().count())).collect();
        seen(format!("{} rows: {}", ids.len(), shares.join(", ")));
        if own.iter().any(|(_, ids)| ids.is_empty()) {
            return Err(unexpected("rows on every shard", shares.join(", ")));
        }
        Ok(())
    }

    async fn refuse(&mut self) -> Result<(), DemoError> {
        self.title("what cannot be proven right is refused, and nothing happens");
        let sql = format!("UPDATE customers SET id = id + 1 WHERE id = {NEW}");
        self.show_sql(&sql);
        let refused = self.client.refusal(&sql).await?;
        refused.text.lines().for_each(seen);
        expect("SQLSTATE 0A000", refused.code.as_str(), "0A000")?;
        expect("the row where it was", self.holders(NEW)?.len(), 1)?;
        let table = self.client.rows(&format!("SELECT name FROM customers WHERE id = {NEW}")).await?;
        expect("the session to go on", table.rows.len(), 1)
    }

    async fn fall_behind(&mut self, replica: &Node) -> Result<(), DemoError> {
        self.title("a replica that falls behind is seen, and a session still reads what it wrote");
        let mut console = Client::connect(self.world.port, "pgweave").await?;
        println!("  replay at {} is paused", replica.name());
        replica.pause_replay()?;
        let write = format!("UPDATE customers SET name = 'renamed' WHERE id = {NEW}");
        self.show_sql(&write);
        expect("1 row written", self.client.write(&write).await?, 1)?;
        let table = self.show_rows(&format!("SELECT name FROM customers WHERE id = {NEW}")).await?;
        expect("the session's own write", table.value(0, "name"), Some("renamed"))?;
        let old = replica.sql(DATABASE, &format!("SELECT name FROM customers WHERE id = {NEW}"))?;
        expect("the replica to be behind", old.as_str(), &format!("customer {NEW}"))?;
        self.until_lag(&mut console, replica, "lag", |bytes| bytes > 0).await?;
        println!("  replay at {} is resumed", replica.name());
        replica.resume_replay()?;
        self.world.cluster.wait_replayed()?;
        self.until_lag(&mut console, replica, "no lag", |bytes| bytes == 0).await
    }

    async fn lose_replica(&mut self, replica: &Node, workload: &Workload) -> Result<(), DemoError> {
        self.title("a replica dies: reads go on without an error, and it is back when it is");
        let mut console = Client::connect(self.world.port, "pgweave").await?;
        replica.kill9()?;
        println!("  {} was killed", replica.name());
        let before = workload.reads();
        for number in 0..READS {
            let customer = 1 + i64::try_from(number).unwrap_or_default() % CUSTOMERS;
            let read = self.client.read_prepared("SELECT name FROM customers WHERE id = $1", &[customer]).await;
            let name = read.map_err(|source| DemoError::Statement {
                sql: format!("reading customer {customer} while {} is dead", replica.name()),
                source,
            })?;
            expect("the customer's name", name, Some(format!("customer {customer}")))?;
        }
        seen(format!("{READS} reads of ours and {} of the workload were answered", workload.reads() - before));
        self.until_node(&mut console, replica, "down", false).await?;
        replica.start()?;
        println!("  {} was started", replica.name());
        self.until_node(&mut console, replica, "up", true).await
    }

    async fn count_acknowledged(&mut self, workload: Workload) -> Result<(), DemoError> {
        self.title("nothing that was acknowledged is lost");
        let done = workload.stop().await;
        if let Some(error) = done.errors.first() {
            return Err(unexpected(
                "a workload without an error",
                format!("{} errors, the first: {error}", done.errors.len()),
            ));
        }
        let stored = self.world.ask_primaries("SELECT customer_id || ' ' || id FROM orders WHERE id >= 1000")?;
        let mut stored: Vec<String> = stored.iter().flat_map(|(_, rows)| rows.lines().map(str::to_owned)).collect();
        let mut written: Vec<String> = done.written.iter().map(|(customer, id)| format!("{customer} {id}")).collect();
        stored.sort_unstable();
        written.sort_unstable();
        expect("every acknowledged order on exactly one shard", &stored, &written)?;
        seen(format!(
            "{} reads and {} orders without an error, each order on exactly one shard",
            done.reads,
            written.len()
        ));
        Ok(())
    }

    /// Names of the shards whose primary has the customer.
    fn holders(&self, id: i64) -> Result<Vec<&str>, DemoError> {
        let answers = self.world.ask_primaries(&format!("SELECT count(*) FROM customers WHERE id = {id}"))?;
        Ok(answers.into_iter().filter(|(_, count)| count == "1").map(|(shard, _)| shard).collect())
    }

    async fn until_lag(
        &self,
        console: &mut Client,
        replica: &Node,
        what: &str,
        enough: impl Fn(u64) -> bool,
    ) -> Result<(), DemoError> {
        let port = replica.port().to_string();
        until(console, "SHOW LAG", &format!("{what} at {} in SHOW LAG", replica.name()), |table| {
            let bytes: u64 = table.value(table.row_of(&port)?, "lag_bytes")?.parse().ok()?;
            enough(bytes).then(|| format!("SHOW LAG: {} is {bytes} bytes behind", replica.name()))
        })
        .await
    }

    async fn until_node(&self, console: &mut Client, replica: &Node, state: &str, up: bool) -> Result<(), DemoError> {
        let port = replica.port().to_string();
        until(console, "SHOW NODES", &format!("{} {state} in SHOW NODES", replica.name()), |table| {
            let seen = table.value(table.row_of(&port)?, "health")?;
            ((seen == "up") == up).then(|| format!("SHOW NODES: {} is {seen}", replica.name()))
        })
        .await
    }

    fn title(&mut self, what: &str) {
        self.step += 1;
        println!("\n{}. {what}", self.step);
    }

    fn show_sql(&self, sql: &str) {
        println!("  > {sql}");
    }

    /// Runs a statement and prints it with its rows.
    async fn show_rows(&mut self, sql: &str) -> Result<Table, DemoError> {
        self.show_sql(sql);
        let table = self.client.rows(sql).await?;
        text(&table).lines().for_each(seen);
        Ok(table)
    }
}

/// Asks the console until `look` finds what it is after, and prints that.
async fn until(
    console: &mut Client,
    command: &str,
    expected: &str,
    look: impl Fn(&Table) -> Option<String>,
) -> Result<(), DemoError> {
    let end = Instant::now() + LIMIT;
    loop {
        let table = console.rows(command).await?;
        if let Some(found) = look(&table) {
            seen(&found);
            return Ok(());
        }
        if Instant::now() > end {
            return Err(unexpected(format!("{expected} within {} s", LIMIT.as_secs()), text(&table)));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn seen(line: impl AsRef<str>) {
    println!("    {}", line.as_ref());
}

/// Rows as lines, columns between bars.
fn text(table: &Table) -> String {
    let line = |row: &Vec<Option<String>>| {
        row.iter().map(|value| value.as_deref().unwrap_or("-")).collect::<Vec<_>>().join(" | ")
    };
    let mut lines = vec![table.columns.join(" | ")];
    lines.extend(table.rows.iter().map(line));
    lines.join("\n")
}

fn unexpected(expected: impl Into<String>, seen: impl Into<String>) -> DemoError {
    DemoError::Unexpected { expected: expected.into(), seen: seen.into() }
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, seen: T, wanted: T) -> Result<(), DemoError> {
    if seen == wanted { Ok(()) } else { Err(unexpected(format!("{what}: {wanted:?}"), format!("{seen:?}"))) }
}
