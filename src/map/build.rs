//! A map from its plain parts: what a configuration file says, or what the catalog holds in the same words.

use std::collections::{BTreeSet, HashMap};

use super::range_map::BadCut;
use super::shard_map::column_name;
use super::{
    Distribution, DistributionId, Epoch, KeyType, Method, Placement, Point, RangeMap, ShardId, ShardInfo, ShardMap,
    TableName,
};
use crate::config;
use crate::wire::{Diagnostic, Fault, Report, SqlState};

/// What is wrong with a map, or with a change to one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// A database lies on no shard.
    #[error("database \"{database}\" has no shards")]
    NoShards {
        /// The database.
        database: String,
    },
    /// A name is that of no shard of the database.
    #[error("\"{shard}\" is not a shard of database \"{database}\"")]
    UnknownShard {
        /// The database.
        database: String,
        /// The name.
        shard: String,
    },
    /// No distribution has this name.
    #[error("distribution \"{0}\" does not exist")]
    UnknownDistribution(String),
    /// Two distributions have this name.
    #[error("distribution \"{0}\" is defined twice")]
    DuplicateDistribution(String),
    /// A table's or column's name cannot be read.
    #[error("\"{0}\" is not a valid name")]
    BadName(String),
    /// A table is placed twice.
    #[error("table {0} is placed twice")]
    DuplicateTable(TableName),
    /// A table of a distribution has no key columns, or one twice, or not as many as the others.
    #[error("the sharding key of table {table} in distribution \"{distribution}\" needs {expected} different columns")]
    KeyColumns {
        /// The distribution.
        distribution: String,
        /// The table.
        table: TableName,
        /// How many columns the key has.
        expected: usize,
    },
    /// A distribution of the range method without ranges.
    #[error("distribution \"{0}\" has method range and no ranges")]
    NoRanges(String),
    /// Ranges that are not contiguous: an end is missing before the last, or a beginning given after the first.
    #[error(
        "the ranges of distribution \"{0}\" do not follow each other: only the first may have \"from\", only the last may lack \"to\""
    )]
    Gap(String),
    /// The ranges of a hash distribution leave positions without an owner.
    #[error("the ranges of distribution \"{0}\" do not cover all hashes")]
    Uncovered(String),
    /// A cut that is none.
    #[error("distribution \"{distribution}\": {cause}")]
    Cut {
        /// The distribution.
        distribution: String,
        /// What is wrong.
        cause: BadCut,
    },
    /// The key columns of two tables of one distribution have types that do not hash or compare alike.
    #[error(
        "column {column} of table {table} is {found}, but the sharding key of distribution \"{distribution}\" is {expected}"
    )]
    KeyType {
        /// The distribution.
        distribution: String,
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// Its type.
        found: KeyType,
        /// The type of the other tables' columns.
        expected: KeyType,
    },
    /// A range distribution cannot be cut while its key's types are unknown.
    #[error("the types of the sharding key of distribution \"{0}\" are not known yet")]
    Untyped(String),
    /// A position at which a map is to be cut is that of no key.
    #[error("a cut of distribution \"{0}\" is not the position of a key")]
    NotAKey(String),
    /// A range without positions.
    #[error("the range is empty")]
    EmptyRange,
    /// More shards or distributions than there are numbers.
    #[error("too many {0}")]
    TooMany(&'static str),
}

impl Report for MapError {
    fn diagnostic(&self) -> Diagnostic {
        let code = match self {
            MapError::UnknownShard { .. } | MapError::UnknownDistribution(_) => SqlState::UNDEFINED_OBJECT,
            MapError::Untyped(_) => SqlState::FEATURE_NOT_SUPPORTED,
            _ => SqlState::INVALID_PARAMETER_VALUE,
        };
        Diagnostic::error(code, self.to_string())
    }

    fn fault(&self) -> Fault {
        Fault::Operator
    }
}

