//! All that the catalog holds of the cluster at one epoch; without a catalog, all that the file holds.

use std::collections::BTreeMap;

use super::CatalogError;
use crate::config::{self, Config};
use crate::map::{Distribution, Epoch, MapError, NodeId, ShardId, ShardInfo, ShardMap, TableName};

/// Databases, shards and nodes at one epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CatalogState {
    /// The epoch of the whole catalog; 1 for a file.
    pub epoch: Epoch,
    /// All shards, in shard order.
    pub shards: Vec<ShardEntry>,
    /// The databases by the name that clients use.
    pub databases: BTreeMap<String, DatabaseEntry>,
}

/// A shard with its number.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardEntry {
    /// Its number.
    pub id: ShardId,
    /// Its name.
    pub name: String,
    /// Its nodes.
    pub nodes: Vec<NodeEntry>,
}

/// A node with its number.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeEntry {
    /// Its number over all shards.
    pub id: NodeId,
    /// How to reach it.
    pub node: config::Node,
}

/// A database with the epoch of its map.
#[derive(Clone, Debug, PartialEq)]
pub struct DatabaseEntry {
    /// The epoch at which anything of it changed last.
    pub epoch: Epoch,
    /// What is known of it, in the words of the file.
    pub database: config::Database,
}

/// Where a table is to live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TablePlace {
    /// Spread by the key columns, in key order.
    Distributed {
        /// The distribution's name.
        distribution: String,
        /// The columns as an operator writes them.
        key: Vec<String>,
    },
    /// The same rows on every shard.
    Reference,
    /// On the shard of this name.
    Local(String),
}

impl CatalogState {
    /// What a file says: shards and nodes are numbered in its order.
    pub fn from_config(config: &Config) -> CatalogState {
        let mut nodes = 0..;
        let shards = (0..).zip(&config.shards).map(|(id, shard)| ShardEntry {
            id: ShardId(id),
            name: shard.name.clone(),
            nodes: (nodes.by_ref().zip(&shard.nodes))
                .map(|(id, node)| NodeEntry { id: NodeId(id), node: node.clone() })
                .collect(),
        });
        let epoch = Epoch(1);
        let entry = |database: &config::Database| DatabaseEntry { epoch, database: database.clone() };
        let databases = config.databases.iter().map(|(name, database)| (name.clone(), entry(database)));
        CatalogState { epoch, shards: shards.collect(), databases: databases.collect() }
    }

    /// The map of a database, without the types of its keys; `None` if there is no such database.
    pub fn shard_map(&self, database: &str) -> Option<Result<ShardMap, Vec<MapError>>> {
        let entry = self.databases.get(database)?;
        Some(ShardMap::build(&entry.database, &self.shard_infos(), entry.epoch))
    }

    /// All maps by database; every problem if there is any.
    pub fn shard_maps(&self) -> Result<BTreeMap<String, ShardMap>, CatalogError> {
        let infos = self.shard_infos();
        let (mut maps, mut errors) = (BTreeMap::new(), Vec::new());
        for (name, entry) in &self.databases {
            match ShardMap::build(&entry.database, &infos, entry.epoch) {
                Ok(map) => drop(maps.insert(name.clone(), map)),
                Err(more) => errors.extend(more),
            }
        }
        if errors.is_empty() { Ok(maps) } else { Err(CatalogError::Map(errors)) }
    }

    /// The shards' numbers and names.
    pub fn shard_infos(&self) -> Vec<ShardInfo> {
        self.shards.iter().map(|shard| ShardInfo { id: shard.id, name: shard.name.clone() }).collect()
    }

    /// The shard of this name.
    pub fn shard_named(&self, name: &str) -> Option<&ShardEntry> {
        self.shards.iter().find(|shard| shard.name == name)
    }

    /// The same with every distribution's ranges written out: an even cut that is only implied would change its owners
    /// as soon as a shard is added.
    pub(super) fn with_ranges(mut self) -> Result<CatalogState, CatalogError> {
        let infos = self.shard_infos();
        for (name, map) in self.shard_maps()? {
            let entry = self.databases.get_mut(&name).expect("a map is of a database");
            for distribution in &mut entry.database.distributions {
                if distribution.ranges.is_empty() {
                    let of_map = map.distribution_named(&distribution.name).map(|known| known.to_config_ranges(&infos));
                    distribution.ranges = of_map.unwrap_or_default();
                }
            }
        }
        Ok(self)
    }

    /// What the catalog is to hold when this is what a file says: shards and nodes keep the numbers that the catalog gave
    /// them, and a hash distribution for which the file gives no ranges keeps those it has.
    pub(super) fn onto(mut self, catalog: &CatalogState) -> CatalogState {
        self.epoch = catalog.epoch;
        self.renumber_shards(catalog);
        self.renumber_nodes(catalog);
        for (name, entry) in &mut self.databases {
            let Some(known) = catalog.databases.get(name) else { continue };
            entry.epoch = known.epoch;
            for distribution in &mut entry.database.distributions {
                let old = known.database.distributions.iter().find(|old| old.name == distribution.name);
                if let Some(old) = old.filter(|_| distribution.ranges.is_empty()) {
                    distribution.ranges.clone_from(&old.ranges);
                }
            }
            // New distributions get the numbers behind the old ones.
            let place = |name: &str| known.database.distributions.iter().position(|old| old.name == name);
            entry.database.distributions.sort_by_key(|distribution| place(&distribution.name).unwrap_or(usize::MAX));
        }
        self
    }

