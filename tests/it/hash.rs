//! Positions and conversions against a real server.

use pgweave::map::hash::{hash_bytes, hash_int, hash_key};
use pgweave::map::{Conversion, KeyType, KeyValue, Source, convert};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::support;

const TEXT: KeyType = KeyType::Text { max_chars: None };

/// How many values of a kind are compared.
const VALUES: usize = 2_000;

fn seeded() -> (u64, StdRng) {
    let seed = rand::random();
    (seed, StdRng::seed_from_u64(seed))
}

/// Integers of every magnitude.
fn random_int(rng: &mut StdRng) -> i64 {
    rng.random::<i64>() >> rng.random_range(0..64)
}

/// Texts of ASCII and of characters of two, three and four bytes, up to 60 characters.
fn random_text(rng: &mut StdRng) -> String {
    let any = |rng: &mut StdRng| match rng.random_range(0..4) {
        0 => rng.random_range('\u{80}'..'\u{d7ff}'),
        1 => rng.random_range('\u{10000}'..='\u{10ffff}'),
        _ => rng.random_range(' '..='~'),
    };
    let length = rng.random_range(0..60);
    (0..length).map(|_| any(rng)).collect()
}

#[tokio::test]
async fn positions_are_those_a_server_computes() {
    let (seed, mut rng) = seeded();
    let database = support::database(1, 0, "");
    let server = support::app(database.cluster.shards[0].primary.port(), &database.name).await;

    let ints: Vec<i64> = (0..VALUES).map(|_| random_int(&mut rng)).collect();
    let texts: Vec<String> = (0..VALUES).map(|_| random_text(&mut rng)).collect();
    let uuids: Vec<[u8; 16]> = (0..VALUES).map(|_| rng.random()).collect();
    let written: Vec<String> = uuids.iter().map(|uuid| KeyValue::Uuid(*uuid).to_string()).collect();
    let seeds: Vec<i64> = (0..VALUES).map(|_| if rng.random() { 0 } else { random_int(&mut rng) }).collect();
    let rows = server
        .query(
            "SELECT hashint8extended(i, s), hashtextextended(t, s), uuid_hash_extended(u::uuid, s), \
                    hashtextextended(t, hashint8extended(i, 0)), hashint4extended(i::bit(32)::int4, s), \
                    i::bit(32)::int4, uuid_hash_extended(u::uuid, hashtextextended(t, hashint8extended(i, 0))) \
             FROM unnest($1::int8[], $2::text[], $3::text[], $4::int8[]) AS v (i, t, u, s)",
            &[&ints, &texts, &written, &seeds],
        )
        .await
        .unwrap();
    assert_eq!(rows.len(), VALUES);
    for (index, row) in rows.iter().enumerate() {
        let (int, text, uuid, with) = (ints[index], &texts[index], uuids[index], seeds[index]);
        let told = format!("{int} {text:?} {} seed {with}, run {seed}", written[index]);
        assert_eq!(hash_int(int, with), row.get::<_, i64>(0), "int8 {told}");
        assert_eq!(hash_bytes(text.as_bytes(), with), row.get::<_, i64>(1), "text {told}");
        assert_eq!(hash_bytes(&uuid, with), row.get::<_, i64>(2), "uuid {told}");
        assert_eq!(hash_int(row.get::<_, i32>(5).into(), with), row.get::<_, i64>(4), "int4 {told}");
        let mut key = vec![KeyValue::Int(int), KeyValue::Text(text.clone())];
        assert_eq!(hash_key(&key), row.get::<_, i64>(3), "two columns {told}");
        key.push(KeyValue::Uuid(uuid));
        assert_eq!(hash_key(&key), row.get::<_, i64>(6), "three columns {told}");
    }
}

/// What a server makes of a text under each cast; `None` where it reports an error.
async fn stored(server: &support::Session, text: &str, cast: &str) -> Option<String> {
    let quoted = text.replace('\'', "''");
    let rows = server.simple_query(&format!("SELECT ('{quoted}'::{cast})::text")).await.ok()?;
    rows.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

/// Texts that are, or nearly are, integers and uuids.
fn nearly(rng: &mut StdRng) -> String {
    let mut text = match rng.random_range(0..4) {
        0 => random_int(rng).to_string(),
        1 => KeyValue::Uuid(rng.random()).to_string(),
        2 => KeyValue::Uuid(rng.random()).to_string().replace('-', ""),
        _ => (0..rng.random_range(0..5))
            .filter_map(|_| "0123456789xXeE_.".chars().nth(rng.random_range(0..16)))
            .collect(),
    };
    for _ in 0..rng.random_range(0..3) {
        let at = if rng.random() { 0 } else { rng.random_range(0..=text.len()) };
        let inserted = [" ", "\t", "\n", "\u{b}", "+", "-", "{", "}", "0", "_", "A"].choose(rng).unwrap();
        text.insert_str(at, inserted);
    }
    if rng.random_range(0..4) == 0 {
        text = format!("{{{text}}}");
    }
    text
}

#[tokio::test]
async fn what_is_converted_is_what_a_server_reads() {
    let (seed, mut rng) = seeded();
    let database = support::database(1, 0, "");
    let server = support::app(database.cluster.shards[0].primary.port(), &database.name).await;
    let types = [
        ("int2", KeyType::Int2),
        ("int4", KeyType::Int4),
        ("int8", KeyType::Int8),
        ("uuid", KeyType::Uuid),
        ("text", TEXT),
        ("varchar(8)", KeyType::Text { max_chars: Some(8) }),
    ];
    let mut values = 0;
    for _ in 0..600 {
        let text = nearly(&mut rng);
        for (cast, key_type) in types {
            let converted = convert(Source::String(&text), key_type, None);
            if converted == Conversion::Opaque {
                continue;
            }
            let stored = stored(&server, &text, cast).await;
            match converted {
                Conversion::Value(value) => assert_eq!(Some(value.to_string()), stored, "{text:?}::{cast}, run {seed}"),
                _ => assert_eq!(None, stored, "{text:?}::{cast}, run {seed}"),
            }
            values += 1;
        }
    }
    assert!(values > 800, "only {values} values were converted, so little was compared");
}
