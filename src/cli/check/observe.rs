//! Asking the servers. Reads only; every connection is closed when its questions are answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;

use super::facts::*;
use crate::cli::client::{Client, ClientError, Target};
use crate::config::{AuthMethod, Config, Node, Secret};
use crate::map::{ShardMap, TableName};

/// One row: version, role, settings, privileges.
const NODE: &str = "SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.pg_is_in_recovery(), \
    pg_catalog.current_setting('wal_level'), \
    pg_catalog.current_setting('max_connections')::pg_catalog.int4 \
        - pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int4, \
    pg_catalog.current_setting('max_prepared_transactions'), pg_catalog.current_setting('server_encoding'), \
    pg_catalog.current_setting('default_transaction_read_only') = 'on', \
    pg_catalog.pg_has_role('pg_monitor', 'usage')";
const IDENTIFIER: &str = "SELECT system_identifier FROM pg_catalog.pg_control_system()";
const CLOCK: &str = "SELECT pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())";

/// In these, `$` stands for a list of `(schema, name)` of tables. Arrays of names come as JSON.
const COLUMNS: &str = "SELECT n.nspname, c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypid, \
    a.atttypmod, t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace, a.attnotnull, a.attgenerated <> '', \
    coalesce(co.collisdeterministic, true) \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation \
    WHERE (n.nspname, c.relname) IN ($) AND c.relkind IN ('r', 'p') ORDER BY 1, 2, a.attnum";
const UNIQUES: &str = "SELECT n.nspname, c.relname, i.relname, x.indisprimary, \
    pg_catalog.to_json(ARRAY(SELECT a.attname FROM pg_catalog.unnest(x.indkey::int2[]) WITH ORDINALITY AS k(attnum, place) \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum \
        WHERE k.place <= x.indnkeyatts ORDER BY k.place)) \
    FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indrelid \
    JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE (n.nspname, c.relname) IN ($) AND (x.indisunique OR x.indisexclusion) ORDER BY 1, 2, 3";
const FOREIGN_KEYS: &str = "SELECT n.nspname, c.relname, k.conname, rn.nspname, r.relname, \
    pg_catalog.to_json(ARRAY(SELECT a.attname FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u(attnum, place) \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.place)), \
    pg_catalog.to_json(ARRAY(SELECT a.attname FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u(attnum, place) \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.place)) \
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_class r ON r.oid = k.confrelid \
    JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace \
    WHERE (n.nspname, c.relname) IN ($) AND k.contype = 'f' AND k.conparentid = 0 ORDER BY 1, 2, 3";
/// `tgtype`: 1 is FOR EACH ROW, 2 is BEFORE, 4 INSERT, 16 UPDATE.
const TRIGGERS: &str = "SELECT n.nspname, c.relname, g.tgname \
    FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE (n.nspname, c.relname) IN ($) AND NOT g.tgisinternal AND g.tgenabled <> 'D' \
    AND g.tgtype & 3 = 3 AND g.tgtype & 20 <> 0 ORDER BY 1, 2, 3";
const SEQUENCES: &str = "SELECT n.nspname, c.relname, s.relname, a.attname, q.seqincrement \
    FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S' \
    JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid JOIN pg_catalog.pg_class c ON c.oid = d.refobjid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid \
    WHERE (n.nspname, c.relname) IN ($) AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i') ORDER BY 1, 2, 3";

