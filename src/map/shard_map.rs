//! The immutable whole at one epoch.

use std::collections::HashMap;
use std::sync::Arc;

use super::{DistributionId, Epoch, KeyType, RangeMap, ShardId};

/// A table by schema and name, both as stored in `pg_class` (folded, unquoted).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The schema; `public` when a configuration gives a bare name.
    pub schema: String,
    /// The table.
    pub name: String,
}

/// A shard as the map names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardInfo {
    /// Its number; shard order is the order of these.
    pub id: ShardId,
    /// Its name in configuration, catalog and messages.
    pub name: String,
}

/// How positions are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// PostgreSQL's extended hash, seed 0, several columns chained.
    Hash,
    /// The key itself; several columns compare as a tuple.
    Range,
}

/// Tables sharded alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// Its number within the database.
    pub id: DistributionId,
    /// Its name.
    pub name: String,
    /// How positions are computed.
    pub method: Method,
    /// The types of the key columns, in key order. Empty while no table of it exists on any shard; then statements over
    /// its tables cannot be routed. Integer widths may differ between tables (they hash alike): the widest is here.
    pub key_types: Vec<KeyType>,
    /// Who owns what.
    pub ranges: RangeMap,
}

/// Where a table lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Its rows are spread by the key columns, named in key order.
    Distributed {
        /// The distribution it belongs to.
        distribution: DistributionId,
        /// Its key columns.
        key: Vec<String>,
    },
    /// The same rows on every shard.
    Reference,
    /// On one shard. (Also every table the map does not name: on the home shard.)
    Local(ShardId),
}

/// A database's map at one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardMap {
    /// The version.
    pub epoch: Epoch,
    /// The database as clients name it.
    pub database: String,
    /// The shards of this database, in shard order. Never empty.
    pub shards: Vec<ShardInfo>,
    /// Where everything lives that exists once.
    pub home: ShardId,
    /// All distributions, indexed by their number.
    pub distributions: Vec<Distribution>,
    /// The tables that are placed; all others are local on the home shard.
    pub tables: HashMap<TableName, Placement>,
}

/// A map as it is handed about.
pub type SharedMap = Arc<ShardMap>;

impl ShardMap {
    /// Whether there is only one shard, so that every statement may pass as it is.
    pub fn is_single(&self) -> bool {
        self.shards.len() == 1
    }

    /// The shard of this number.
    pub fn shard(&self, id: ShardId) -> Option<&ShardInfo> {
        self.shards.iter().find(|shard| shard.id == id)
    }

    /// The shard of this name.
    pub fn shard_named(&self, name: &str) -> Option<&ShardInfo> {
        self.shards.iter().find(|shard| shard.name == name)
    }

    /// The distribution of this number.
    pub fn distribution(&self, id: DistributionId) -> &Distribution {
        &self.distributions[usize::from(id.0)]
    }
}