impl ShardMap {
    /// The map of a database. `shards` are all shards there are, with their numbers; the database names those it lies on.
    /// Every problem is reported. The types of keys come later, by [`ShardMap::with_key_types`].
    pub fn build(database: &config::Database, shards: &[ShardInfo], epoch: Epoch) -> Result<ShardMap, Vec<MapError>> {
        let mut errors = Vec::new();
        let mut own: Vec<ShardInfo> = Vec::new();
        for name in &database.shards {
            match shards.iter().find(|shard| shard.name == *name) {
                Some(shard) if own.iter().all(|known| known.id != shard.id) => own.push(shard.clone()),
                Some(_) => {}
                None => errors.push(unknown_shard(database, name)),
            }
        }
        own.sort_by_key(|shard| shard.id);
        if database.shards.is_empty() {
            errors.push(MapError::NoShards { database: database.name.clone() });
        }
        let mut builder = Builder { database, shards: own, tables: HashMap::new(), errors };
        let home = builder.shard(&database.home);
        let mut distributions = Vec::with_capacity(database.distributions.len());
        let mut names = BTreeSet::new();
        for (index, distribution) in database.distributions.iter().enumerate() {
            if !names.insert(&distribution.name) {
                builder.errors.push(MapError::DuplicateDistribution(distribution.name.clone()));
            }
            match u16::try_from(index) {
                Ok(id) => distributions.extend(builder.distribution(DistributionId(id), distribution)),
                Err(_) => builder.errors.push(MapError::TooMany("distributions")),
            }
        }
        builder.place_others();
        let Builder { shards, tables, errors, .. } = builder;
        match home {
            Some(home) if errors.is_empty() => {
                Ok(ShardMap { epoch, database: database.name.clone(), shards, home, distributions, tables })
            }
            _ => Err(errors),
        }
    }

    /// The same map with the types of the key columns, as `lookup` finds them in a server's schema by table and column
    /// (`None` while the table does not exist). Cuts of range distributions that are written as text become positions.
    /// Every problem is reported.
    pub fn with_key_types(
        &self,
        lookup: impl Fn(&TableName, &str) -> Option<KeyType>,
    ) -> Result<ShardMap, Vec<MapError>> {
        let (map, errors) = self.with_known_key_types(lookup);
        if errors.is_empty() { Ok(map) } else { Err(errors) }
    }

    /// The same for a proxy that goes on with what is right: a distribution with a problem is left without types, so that
    /// statements over its tables cannot be routed, and all others have theirs.
    pub fn with_known_key_types(
        &self,
        lookup: impl Fn(&TableName, &str) -> Option<KeyType>,
    ) -> (ShardMap, Vec<MapError>) {
        let mut errors = Vec::new();
        let mut map = self.clone();
        for distribution in &mut map.distributions {
            let typed = self.key_types(distribution, &lookup).and_then(|types| distribution.with_types(types));
            match typed {
                Ok(typed) => *distribution = typed,
                Err(error) => {
                    errors.push(error);
                    *distribution = distribution.without_types();
                }
            }
        }
        (map, errors)
    }

    /// The widest types of the key columns over all tables of a distribution; empty if no table is there yet.
    fn key_types(
        &self,
        distribution: &Distribution,
        lookup: &impl Fn(&TableName, &str) -> Option<KeyType>,
    ) -> Result<Vec<KeyType>, MapError> {
        let mut types: Vec<KeyType> = Vec::new();
        // In the order of names, so that the same mistake is always told in the same words.
        let mut tables: Vec<_> = self.tables.iter().collect();
        tables.sort_by_key(|(name, _)| *name);
        for (table, placement) in tables {
            let Placement::Distributed { distribution: id, key } = placement else { continue };
            if *id != distribution.id {
                continue;
            }
            let Some(found) = key.iter().map(|column| lookup(table, column)).collect::<Option<Vec<_>>>() else {
                continue;
            };
            if types.is_empty() {
                types = found;
                continue;
            }
            for ((known, found), column) in types.iter_mut().zip(found).zip(key) {
                *known = known.widest(found).ok_or_else(|| MapError::KeyType {
                    distribution: distribution.name.clone(),
                    table: table.clone(),
                    column: column.clone(),
                    found,
                    expected: *known,
                })?;
            }
        }
        Ok(types)
    }
}

