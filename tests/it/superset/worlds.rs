//! Random schemas, maps and rows.

use std::collections::HashMap;
use std::fmt::Write as _;

use pgweave::map::{
    Distribution, DistributionId, Epoch, KeyType, Method, Placement, Point, RangeMap, ShardId, ShardInfo, ShardMap,
    TableName,
};
use pgweave::sql::Schema;
use pgweave::sql::schema::{Column, Function, Relation, RelationKind, Volatility};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// The types of generated columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ty {
    Int4,
    Int8,
    Text,
    Uuid,
}

impl Ty {
    fn name(self) -> &'static str {
        match self {
            Ty::Int4 => "int4",
            Ty::Int8 => "int8",
            Ty::Text => "text",
            Ty::Uuid => "uuid",
        }
    }

    fn oid(self) -> u32 {
        match self {
            Ty::Int4 => 23,
            Ty::Int8 => 20,
            Ty::Text => 25,
            Ty::Uuid => 2950,
        }
    }

    fn key_type(self) -> KeyType {
        match self {
            Ty::Int4 => KeyType::Int4,
            Ty::Int8 => KeyType::Int8,
            Ty::Text => KeyType::Text { max_chars: None },
            Ty::Uuid => KeyType::Uuid,
        }
    }

    pub fn is_int(self) -> bool {
        matches!(self, Ty::Int4 | Ty::Int8)
    }

    /// The n-th value of a small domain, as PostgreSQL prints it.
    pub fn value(self, n: usize) -> String {
        const TEXTS: [&str; 9] = ["a", "B", "c", "D", "it's", "", "f ", "ß", "Z"];
        match self {
            Ty::Int4 | Ty::Int8 => (n as i64 - 2).to_string(),
            Ty::Text => TEXTS[n].into(),
            Ty::Uuid => format!("a0eebc99-9c0b-4ef8-bb6d-{:012x}", n * 7919),
        }
    }
}

/// How many values a domain has.
pub const DOMAIN: usize = 9;

/// A generated table.
#[derive(Clone, Debug)]
pub struct Table {
    pub name: &'static str,
    pub columns: Vec<(String, Ty)>,
    /// How many of the columns, from the first, are its sharding key; 0 for a reference table.
    pub key: usize,
}

/// A map, a schema, and where the rows are.
#[derive(Clone, Debug)]
pub struct Universe {
    number: usize,
    pub map: ShardMap,
    pub schema: Schema,
    pub tables: Vec<Table>,
    method: Method,
    collation: &'static str,
}

impl Universe {
    pub fn random(rng: &mut StdRng, number: usize) -> Universe {
        let shapes: [&[Ty]; 6] =
            [&[Ty::Int8], &[Ty::Int4], &[Ty::Text], &[Ty::Uuid], &[Ty::Int8, Ty::Text], &[Ty::Int4]];
        let key = *shapes.choose(rng).expect("a shape");
        let rangeable = key.len() == 1 && key[0] != Ty::Uuid;
        let method = if rangeable && rng.random_bool(0.5) { Method::Range } else { Method::Hash };
        let collation = *["\"C\"", "\"en-x-icu\""].choose(rng).expect("a collation");
        let tables = tables(key);
        let types: Vec<KeyType> = key.iter().map(|ty| ty.key_type()).collect();
        let ranges = match method {
            Method::Hash => hash_ranges(rng),
            Method::Range => range_ranges(rng, key[0]),
        };
        let distribution =
            Distribution { id: DistributionId(0), name: "d".into(), method, key_types: Vec::new(), ranges };
        let distribution = distribution.with_types(types).expect("cuts of the key's types");
        let shards = (0..3).map(|id| ShardInfo { id: ShardId(id), name: format!("s{id}") }).collect();
        let placements = tables.iter().map(|table| {
            let key = table.columns[..table.key].iter().map(|(name, _)| name.clone()).collect();
            let placement = match table.key {
                0 => Placement::Reference,
                _ => Placement::Distributed { distribution: DistributionId(0), key },
            };
            (TableName::new("public", table.name), placement)
        });
        let map = ShardMap {
            epoch: Epoch(1),
            database: "d".into(),
            shards,
            home: ShardId(rng.random_range(0..3)),
            distributions: vec![distribution],
            tables: placements.collect(),
        };
        let schema = schema(&tables, collation == "\"C\"");
        Universe { number, map, schema, tables, method, collation }
    }

