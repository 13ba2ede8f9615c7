//! The immutable whole at one epoch.

use std::borrow::{Borrow, Cow};
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{DistributionId, Epoch, KeyRange, KeyType, KeyValue, Point, RangeMap, RangeOp, ShardId, hash};
use crate::config;

/// A table by schema and name, both as stored in `pg_class` (folded, unquoted).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The schema; `public` when a configuration gives a bare name.
    pub schema: String,
    /// The table.
    pub name: String,
}

impl TableName {
    /// A name from its two parts as stored.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> TableName {
        TableName { schema: schema.into(), name: name.into() }
    }

    /// A name as an operator writes it: `orders`, `shop.orders`, `"Shop"."Orders"`. Unquoted parts are folded to lower case;
    /// a bare name is in `public`. `None` if it is no such name.
    pub fn parse(text: &str) -> Option<TableName> {
        let (schema, name) = config::table_name(text)?;
        Some(TableName { schema, name })
    }
}

/// A column's name as an operator writes it, folded unless quoted; `None` if it is none.
pub(super) fn column_name(text: &str) -> Option<String> {
    // Read as the second part of a table's name, it cannot have two parts itself.
    config::table_name(&format!("t.{}", text.trim())).map(|(_, name)| name)
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

/// A name as stored, quoted if it would not be read back as it is.
pub fn quoted(name: &str) -> Cow<'_, str> {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain { Cow::Borrowed(name) } else { Cow::Owned(format!("\"{}\"", name.replace('"', "\"\""))) }
}

/// What a [`TableName`] is looked up by, so that a lookup by two borrowed texts needs no allocation.
trait NamedTable {
    fn parts(&self) -> (&str, &str);
}

impl NamedTable for TableName {
    fn parts(&self) -> (&str, &str) {
        (&self.schema, &self.name)
    }
}

impl NamedTable for (&str, &str) {
    fn parts(&self) -> (&str, &str) {
        *self
    }
}

impl<'a> Borrow<dyn NamedTable + 'a> for TableName {
    fn borrow(&self) -> &(dyn NamedTable + 'a) {
        self
    }
}

impl Hash for dyn NamedTable + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As the derived implementation of TableName: field by field.
        let (schema, name) = self.parts();
        schema.hash(state);
        name.hash(state);
    }
}

impl PartialEq for dyn NamedTable + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn NamedTable + '_ {}

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

impl Distribution {
    /// The position of a whole key: one value for each column, in key order, of the column's type.
    pub fn point(&self, key: &[KeyValue]) -> Point {
        match self.method {
            Method::Hash => Point::from_hash(hash::hash_key(key)),
            Method::Range => Point::from_key(key),
        }
    }

    /// The shard that owns a key; `None` when no range holds it, or the types of a range method's key are not known yet.
    pub fn owner(&self, key: &[KeyValue]) -> Option<ShardId> {
        self.ranges.owner(&self.point(key))
    }

    /// Where the keys lie whose first columns are `prefix`: with the range method one range, with the hash method anywhere
    /// unless the key is whole.
    pub fn range_of_prefix(&self, prefix: &[KeyValue]) -> KeyRange {
        match self.method {
            Method::Range => KeyRange::of_prefix(prefix),
            Method::Hash if !self.key_types.is_empty() && prefix.len() == self.key_types.len() => {
                let at = self.point(prefix);
                KeyRange { to: Some(at.next()), from: Some(at) }
            }
            Method::Hash => KeyRange::ALL,
        }
    }

    /// Where the keys lie whose first column compares so with `value`. Texts compare by bytes here: the caller must know
    /// that the column's collation does, too. With the hash method inequalities narrow nothing.
    pub fn range_of(&self, op: RangeOp, value: &KeyValue) -> KeyRange {
        let single = self.key_types.len() <= 1;
        match (self.method, op) {
            (_, RangeOp::Eq) => self.range_of_prefix(std::slice::from_ref(value)),
            (Method::Hash, _) => KeyRange::ALL,
            (Method::Range, _) if single => KeyRange::of_comparison(op, value),
            (Method::Range, _) => {
                // All keys that begin with `value` lie between the ends of its prefix.
                let KeyRange { from, to } = KeyRange::of_prefix(std::slice::from_ref(value));
                match op {
                    RangeOp::Lt => KeyRange { from: None, to: from },
                    RangeOp::Le => KeyRange { from: None, to },
                    // Nothing lies behind the prefix of the very last value: then the range is made empty.
                    RangeOp::Gt => match to {
                        Some(to) => KeyRange { from: Some(to), to: None },
                        None => KeyRange { to: from.clone(), from },
                    },
                    RangeOp::Ge | RangeOp::Eq => KeyRange { from, to: None },
                }
            }
        }
    }
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

    /// The distribution of this name.
    pub fn distribution_named(&self, name: &str) -> Option<&Distribution> {
        self.distributions.iter().find(|distribution| distribution.name == name)
    }

    /// Where the map places a table, by its names as stored; `None`: it is local on the home shard. Allocates nothing.
    pub fn placement(&self, schema: &str, name: &str) -> Option<&Placement> {
        self.tables.get(&(schema, name) as &dyn NamedTable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_are_read_as_sql_reads_them() {
        let read = |text| TableName::parse(text).map(|name| (name.schema, name.name));
        let name = |schema: &str, name: &str| Some((schema.to_string(), name.to_string()));
        assert_eq!(read("Orders"), name("public", "orders"));
        assert_eq!(read("shop.orders"), name("shop", "orders"));
        assert_eq!(read("\"Shop\".\"Or.\"\"ders\""), name("Shop", "Or.\"ders"));
        for wrong in ["", ".", "a.", ".a", "a.b.c", "a b", "\"a", "\"\"", "a\"b\""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        for text in ["public.orders", "\"Shop\".\"Or.\"\"ders\"", "\"1a\".b_2"] {
            assert_eq!(TableName::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn ranges_over_the_first_of_several_columns() {
        let distribution = Distribution {
            id: DistributionId(0),
            name: "d".into(),
            method: Method::Range,
            key_types: vec![KeyType::Int4, KeyType::Text { max_chars: None }],
            ranges: RangeMap::whole(ShardId(0)),
        };
        let at = |int, text: &str| distribution.point(&[KeyValue::Int(int), KeyValue::Text(text.into())]);
        let holds = |op, point: &Point| distribution.range_of(op, &KeyValue::Int(5)).contains(point);
        for (int, expected) in [
            (4, [false, true, true, false, false]),
            (5, [true, false, true, false, true]),
            (6, [false, false, false, true, true]),
        ] {
            for text in ["", "x", "\u{10ffff}"] {
                let found = [RangeOp::Eq, RangeOp::Lt, RangeOp::Le, RangeOp::Gt, RangeOp::Ge]
                    .map(|op| holds(op, &at(int, text)));
                assert_eq!(found, expected, "{int} {text}");
            }
        }
        let last = distribution.range_of(RangeOp::Gt, &KeyValue::Int(i64::MAX));
        assert!(!last.contains(&at(i64::MAX, "x")) && last.is_empty());
    }
}
