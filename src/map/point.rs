//! Positions in the key space.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::{KeyType, KeyValue};

/// A position: bytes whose memcmp order is the order of keys.
///
/// Hash method: the eight big-endian bytes of the signed 64-bit hash with its sign bit flipped, so that memcmp order is
/// the order of the signed bigint the servers compute. Range method: an order-preserving encoding of the key.
#[derive(Clone)]
pub struct Point(Repr);

/// Hashes, integers and uuids fit without an allocation: a point is made for every routed statement.
#[derive(Clone)]
enum Repr {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<[u8]>),
}

/// The most bytes that fit beside the tag and the length in the size of a fat pointer and a word.
const SHORT: usize = 22;

impl Point {
    /// The position of a hash.
    pub fn from_hash(hash: i64) -> Point {
        Point::from_slice(&order_int(hash))
    }

    /// A position from bytes already in memcmp order.
    pub fn from_bytes(bytes: impl Into<Box<[u8]>>) -> Point {
        let bytes = bytes.into();
        if bytes.len() <= SHORT { Point::from_slice(&bytes) } else { Point(Repr::Long(bytes)) }
    }

    fn from_slice(slice: &[u8]) -> Point {
        if slice.len() > SHORT {
            return Point(Repr::Long(slice.into()));
        }
        let mut bytes = [0; SHORT];
        bytes[..slice.len()].copy_from_slice(slice);
        Point(Repr::Short { len: slice.len() as u8, bytes })
    }

    /// The range method's position of a key, or of the first columns of one: integers as eight big-endian bytes with the
    /// sign bit flipped (all widths alike), uuids as they are, texts with every zero byte followed by 0xff and ended by two
    /// zero bytes, so that no text is the beginning of another and columns can follow each other.
    pub fn from_key(key: &[KeyValue]) -> Point {
        match key {
            [KeyValue::Int(value)] => return Point::from_slice(&order_int(*value)),
            [KeyValue::Uuid(bytes)] => return Point::from_slice(bytes),
            _ => {}
        }
        let mut bytes = Vec::with_capacity(32);
        for value in key {
            match value {
                KeyValue::Int(value) => bytes.extend_from_slice(&order_int(*value)),
                KeyValue::Uuid(uuid) => bytes.extend_from_slice(uuid),
                KeyValue::Text(text) => {
                    for byte in text.bytes() {
                        bytes.push(byte);
                        if byte == 0 {
                            bytes.push(0xff);
                        }
                    }
                    bytes.extend_from_slice(&[0, 0]);
                }
            }
        }
        Point::from_bytes(bytes)
    }

    /// The key (or its first columns) that [`Point::from_key`] made this of, given the key's types; `None` if it made it of
    /// no such key.
    pub fn to_key(&self, types: &[KeyType]) -> Option<Vec<KeyValue>> {
        let mut rest = self.as_bytes();
        let mut key = Vec::with_capacity(types.len());
        for key_type in types {
            if rest.is_empty() {
                break;
            }
            let (value, tail) = decode(rest, *key_type)?;
            key.push(value);
            rest = tail;
        }
        rest.is_empty().then_some(key)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Short { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Long(bytes) => bytes,
        }
    }

    /// The signed hash, if this is the position of one (eight bytes).
    pub fn to_hash(&self) -> Option<i64> {
        Some(disorder_int(self.as_bytes().try_into().ok()?))
    }

    /// The very next position: nothing lies between the two.
    pub fn next(&self) -> Point {
        let mut bytes = Vec::with_capacity(self.as_bytes().len() + 1);
        bytes.extend_from_slice(self.as_bytes());
        bytes.push(0);
        Point::from_bytes(bytes)
    }

    /// The first position behind all those that begin with this one's bytes; `None` if there is none.
    fn behind_prefix(&self) -> Option<Point> {
        let mut bytes = self.as_bytes().to_vec();
        while let Some(last) = bytes.pop() {
            if last != 0xff {
                bytes.push(last + 1);
                return Some(Point::from_bytes(bytes));
            }
        }
        None
    }
}

/// Eight bytes whose memcmp order is the order of signed integers.
fn order_int(value: i64) -> [u8; 8] {
    ((value as u64) ^ (1 << 63)).to_be_bytes()
}

fn disorder_int(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ (1 << 63)) as i64
}

/// Takes one column's value off the front of an encoded key.
fn decode(bytes: &[u8], key_type: KeyType) -> Option<(KeyValue, &[u8])> {
    match key_type {
        KeyType::Int2 | KeyType::Int4 | KeyType::Int8 => {
            let (int, rest) = bytes.split_first_chunk::<8>()?;
            Some((KeyValue::Int(disorder_int(*int)), rest))
        }
        KeyType::Uuid => {
            let (uuid, rest) = bytes.split_first_chunk::<16>()?;
            Some((KeyValue::Uuid(*uuid), rest))
        }
        KeyType::Text { .. } => {
            let mut text = Vec::new();
            let mut rest = bytes;
            loop {
                match rest {
                    [0, 0, tail @ ..] => return Some((KeyValue::Text(String::from_utf8(text).ok()?), tail)),
                    [0, 0xff, tail @ ..] => {
                        text.push(0);
                        rest = tail;
                    }
                    [0, ..] | [] => return None,
                    [byte, tail @ ..] => {
                        text.push(*byte);
                        rest = tail;
                    }
                }
            }
        }
    }
}

