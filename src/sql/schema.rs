//! What the servers' own catalogs say: tables, columns, functions. A value, read by whoever has a connection.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

/// The schema of one database at one moment, as the home shard has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// Grows whenever the content changes; part of the plan cache's key.
    pub version: u64,
    /// Relations by (schema, name).
    pub relations: HashMap<(String, String), Relation>,
    /// Functions by bare name: the worst of all overloads in all schemas.
    pub functions: HashMap<String, Function>,
    /// Names of operators outside `pg_catalog` whose function is volatile.
    pub volatile_operators: Vec<String>,
    /// The default search path of a new session with `"$user"` resolved away where it names no schema, without
    /// `pg_catalog`, which PostgreSQL searches first.
    pub search_path: Vec<String>,
}

/// The kinds of relations that matter to routing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// An ordinary table.
    Table,
    /// A partitioned table.
    Partitioned,
    /// A leaf or inner partition of another relation.
    Partition,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// A foreign table.
    Foreign,
    /// A sequence.
    Sequence,
}

/// A relation.
#[derive(Clone, Debug, PartialEq)]
pub struct Relation {
    /// What it is.
    pub kind: RelationKind,
    /// Its columns by attribute number, dropped ones left out.
    pub columns: Vec<Column>,
    /// Whether a standby can read it: false for unlogged and temporary ones.
    pub on_standby: bool,
    /// For a view: its definition as `pg_get_viewdef` prints it.
    pub view_text: Option<String>,
    /// Functions its triggers, policies, rules and non-constant defaults call that are neither immutable nor in `pg_catalog`.
    pub code: Vec<String>,
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name as stored.
    pub name: String,
    /// `pg_type.oid`.
    pub type_oid: u32,
    /// `atttypmod`, -1 for none.
    pub typmod: i32,
    /// `attnotnull`.
    pub not_null: bool,
    /// `GENERATED ALWAYS AS (…) STORED`.
    pub generated: bool,
    /// Whether its collation is deterministic (true for types that have none).
    pub deterministic: bool,
    /// Whether its collation is C, POSIX or ucs_basic, so that its order is that of bytes.
    pub byte_order: bool,
    /// Whether it has a default (identity included).
    pub has_default: bool,
}

/// `pg_proc.provolatile`, ordered from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volatility {
    /// `i`.
    Immutable,
    /// `s`.
    Stable,
    /// `v`.
    Volatile,
}

/// All functions of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// The worst volatility of all overloads.
    pub volatility: Volatility,
    /// Whether every overload is in `pg_catalog`.
    pub builtin: bool,
    /// Whether any overload is an aggregate.
    pub aggregate: bool,
    /// Whether any overload is a window function.
    pub window: bool,
    /// Whether every overload outside `pg_catalog` is written in C (an extension's).
    pub in_c: bool,
}

/// A schema and a name, owned or borrowed: what relations are looked up by without making strings.
trait Pair {
    fn pair(&self) -> (&str, &str);
}

impl Pair for (String, String) {
    fn pair(&self) -> (&str, &str) {
        (&self.0, &self.1)
    }
}

impl Pair for (&str, &str) {
    fn pair(&self) -> (&str, &str) {
        *self
    }
}

impl Hash for dyn Pair + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As a tuple of two strings hashes, so that both find the same entry.
        self.pair().hash(state);
    }
}

impl PartialEq for dyn Pair + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.pair() == other.pair()
    }
}

impl Eq for dyn Pair + '_ {}

impl<'a> Borrow<dyn Pair + 'a> for (String, String) {
    fn borrow(&self) -> &(dyn Pair + 'a) {
        self
    }
}

impl Schema {
    /// The relation of this schema and name, as stored. Allocates nothing.
    pub fn relation(&self, schema: &str, name: &str) -> Option<&Relation> {
        self.relations.get(&(schema, name) as &dyn Pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_found_by_borrowed_names() {
        let relation = Relation {
            kind: RelationKind::Table,
            columns: Vec::new(),
            on_standby: true,
            view_text: None,
            code: Vec::new(),
        };
        let mut schema = Schema::default();
        schema.relations.insert(("public".into(), "orders".into()), relation.clone());
        assert_eq!(schema.relation("public", "orders"), Some(&relation));
        assert_eq!(schema.relation("publico", "rders"), None);
    }
}