    /// Whether its ranges are of texts whose collation has another order than bytes.
    pub fn is_ordered_otherwise(&self) -> bool {
        self.method == Method::Range && self.tables[0].columns[0].1 == Ty::Text && self.collation != "\"C\""
    }

    pub fn whole_schema(&self) -> String {
        format!("u{}", self.number)
    }

    pub fn shard_schema(&self, shard: ShardId) -> String {
        format!("u{}_s{}", self.number, shard.0)
    }

    pub fn removal(&self) -> String {
        let mut script = format!("DROP SCHEMA {} CASCADE;", self.whole_schema());
        for shard in &self.map.shards {
            let _ = write!(script, "DROP SCHEMA {} CASCADE;", self.shard_schema(shard.id));
        }
        format!("SET client_min_messages = warning; {script}")
    }

    pub fn describe(&self) -> String {
        let ranges: Vec<String> = self.map.distributions[0]
            .ranges
            .ranges()
            .map(|(range, owner)| format!("{:?} {:?}", owner.map(|shard| shard.0), range.from))
            .collect();
        let key: Vec<_> = self.tables[0].columns[..self.tables[0].key].iter().map(|(_, ty)| ty.name()).collect();
        format!("{:?} {key:?} {} home {} {ranges:?}", self.method, self.collation, self.map.home)
    }

    /// Creates the schemas and their rows. The server cuts them.
    pub fn script(&self, rng: &mut StdRng) -> String {
        let whole = self.whole_schema();
        let mut script = format!("CREATE SCHEMA {whole};");
        for table in &self.tables {
            let columns: Vec<String> = table
                .columns
                .iter()
                .enumerate()
                .map(|(at, (name, ty))| {
                    let collation =
                        if *ty == Ty::Text { format!(" COLLATE {}", self.collation) } else { String::new() };
                    let not_null = if at < table.key { " NOT NULL" } else { "" };
                    format!("{name} {}{collation}{not_null}", ty.name())
                })
                .collect();
            let _ = write!(script, "CREATE TABLE {whole}.{} ({});", table.name, columns.join(", "));
            let rows: Vec<String> = (0..rng.random_range(8..24)).map(|_| row(rng, table)).collect();
            let _ = write!(script, "INSERT INTO {whole}.{} VALUES {};", table.name, rows.join(", "));
        }
        for shard in &self.map.shards {
            let part = self.shard_schema(shard.id);
            let _ = write!(script, "CREATE SCHEMA {part};");
            for table in &self.tables {
                let owned = if table.key == 0 { "true".into() } else { self.owned(table, shard.id) };
                let name = table.name;
                let _ = write!(script, "CREATE TABLE {part}.{name} AS SELECT * FROM {whole}.{name} WHERE {owned};");
            }
        }
        script
    }

    /// Whether a row is a shard's, in the server's own words.
    fn owned(&self, table: &Table, shard: ShardId) -> String {
        let position = match self.method {
            Method::Hash => table.columns[..table.key].iter().fold("0".to_owned(), |seed, (name, ty)| match ty {
                Ty::Int4 => format!("hashint4extended({name}, {seed})"),
                Ty::Int8 => format!("hashint8extended({name}, {seed})"),
                Ty::Text => format!("hashtextextended({name}, {seed})"),
                Ty::Uuid => format!("uuid_hash_extended({name}, {seed})"),
            }),
            Method::Range if table.columns[0].1 == Ty::Text => format!("({} COLLATE \"C\")", table.columns[0].0),
            Method::Range => table.columns[0].0.clone(),
        };
        let distribution = &self.map.distributions[0];
        let bound = |point: &Point| match self.method {
            Method::Hash => point.to_hash().expect("a hash").to_string(),
            Method::Range => {
                let key = point.to_key(&distribution.key_types).expect("a key");
                format!("'{}'", key[0].to_string().replace('\'', "''"))
            }
        };
        let ranges = distribution.ranges.ranges().filter(|(_, owner)| *owner == Some(shard)).map(|(range, _)| {
            let from = range.from.as_ref().map_or("true".into(), |from| format!("{position} >= {}", bound(from)));
            let to = range.to.as_ref().map_or("true".into(), |to| format!("{position} < {}", bound(to)));
            format!("({from} AND {to})")
        });
        let ranges: Vec<String> = ranges.collect();
        if ranges.is_empty() { "false".into() } else { ranges.join(" OR ") }
    }
}