/// Asks every node, all at once, and then every shard's primary about the tables of `maps`.
pub(super) async fn observe(config: &Arc<Config>, maps: &[ShardMap]) -> Facts {
    let mut asked = JoinSet::new();
    for (shard, nodes) in config.shards.iter().map(|shard| &shard.nodes).enumerate() {
        for node in 0..nodes.len() {
            let config = config.clone();
            asked.spawn(async move { ask_node(&config, shard, node).await });
        }
    }
    let mut nodes = asked.join_all().await;
    nodes.sort_by_key(|facts| (facts.shard, facts.node));

    let mut asked = JoinSet::new();
    for (place, map) in maps.iter().enumerate() {
        for shard in &map.shards {
            let index = usize::from(shard.id.0);
            let is_primary = |facts: &&NodeFacts| {
                facts.shard == index && facts.answer.as_ref().is_ok_and(|answer| !answer.in_recovery)
            };
            // A shard without a primary has its finding already.
            let Some(primary) = nodes.iter().find(is_primary) else { continue };
            let node = config.shards[index].nodes[primary.node].clone();
            let (config, map, shard) = (config.clone(), map.clone(), shard.name.clone());
            asked.spawn(async move {
                let tables = ask_tables(&config, &map, &node).await.map_err(|error| error.to_string());
                (place, index, SchemaFacts { database: map.database, shard, tables })
            });
        }
    }
    let mut schemas = asked.join_all().await;
    schemas.sort_by_key(|(place, shard, _)| (*place, *shard));
    Facts { nodes, schemas: schemas.into_iter().map(|(_, _, facts)| facts).collect() }
}

async fn ask_node(config: &Config, shard: usize, node: usize) -> NodeFacts {
    let target = &config.shards[shard].nodes[node];
    let dbname = config.monitor.dbname.as_deref().unwrap_or("postgres");
    let answer = as_monitor(config, target, dbname).await;
    let answer = match answer {
        Ok(mut client) => answer_of(&mut client).await,
        Err(error) => Err(error),
    };
    // An unreachable node would refuse each of them for the same reason.
    let logins = if answer.is_ok() { refused_logins(config, target).await } else { Vec::new() };
    NodeFacts { shard, node, answer: answer.map_err(|error| error.to_string()), logins }
}

async fn as_monitor(config: &Config, node: &Node, dbname: &str) -> Result<Client, ClientError> {
    let user = config.monitor.user.as_deref().unwrap_or_default();
    connect(config, node, user, config.monitor.password.clone(), dbname).await
}

async fn connect(
    config: &Config,
    node: &Node,
    user: &str,
    password: Option<Secret>,
    dbname: &str,
) -> Result<Client, ClientError> {
    let mut target = Target::new(node, user, password, dbname)?;
    // Longer than a client of the proxy would wait is as good as never; but schemas may take their time.
    target.timeout = config.limits.connect_timeout.max(Duration::from_secs(5));
    Client::connect(&target).await
}

async fn answer_of(client: &mut Client) -> Result<NodeAnswer, ClientError> {
    let row = one_row(client, NODE).await?;
    let identifier = one_row(client, IDENTIFIER).await.ok().map(|mut row| row.text());
    let (clock_offset, clock_error) = clock(client).await?;
    let mut row = row;
    Ok(NodeAnswer {
        version: row.number(),
        in_recovery: row.flag(),
        wal_level: row.text(),
        connections: row.number(),
        prepared_transactions: row.number(),
        encoding: row.text(),
        read_only: row.flag(),
        may_monitor: row.flag(),
        system_identifier: identifier,
        clock_offset,
        clock_error,
    })
}

/// The node's clock less ours, and half of the time that the question took.
async fn clock(client: &mut Client) -> Result<(f64, f64), ClientError> {
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    let before = now();
    let mut row = one_row(client, CLOCK).await?;
    let after = now();
    let there: f64 = row.number();
    Ok((there - f64::midpoint(before, after), (after - before) / 2.0))
}

/// Every user on every database, as the proxy would log in.
async fn refused_logins(config: &Config, node: &Node) -> Vec<(String, String, String)> {
    let mut refused = Vec::new();
    // A user with a verifier alone logs in with the keys of its client, which nobody has here.
    let trust = config.auth.method == AuthMethod::Trust;
    for user in config.users.iter().filter(|user| user.password.is_some() || (trust && user.scram.is_none())) {
        for database in config.databases.values().filter(|database| !database.is_wildcard()) {
            let attempt = connect(config, node, &user.name, user.password.clone(), &database.dbname).await;
            if let Err(error) = attempt {
                refused.push((user.name.clone(), database.dbname.clone(), error.to_string()));
            }
        }
    }
    refused
}

