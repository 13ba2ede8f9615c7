//! Sets of keys: of one column, and of the positions of whole keys.

use std::collections::HashSet;

use crate::map::{Distribution, KeyRange, KeyValue, Method, Point, RangeOp, ShardId};

/// The most keys that are looked at one by one; beyond it a set of several columns is everything.
const MOST_KEYS: usize = 10_000;

/// What the values of one column are known to be within. Never too small.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ColumnSet {
    /// Anything.
    Everything,
    /// One of these; none of them: nothing.
    Values(Vec<KeyValue>),
    /// Within one of these ranges of one-column positions.
    Ranges(Vec<KeyRange>),
}

impl ColumnSet {
    pub const NOTHING: ColumnSet = ColumnSet::Values(Vec::new());

    pub fn of_comparison(op: RangeOp, value: &KeyValue) -> ColumnSet {
        ColumnSet::Ranges(vec![KeyRange::of_comparison(op, value)])
    }

    pub fn is_nothing(&self) -> bool {
        matches!(self, ColumnSet::Values(values) if values.is_empty())
    }

    /// AND.
    pub fn intersect(self, other: ColumnSet) -> ColumnSet {
        match (self, other) {
            (ColumnSet::Everything, set) | (set, ColumnSet::Everything) => set,
            (ColumnSet::Values(mut a), ColumnSet::Values(b)) => {
                if a.len() * b.len() > 64 {
                    let b: HashSet<KeyValue> = b.into_iter().collect();
                    a.retain(|value| b.contains(value));
                } else {
                    a.retain(|value| b.contains(value));
                }
                ColumnSet::Values(a)
            }
            (ColumnSet::Values(mut values), ColumnSet::Ranges(ranges))
            | (ColumnSet::Ranges(ranges), ColumnSet::Values(mut values)) => {
                values.retain(|value| {
                    let point = Point::from_key(std::slice::from_ref(value));
                    ranges.iter().any(|range| range.contains(&point))
                });
                ColumnSet::Values(values)
            }
            (ColumnSet::Ranges(a), ColumnSet::Ranges(b)) => {
                let pairs = a.iter().flat_map(|a| b.iter().map(move |b| a.intersect(b)));
                let ranges: Vec<KeyRange> = pairs.filter(|range| !range.is_empty()).collect();
                if ranges.is_empty() { ColumnSet::NOTHING } else { ColumnSet::Ranges(ranges) }
            }
        }
    }

    /// OR.
    pub fn unite(self, other: ColumnSet) -> ColumnSet {
        match (self, other) {
            (ColumnSet::Everything, _) | (_, ColumnSet::Everything) => ColumnSet::Everything,
            (ColumnSet::Values(mut a), ColumnSet::Values(b)) => {
                if a.len() * b.len() > 64 {
                    let seen: HashSet<KeyValue> = a.iter().cloned().collect();
                    a.extend(b.into_iter().filter(|value| !seen.contains(value)));
                } else {
                    for value in b {
                        if !a.contains(&value) {
                            a.push(value);
                        }
                    }
                }
                ColumnSet::Values(a)
            }
            (a, b) => {
                let mut ranges = a.into_ranges();
                ranges.extend(b.into_ranges());
                ColumnSet::Ranges(ranges)
            }
        }
    }

    fn into_ranges(self) -> Vec<KeyRange> {
        match self {
            ColumnSet::Everything => vec![KeyRange::ALL],
            ColumnSet::Values(values) => {
                values.iter().map(|value| one(Point::from_key(std::slice::from_ref(value)))).collect()
            }
            ColumnSet::Ranges(ranges) => ranges,
        }
    }

    pub fn contains(&self, value: &KeyValue) -> bool {
        match self {
            ColumnSet::Everything => true,
            ColumnSet::Values(values) => values.contains(value),
            ColumnSet::Ranges(ranges) => {
                let point = Point::from_key(std::slice::from_ref(value));
                ranges.iter().any(|range| range.contains(&point))
            }
        }
    }
}

/// The range that holds one position.
fn one(point: Point) -> KeyRange {
    KeyRange { to: Some(point.next()), from: Some(point) }
}

/// The positions that a relation's rows are known to be within. Never too few.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum KeySet {
    /// These, each once.
    Points(Vec<Point>),
    /// Within these ranges.
    Ranges(Vec<KeyRange>),
    /// Anywhere.
    Everything,
}