    fn renumber_shards(&mut self, catalog: &CatalogState) {
        let mut free = catalog.shards.iter().map(|shard| shard.id.0 + 1).max().unwrap_or(0)..;
        for shard in &mut self.shards {
            let known = catalog.shard_named(&shard.name).map(|known| known.id);
            shard.id = known.or_else(|| free.next().map(ShardId)).expect("fewer shards than numbers");
        }
        self.shards.sort_by_key(|shard| shard.id);
    }

    fn renumber_nodes(&mut self, catalog: &CatalogState) {
        let known: BTreeMap<(String, u16), NodeId> =
            catalog.nodes().map(|(_, entry)| ((entry.node.host.clone(), entry.node.port), entry.id)).collect();
        let mut free = known.values().map(|id| id.0 + 1).max().unwrap_or(0)..;
        for entry in self.shards.iter_mut().flat_map(|shard| &mut shard.nodes) {
            let old = known.get(&(entry.node.host.clone(), entry.node.port)).copied();
            entry.id = old.or_else(|| free.next().map(NodeId)).expect("fewer nodes than numbers");
        }
        for shard in &mut self.shards {
            shard.nodes.sort_by_key(|entry| entry.id);
        }
    }

    /// All nodes with their shards.
    pub fn nodes(&self) -> impl Iterator<Item = (&ShardEntry, &NodeEntry)> {
        self.shards.iter().flat_map(|shard| shard.nodes.iter().map(move |node| (shard, node)))
    }

    /// Places one more table. Whether the table holds rows, and where, is the caller's to check.
    pub(super) fn place(&mut self, database: &str, table: &TableName, place: &TablePlace) -> Result<(), CatalogError> {
        let map = self.shard_map(database).ok_or_else(|| CatalogError::UnknownDatabase(database.to_string()))?;
        let map = map.map_err(CatalogError::Map)?;
        if map.placement(&table.schema, &table.name).is_some() {
            return Err(CatalogError::TableExists(table.to_string()));
        }
        let entry = self.databases.get_mut(database).expect("a map is of a database");
        match place {
            TablePlace::Reference => entry.database.reference.push(table.to_string()),
            TablePlace::Local(shard) => drop(entry.database.local.insert(table.to_string(), shard.clone())),
            TablePlace::Distributed { distribution, key } => {
                let mut all = entry.database.distributions.iter_mut();
                let found = all.find(|known| known.name == *distribution);
                let unknown = || CatalogError::Map(vec![MapError::UnknownDistribution(distribution.clone())]);
                found.ok_or_else(unknown)?.tables.insert(table.to_string(), key.clone());
            }
        }
        Ok(())
    }
}

/// A distribution's ranges as the map has them, each with both ends.
pub(super) fn explicit_ranges(distribution: &Distribution, shards: &[ShardInfo]) -> Vec<config::Range> {
    let mut ranges = distribution.to_config_ranges(shards);
    let mut end = ranges.first().and_then(|first| first.from.clone());
    for range in &mut ranges {
        range.from = end.clone();
        end.clone_from(&range.to);
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARDS: [&str; 3] = [
        "[[shards]]\nname = 's1'\nnodes = [{ host = 'a' }, { host = 'b' }]\n",
        "[[shards]]\nname = 's2'\nnodes = [{ host = 'c' }]\n",
        "[[shards]]\nname = 's0'\nnodes = [{ host = 'd' }]\n",
    ];
    const ONE: &str = "[[databases.d.distributions]]\nname = 'one'\nmethod = 'hash'\ntables = { t = ['id'] }\n";
    const TWO: &str = "[[databases.d.distributions]]\nname = 'two'\nmethod = 'hash'\ntables = { u = ['id'] }\n";

    fn state(parts: &[&str]) -> CatalogState {
        let head = "[[users]]\nname = 'app'\npassword = 'app'\n";
        let text = format!("{head}{}", parts.concat());
        CatalogState::from_config(&config::parse(&text, "test.toml").unwrap_or_else(|errors| panic!("{errors}")))
    }

    #[test]
    fn numbers_stay_whatever_the_order_of_the_file() {
        let [s1, s2, s0] = SHARDS;
        let old = state(&[s1, s2, "[databases.d]\n", TWO]).with_ranges().unwrap();
        let new = state(&[s0, s2, s1, "[databases.d]\n", ONE, TWO]).onto(&old).with_ranges().unwrap();
        let shards: Vec<_> = new.shards.iter().map(|shard| (shard.id.0, shard.name.as_str())).collect();
        assert_eq!(shards, [(0, "s1"), (1, "s2"), (2, "s0")]);
        let nodes: Vec<_> = new.nodes().map(|(_, entry)| (entry.id.0, entry.node.host.as_str())).collect();
        assert_eq!(nodes, [(0, "a"), (1, "b"), (2, "c"), (3, "d")]);
        let [two, one] = &new.databases["d"].database.distributions[..] else { panic!("{new:?}") };
        assert_eq!((two.name.as_str(), one.name.as_str()), ("two", "one"));
        // The old distribution keeps its two owners; the new one is cut over all three shards.
        assert_eq!(two.ranges, old.databases["d"].database.distributions[0].ranges);
        assert_eq!((two.ranges.len(), one.ranges.len()), (2, 3));
    }

    #[test]
    fn every_map_that_is_none_is_told() {
        let [s1, s2, _] = SHARDS;
        let mut broken = state(&[s1, s2, "[databases.d]\n", ONE, "[databases.e]\n"]);
        broken.shards.remove(1);
        let Err(CatalogError::Map(errors)) = broken.shard_maps() else { panic!("{broken:?}") };
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(broken.shard_map("nothing").is_none());
    }
}
