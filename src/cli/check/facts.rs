//! What was found at the servers. Values only: they are read in `observe` and judged in `judge`.

use std::collections::BTreeMap;

use crate::map::TableName;

/// Everything that was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    /// One per configured node, in the order of the configuration.
    pub(super) nodes: Vec<NodeFacts>,
    /// One per database and shard that was asked about its tables.
    pub(super) schemas: Vec<SchemaFacts>,
}

/// What a node said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NodeFacts {
    /// Index of its shard in the configuration.
    pub(super) shard: usize,
    /// Its index in the shard.
    pub(super) node: usize,
    /// Its answer to the monitor, or why there is none.
    pub(super) answer: Result<NodeAnswer, String>,
    /// Users that could not log in: user, database, why.
    pub(super) logins: Vec<(String, String, String)>,
}

/// A node's own view of itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NodeAnswer {
    /// `server_version_num`: 150004.
    pub(super) version: u32,
    /// Whether it follows a primary.
    pub(super) in_recovery: bool,
    /// `wal_level`.
    pub(super) wal_level: String,
    /// `max_connections` less those reserved for superusers.
    pub(super) connections: u64,
    /// `max_prepared_transactions`.
    pub(super) prepared_transactions: u64,
    /// `server_encoding` of the monitor's database.
    pub(super) encoding: String,
    /// `default_transaction_read_only`.
    pub(super) read_only: bool,
    /// Whether the monitor's role may see what pg_monitor may.
    pub(super) may_monitor: bool,
    /// The cluster's identifier, the same at a primary and its replicas; `None` if it may not be read.
    pub(super) system_identifier: Option<String>,
    /// Its clock less ours, in seconds.
    pub(super) clock_offset: f64,
    /// By how much that may be wrong, in seconds.
    pub(super) clock_error: f64,
}

/// The tables of a database that have a place, as one shard's primary has them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SchemaFacts {
    /// The database as clients name it.
    pub(super) database: String,
    /// The shard's name.
    pub(super) shard: String,
    /// The tables that exist, or why they could not be read.
    pub(super) tables: Result<BTreeMap<TableName, Table>, String>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Table {
    /// In the order of the table.
    pub(super) columns: Vec<Column>,
    /// Unique and exclusion constraints, and unique indexes.
    pub(super) uniques: Vec<Unique>,
    /// Foreign keys from this table.
    pub(super) foreign_keys: Vec<ForeignKey>,
    /// Names of row triggers that run before INSERT or UPDATE.
    pub(super) before_triggers: Vec<String>,
    /// Sequences that belong to a column.
    pub(super) sequences: Vec<Sequence>,
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) name: String,
    /// As `format_type` prints it.
    pub(super) type_name: String,
    pub(super) type_oid: u32,
    pub(super) typmod: i32,
    /// Whether the type comes with PostgreSQL, so that its OID is the same everywhere.
    pub(super) builtin_type: bool,
    pub(super) not_null: bool,
    pub(super) generated: bool,
    pub(super) deterministic: bool,
}

/// What makes rows unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unique {
    /// The index's name.
    pub(super) name: String,
    /// Whether it is the primary key.
    pub(super) primary: bool,
    /// Its plain columns; expressions are left out.
    pub(super) columns: Vec<String>,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ForeignKey {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    pub(super) to: TableName,
    pub(super) to_columns: Vec<String>,
}

/// A sequence that belongs to a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) name: String,
    pub(super) column: String,
    pub(super) increment: i64,
}
