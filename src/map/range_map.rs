//! Cuts and owners: one structure for the hash and the range method.

use super::convert::{Conversion, convert_text};
use super::{KeyRange, KeyType, KeyValue, Point, ShardId};

/// Which shard owns which positions: sorted cuts, gapless by construction. A range whose owner is `None` belongs to nobody
/// (range method only: a value outside every declared range).
///
/// The cuts of a range-method map are written as text (in a configuration, in the catalog) and become positions when the
/// key's types are known from a server's schema; until then nothing has an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeMap {
    /// The lower bound of every range but the first; empty while the key's types are unknown.
    cuts: Vec<Point>,
    /// One owner a range: one more than cuts.
    owners: Vec<Option<ShardId>>,
    /// The cuts as text, a value for each of the first columns of the key. Empty for maps made from points.
    texts: Vec<Vec<String>>,
}

/// Why cuts written as text are no cuts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCut {
    /// A value is not one of its column's type, or there are more values than columns.
    #[error("\"{0}\" is no value of the sharding key")]
    Value(String),
    /// A range begins where, or after, it ends.
    #[error("the ranges are not in order at \"{0}\"")]
    Order(String),
}

impl RangeMap {
    /// Everything belongs to `owner`.
    pub fn whole(owner: ShardId) -> RangeMap {
        RangeMap { cuts: Vec::new(), owners: vec![Some(owner)], texts: Vec::new() }
    }

    /// A map from its cuts, which must be sorted and distinct, and one more owner than cuts; else `None`.
    pub fn new(cuts: Vec<Point>, owners: Vec<Option<ShardId>>) -> Option<RangeMap> {
        let sorted = cuts.windows(2).all(|pair| pair[0] < pair[1]);
        (sorted && owners.len() == cuts.len() + 1).then_some(RangeMap { cuts, owners, texts: Vec::new() })
    }

    /// The hash space cut evenly, in the order of the shards; `None` if there are none.
    pub fn even(shards: &[ShardId]) -> Option<RangeMap> {
        let cuts = even_cuts(shards.len()).into_iter().map(Point::from_hash).collect();
        RangeMap::new(cuts, shards.iter().map(|shard| Some(*shard)).collect())
    }

    /// A range-method map whose key types are not known yet; `None` unless there is one more owner than cuts.
    pub fn untyped(texts: Vec<Vec<String>>, owners: Vec<Option<ShardId>>) -> Option<RangeMap> {
        (owners.len() == texts.len() + 1).then_some(RangeMap { cuts: Vec::new(), owners, texts })
    }

    /// The same ranges with the cuts that were written as text made positions of a key of these types.
    pub fn typed(&self, types: &[KeyType]) -> Result<RangeMap, BadCut> {
        if self.texts.is_empty() {
            return Ok(self.clone());
        }
        let cuts = self.texts.iter().map(|text| cut(text, types)).collect::<Result<Vec<_>, _>>()?;
        if let Some(at) = cuts.windows(2).position(|pair| pair[0] >= pair[1]) {
            return Err(BadCut::Order(self.texts[at + 1].join(", ")));
        }
        Ok(RangeMap { cuts, ..self.clone() })
    }

    /// The same ranges with cuts that were written as text being text again; a map made from points stays as it is.
    pub(super) fn without_types(&self) -> RangeMap {
        let mut map = self.clone();
        if !map.texts.is_empty() {
            map.cuts.clear();
        }
        map
    }

    /// Whether the cuts are positions. While they are not, nothing can be routed.
    pub fn is_typed(&self) -> bool {
        self.owners.len() == self.cuts.len() + 1
    }

    /// The one shard that owns `point`, or `None` when no range holds it.
    pub fn owner(&self, point: &Point) -> Option<ShardId> {
        if !self.is_typed() {
            return None;
        }
        // `cuts` holds the lower bound of every range but the first, so the number of cuts at or below `point` is the
        // index of the range that holds it.
        self.owners[self.cuts.partition_point(|cut| cut <= point)]
    }

