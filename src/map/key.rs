//! Keys: the types a sharding key may have and the values of its columns.
//!
//! How a spelling in a statement becomes a [`KeyValue`] is the business of `convert.rs`; how a value becomes a position, of
//! [`super::Distribution::point`].

use std::fmt;

/// The types a sharding key column may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// `smallint`.
    Int2,
    /// `integer`.
    Int4,
    /// `bigint`.
    Int8,
    /// `text`, or `varchar` with at most `max_chars` characters.
    Text {
        /// The typmod of `varchar(n)`; `None` for `text` and `varchar`.
        max_chars: Option<u32>,
    },
    /// `uuid`.
    Uuid,
}

/// One key column's value, equal to what PostgreSQL stores.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyValue {
    /// An integer that is in the range of its column's type.
    Int(i64),
    /// A text in UTF-8.
    Text(String),
    /// A uuid's sixteen bytes.
    Uuid([u8; 16]),
}

/// `pg_type.oid` of the types that keys and their parameters may have. Fixed since the types exist.
pub(super) mod oid {
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const UNKNOWN: u32 = 705;
    pub const VARCHAR: u32 = 1043;
    pub const UUID: u32 = 2950;
}

/// Why a column cannot be a sharding key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// Its type is not on the list: two values that PostgreSQL calls equal might get two positions.
    #[error("type with OID {0} cannot be a sharding key; smallint, integer, bigint, text, varchar and uuid can")]
    Type(u32),
    /// Its collation makes texts equal that differ in their bytes.
    #[error("its collation is nondeterministic")]
    Nondeterministic,
    /// It may be NULL, and NULL has no position.
    #[error("it may be NULL; declare it NOT NULL")]
    Nullable,
    /// The server computes it, so its value is not in the statement.
    #[error("it is a generated column")]
    Generated,
}

/// What decides whether a column can be a sharding key, as `pg_attribute` and `pg_collation` have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyColumn {
    /// `atttypid`.
    pub type_oid: u32,
    /// `atttypmod`, -1 for none.
    pub typmod: i32,
    /// `collisdeterministic` of its collation; true for types that have none.
    pub deterministic: bool,
    /// `attnotnull`.
    pub not_null: bool,
    /// Whether it is `GENERATED ALWAYS AS (…)`.
    pub generated: bool,
}

impl KeyType {
    /// The key type of a column, or the first reason why it cannot be a sharding key.
    pub fn from_pg(column: KeyColumn) -> Result<KeyType, Unsupported> {
        let key_type = match column.type_oid {
            oid::INT2 => KeyType::Int2,
            oid::INT4 => KeyType::Int4,
            oid::INT8 => KeyType::Int8,
            oid::UUID => KeyType::Uuid,
            oid::TEXT => KeyType::Text { max_chars: None },
            // The typmod of varchar(n) is n plus the four bytes of a header that no longer is.
            oid::VARCHAR => KeyType::Text { max_chars: column.typmod.checked_sub(4).and_then(|n| n.try_into().ok()) },
            other => return Err(Unsupported::Type(other)),
        };
        if !column.deterministic {
            return Err(Unsupported::Nondeterministic);
        }
        if column.generated {
            return Err(Unsupported::Generated);
        }
        if !column.not_null {
            return Err(Unsupported::Nullable);
        }
        Ok(key_type)
    }

    /// Whether this is one of the integer types, which hash and compare alike.
    pub fn is_int(self) -> bool {
        self.int_range().is_some()
    }

    /// The least and the greatest value of an integer type.
    pub(super) fn int_range(self) -> Option<(i64, i64)> {
        match self {
            KeyType::Int2 => Some((i16::MIN.into(), i16::MAX.into())),
            KeyType::Int4 => Some((i32::MIN.into(), i32::MAX.into())),
            KeyType::Int8 => Some((i64::MIN, i64::MAX)),
            KeyType::Text { .. } | KeyType::Uuid => None,
        }
    }

