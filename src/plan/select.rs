//! The route of a statement that was understood.

use super::code::{self, Target};
use super::keys::{Keys, Lookup, key_type};
use super::keyset::KeySet;
use super::place::{Place, Sharded, place};
use super::{Access, Query, Refusal, Route, Shape, Touches, World, insert, modify, scatter};
use crate::map::{Conversion, KeyRange, ShardId};
use crate::sql::analysis::{ColumnRef, CompareOp, Cond, Kind, Model, Values};

/// Decides where a statement runs on a map of several shards.
pub(super) fn route(
    model: &Model,
    kind: &Kind,
    values: &Values<'_>,
    access: Access,
    world: &World<'_>,
) -> Result<Route, Refusal> {
    let lookup = Lookup { model, values, world };
    if let Some(route) = by_one_key(lookup, kind)? {
        return Ok(route);
    }
    let places = model.relations.iter().map(|relation| place(relation, world)).collect::<Result<Vec<_>, _>>()?;
    let statement = Statement { lookup, places: &places, access };
    if let Some(target) = model.target {
        modify::check_target(&statement, kind, target)?;
    }
    let route = statement.route()?;
    let target = match &route.shape {
        Shape::Direct { shard, .. } => Target::One(*shard),
        Shape::Scatter { .. } => Target::Many,
    };
    code::check(model, target, world)?;
    Ok(route)
}

/// The common case without detours: one relation, one key column, one equality.
fn by_one_key(lookup: Lookup<'_>, kind: &Kind) -> Result<Option<Route>, Refusal> {
    let model = lookup.model;
    let ([reference], [block]) = (model.relations.as_slice(), model.blocks.as_slice()) else { return Ok(None) };
    // A query, or a delete; what else writes has more to check.
    if !matches!(kind, Kind::Select | Kind::Delete) || !model.calls.is_empty() {
        return Ok(None);
    }
    let Place::Sharded(sharded) = place(reference, lookup.world)? else { return Ok(None) };
    if !sharded.relation.code.is_empty() || sharded.key.len() != 1 {
        return Ok(None);
    }
    let Some(key) = sharded.key_columns().next() else { return Ok(None) };
    let column = &sharded.relation.columns[key];
    for cond in &block.conds {
        let Cond::Compare { column: of, op: CompareOp::Eq, value } = cond else { continue };
        let Some(key_type) = key_type(column).filter(|_| of.column == key) else { continue };
        if let Conversion::Value(value) = lookup.convert(value, key_type) {
            let point = sharded.distribution.point(std::slice::from_ref(&value));
            let owner = sharded.distribution.ranges.owner(&point);
            // A key that nobody owns matches no row anywhere.
            return Ok(owner.map(|shard| Route::direct(Touches::Points(vec![point]), shard)));
        }
    }
    Ok(None)
}

/// A statement with what is known of its relations.
pub(super) struct Statement<'s> {
    pub lookup: Lookup<'s>,
    pub places: &'s [Place<'s>],
    pub access: Access,
}

