//! Positions in the key space.

use std::fmt;

/// A position: bytes whose memcmp order is the order of keys.
///
/// Hash method: the eight big-endian bytes of the signed 64-bit hash with its sign bit flipped, so that memcmp order is
/// the order of the signed bigint the servers compute. Range method: an order-preserving encoding of the key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point(Box<[u8]>);

impl Point {
    /// The position of a hash.
    pub fn from_hash(hash: i64) -> Point {
        Point(((hash as u64) ^ (1 << 63)).to_be_bytes().into())
    }

    /// A position from bytes already in memcmp order.
    pub fn from_bytes(bytes: impl Into<Box<[u8]>>) -> Point {
        Point(bytes.into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The signed hash, if this is the position of one (eight bytes).
    pub fn to_hash(&self) -> Option<i64> {
        let bytes: [u8; 8] = self.0.as_ref().try_into().ok()?;
        Some((u64::from_be_bytes(bytes) ^ (1 << 63)) as i64)
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// A range `[from, to)` of positions; `None` is unbounded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRange {
    /// The first position of the range.
    pub from: Option<Point>,
    /// The first position behind it.
    pub to: Option<Point>,
}

impl KeyRange {
    /// The whole key space.
    pub const ALL: KeyRange = KeyRange { from: None, to: None };

    /// Whether `point` lies in the range.
    pub fn contains(&self, point: &Point) -> bool {
        self.from.as_ref().is_none_or(|from| from <= point) && self.to.as_ref().is_none_or(|to| point < to)
    }
}