    /// The shards that own any position of `range`, in shard order, each once. Positions that belong to nobody hold no rows.
    /// While the cuts are text, every owner.
    pub fn owners_in(&self, range: &KeyRange) -> Vec<ShardId> {
        if range.is_empty() {
            return Vec::new();
        }
        let (mut first, mut last) = (0, self.owners.len() - 1);
        if self.is_typed() {
            first = range.from.as_ref().map_or(0, |from| self.cuts.partition_point(|cut| cut <= from));
            last = range.to.as_ref().map_or(last, |to| self.cuts.partition_point(|cut| cut < to));
        }
        let mut shards: Vec<ShardId> = self.owners[first..=last].iter().flatten().copied().collect();
        shards.sort_unstable();
        shards.dedup();
        shards
    }

    /// The shards that own anything, in shard order.
    pub fn all_owners(&self) -> Vec<ShardId> {
        self.owners_in(&KeyRange::ALL)
    }

    /// All ranges with their owners, in key order. While the cuts are text: none.
    pub fn ranges(&self) -> impl Iterator<Item = (KeyRange, Option<ShardId>)> + '_ {
        let owners = if self.is_typed() { &self.owners[..] } else { &[] };
        owners.iter().enumerate().map(|(index, owner)| {
            let from = index.checked_sub(1).map(|before| self.cuts[before].clone());
            (KeyRange { from, to: self.cuts.get(index).cloned() }, *owner)
        })
    }

    /// The owners of all ranges, in key order.
    pub fn owners(&self) -> &[Option<ShardId>] {
        &self.owners
    }

    /// The cuts of a range-method map as text, one less than [`RangeMap::owners`]; none for a map made from points.
    pub fn texts(&self) -> &[Vec<String>] {
        &self.texts
    }

    /// The same owners with one more cut at `point`; unchanged where there already is one.
    pub(super) fn split(&self, point: &Point) -> RangeMap {
        let at = self.cuts.partition_point(|cut| cut < point);
        let mut map = self.clone();
        if self.cuts.get(at) != Some(point) {
            map.cuts.insert(at, point.clone());
            map.owners.insert(at, self.owners[at]);
        }
        map
    }

    /// The map in which `range` belongs to `owner`, as one range.
    pub(super) fn assign(&self, range: &KeyRange, owner: ShardId) -> RangeMap {
        let mut map = self.clone();
        for edge in [&range.from, &range.to].into_iter().flatten() {
            map = map.split(edge);
        }
        let first = range.from.as_ref().map_or(0, |from| map.cuts.partition_point(|cut| cut <= from));
        let last = range.to.as_ref().map_or(map.owners.len() - 1, |to| map.cuts.partition_point(|cut| cut < to));
        map.cuts.drain(first..last);
        map.owners.splice(first..=last, [Some(owner)]);
        map
    }

    /// The same map with its cuts as text written again from its positions.
    pub(super) fn rewritten(mut self, types: &[KeyType]) -> Option<RangeMap> {
        let texts = self.cuts.iter().map(|cut| {
            let key = cut.to_key(types)?;
            Some(key.iter().map(KeyValue::to_string).collect())
        });
        self.texts = texts.collect::<Option<_>>()?;
        Some(self)
    }
}

/// The signed hashes at which the hash space is cut into `parts` of equal size.
pub fn even_cuts(parts: usize) -> Vec<i64> {
    let parts = parts as i128;
    (1..parts).map(|part| (i128::from(i64::MIN) + (1_i128 << 64) * part / parts) as i64).collect()
}