impl PartialEq for Point {
    fn eq(&self, other: &Point) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Point {}

impl PartialOrd for Point {
    fn partial_cmp(&self, other: &Point) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Point {
    fn cmp(&self, other: &Point) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.as_bytes() {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// A comparison of a key with a value, the key on its left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeOp {
    /// `=`
    Eq,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
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

    /// Whether no position lies in the range.
    pub fn is_empty(&self) -> bool {
        matches!((&self.from, &self.to), (Some(from), Some(to)) if to <= from)
            || self.to.as_ref().is_some_and(|to| to.as_bytes().is_empty())
    }

    /// What lies in both.
    pub fn intersect(&self, other: &KeyRange) -> KeyRange {
        let from = match (&self.from, &other.from) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.as_ref().or(b.as_ref()),
        };
        let to = match (&self.to, &other.to) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.as_ref().or(b.as_ref()),
        };
        KeyRange { from: from.cloned(), to: to.cloned() }
    }

    /// The range-method positions of all keys whose first columns are `key` (which may be all of them, or none).
    pub fn of_prefix(key: &[KeyValue]) -> KeyRange {
        let prefix = Point::from_key(key);
        let to = prefix.behind_prefix();
        KeyRange { from: (!key.is_empty()).then_some(prefix), to }
    }

    /// The range-method positions of the keys of one column that compare so with `value`. For texts this is the order of
    /// bytes: the caller must know that PostgreSQL compares them so.
    pub fn of_comparison(op: RangeOp, value: &KeyValue) -> KeyRange {
        let at = Point::from_key(std::slice::from_ref(value));
        match op {
            RangeOp::Eq => KeyRange { to: Some(at.next()), from: Some(at) },
            RangeOp::Lt => KeyRange { from: None, to: Some(at) },
            RangeOp::Le => KeyRange { from: None, to: Some(at.next()) },
            RangeOp::Gt => KeyRange { from: Some(at.next()), to: None },
            RangeOp::Ge => KeyRange { from: Some(at), to: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(kind: u8) -> BoxedStrategy<KeyValue> {
        match kind {
            0 => prop_oneof![any::<i64>(), -3..3_i64].prop_map(KeyValue::Int).boxed(),
            1 => "[\\x00ab\u{80}é]{0,4}|.{0,30}".prop_map(KeyValue::Text).boxed(),
            _ => any::<[u8; 16]>().prop_map(KeyValue::Uuid).boxed(),
        }
    }

    fn key_of(kinds: &[u8]) -> Vec<BoxedStrategy<KeyValue>> {
        kinds.iter().map(|kind| value(*kind)).collect()
    }

    /// Two keys of the same one to three types.
    fn two_keys() -> impl Strategy<Value = (Vec<u8>, Vec<KeyValue>, Vec<KeyValue>)> {
        prop::collection::vec(0..3_u8, 1..4).prop_flat_map(|kinds| {
            let (a, b) = (key_of(&kinds), key_of(&kinds));
            (Just(kinds), a, b)
        })
    }

    fn compare(a: &[KeyValue], b: &[KeyValue]) -> Ordering {
        let column = |(a, b): (&KeyValue, &KeyValue)| match (a, b) {
            (KeyValue::Int(a), KeyValue::Int(b)) => a.cmp(b),
            (KeyValue::Text(a), KeyValue::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (KeyValue::Uuid(a), KeyValue::Uuid(b)) => a.cmp(b),
            _ => panic!("two types"),
        };
        a.iter().zip(b).map(column).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    fn type_of(kind: &u8) -> KeyType {
        [KeyType::Int8, KeyType::Text { max_chars: None }, KeyType::Uuid][usize::from(*kind)]
    }

    proptest! {
        #[test]
        fn points_order_as_keys((kinds, a, b) in two_keys()) {
            let (at_a, at_b) = (Point::from_key(&a), Point::from_key(&b));
            prop_assert_eq!(at_a.cmp(&at_b), compare(&a, &b));
            prop_assert_eq!(at_a.to_key(&kinds.iter().map(type_of).collect::<Vec<_>>()), Some(a));
        }

        #[test]
        fn a_prefix_holds_its_keys_only((_, a, b) in two_keys(), len in 0..4_usize) {
            let len = len.min(a.len());
            let range = KeyRange::of_prefix(&a[..len]);
            prop_assert!(range.contains(&Point::from_key(&a)));
            prop_assert_eq!(range.contains(&Point::from_key(&b)), a[..len] == b[..len]);
        }

        #[test]
        fn comparisons_hold_what_compares_so((a, b) in (0..3_u8).prop_flat_map(|kind| (value(kind), value(kind)))) {
            let order = compare(std::slice::from_ref(&a), std::slice::from_ref(&b));
            let at = Point::from_key(&[a]);
            for (op, holds) in [
                (RangeOp::Eq, order.is_eq()), (RangeOp::Lt, order.is_lt()), (RangeOp::Le, order.is_le()),
                (RangeOp::Gt, order.is_gt()), (RangeOp::Ge, order.is_ge()),
            ] {
                prop_assert_eq!(KeyRange::of_comparison(op, &b).contains(&at), holds);
            }
        }

        #[test]
        fn hashes_order_as_signed(a: i64, b: i64) {
            prop_assert_eq!(Point::from_hash(a).cmp(&Point::from_hash(b)), a.cmp(&b));
            prop_assert_eq!(Point::from_hash(a).to_hash(), Some(a));
        }

        #[test]
        fn an_intersection_is_both(cuts: [Option<i64>; 4], at: i64) {
            let [a, b, c, d] = cuts.map(|cut| cut.map(Point::from_hash));
            let (one, two, at) = (KeyRange { from: a, to: b }, KeyRange { from: c, to: d }, Point::from_hash(at));
            let both = one.intersect(&two);
            prop_assert_eq!(both.contains(&at), one.contains(&at) && two.contains(&at));
            prop_assert!(!(both.is_empty() && both.contains(&at)));
        }
    }

    #[test]
    fn a_point_is_small() {
        assert_eq!(size_of::<Point>(), 24);
    }
}
