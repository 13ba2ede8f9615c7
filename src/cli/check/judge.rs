//! From facts to findings. Pure: the same facts give the same findings.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::*;
use crate::config::{Config, NodeRole};
use crate::map::key::KeyColumn;
use crate::map::{KeyType, Placement, ShardMap, TableName};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Something does not work, or would give wrong answers.
    Error,
    /// It works, and the operator should know.
    Warning,
}

impl Severity {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// A node, `s1 10.0.1.1:5432`, or a table in a database, `shop public.orders`.
    pub(super) place: String,
    pub(super) message: String,
}

/// The versions that are supported and tested.
const VERSIONS: std::ops::RangeInclusive<u32> = 14..=18;
/// Clocks further apart than this make lag in seconds meaningless.
const CLOCK_SKEW_SECONDS: f64 = 1.0;

/// Everything there is to say, errors first.
pub(super) fn judge(config: &Config, maps: &[ShardMap], facts: &Facts) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    for node in &facts.nodes {
        findings.node(config, node);
    }
    findings.identifiers(config, &facts.nodes);
    findings.primaries(config, &facts.nodes);
    findings.clocks(config, &facts.nodes);
    for map in maps {
        let schemas: Vec<&SchemaFacts> = facts.schemas.iter().filter(|facts| facts.database == map.database).collect();
        findings.database(config, map, &schemas);
    }
    let mut findings = findings.0;
    findings.sort();
    findings.dedup();
    findings
}

fn node_name(config: &Config, facts: &NodeFacts) -> String {
    let shard = &config.shards[facts.shard];
    let node = &shard.nodes[facts.node];
    format!("{} {}:{}", shard.name, node.host, node.port)
}

struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, place: &str, message: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Error, place: place.to_owned(), message: message.into() });
    }

    fn warning(&mut self, place: &str, message: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Warning, place: place.to_owned(), message: message.into() });
    }

    /// What a node says of itself.
    fn node(&mut self, config: &Config, facts: &NodeFacts) {
        let place = node_name(config, facts);
        let user = config.monitor.user.as_deref().unwrap_or_default();
        let answer = match &facts.answer {
            Ok(answer) => answer,
            Err(why) => return self.error(&place, format!("the monitor (user {user:?}) cannot connect: {why}")),
        };
        for (user, dbname, why) in &facts.logins {
            self.error(&place, format!("user {user:?} cannot log in to database {dbname:?}: {why}"));
        }
        let major = answer.version / 10_000;
        if major < *VERSIONS.start() {
            self.error(&place, format!("PostgreSQL {major} is too old: {} or later is needed", VERSIONS.start()));
        } else if major > *VERSIONS.end() {
            self.warning(&place, format!("PostgreSQL {major} is newer than what is tested ({})", VERSIONS.end()));
        }
        let shard = &config.shards[facts.shard];
        match (shard.nodes[facts.node].role, answer.in_recovery) {
            (Some(NodeRole::Primary), true) => self.error(&place, "configured as primary, but it is a replica"),
            (Some(NodeRole::Replica), false) => self.error(&place, "configured as replica, but it is a primary"),
            _ => {}
        }
        if answer.wal_level == "minimal" && shard.nodes.len() > 1 {
            self.error(&place, "wal_level is \"minimal\": replicas need \"replica\" or \"logical\"");
        } else if answer.wal_level != "logical" && config.shards.len() > 1 && !answer.in_recovery {
            let found = &answer.wal_level;
            self.warning(&place, format!("wal_level is {found:?}: moving ranges between shards needs \"logical\""));
        }
        if answer.prepared_transactions == 0 && config.shards.len() > 1 && !answer.in_recovery {
            self.warning(&place, "max_prepared_transactions is 0: transactions over several shards need it");
        }
        if answer.encoding != "UTF8" {
            let found = &answer.encoding;
            self.error(&place, format!("server_encoding is {found:?}: sharding keys are hashed as UTF8"));
        }
        if answer.read_only && !answer.in_recovery {
            self.warning(&place, "default_transaction_read_only is on at a primary: writes will fail");
        }
        if !answer.may_monitor {
            self.warning(
                &place,
                format!("role {user:?} is not a member of pg_monitor: positions of replicas may be hidden from it"),
            );
        }
        let pools: usize = config
            .databases
            .values()
            .filter(|database| database.shards.contains(&shard.name))
            .map(|database| database.pool_size * config.users.len())
            .sum();
        if pools as u64 > answer.connections {
            let most = answer.connections;
            self.warning(
                &place,
                format!("one proxy may open {pools} connections (pool_size, times users), but the server takes {most}"),
            );
        }
    }

    /// A shard's nodes are copies of each other, and no two shards are the same server.
    fn identifiers(&mut self, config: &Config, nodes: &[NodeFacts]) {
        let mut first: BTreeMap<&str, &NodeFacts> = BTreeMap::new();
        let known = nodes.iter().filter_map(|facts| {
            let identifier = facts.answer.as_ref().ok()?.system_identifier.as_deref()?;
            Some((identifier, facts))
        });
        let mut of_shard: BTreeMap<usize, (&str, &NodeFacts)> = BTreeMap::new();
        for (identifier, facts) in known {
            let place = node_name(config, facts);
            match of_shard.get(&facts.shard) {
                Some((other, before)) if *other != identifier => {
                    let before = node_name(config, before);
                    self.error(&place, format!("not a copy of {before}: their system identifiers differ"));
                    continue;
                }
                Some(_) => continue,
                None => of_shard.insert(facts.shard, (identifier, facts)),
            };
            match first.get(identifier) {
                Some(before) => {
                    let before = node_name(config, before);
                    self.error(&place, format!("belongs to the same cluster as {before}, which is of another shard"));
                }
                None => {
                    first.insert(identifier, facts);
                }
            }
        }
    }

    /// Every shard has one primary.
    fn primaries(&mut self, config: &Config, nodes: &[NodeFacts]) {
        for (index, shard) in config.shards.iter().enumerate() {
            let own: Vec<&NodeFacts> = nodes.iter().filter(|facts| facts.shard == index).collect();
            let is_primary = |facts: &&&NodeFacts| facts.answer.as_ref().is_ok_and(|answer| !answer.in_recovery);
            let primaries: Vec<String> = own.iter().filter(is_primary).map(|facts| node_name(config, facts)).collect();
            if primaries.is_empty() && own.iter().all(|facts| facts.answer.is_ok()) {
                self.error(&shard.name, "no node is a primary");
            } else if primaries.is_empty() {
                self.error(&shard.name, "no node that can be reached is a primary");
            } else if primaries.len() > 1 {
                self.error(&shard.name, format!("several nodes are primaries: {}", primaries.join(", ")));
            }
        }
    }

    /// Lag in seconds is the difference of two clocks.
    fn clocks(&mut self, config: &Config, nodes: &[NodeFacts]) {
        let mut answers = nodes.iter().filter_map(|facts| Some((facts, facts.answer.as_ref().ok()?)));
        let Some((first, reference)) = answers.next() else { return };
        for (facts, answer) in answers {
            let apart = (answer.clock_offset - reference.clock_offset).abs();
            if apart - answer.clock_error - reference.clock_error > CLOCK_SKEW_SECONDS {
                let (place, first) = (node_name(config, facts), node_name(config, first));
                self.warning(&place, format!("its clock and that of {first} are {apart:.1} s apart"));
            }
        }
    }

    /// The placed tables of a database.
    fn database(&mut self, config: &Config, map: &ShardMap, schemas: &[&SchemaFacts]) {
        let mut read: Vec<(&str, &BTreeMap<TableName, Table>)> = Vec::new();
        for facts in schemas {
            match &facts.tables {
                Ok(tables) => read.push((&facts.shard, tables)),
                Err(why) => {
                    let message = format!("the tables of shard {:?} cannot be read: {why}", facts.shard);
                    self.error(&facts.database, message);
                }
            }
        }
        let mut tables: Vec<(&TableName, &Placement)> = map.tables.iter().collect();
        tables.sort_by_key(|(name, _)| *name);
        for (name, placement) in tables {
            let on: Vec<&str> = match placement {
                Placement::Local(id) => map.shard(*id).map(|shard| shard.name.as_str()).into_iter().collect(),
                _ => map.shards.iter().map(|shard| shard.name.as_str()).collect(),
            };
            let place = format!("{} {name}", map.database);
            let there: Vec<(&str, &Table)> = read
                .iter()
                .filter(|(shard, _)| on.contains(shard))
                .filter_map(|(shard, tables)| Some((*shard, tables.get(name)?)))
                .collect();
            let asked = read.iter().filter(|(shard, _)| on.contains(shard)).count();
            if there.is_empty() {
                if asked > 0 {
                    self.warning(&place, "the table does not exist yet");
                }
                continue;
            }
            for (shard, _) in read.iter().filter(|(shard, tables)| on.contains(shard) && !tables.contains_key(name)) {
                self.error(&place, format!("the table is on shard {:?}, but not on {shard:?}", there[0].0));
            }
            for (shard, table) in &there[1..] {
                self.drift(&place, there[0], (shard, table));
            }
            let safe = config.databases.get(&map.database).map(|database| database.safe_triggers.as_slice());
            self.placed(&place, map, name, placement, there[0].1, safe.unwrap_or_default());
        }
        self.key_types(map, &read);
    }

    /// Two shards have a table in the same form.
    fn drift(&mut self, place: &str, (first_shard, first): (&str, &Table), (shard, table): (&str, &Table)) {
        let mut differs = false;
        for column in &first.columns {
            let name = &column.name;
            let Some(other) = table.columns.iter().find(|other| other.name == *name) else {
                differs = true;
                self.error(place, format!("column {name:?} is on shard {first_shard:?}, but not on {shard:?}"));
                continue;
            };
            let forms = [
                ("type", column.type_name.clone(), other.type_name.clone()),
                ("NOT NULL", yes_no(column.not_null), yes_no(other.not_null)),
                ("generated", yes_no(column.generated), yes_no(other.generated)),
                ("deterministic collation", yes_no(column.deterministic), yes_no(other.deterministic)),
            ];
            for (what, here, there) in forms.into_iter().filter(|(_, here, there)| here != there) {
                differs = true;
                self.error(
                    place,
                    format!("column {name:?}: {what} is {here} on shard {first_shard:?}, but {there} on {shard:?}"),
                );
            }
            if column.type_name == other.type_name && column.type_oid != other.type_oid && !column.builtin_type {
                let message = format!(
                    "type {} has OID {} on shard {first_shard:?}, but {} on {shard:?}: clients that know types by OID \
                     will take one for another",
                    column.type_name, column.type_oid, other.type_oid
                );
                self.warning(place, message);
            }
        }
        for column in table.columns.iter().filter(|column| first.columns.iter().all(|other| other.name != column.name))
        {
            differs = true;
            let name = &column.name;
            self.error(place, format!("column {name:?} is on shard {shard:?}, but not on {first_shard:?}"));
        }
        let order = |table: &Table| table.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
        if !differs && order(first) != order(table) {
            self.error(place, format!("the columns of shards {first_shard:?} and {shard:?} are in different order"));
        }
        let keys = |table: &Table| table.uniques.iter().map(|unique| unique.columns.clone()).collect::<BTreeSet<_>>();
        if keys(first) != keys(table) {
            self.warning(place, format!("shards {first_shard:?} and {shard:?} have different unique constraints"));
        }
    }

    /// What a placement asks of a table.
    fn placed(
        &mut self,
        place: &str,
        map: &ShardMap,
        name: &TableName,
        placement: &Placement,
        table: &Table,
        safe_triggers: &[String],
    ) {
        match placement {
            Placement::Distributed { key, .. } => self.distributed(place, map, name, key, table, safe_triggers),
            Placement::Reference if !table.uniques.iter().any(|unique| unique.primary) => {
                self.error(place, "a reference table needs a primary key");
            }
            Placement::Reference | Placement::Local(_) => {}
        }
    }

    fn distributed(
        &mut self,
        place: &str,
        map: &ShardMap,
        name: &TableName,
        key: &[String],
        table: &Table,
        safe_triggers: &[String],
    ) {
        for column in key {
            let Some(found) = table.columns.iter().find(|found| found.name == *column) else {
                self.error(place, format!("the table has no column {column:?}, which is of its sharding key"));
                continue;
            };
            if let Err(why) = KeyType::from_pg(key_column(found)) {
                let message = format!("column {column:?} ({}) cannot be of the sharding key: {why}", found.type_name);
                self.error(place, message);
            }
        }
        // On one shard all of this is PostgreSQL's to keep, and it does.
        if map.is_single() {
            return;
        }
        for unique in table.uniques.iter().filter(|unique| !key.iter().all(|column| unique.columns.contains(column))) {
            let message = format!(
                "{} {:?} lacks the sharding key ({}): its values are unique on each shard only",
                if unique.primary { "primary key" } else { "unique constraint" },
                unique.name,
                key.join(", ")
            );
            self.warning(place, message);
        }
        for sequence in table.sequences.iter().filter(|sequence| sequence.increment.unsigned_abs() == 1) {
            self.warning(
                place,
                format!(
                    "sequence {:?} of column {:?} counts on each shard by itself: values repeat",
                    sequence.name, sequence.column
                ),
            );
        }
        for trigger in table.before_triggers.iter().filter(|trigger| !safe_triggers.contains(trigger)) {
            self.error(
                place,
                format!("trigger {trigger:?} runs before a row is written and might set its key: declare it in triggers.safe"),
            );
        }
        for foreign_key in &table.foreign_keys {
            self.foreign_key(place, map, name, key, foreign_key);
        }
    }

    /// A foreign key holds on a shard only if what it refers to is on that shard.
    fn foreign_key(&mut self, place: &str, map: &ShardMap, name: &TableName, key: &[String], foreign_key: &ForeignKey) {
        let together = match map.tables.get(&foreign_key.to) {
            Some(Placement::Reference) => true,
            Some(Placement::Distributed { distribution, key: other }) => {
                let own = match map.tables.get(name) {
                    Some(Placement::Distributed { distribution, .. }) => Some(distribution),
                    _ => None,
                };
                let pairs: Vec<_> = foreign_key.columns.iter().zip(&foreign_key.to_columns).collect();
                own == Some(distribution) && key.iter().zip(other).all(|pair| pairs.contains(&pair))
            }
            _ => false,
        };
        if !together {
            let message = format!(
                "foreign key {:?} refers to {}, whose rows may be on another shard: it must contain the sharding key, \
                 within one distribution, or refer to a reference table",
                foreign_key.name, foreign_key.to
            );
            self.error(place, message);
        }
    }

    /// The keys of one distribution's tables hash and compare alike, and cuts can be read as keys.
    fn key_types(&mut self, map: &ShardMap, read: &[(&str, &BTreeMap<TableName, Table>)]) {
        let lookup = |name: &TableName, column: &str| {
            let table = read.iter().find_map(|(_, tables)| tables.get(name))?;
            KeyType::from_pg(key_column(table.columns.iter().find(|found| found.name == column)?)).ok()
        };
        if let Err(errors) = map.with_key_types(lookup) {
            for error in errors {
                self.error(&map.database, error.to_string());
            }
        }
    }
}

fn key_column(column: &Column) -> KeyColumn {
    KeyColumn {
        type_oid: column.type_oid,
        typmod: column.typmod,
        deterministic: column.deterministic,
        not_null: column.not_null,
        generated: column.generated,
    }
}

fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}