    /// The widest type whose values have the same positions.
    pub(super) fn family(self) -> KeyType {
        match self {
            KeyType::Int2 | KeyType::Int4 | KeyType::Int8 => KeyType::Int8,
            KeyType::Text { .. } => KeyType::Text { max_chars: None },
            KeyType::Uuid => KeyType::Uuid,
        }
    }

    /// The one type that holds the values of both, if the two give equal values equal positions.
    pub fn widest(self, other: KeyType) -> Option<KeyType> {
        match (self, other) {
            (KeyType::Text { max_chars: a }, KeyType::Text { max_chars: b }) => {
                Some(KeyType::Text { max_chars: a.zip(b).map(|(a, b)| a.max(b)) })
            }
            (KeyType::Uuid, KeyType::Uuid) => Some(KeyType::Uuid),
            // A wider integer type reaches further up.
            (a, b) => Some(if a.int_range()?.1 >= b.int_range()?.1 { a } else { b }),
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyType::Int2 => f.write_str("smallint"),
            KeyType::Int4 => f.write_str("integer"),
            KeyType::Int8 => f.write_str("bigint"),
            KeyType::Text { max_chars: None } => f.write_str("text"),
            KeyType::Text { max_chars: Some(n) } => write!(f, "varchar({n})"),
            KeyType::Uuid => f.write_str("uuid"),
        }
    }
}

impl fmt::Display for KeyValue {
    /// As PostgreSQL prints the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyValue::Int(value) => write!(f, "{value}"),
            KeyValue::Text(value) => f.write_str(value),
            KeyValue::Uuid(bytes) => {
                for (index, byte) in bytes.iter().enumerate() {
                    if matches!(index, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INT4: KeyColumn =
        KeyColumn { type_oid: oid::INT4, typmod: -1, deterministic: true, not_null: true, generated: false };

    #[test]
    fn only_listed_columns_can_be_keys() {
        assert_eq!(KeyType::from_pg(INT4), Ok(KeyType::Int4));
        let varchar = KeyColumn { type_oid: oid::VARCHAR, typmod: 14, ..INT4 };
        assert_eq!(KeyType::from_pg(varchar), Ok(KeyType::Text { max_chars: Some(10) }));
        assert_eq!(KeyType::from_pg(KeyColumn { typmod: -1, ..varchar }), Ok(KeyType::Text { max_chars: None }));
        assert_eq!(KeyType::from_pg(KeyColumn { type_oid: 701, ..INT4 }), Err(Unsupported::Type(701)));
        assert_eq!(KeyType::from_pg(KeyColumn { deterministic: false, ..varchar }), Err(Unsupported::Nondeterministic));
        assert_eq!(KeyType::from_pg(KeyColumn { not_null: false, ..INT4 }), Err(Unsupported::Nullable));
        assert_eq!(KeyType::from_pg(KeyColumn { generated: true, ..INT4 }), Err(Unsupported::Generated));
    }

    #[test]
    fn types_widen_within_their_family() {
        let text = |max_chars| KeyType::Text { max_chars };
        assert_eq!(KeyType::Int2.widest(KeyType::Int8), Some(KeyType::Int8));
        assert_eq!(KeyType::Int8.widest(KeyType::Int4), Some(KeyType::Int8));
        assert_eq!(KeyType::Int4.widest(KeyType::Int4), Some(KeyType::Int4));
        assert_eq!(text(Some(3)).widest(text(Some(5))), Some(text(Some(5))));
        assert_eq!(text(Some(3)).widest(text(None)), Some(text(None)));
        assert_eq!(KeyType::Int4.widest(KeyType::Uuid), None);
        assert_eq!(text(None).widest(KeyType::Uuid), None);
    }

    #[test]
    fn values_print_as_postgresql_does() {
        let uuid = [0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11];
        assert_eq!(KeyValue::Uuid(uuid).to_string(), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
        assert_eq!(KeyValue::Int(-5).to_string(), "-5");
    }
}