impl<'s> Statement<'s> {
    /// The sharded relations, by index.
    pub fn sharded(&self) -> impl Iterator<Item = (usize, &'s Sharded<'s>)> + Clone + '_ {
        self.places.iter().enumerate().filter_map(|(index, place)| match place {
            Place::Sharded(sharded) => Some((index, sharded)),
            Place::Reference | Place::Local(_) => None,
        })
    }

    fn route(&self) -> Result<Route, Refusal> {
        let world = self.lookup.world;
        let local = self.local_shard()?;
        if self.sharded().next().is_none() {
            return Ok(Route::direct(Touches::Nothing, local.unwrap_or(world.map.home)));
        }
        let wanted = self
            .sharded()
            .flat_map(|(relation, sharded)| sharded.key_columns().map(move |column| ColumnRef { relation, column }));
        let keys = Keys::new(self.lookup, wanted);
        let mut touched = Touched::default();
        let mut rewritten = None;
        for (relation, sharded) in self.sharded() {
            let set = match &self.lookup.model.insert {
                Some(insert) if self.lookup.model.target == Some(relation) => {
                    rewritten = insert::with_columns(self.lookup, insert, sharded, relation)?;
                    insert::key_set(self.lookup, &keys, insert, sharded, relation)?
                }
                _ => keys.key_set(relation, sharded),
            };
            set.owners(sharded.distribution, &mut touched.shards);
            touched.add(set);
        }
        touched.shards.sort_unstable();
        let query = rewritten.map_or(Query::Original, Query::Rewritten);
        match (touched.shards.as_slice(), local) {
            // No row can match: where it finds none does not matter.
            ([], local) => {
                let shard = local.unwrap_or(world.map.home);
                Ok(Route { touches: touched.touches(), shape: Shape::Direct { shard, query } })
            }
            ([shard], None) => {
                let shard = *shard;
                Ok(Route { touches: touched.touches(), shape: Shape::Direct { shard, query } })
            }
            ([shard], Some(local)) if *shard == local => {
                Ok(Route { touches: touched.touches(), shape: Shape::Direct { shard: local, query } })
            }
            ([shard], Some(local)) => Err(self.apart(*shard, local)),
            (shards, _) if self.lookup.model.target.is_some() => Err(modify::several(self, shards)),
            (shards, _) => {
                scatter::check(self, &keys)?;
                let parts = shards.iter().map(|shard| (*shard, Query::Original)).collect();
                Ok(Route { touches: touched.touches(), shape: Shape::Scatter { parts } })
            }
        }
    }

    /// The one shard on which its local tables live.
    fn local_shard(&self) -> Result<Option<ShardId>, Refusal> {
        let mut found: Option<(usize, ShardId)> = None;
        for (index, place) in self.places.iter().enumerate() {
            let Place::Local(shard) = place else { continue };
            match found {
                Some((other, known)) if known != *shard => {
                    let relations = &self.lookup.model.relations;
                    return Err(Refusal::unsupported(
                        "the statement joins tables of two shards",
                        format!(
                            "Table \"{}\" lives on shard \"{}\", table \"{}\" on shard \"{}\".",
                            relations[other].name,
                            self.shard_name(known),
                            relations[index].name,
                            self.shard_name(*shard)
                        ),
                        "Read one of them first, or make it a reference table.",
                    ));
                }
                _ => found = Some((index, *shard)),
            }
        }
        // What a function does on the home shard must happen there, whatever reference tables it is called with.
        Ok(found.map(|(_, shard)| shard))
    }

    pub fn shard_name(&self, id: ShardId) -> &str {
        self.lookup.world.map.shard(id).map_or("?", |shard| shard.name.as_str())
    }

    fn apart(&self, shard: ShardId, local: ShardId) -> Refusal {
        let local_table = self.places.iter().position(|place| matches!(place, Place::Local(_)));
        let name = local_table.map_or("", |index| self.lookup.model.relations[index].name.as_str());
        Refusal::unsupported(
            "the statement joins a local table with rows of another shard",
            format!(
                "Table \"{name}\" lives on shard \"{}\" and the rows asked for on shard \"{}\".",
                self.shard_name(local),
                self.shard_name(shard)
            ),
            "Read one of them first, or make the local table a reference table.",
        )
    }
}

/// The part of the key space that a statement touches.
#[derive(Default)]
struct Touched {
    shards: Vec<ShardId>,
    points: Vec<crate::map::Point>,
    ranges: Vec<KeyRange>,
    everything: bool,
}

impl Touched {
    fn add(&mut self, set: KeySet) {
        match set {
            KeySet::Points(points) => self.points.extend(points),
            KeySet::Ranges(ranges) => self.ranges.extend(ranges),
            KeySet::Everything => self.everything = true,
        }
    }

    fn touches(mut self) -> Touches {
        if self.everything {
            return Touches::Everything;
        }
        self.points.sort_unstable();
        self.points.dedup();
        if self.ranges.is_empty() {
            return Touches::Points(self.points);
        }
        let single = self.points.into_iter().map(|point| KeyRange { to: Some(point.next()), from: Some(point) });
        self.ranges.extend(single);
        Touches::Ranges(self.ranges)
    }
}