fn tables(key: &[Ty]) -> Vec<Table> {
    let keyed = |name| {
        let mut columns: Vec<(String, Ty)> =
            key.iter().enumerate().map(|(at, ty)| (["k", "l"][at].to_owned(), *ty)).collect();
        columns.extend([("x".to_owned(), Ty::Int4), ("y".to_owned(), Ty::Int4)]);
        columns
            .iter()
            .any(|(column, _)| column == "k")
            .then_some(Table { name, columns, key: key.len() })
            .expect("a key")
    };
    let mut reference = keyed("r");
    reference.key = 0;
    vec![keyed("a"), keyed("b"), keyed("c"), reference]
}

fn row(rng: &mut StdRng, table: &Table) -> String {
    let values: Vec<String> = table
        .columns
        .iter()
        .enumerate()
        .map(|(at, (_, ty))| {
            if at >= table.key && rng.random_bool(0.15) {
                return "NULL".into();
            }
            let n = if at < table.key.max(1) { rng.random_range(0..DOMAIN) } else { rng.random_range(0..6) };
            format!("'{}'", ty.value(n).replace('\'', "''"))
        })
        .collect();
    format!("({})", values.join(", "))
}

fn hash_ranges(rng: &mut StdRng) -> RangeMap {
    let mut cuts: Vec<i64> = (0..rng.random_range(2..8)).map(|_| rng.random()).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let owners = (0..=cuts.len()).map(|at| Some(ShardId((at % 3) as u16))).collect();
    RangeMap::new(cuts.into_iter().map(Point::from_hash).collect(), owners).expect("an owner more than cuts")
}

fn range_ranges(rng: &mut StdRng, ty: Ty) -> RangeMap {
    let mut cuts: Vec<String> = match ty {
        Ty::Text => ["C", "Z", "b", "d", "g"].iter().map(|cut| (*cut).to_owned()).collect(),
        _ => (0..6).map(|cut| cut.to_string()).collect(),
    };
    cuts.retain(|_| rng.random_bool(0.7));
    if cuts.len() < 2 {
        cuts = if ty == Ty::Text { vec!["Z".into(), "c".into()] } else { vec!["1".into(), "4".into()] };
    }
    let owners = (0..=cuts.len()).map(|at| Some(ShardId((at % 3) as u16))).collect();
    RangeMap::untyped(cuts.into_iter().map(|cut| vec![cut]).collect(), owners).expect("an owner more than cuts")
}

fn schema(tables: &[Table], byte_order: bool) -> Schema {
    let mut relations = HashMap::new();
    for table in tables {
        let columns = table.columns.iter().enumerate().map(|(at, (name, ty))| Column {
            name: name.clone(),
            type_oid: ty.oid(),
            typmod: -1,
            not_null: at < table.key,
            generated: false,
            deterministic: true,
            byte_order,
            has_default: false,
        });
        let relation = Relation {
            kind: RelationKind::Table,
            columns: columns.collect(),
            on_standby: true,
            view_text: None,
            code: Vec::new(),
        };
        relations.insert(("public".to_owned(), table.name.to_owned()), relation);
    }
    let mut functions = HashMap::new();
    for name in ["count", "sum", "max", "min", "length", "abs"] {
        let aggregate = !matches!(name, "length" | "abs");
        let function =
            Function { volatility: Volatility::Immutable, builtin: true, aggregate, window: false, in_c: true };
        functions.insert(name.to_owned(), function);
    }
    Schema { version: 1, relations, functions, volatile_operators: Vec::new(), search_path: vec!["public".into()] }
}