impl Distribution {
    /// The same distribution with the types of its key, its cuts made positions. Without types nothing of it is known.
    pub fn with_types(&self, key_types: Vec<KeyType>) -> Result<Distribution, MapError> {
        if key_types.is_empty() {
            return Ok(self.without_types());
        }
        let ranges =
            self.ranges.typed(&key_types).map_err(|cause| MapError::Cut { distribution: self.name.clone(), cause })?;
        Ok(Distribution { key_types, ranges, ..self.clone() })
    }

    fn without_types(&self) -> Distribution {
        Distribution { key_types: Vec::new(), ranges: self.ranges.without_types(), ..self.clone() }
    }

    /// The ranges in the words of a configuration: cuts as text, owners by name. What belongs to nobody at either end is
    /// left out.
    pub fn to_config_ranges(&self, shards: &[ShardInfo]) -> Vec<config::Range> {
        let cuts: Vec<Vec<String>> = match self.method {
            Method::Range => self.ranges.texts().to_vec(),
            Method::Hash => (self.ranges.ranges().skip(1))
                .filter_map(|(range, _)| Some(vec![range.from?.to_hash()?.to_string()]))
                .collect(),
        };
        let name = |id: ShardId| shards.iter().find(|shard| shard.id == id).map(|shard| shard.name.clone());
        let mut ranges: Vec<config::Range> = Vec::new();
        for (index, owner) in self.ranges.owners().iter().enumerate() {
            let Some(shard) = owner.and_then(name) else { continue };
            let from = index.checked_sub(1).map(|before| cuts[before].clone());
            let from = if ranges.is_empty() { from } else { None };
            ranges.push(config::Range { from, to: cuts.get(index).cloned(), shard });
        }
        ranges
    }
}

fn unknown_shard(database: &config::Database, name: &str) -> MapError {
    MapError::UnknownShard { database: database.name.clone(), shard: name.to_string() }
}

/// What is collected while a map is built.
struct Builder<'a> {
    database: &'a config::Database,
    shards: Vec<ShardInfo>,
    tables: HashMap<TableName, Placement>,
    errors: Vec<MapError>,
}

