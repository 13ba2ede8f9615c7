//! The difference between what a file says and what the catalog holds.

use std::collections::BTreeMap;
use std::fmt;

use super::names::Named;
use super::{CatalogError, CatalogState};
use crate::config;
use crate::map::{Placement, ShardMap};

/// One thing in which a file and the catalog differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it is, like a path in the file: `databases.shop.pool_size`.
    pub path: String,
    /// What the file says; `None`: nothing.
    pub file: Option<String>,
    /// What the catalog holds; `None`: nothing.
    pub catalog: Option<String>,
    /// Whether taking the file's would leave rows where no statement looks for them.
    pub moves_rows: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let say = |value: &Option<String>| value.as_ref().map_or("nothing".to_string(), |text| format!("\"{text}\""));
        write!(f, "{}: {} in the file, {} in the catalog", self.path, say(&self.file), say(&self.catalog))
    }
}

/// A fact of a state: its value, and whether it decides where rows are.
type Fact = (String, bool);

/// Every difference, in the order of their paths.
pub(super) fn differences(file: &CatalogState, catalog: &CatalogState) -> Result<Vec<Difference>, CatalogError> {
    let (file, catalog) = (facts(file)?, facts(catalog)?);
    let mut paths: Vec<&String> = file.keys().chain(catalog.keys()).collect();
    paths.sort();
    paths.dedup();
    let differing = paths.into_iter().filter(|path| file.get(*path) != catalog.get(*path));
    let tell = |path: &String| {
        let text = |fact: Option<&Fact>| fact.map(|(text, _)| text.clone());
        Difference {
            path: path.clone(),
            file: text(file.get(path)),
            catalog: text(catalog.get(path)),
            // What the catalog does not name yet can be added: it moves nothing that is placed.
            moves_rows: catalog.get(path).is_some_and(|(_, places)| *places),
        }
    };
    Ok(differing.map(tell).collect())
}

/// All that a state says, by path.
fn facts(state: &CatalogState) -> Result<BTreeMap<String, Fact>, CatalogError> {
    let mut facts = BTreeMap::new();
    for shard in &state.shards {
        // A shard that is to go may hold rows.
        facts.insert(format!("shards.{}", shard.name), ("there".to_string(), true));
    }
    for (shard, entry) in state.nodes() {
        let path = format!("shards.{}.nodes.{}:{}", shard.name, entry.node.host, entry.node.port);
        facts.insert(path, (node_text(&entry.node), false));
    }
    let maps = state.shard_maps()?;
    for (name, entry) in &state.databases {
        let mut add = |path: String, value: String, places: bool| {
            facts.insert(format!("databases.{name}.{path}"), (value, places));
        };
        let map = &maps[name];
        settings(&entry.database, map, &mut add);
        placements(map, &mut add);
    }
    Ok(facts)
}

fn node_text(node: &config::Node) -> String {
    let mut text = format!("weight {}, sslmode {}", node.weight, node.sslmode.word());
    for (name, value) in [
        ("zone", node.zone.clone()),
        ("role", node.role.map(|role| role.word().to_string())),
        ("root_cert", node.root_cert.as_ref().map(|path| path.display().to_string())),
    ] {
        if let Some(value) = value {
            text.push_str(&format!(", {name} {value}"));
        }
    }
    text
}

fn settings(database: &config::Database, map: &ShardMap, add: &mut impl FnMut(String, String, bool)) {
    let shards: Vec<&str> = map.shards.iter().map(|shard| shard.name.as_str()).collect();
    add("shards".into(), shards.join(", "), false);
    add("home".into(), database.home.clone(), true);
    add("dbname".into(), database.dbname.clone(), true);
    add("consistency".into(), database.consistency.word().into(), false);
    add("pool_mode".into(), database.pool_mode.word().into(), false);
    add("pool_size".into(), database.pool_size.to_string(), false);
    add("balancing".into(), database.balancing.word().into(), false);
    add("read_from_primary".into(), database.read_from_primary.word().into(), false);
    for (function, declaration) in &database.functions {
        add(format!("functions.{function}"), declaration.word().into(), false);
    }
    for trigger in &database.safe_triggers {
        add(format!("triggers.safe.{trigger}"), "safe".into(), false);
    }
}

fn placements(map: &ShardMap, add: &mut impl FnMut(String, String, bool)) {
    let name = |id| map.shard(id).map_or("?", |shard| shard.name.as_str());
    for distribution in &map.distributions {
        let path = format!("distributions.{}", distribution.name);
        let method = match distribution.method {
            crate::map::Method::Hash => config::Method::Hash,
            crate::map::Method::Range => config::Method::Range,
        };
        add(format!("{path}.method"), method.word().into(), true);
        let ranges: Vec<String> = distribution.to_config_ranges(&map.shards).iter().map(range_text).collect();
        add(format!("{path}.ranges"), ranges.join("; "), true);
    }
    for (table, placement) in &map.tables {
        let text = match placement {
            Placement::Distributed { distribution, key } => {
                format!("distribution {} by {}", map.distribution(*distribution).name, key.join(", "))
            }
            Placement::Reference => "reference".to_string(),
            Placement::Local(shard) => format!("local on {}", name(*shard)),
        };
        add(format!("tables.{table}"), text, true);
    }
}

fn range_text(range: &config::Range) -> String {
    let edge = |word: &str, edge: &Option<Vec<String>>| {
        edge.as_ref().map_or(String::new(), |values| format!("{word} {} ", values.join(", ")))
    };
    format!("{}{}on {}", edge("from", &range.from), edge("to", &range.to), range.shard)
}
