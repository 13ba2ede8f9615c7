//! The databases that a case is run on: one plain PostgreSQL with all the rows, and pgweave over one shard, over two with
//! hash distributions and over two with range distributions.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{self, Database, LIMIT, Proxy, Session, eventually};

/// Where a case is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// PostgreSQL itself: what it says is right.
    Plain,
    /// pgweave over one shard.
    One,
    /// pgweave over two shards that own hashes.
    Hash,
    /// pgweave over two shards that own ranges.
    Range,
}

impl Target {
    /// All that are compared with plain PostgreSQL.
    pub const PROXIED: [Target; 3] = [Target::One, Target::Hash, Target::Range];
}

/// A sharded table, and which of its rows are the first shard's. This is what pgweave's own map is judged by, so it is
/// written by PostgreSQL's functions alone. The table that others reference comes last: rows are removed in this order.
struct Sharded {
    table: &'static str,
    hash: &'static str,
    range: &'static str,
}

const SHARDED: [Sharded; 8] = [
    Sharded { table: "order_items", hash: "hashint8extended(customer_id, 0) < 0", range: "customer_id < 50" },
    Sharded { table: "orders", hash: "hashint8extended(customer_id, 0) < 0", range: "customer_id < 50" },
    Sharded { table: "customers", hash: "hashint8extended(id, 0) < 0", range: "id < 50" },
    Sharded {
        table: "pages",
        hash: "hashtextextended(path, hashtextextended(site, 0)) < 0",
        range: "(site COLLATE \"C\", path COLLATE \"C\") < ('m', '')",
    },
    Sharded { table: "people", hash: "hashtextextended(name, 0) < 0", range: "name COLLATE \"C\" < 'm'" },
    Sharded { table: "cities", hash: "hashint4extended(zone, 0) < 0", range: "zone < 100" },
    Sharded { table: "slots", hash: "hashint2extended(slot, 0) < 0", range: "slot < 0" },
    // A uuid cannot have a range.
    Sharded { table: "devices", hash: "uuid_hash_extended(id, 0) < 0", range: "uuid_hash_extended(id, 0) < 0" },
];

/// Tables of one shard only: the name and the index of the shard.
const LOCAL: [(&str, usize); 4] = [("settings", 0), ("samples", 0), ("tickets", 0), ("audit", 1)];

/// The tables that are the same on every shard.
const REFERENCE: [&str; 1] = ["countries"];

/// One database on one server, reached without pgweave.
struct Store {
    target: Target,
    /// The index of the shard.
    shard: usize,
    primary: Session,
    replica: Session,
}

/// All of them, filled.
pub struct World {
    /// The proxy.
    pub proxy: Proxy,
    stores: Vec<Store>,
    seed: String,
    seeded: Vec<String>,
    databases: Vec<(Target, Database)>,
}

impl World {
    /// Starts the proxy over fresh databases.
    pub async fn start() -> World {
        let (schema, seed) = (setup("schema.sql"), setup("seed.sql"));
        let targets = [Target::Plain, Target::One, Target::Hash, Target::Range];
        let databases: Vec<_> = targets.map(|target| (target, support::database(2, 1, ""))).into_iter().collect();
        let mut stores = Vec::new();
        for (target, database) in &databases {
            for (shard, nodes) in database.cluster.shards.iter().enumerate().take(shards(*target)) {
                let primary = support::app(nodes.primary.port(), &database.name).await;
                primary.batch_execute(&schema).await.expect("makes the schema");
                let replica = support::app(nodes.replicas[0].port(), &database.name).await;
                stores.push(Store { target: *target, shard, primary, replica });
            }
        }
        for store in &stores {
            store.fill(&seed).await;
        }
        let cluster = databases[0].1.cluster;
        let config: String =
            databases[1..].iter().map(|(target, database)| configuration(*target, &database.name)).collect();
        for store in &stores {
            store.wait_replayed().await;
        }
        let proxy = Proxy::start(&Proxy::config(cluster, &config));
        let mut world = World { proxy, stores, seed, seeded: Vec::new(), databases };
        world.seeded = world.rows(Target::Plain).await;
        for target in Target::PROXIED {
            assert_eq!(world.rows(target).await, world.seeded, "{target:?} is filled");
        }
        world
    }

    /// Port and database of a target.
    pub fn address(&self, target: Target) -> (u16, &str) {
        let (_, database) = self.databases.iter().find(|(of, _)| *of == target).expect("every target is there");
        let port = if target == Target::Plain { database.cluster.shards[0].primary.port() } else { self.proxy.port };
        (port, &database.name)
    }

    /// What a statement run by no proxy does to one shard of a target.
    pub async fn alter(&self, target: Target, sql: &str) {
        for store in self.stores.iter().filter(|store| store.target == target) {
            store.primary.batch_execute(sql).await.expect("alters a store");
        }
    }

    /// Every row of a target's database, each with its table; a line more for what is where it must not be.
    pub async fn rows(&self, target: Target) -> Vec<String> {
        let mut all = BTreeSet::new();
        let mut lines = Vec::new();
        for store in self.stores.iter().filter(|store| store.target == target) {
            for line in store.rows().await {
                // The same on every shard, or it is a difference: what only one shard has stays alone below.
                let reference = REFERENCE.iter().any(|table| line.starts_with(&format!("{table} ")));
                if !reference {
                    lines.push(line);
                } else if shards(target) == 1 || !all.insert(line.clone()) {
                    all.remove(&line);
                    lines.push(line);
                }
            }
        }
        lines.extend(all.into_iter().map(|line| format!("only on one shard: {line}")));
        lines.sort();
        lines
    }

