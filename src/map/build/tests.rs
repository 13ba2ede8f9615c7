use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::config::{Balancing, Consistency, PoolMode, Range, ReadFromPrimary};
use crate::map::{KeyRange, KeyValue};

fn shards(count: u16) -> Vec<ShardInfo> {
    (0..count).map(|id| ShardInfo { id: ShardId(id), name: format!("s{}", id + 1) }).collect()
}

fn database(distributions: Vec<config::Distribution>) -> config::Database {
    config::Database {
        name: "shop".into(),
        dbname: "shop".into(),
        shards: vec!["s1".into(), "s2".into()],
        home: "s1".into(),
        consistency: Consistency::Session,
        pool_mode: PoolMode::Transaction,
        pool_size: 20,
        balancing: Balancing::LeastConnections,
        read_from_primary: ReadFromPrimary::Fallback,
        distributions,
        reference: vec!["countries".into()],
        local: BTreeMap::from([("audit.Log".to_string(), "s2".to_string())]),
        functions: BTreeMap::new(),
        safe_triggers: Vec::new(),
    }
}

fn distribution(method: config::Method, tables: &[(&str, &[&str])], ranges: Vec<Range>) -> config::Distribution {
    let columns = |columns: &[&str]| columns.iter().map(|column| column.to_string()).collect();
    config::Distribution {
        name: "customers".into(),
        method,
        tables: tables.iter().map(|(table, key)| (table.to_string(), columns(key))).collect(),
        ranges,
    }
}

fn range(from: Option<&str>, to: Option<&str>, shard: &str) -> Range {
    let value = |text: Option<&str>| text.map(|text| vec![text.to_string()]);
    Range { from: value(from), to: value(to), shard: shard.into() }
}

fn customers() -> config::Distribution {
    distribution(config::Method::Hash, &[("customers", &["id"]), ("orders", &["Customer_ID"])], Vec::new())
}

fn build(database: &config::Database) -> Result<ShardMap, Vec<MapError>> {
    ShardMap::build(database, &shards(3), Epoch(7))
}

fn build_one(distribution: config::Distribution) -> Result<ShardMap, Vec<MapError>> {
    build(&database(vec![distribution]))
}

#[test]
fn a_map_places_what_the_configuration_names() {
    let map = build_one(customers()).unwrap();
    assert_eq!((map.epoch, map.home, map.shards.len()), (Epoch(7), ShardId(0), 2));
    let key = |column: &str| Placement::Distributed { distribution: DistributionId(0), key: vec![column.into()] };
    assert_eq!(map.placement("public", "customers"), Some(&key("id")));
    assert_eq!(map.placement("public", "orders"), Some(&key("customer_id")));
    assert_eq!(map.placement("public", "countries"), Some(&Placement::Reference));
    assert_eq!(map.placement("audit", "log"), Some(&Placement::Local(ShardId(1))));
    assert_eq!(map.placement("audit", "orders"), None);
    let customers = map.distribution_named("customers").unwrap();
    assert_eq!(customers.ranges.owner(&Point::from_hash(-1)), Some(ShardId(0)));
    assert_eq!(customers.ranges.owner(&Point::from_hash(0)), Some(ShardId(1)));
    // hashint8extended(42, 0) and (1, 0) as a server says.
    assert_eq!(customers.point(&[KeyValue::Int(1)]), Point::from_hash(-3670598878359251130));
    assert_eq!(customers.owner(&[KeyValue::Int(1)]), Some(ShardId(0)));
}

#[test]
fn every_problem_is_reported() {
    let mut wrong = database(vec![customers(), customers()]);
    wrong.home = "s3".into();
    wrong.shards.push("s9".into());
    wrong.reference.push("a.b.c".into());
    wrong.local.insert("t".into(), "s8".into());
    let errors = build(&wrong).unwrap_err();
    for expected in [
        unknown_shard(&wrong, "s3"),
        unknown_shard(&wrong, "s9"),
        unknown_shard(&wrong, "s8"),
        MapError::BadName("a.b.c".into()),
        MapError::DuplicateDistribution("customers".into()),
        MapError::DuplicateTable(TableName::new("public", "orders")),
    ] {
        assert!(errors.contains(&expected), "{expected} is missing in {errors:?}");
    }
    let empty = config::Database { shards: Vec::new(), ..database(Vec::new()) };
    assert!(build(&empty).unwrap_err().contains(&MapError::NoShards { database: "shop".into() }));
}