/// The position of a cut written as text: values for all columns of the key or for its first.
fn cut(text: &[String], types: &[KeyType]) -> Result<Point, BadCut> {
    if text.is_empty() || text.len() > types.len() {
        return Err(BadCut::Value(text.join(", ")));
    }
    // A cut need not be a value that the column can hold: 3000000000 cuts a map of integer keys, too.
    let values = text.iter().zip(types).map(|(text, key_type)| match convert_text(text, key_type.family()) {
        Conversion::Value(value) => Ok(value),
        _ => Err(BadCut::Value(text.clone())),
    });
    Ok(Point::from_key(&values.collect::<Result<Vec<_>, _>>()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_map() -> impl Strategy<Value = RangeMap> {
        prop::collection::btree_set(-20..20_i64, 0..8).prop_flat_map(|cuts| {
            let owners = prop::collection::vec(prop::option::of((0..4_u16).prop_map(ShardId)), cuts.len() + 1);
            let cuts: Vec<Point> = cuts.into_iter().map(Point::from_hash).collect();
            owners.prop_map(move |owners| RangeMap::new(cuts.clone(), owners).unwrap())
        })
    }

    fn range() -> impl Strategy<Value = KeyRange> {
        let edge = || prop::option::of((-22..22_i64).prop_map(Point::from_hash));
        (edge(), edge()).prop_map(|(from, to)| KeyRange { from, to })
    }

    fn scan(map: &RangeMap, point: &Point) -> Option<ShardId> {
        let mut holding = map.ranges().filter(|(range, _)| range.contains(point));
        let (_, owner) = holding.next().expect("a map has no gaps");
        assert!(holding.next().is_none(), "ranges overlap");
        owner
    }

    proptest! {
        #[test]
        fn the_owner_is_that_of_a_linear_scan(map in any_map()) {
            for at in -23..23 {
                let at = Point::from_hash(at);
                prop_assert_eq!(map.owner(&at), scan(&map, &at));
            }
        }

        #[test]
        fn owners_in_a_range_are_those_of_its_points(map in any_map(), range in range()) {
            let mut expected: Vec<_> =
                (-40..40).map(Point::from_hash).filter(|at| range.contains(at)).filter_map(|at| map.owner(&at)).collect();
            expected.sort();
            expected.dedup();
            prop_assert_eq!(map.owners_in(&range), expected);
        }

        #[test]
        fn assigning_changes_the_range_and_nothing_else(map in any_map(), range in range()) {
            prop_assume!(!range.is_empty());
            let changed = map.assign(&range, ShardId(9));
            for at in -23..23 {
                let at = Point::from_hash(at);
                let expected = if range.contains(&at) { Some(ShardId(9)) } else { map.owner(&at) };
                prop_assert_eq!(changed.owner(&at), expected);
                prop_assert_eq!(scan(&changed, &at), expected);
            }
        }

        #[test]
        fn splitting_changes_no_owner(map in any_map(), at in -22..22_i64) {
            let split = map.split(&Point::from_hash(at));
            prop_assert!(split.ranges().any(|(range, _)| range.from == Some(Point::from_hash(at))));
            for at in -23..23 {
                let at = Point::from_hash(at);
                prop_assert_eq!(split.owner(&at), map.owner(&at));
                prop_assert_eq!(scan(&split, &at), map.owner(&at));
            }
        }

        #[test]
        fn even_parts_are_even(parts in 1..300_usize) {
            let mut edges: Vec<i128> = even_cuts(parts).into_iter().map(i128::from).collect();
            edges.insert(0, i64::MIN.into());
            edges.push(i128::from(i64::MAX) + 1);
            prop_assert_eq!(edges.len(), parts + 1);
            let size = (1_i128 << 64) / parts as i128;
            for pair in edges.windows(2) {
                prop_assert!((pair[1] - pair[0] - size).abs() <= 1);
            }
        }
    }

    #[test]
    fn text_cuts_become_positions_when_types_are_known() {
        let texts = vec![vec!["-5".to_string()], vec!["10".to_string()]];
        let map = RangeMap::untyped(texts, vec![None, Some(ShardId(1)), Some(ShardId(0))]).unwrap();
        let at = |value| Point::from_key(&[KeyValue::Int(value)]);
        assert!(!map.is_typed());
        assert_eq!(map.owner(&at(0)), None);
        assert_eq!(map.all_owners(), [ShardId(0), ShardId(1)]);
        let map = map.typed(&[KeyType::Int4]).unwrap();
        assert_eq!(
            [-6, -5, 9, 10].map(|value| map.owner(&at(value)).map(|shard| shard.0)),
            [None, Some(1), Some(1), Some(0)]
        );
        assert_eq!(map.typed(&[KeyType::Uuid]), Err(BadCut::Value("-5".into())));
        // By bytes "-5" and "10" are in order too, so the same texts are cuts of a text key.
        assert!(map.typed(&[KeyType::Text { max_chars: None }]).is_ok());
        let backwards = RangeMap::untyped(vec![vec!["9".into()], vec!["10".into()]], vec![None; 3]).unwrap();
        assert!(backwards.typed(&[KeyType::Int8]).is_ok());
        assert_eq!(backwards.typed(&[KeyType::Text { max_chars: None }]), Err(BadCut::Order("10".into())));
    }
}