    /// The rows before any case.
    pub fn seeded(&self) -> &[String] {
        &self.seeded
    }

    /// Brings all rows back to the seed.
    pub async fn reset(&self) {
        for store in &self.stores {
            store.fill(&self.seed).await;
        }
        for store in self.stores.iter().filter(|store| store.target != Target::Plain) {
            store.wait_replayed().await;
        }
    }
}

fn setup(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/same/setup").join(file);
    std::fs::read_to_string(path).expect("reads the set-up of the cases")
}

fn shards(target: Target) -> usize {
    match target {
        Target::Plain | Target::One => 1,
        Target::Hash | Target::Range => 2,
    }
}

impl Store {
    async fn fill(&self, seed: &str) {
        let mut sql = format!("BEGIN; SET LOCAL lock_timeout = '20s'; {seed}");
        for Sharded { table, hash, range } in SHARDED {
            let own = match self.target {
                Target::Plain | Target::One => continue,
                Target::Hash => hash,
                Target::Range => range,
            };
            let other = if self.shard == 0 { "" } else { "NOT " };
            sql.push_str(&format!("DELETE FROM {table} WHERE NOT ({other}({own}));"));
        }
        if shards(self.target) > 1 {
            for (table, _) in LOCAL.iter().filter(|(_, shard)| *shard != self.shard) {
                sql.push_str(&format!("DELETE FROM {table};"));
            }
        }
        sql.push_str("COMMIT");
        self.primary.batch_execute(&sql).await.expect("fills a store");
    }

    async fn wait_replayed(&self) {
        let position = self.primary.text("SELECT pg_current_wal_lsn()").await.expect("a position");
        let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{position}'");
        eventually("the replica follows", LIMIT, || async {
            self.replica.text(&replayed).await.as_deref() == Some("t")
        })
        .await;
    }

    async fn rows(&self) -> Vec<String> {
        let tables =
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')";
        let tables = self.primary.rows(tables).await;
        let tables: Vec<String> = tables.into_iter().filter_map(|row| row[0].clone()).collect();
        let mut parts: Vec<String> =
            tables.iter().map(|table| format!("SELECT '{table} ' || t::text FROM public.\"{table}\" t")).collect();
        for Sharded { table, hash, range } in SHARDED {
            let own = match self.target {
                Target::Plain | Target::One => continue,
                Target::Hash => hash,
                Target::Range => range,
            };
            let other = if self.shard == 0 { "" } else { "NOT " };
            parts.push(format!(
                "SELECT 'on the wrong shard: {table} ' || t::text FROM {table} t WHERE NOT ({other}({own}))"
            ));
        }
        let rows = self.primary.rows(&parts.join(" UNION ALL ")).await;
        let mut rows: Vec<String> = rows.into_iter().filter_map(|row| row[0].clone()).collect();
        let known = |table: &String| {
            SHARDED.iter().any(|sharded| sharded.table == table)
                || LOCAL.iter().any(|(local, _)| local == table)
                || REFERENCE.contains(&table.as_str())
        };
        rows.extend(tables.iter().filter(|table| !known(table)).map(|table| format!("left behind: table {table}")));
        rows
    }
}

fn configuration(target: Target, name: &str) -> String {
    let place = |name: &str, tables: &str, ranges: &str| {
        let method = if target == Target::Range && !ranges.is_empty() {
            format!("method = \"range\"\nranges = {ranges}\n")
        } else {
            "method = \"hash\"\n".to_owned()
        };
        format!("name = \"{name}\"\ntables = {{ {tables} }}\n{method}")
    };
    let distributions = [
        place(
            "customers",
            "customers = [\"id\"], orders = [\"customer_id\"], order_items = [\"customer_id\"]",
            "[{ to = 50, shard = \"s1\" }, { shard = \"s2\" }]",
        ),
        place("pages", "pages = [\"site\", \"path\"]", "[{ to = [\"m\", \"\"], shard = \"s1\" }, { shard = \"s2\" }]"),
        place("people", "people = [\"name\"]", "[{ to = \"m\", shard = \"s1\" }, { shard = \"s2\" }]"),
        place("cities", "cities = [\"zone\"]", "[{ to = 100, shard = \"s1\" }, { shard = \"s2\" }]"),
        place("slots", "slots = [\"slot\"]", "[{ to = 0, shard = \"s1\" }, { shard = \"s2\" }]"),
        place("devices", "devices = [\"id\"]", ""),
    ];
    let mut text = format!("\n[databases.{name}]\n");
    text.push_str(if shards(target) == 1 { "shards = [\"s1\"]\n" } else { "shards = [\"s1\", \"s2\"]\n" });
    for distribution in distributions {
        text.push_str(&format!("[[databases.{name}.distributions]]\n{distribution}"));
    }
    text.push_str(&format!("[databases.{name}.reference]\ntables = [\"countries\"]\n"));
    if shards(target) > 1 {
        text.push_str(&format!("[databases.{name}.local]\ntables = {{ audit = \"s2\" }}\n"));
    }
    text.push_str(&format!("[databases.{name}.functions]\nadd_ticket = \"home\"\ndouble_of = \"any\"\n"));
    text
}