#[test]
fn ranges_must_follow_each_other() {
    use config::Method::{Hash, Range};
    let one =
        |method, ranges| build_one(distribution(method, &[("t", &["id"])], ranges)).map_err(|mut all| all.remove(0));
    let name = || "customers".to_string();
    let (r, ok) = (range, |result: Result<ShardMap, MapError>| result.is_ok());
    assert!(ok(one(Hash, vec![r(None, Some("-5"), "s1"), r(None, None, "s2")])));
    assert!(ok(one(Range, vec![r(Some("1"), Some("5"), "s1"), r(Some("5"), Some("9"), "s2")])));
    assert_eq!(one(Range, vec![]), Err(MapError::NoRanges(name())));
    assert_eq!(one(Range, vec![r(None, None, "s1"), r(None, None, "s2")]), Err(MapError::Gap(name())));
    assert_eq!(one(Range, vec![r(None, Some("5"), "s1"), r(Some("6"), None, "s2")]), Err(MapError::Gap(name())));
    assert_eq!(one(Hash, vec![r(None, Some("5"), "s1")]), Err(MapError::Uncovered(name())));
    assert_eq!(one(Hash, vec![r(Some("5"), None, "s1")]), Err(MapError::Uncovered(name())));
    let cut = |cause| Err(MapError::Cut { distribution: name(), cause });
    let three = |a, b| vec![r(None, Some(a), "s1"), r(None, Some(b), "s2"), r(None, None, "s1")];
    assert_eq!(one(Hash, three("5", "x")), cut(BadCut::Value("x".into())));
    assert_eq!(one(Hash, three("5", "5")), cut(BadCut::Order("5".into())));
    let keys =
        |tables: &[(&str, &[&str])]| build_one(distribution(Hash, tables, vec![])).map_err(|mut all| all.remove(0));
    let wrong_key =
        |table| Err(MapError::KeyColumns { distribution: name(), table: TableName::new("public", table), expected: 2 });
    assert_eq!(keys(&[("a", &["x"]), ("b", &["x", "y"])]), wrong_key("a"));
    assert_eq!(keys(&[("a", &["x", "X"])]), wrong_key("a"));
    assert_eq!(keys(&[("a", &["x y"])]), Err(MapError::BadName("x y".into())));
}

#[test]
fn types_come_from_the_servers() {
    let ranges = vec![range(Some("-5"), Some("10"), "s1"), range(None, None, "s2")];
    let map = build_one(distribution(config::Method::Range, &[("a", &["x"]), ("b", &["y"])], ranges.clone())).unwrap();
    let owner = |map: &ShardMap, value| map.distributions[0].owner(&[KeyValue::Int(value)]);
    assert_eq!(owner(&map, 5), None);
    let none = map.with_key_types(|_, _| None).unwrap();
    assert!(none.distributions[0].key_types.is_empty());
    let typed = map
        .with_key_types(|table, column| match (table.name.as_str(), column) {
            ("a", "x") => Some(KeyType::Int4),
            ("b", "y") => Some(KeyType::Int8),
            _ => None,
        })
        .unwrap();
    assert_eq!(typed.distributions[0].key_types, [KeyType::Int8]);
    assert_eq!(
        [-6, -5, 9, 10].map(|value| owner(&typed, value)),
        [None, Some(ShardId(0)), Some(ShardId(0)), Some(ShardId(1))]
    );
    let mixed = map.with_key_types(|table, _| Some(if table.name == "a" { KeyType::Int4 } else { KeyType::Uuid }));
    assert!(matches!(&mixed.unwrap_err()[..], [MapError::KeyType { found: KeyType::Uuid, .. }]));
    assert!(matches!(&map.with_key_types(|_, _| Some(KeyType::Uuid)).unwrap_err()[..], [MapError::Cut { .. }]));
    assert_eq!(typed.distributions[0].to_config_ranges(&map.shards), ranges);
}

