//! Changes to a map: pure, each giving a new map with the next epoch.

use super::{Distribution, Epoch, KeyRange, MapError, Method, Point, RangeMap, ShardId, ShardMap};

impl ShardMap {
    /// The next map, in which a range of `distribution` ends and another begins at `at`. No owner changes.
    pub fn split(&self, distribution: &str, at: &Point) -> Result<ShardMap, MapError> {
        self.change(distribution, |ranges| ranges.split(at))
    }

    /// The next map, in which `range` of `distribution` belongs to the shard `to`.
    pub fn reassign(&self, distribution: &str, range: &KeyRange, to: ShardId) -> Result<ShardMap, MapError> {
        if range.is_empty() {
            return Err(MapError::EmptyRange);
        }
        if self.shard(to).is_none() {
            return Err(MapError::UnknownShard { database: self.database.clone(), shard: to.to_string() });
        }
        self.change(distribution, |ranges| ranges.assign(range, to))
    }

    fn change(&self, name: &str, apply: impl FnOnce(&RangeMap) -> RangeMap) -> Result<ShardMap, MapError> {
        let mut map = self.clone();
        let distribution = (map.distributions.iter_mut().find(|distribution| distribution.name == name))
            .ok_or_else(|| MapError::UnknownDistribution(name.to_string()))?;
        distribution.ranges = distribution.changed(apply)?;
        map.epoch = Epoch(self.epoch.0 + 1);
        Ok(map)
    }
}

impl Distribution {
    fn changed(&self, apply: impl FnOnce(&RangeMap) -> RangeMap) -> Result<RangeMap, MapError> {
        if !self.ranges.is_typed() {
            return Err(MapError::Untyped(self.name.clone()));
        }
        let ranges = apply(&self.ranges);
        match self.method {
            Method::Hash => Ok(ranges),
            Method::Range => ranges.rewritten(&self.key_types).ok_or_else(|| MapError::NotAKey(self.name.clone())),
        }
    }
}