impl KeySet {
    /// The positions of keys whose columns are within these sets, in key order. `tuples` are whole keys, if those are known
    /// to be all that can be.
    pub fn of_columns(
        columns: &[ColumnSet],
        tuples: Option<Vec<Vec<KeyValue>>>,
        distribution: &Distribution,
    ) -> KeySet {
        if columns.iter().any(ColumnSet::is_nothing) {
            return KeySet::Points(Vec::new());
        }
        if let Some(mut tuples) = tuples {
            tuples.retain(|tuple| tuple.iter().zip(columns).all(|(value, column)| column.contains(value)));
            return KeySet::of_keys(tuples.iter().map(Vec::as_slice), distribution);
        }
        if let [ColumnSet::Values(values)] = columns {
            return KeySet::of_keys(values.chunks(1), distribution);
        }
        if let Some(keys) = product(columns) {
            return KeySet::of_keys(keys.iter().map(Vec::as_slice), distribution);
        }
        match (distribution.method, columns) {
            (Method::Range, [ColumnSet::Ranges(ranges)]) => KeySet::Ranges(ranges.clone()),
            (Method::Range, [ColumnSet::Values(first), ..]) => KeySet::Ranges(
                first.iter().map(|value| distribution.range_of_prefix(std::slice::from_ref(value))).collect(),
            ),
            _ => KeySet::Everything,
        }
    }

    fn of_keys<'k>(keys: impl Iterator<Item = &'k [KeyValue]>, distribution: &Distribution) -> KeySet {
        let mut points: Vec<Point> = keys.map(|key| distribution.point(key)).collect();
        points.sort_unstable();
        points.dedup();
        KeySet::Points(points)
    }

    /// Adds the shards that own any of it. A position without an owner holds no rows.
    pub fn owners(&self, distribution: &Distribution, shards: &mut Vec<ShardId>) {
        let mut add = |shard: ShardId| {
            if !shards.contains(&shard) {
                shards.push(shard);
            }
        };
        match self {
            KeySet::Points(points) => {
                points.iter().filter_map(|point| distribution.ranges.owner(point)).for_each(&mut add)
            }
            KeySet::Ranges(ranges) => {
                ranges.iter().flat_map(|range| distribution.ranges.owners_in(range)).for_each(&mut add);
            }
            KeySet::Everything => distribution.ranges.all_owners().into_iter().for_each(&mut add),
        }
    }
}

/// All combinations of the columns' values, if each column has only a few.
fn product(columns: &[ColumnSet]) -> Option<Vec<Vec<KeyValue>>> {
    let mut keys: Vec<Vec<KeyValue>> = vec![Vec::with_capacity(columns.len())];
    for column in columns {
        let ColumnSet::Values(values) = column else { return None };
        if keys.len().saturating_mul(values.len()) > MOST_KEYS {
            return None;
        }
        keys = keys
            .iter()
            .flat_map(|key| {
                values.iter().map(|value| {
                    let mut key = key.clone();
                    key.push(value.clone());
                    key
                })
            })
            .collect();
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(values: &[i64]) -> ColumnSet {
        ColumnSet::Values(values.iter().copied().map(KeyValue::Int).collect())
    }

    #[test]
    fn and_intersects_and_or_unites() {
        assert_eq!(ints(&[1, 2, 3]).intersect(ints(&[3, 2])), ints(&[2, 3]));
        assert_eq!(ints(&[1]).intersect(ints(&[2])), ColumnSet::NOTHING);
        assert_eq!(ints(&[1]).intersect(ColumnSet::Everything), ints(&[1]));
        assert_eq!(ints(&[1]).unite(ints(&[2, 1])), ints(&[1, 2]));
        assert_eq!(ints(&[1]).unite(ColumnSet::Everything), ColumnSet::Everything);
        assert_eq!(ColumnSet::NOTHING.unite(ints(&[2])), ints(&[2]));
    }

    #[test]
    fn ranges_meet_values_and_ranges() {
        let below = ColumnSet::of_comparison(RangeOp::Lt, &KeyValue::Int(10));
        let from = ColumnSet::of_comparison(RangeOp::Ge, &KeyValue::Int(5));
        assert_eq!(below.clone().intersect(ints(&[9, 10])), ints(&[9]));
        let between = below.clone().intersect(from.clone());
        for (value, inside) in [(4, false), (5, true), (9, true), (10, false)] {
            assert_eq!(between.contains(&KeyValue::Int(value)), inside, "{value}");
        }
        let apart = ColumnSet::of_comparison(RangeOp::Gt, &KeyValue::Int(10));
        assert_eq!(below.intersect(apart.clone()), ColumnSet::NOTHING);
        assert!(apart.unite(ints(&[3])).contains(&KeyValue::Int(3)));
    }
}
