//! Cuts and owners: one structure for the hash and the range method.

use super::{KeyRange, Point, ShardId};

/// Which shard owns which positions: sorted cuts, gapless by construction. A range whose owner is `None` belongs to nobody
/// (range method only: a value outside every declared range).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeMap {
    /// The lower bound of every range but the first.
    cuts: Vec<Point>,
    /// One owner a range: one more than cuts.
    owners: Vec<Option<ShardId>>,
}

impl RangeMap {
    /// Everything belongs to `owner`.
    pub fn whole(owner: ShardId) -> RangeMap {
        RangeMap { cuts: Vec::new(), owners: vec![Some(owner)] }
    }

    /// A map from its cuts, which must be sorted and distinct, and one more owner than cuts; else `None`.
    pub fn new(cuts: Vec<Point>, owners: Vec<Option<ShardId>>) -> Option<RangeMap> {
        let sorted = cuts.windows(2).all(|pair| pair[0] < pair[1]);
        (sorted && owners.len() == cuts.len() + 1).then_some(RangeMap { cuts, owners })
    }

    /// The one shard that owns `point`, or `None` when no range holds it.
    pub fn owner(&self, point: &Point) -> Option<ShardId> {
        // `cuts` holds the lower bound of every range but the first, so the number of cuts at or below `point` is the
        // index of the range that holds it.
        self.owners[self.cuts.partition_point(|cut| cut <= point)]
    }

    /// All ranges with their owners, in key order.
    pub fn ranges(&self) -> impl Iterator<Item = (KeyRange, Option<ShardId>)> + '_ {
        self.owners.iter().enumerate().map(|(index, owner)| {
            let from = index.checked_sub(1).map(|before| self.cuts[before].clone());
            (KeyRange { from, to: self.cuts.get(index).cloned() }, *owner)
        })
    }
}