impl Builder<'_> {
    fn shard(&mut self, name: &str) -> Option<ShardId> {
        let found = self.shards.iter().find(|shard| shard.name == name).map(|shard| shard.id);
        if found.is_none() {
            self.errors.push(unknown_shard(self.database, name));
        }
        found
    }

    fn place(&mut self, text: &str, placement: Placement) {
        match TableName::parse(text) {
            None => self.errors.push(MapError::BadName(text.to_string())),
            Some(name) if self.tables.contains_key(&name) => self.errors.push(MapError::DuplicateTable(name)),
            Some(name) => {
                self.tables.insert(name, placement);
            }
        }
    }

    fn place_others(&mut self) {
        let database = self.database;
        for table in &database.reference {
            self.place(table, Placement::Reference);
        }
        for (table, shard) in &database.local {
            if let Some(shard) = self.shard(shard) {
                self.place(table, Placement::Local(shard));
            }
        }
    }

    fn distribution(&mut self, id: DistributionId, from: &config::Distribution) -> Option<Distribution> {
        self.place_distributed(id, from);
        let (method, ranges) = match from.method {
            config::Method::Hash => (Method::Hash, self.hash_ranges(from)),
            config::Method::Range => (Method::Range, self.key_ranges(from)),
        };
        match ranges {
            Ok(ranges) => Some(Distribution { id, name: from.name.clone(), method, key_types: Vec::new(), ranges }),
            Err(error) => {
                self.errors.extend(error);
                None
            }
        }
    }

    fn place_distributed(&mut self, distribution: DistributionId, from: &config::Distribution) {
        let expected = from.tables.values().map(Vec::len).max().unwrap_or(1).max(1);
        for (table, columns) in &from.tables {
            let key: Vec<String> = columns.iter().filter_map(|column| column_name(column)).collect();
            let different = key.iter().collect::<BTreeSet<_>>().len();
            if key.len() != columns.len() {
                let bad = columns.iter().filter(|column| column_name(column).is_none());
                self.errors.extend(bad.map(|column| MapError::BadName(column.clone())));
            } else if different != expected || key.len() != expected {
                let table = TableName::parse(table).unwrap_or_else(|| TableName::new("", table));
                self.errors.push(MapError::KeyColumns { distribution: from.name.clone(), table, expected });
            } else {
                self.place(table, Placement::Distributed { distribution, key });
            }
        }
    }

    /// Hash method: the cuts are signed hashes; without ranges an even cut.
    fn hash_ranges(&mut self, from: &config::Distribution) -> Result<RangeMap, Option<MapError>> {
        if from.ranges.is_empty() {
            let ids: Vec<ShardId> = self.shards.iter().map(|shard| shard.id).collect();
            // Without shards there is an error already.
            return RangeMap::even(&ids).ok_or(None);
        }
        let (cuts, owners) = self.cuts(from)?;
        if owners.contains(&None) {
            return Err(Some(MapError::Uncovered(from.name.clone())));
        }
        let fail = |cause| Some(MapError::Cut { distribution: from.name.clone(), cause });
        let points = cuts.iter().map(|cut| match &cut[..] {
            [hash] => hash.parse().map(Point::from_hash).map_err(|_| fail(BadCut::Value(hash.clone()))),
            _ => Err(fail(BadCut::Value(cut.join(", ")))),
        });
        let points: Vec<Point> = points.collect::<Result<_, _>>()?;
        if let Some(at) = points.windows(2).position(|pair| pair[0] >= pair[1]) {
            return Err(fail(BadCut::Order(cuts[at + 1].join(", "))));
        }
        RangeMap::new(points, owners).ok_or_else(|| Some(MapError::Gap(from.name.clone())))
    }

    /// Range method: the cuts stay text until the key's types are known.
    fn key_ranges(&mut self, from: &config::Distribution) -> Result<RangeMap, Option<MapError>> {
        if from.ranges.is_empty() {
            return Err(Some(MapError::NoRanges(from.name.clone())));
        }
        let (cuts, owners) = self.cuts(from)?;
        RangeMap::untyped(cuts, owners).ok_or_else(|| Some(MapError::Gap(from.name.clone())))
    }

    /// Cuts as text, and one more owner than cuts.
    #[allow(clippy::type_complexity)]
    fn cuts(
        &mut self,
        from: &config::Distribution,
    ) -> Result<(Vec<Vec<String>>, Vec<Option<ShardId>>), Option<MapError>> {
        let (mut cuts, mut owners) = (Vec::new(), Vec::new());
        let last = from.ranges.len() - 1;
        let mut known = true;
        for (index, range) in from.ranges.iter().enumerate() {
            if let Some(edge) = &range.from {
                // The configuration may say again where the range before has ended.
                if index == 0 {
                    cuts.push(edge.clone());
                    owners.push(None);
                } else if cuts.last() != Some(edge) {
                    return Err(Some(MapError::Gap(from.name.clone())));
                }
            }
            let owner = self.shard(&range.shard);
            known &= owner.is_some();
            owners.push(owner);
            match &range.to {
                Some(edge) => cuts.push(edge.clone()),
                None if index == last => {}
                None => return Err(Some(MapError::Gap(from.name.clone()))),
            }
        }
        if from.ranges[last].to.is_some() {
            owners.push(None);
        }
        if known { Ok((cuts, owners)) } else { Err(None) }
    }
}

#[cfg(test)]
mod tests;