async fn ask_tables(config: &Config, map: &ShardMap, node: &Node) -> Result<BTreeMap<TableName, Table>, ClientError> {
    let mut tables: BTreeMap<TableName, Table> = BTreeMap::new();
    if map.tables.is_empty() {
        return Ok(tables);
    }
    let mut names: Vec<&TableName> = map.tables.keys().collect();
    names.sort();
    let names: Vec<String> =
        names.iter().map(|table| format!("({}, {})", literal(&table.schema), literal(&table.name))).collect();
    let names = names.join(", ");
    let dbname = config.databases.get(&map.database).map_or(&map.database, |database| &database.dbname);
    let mut client = as_monitor(config, node, dbname).await?;
    // So that format_type prints every type of ours with its schema, whatever the role's search path is.
    client.query("SET search_path = pg_catalog").await?;

    for mut row in rows(&mut client, COLUMNS, &names).await? {
        tables.entry(row.table()).or_default().columns.push(Column {
            name: row.text(),
            type_name: row.text(),
            type_oid: row.number(),
            typmod: row.number(),
            builtin_type: row.flag(),
            not_null: row.flag(),
            generated: row.flag(),
            deterministic: row.flag(),
        });
    }
    for mut row in rows(&mut client, UNIQUES, &names).await? {
        let table = tables.entry(row.table()).or_default();
        table.uniques.push(Unique { name: row.text(), primary: row.flag(), columns: row.names() });
    }
    for mut row in rows(&mut client, FOREIGN_KEYS, &names).await? {
        let table = tables.entry(row.table()).or_default();
        let (name, to) = (row.text(), row.table());
        table.foreign_keys.push(ForeignKey { name, to, columns: row.names(), to_columns: row.names() });
    }
    for mut row in rows(&mut client, TRIGGERS, &names).await? {
        tables.entry(row.table()).or_default().before_triggers.push(row.text());
    }
    for mut row in rows(&mut client, SEQUENCES, &names).await? {
        let table = tables.entry(row.table()).or_default();
        table.sequences.push(Sequence { name: row.text(), column: row.text(), increment: row.number() });
    }
    Ok(tables)
}

/// A string constant. The session has standard_conforming_strings as every PostgreSQL since 9.1, unless someone turned it
/// off; names with a backslash would then be read as others, and are looked for in vain.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

async fn rows(client: &mut Client, question: &str, names: &str) -> Result<Vec<Row>, ClientError> {
    let rows = client.query(&question.replace("($)", &format!("({names})"))).await?;
    Ok(rows.rows.into_iter().map(|cells| Row { cells: cells.into_iter() }).collect())
}

async fn one_row(client: &mut Client, question: &str) -> Result<Row, ClientError> {
    let rows = client.query(question).await?.rows;
    let cells = rows.into_iter().next().ok_or_else(|| ClientError::Protocol("no row".to_owned()))?;
    Ok(Row { cells: cells.into_iter() })
}

/// A row that is taken apart from the left. The questions are ours, so what is in it is known; a NULL is the type's zero.
struct Row {
    cells: std::vec::IntoIter<Option<String>>,
}

impl Row {
    fn text(&mut self) -> String {
        self.cells.next().flatten().unwrap_or_default()
    }

    fn number<T: std::str::FromStr + Default>(&mut self) -> T {
        self.text().parse().unwrap_or_default()
    }

    fn flag(&mut self) -> bool {
        self.text() == "t"
    }

    fn table(&mut self) -> TableName {
        let schema = self.text();
        TableName { schema, name: self.text() }
    }

    fn names(&mut self) -> Vec<String> {
        serde_json::from_str(&self.text()).unwrap_or_default()
    }
}
