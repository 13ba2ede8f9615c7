//! Keys: how a value becomes a position, and which spellings of a value are provably the value that PostgreSQL stores.

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