#[test]
fn a_distribution_without_good_types_is_left_out_alone() {
    let cut = vec![range(None, Some("x"), "s1"), range(None, None, "s2")];
    let one = distribution(config::Method::Range, &[("a", &["x"])], cut);
    let other = config::Distribution {
        name: "other".into(),
        ..distribution(config::Method::Hash, &[("b", &["y"])], Vec::new())
    };
    let map = build(&database(vec![one, other])).unwrap();
    let (typed, errors) = map.with_known_key_types(|_, _| Some(KeyType::Text { max_chars: None }));
    assert!(errors.is_empty() && typed.distributions.iter().all(|each| each.ranges.is_typed()));
    // The column of the first becomes an integer: its cut is no value any more.
    let (typed, errors) = typed.with_known_key_types(|_, _| Some(KeyType::Int4));
    assert!(matches!(&errors[..], [MapError::Cut { .. }]));
    assert!(typed.distributions[0].key_types.is_empty() && !typed.distributions[0].ranges.is_typed());
    assert_eq!(typed.distributions[0].owner(&[KeyValue::Int(5)]), None);
    assert_eq!(typed.distributions[1].key_types, [KeyType::Int4]);
    // All tables are dropped.
    let (untyped, errors) = typed.with_known_key_types(|_, _| None);
    assert!(errors.is_empty());
    assert_eq!(untyped, map);
}

#[test]
fn changes_make_the_next_epoch() {
    let ranges = vec![range(None, Some("10"), "s1"), range(None, None, "s2")];
    let untyped = build_one(distribution(config::Method::Range, &[("a", &["x"])], ranges)).unwrap();
    let at = |value| Point::from_key(&[KeyValue::Int(value)]);
    assert_eq!(untyped.split("customers", &at(5)), Err(MapError::Untyped("customers".into())));
    let map = untyped.with_key_types(|_, _| Some(KeyType::Int8)).unwrap();
    let split = map.split("customers", &at(-7)).unwrap();
    assert_eq!(split.epoch, Epoch(8));
    let range_of = KeyRange { from: Some(at(-7)), to: Some(at(10)) };
    let moved = split.reassign("customers", &range_of, ShardId(1)).unwrap();
    assert_eq!(moved.epoch, Epoch(9));
    // What is written down after a change is read back as the same map.
    let written = moved.distributions[0].to_config_ranges(&moved.shards);
    assert_eq!(written[0], range(None, Some("-7"), "s1"));
    let again = build_one(distribution(config::Method::Range, &[("a", &["x"])], written)).unwrap();
    let again = again.with_key_types(|_, _| Some(KeyType::Int8)).unwrap();
    assert_eq!(again.distributions, moved.distributions);
    assert!(matches!(map.split("nothing", &at(1)), Err(MapError::UnknownDistribution(_))));
    assert!(matches!(map.reassign("customers", &range_of, ShardId(7)), Err(MapError::UnknownShard { .. })));
    let empty = KeyRange { from: Some(at(3)), to: Some(at(3)) };
    assert_eq!(map.reassign("customers", &empty, ShardId(1)), Err(MapError::EmptyRange));
    assert_eq!(map.split("customers", &at(5).next()), Err(MapError::NotAKey("customers".into())));
}

proptest! {
    #[test]
    fn a_hash_map_stays_whole_through_changes(
        steps in prop::collection::vec((any::<bool>(), -50..50_i64, -50..50_i64, 0..2_u16), 0..12)
    ) {
        let mut map = build_one(customers()).unwrap();
        let mut model: BTreeMap<i64, ShardId> =
            (-60..60).map(|at| (at, if at < 0 { ShardId(0) } else { ShardId(1) })).collect();
        for (split, a, b, to) in steps {
            let before = map.epoch;
            if split {
                map = map.split("customers", &Point::from_hash(a)).unwrap();
            } else if a < b {
                let range = KeyRange { from: Some(Point::from_hash(a)), to: Some(Point::from_hash(b)) };
                map = map.reassign("customers", &range, ShardId(to)).unwrap();
                model.range_mut(a..b).for_each(|(_, owner)| *owner = ShardId(to));
            } else {
                continue;
            }
            prop_assert_eq!(map.epoch.0, before.0 + 1);
            for (at, owner) in &model {
                prop_assert_eq!(map.distributions[0].ranges.owner(&Point::from_hash(*at)), Some(*owner));
            }
            let written = map.distributions[0].to_config_ranges(&map.shards);
            let again = build_one(config::Distribution { ranges: written, ..customers() }).unwrap();
            prop_assert_eq!(&again.distributions[0].ranges, &map.distributions[0].ranges);
        }
    }
}
