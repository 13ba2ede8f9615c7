//! PostgreSQL's extended hash functions, so that a server computes the position of a row as we do.
//!
//! PostgreSQL hashes with Bob Jenkins' lookup3 (`hash_any_extended`, `hash_bytes_uint32_extended`): three words of 32 bits,
//! all begun with the same number made of the length, the seed stirred in when it is not zero, the bytes taken in twelve at
//! a time as little-endian words. One thing differs from the public lookup3: the bytes behind the last full twelve never
//! touch the lowest byte of the third word. The results are the same on every PostgreSQL since 11 and are stored in the
//! place of every sharded row: `tests/tables/hash_postgres.csv` holds numbers of a running server.

use super::KeyValue;

/// The position of a key of one or several columns before it becomes a [`super::Point`]: each column's hash is the seed of
/// the next, the first seed is 0.
pub fn hash_key(key: &[KeyValue]) -> i64 {
    key.iter().fold(0, |seed, value| hash_value(value, seed))
}

/// One column's hash. Integers of all widths hash alike.
pub fn hash_value(value: &KeyValue, seed: i64) -> i64 {
    match value {
        KeyValue::Int(value) => hash_int(*value, seed),
        KeyValue::Text(value) => hash_bytes(value.as_bytes(), seed),
        KeyValue::Uuid(value) => hash_bytes(value, seed),
    }
}

/// `hashint8extended`, and, because it folds a value to 32 bits first, `hashint2extended` and `hashint4extended` too.
pub fn hash_int(value: i64, seed: i64) -> i64 {
    let low = value as u32;
    let high = (value >> 32) as u32;
    // For a negative number the high word is turned over: a value that fits 32 bits then keeps its low word unchanged.
    let folded = low ^ if value >= 0 { high } else { !high };
    let mut state = State::new(4, seed);
    state.a = state.a.wrapping_add(folded);
    state.finish()
}

/// `hash_any_extended`: `hashtextextended` of a text with a deterministic collation, `uuid_hash_extended` of a uuid's bytes.
pub fn hash_bytes(bytes: &[u8], seed: i64) -> i64 {
    // PostgreSQL's length is an int; longer values than that do not exist there.
    let mut state = State::new(bytes.len() as u32, seed);
    let mut blocks = bytes.chunks_exact(12);
    for block in &mut blocks {
        state.add(word(&block[0..4]), word(&block[4..8]), word(&block[8..12]));
        state.mix();
    }
    let rest = blocks.remainder();
    let part = |from: usize| word(&rest[from.min(rest.len())..(from + 4).min(rest.len())]);
    // The lowest byte of the third word stays out of it: the three bytes that can be left go above it.
    state.add(part(0), part(4), part(8) << 8);
    state.finish()
}

/// Up to four bytes as a little-endian word, missing ones as zero.
fn word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// The three words of lookup3.
struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    fn new(length: u32, seed: i64) -> State {
        let start = 0x9e37_79b9_u32.wrapping_add(length).wrapping_add(3_923_095);
        let mut state = State { a: start, b: start, c: start };
        if seed != 0 {
            state.add((seed as u64 >> 32) as u32, seed as u32, 0);
            state.mix();
        }
        state
    }

    fn add(&mut self, a: u32, b: u32, c: u32) {
        self.a = self.a.wrapping_add(a);
        self.b = self.b.wrapping_add(b);
        self.c = self.c.wrapping_add(c);
    }

    /// lookup3's `mix`: six reversible rounds, the words taking turns.
    fn mix(&mut self) {
        let State { mut a, mut b, mut c } = *self;
        let round = |x: &mut u32, y: &mut u32, z: &mut u32, turn: u32| {
            *x = x.wrapping_sub(*z) ^ z.rotate_left(turn);
            *z = z.wrapping_add(*y);
        };
        round(&mut a, &mut b, &mut c, 4);
        round(&mut b, &mut c, &mut a, 6);
        round(&mut c, &mut a, &mut b, 8);
        round(&mut a, &mut b, &mut c, 16);
        round(&mut b, &mut c, &mut a, 19);
        round(&mut c, &mut a, &mut b, 4);
        *self = State { a, b, c };
    }

    /// lookup3's `final`, and the last two words as one number.
    fn finish(self) -> i64 {
        let State { mut a, mut b, mut c } = self;
        let round = |x: &mut u32, y: u32, turn: u32| *x = (*x ^ y).wrapping_sub(y.rotate_left(turn));
        round(&mut c, b, 14);
        round(&mut a, c, 11);
        round(&mut b, a, 25);
        round(&mut c, b, 16);
        round(&mut a, c, 4);
        round(&mut b, a, 14);
        round(&mut c, b, 24);
        (u64::from(b) << 32 | u64::from(c)) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Positions that servers computed. A change that needs another number here moves every row of every user.
    const VECTORS: &str = include_str!("../../tests/tables/hash_postgres.csv");

    fn unhex(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn hashes_are_postgresqls() {
        let mut seen = 0;
        for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
            let [function, value, seed, expected] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let seed: i64 = seed.parse().unwrap();
            let found = match function {
                "int2" | "int4" | "int8" => hash_int(value.parse().unwrap(), seed),
                "text" => hash_bytes(&unhex(value), seed),
                "longtext" => hash_bytes(&vec![b'x'; value.parse().unwrap()], seed),
                "uuid" => hash_bytes(&unhex(&value.replace('-', "")), seed),
                "int8+text" => {
                    let (int, text) = value.split_once(':').unwrap();
                    hash_key(&[
                        KeyValue::Int(int.parse().unwrap()),
                        KeyValue::Text(String::from_utf8(unhex(text)).unwrap()),
                    ])
                }
                other => panic!("{other}"),
            };
            assert_eq!(found, expected.parse::<i64>().unwrap(), "{line}");
            seen += 1;
        }
        assert_eq!(seen, 444, "a vector was lost");
    }

    #[test]
    fn twins_share_a_position() {
        // 64-bit integers are folded to 32 bits first: these two can never be separated.
        assert_eq!(hash_int(0, 0), hash_int(4_294_967_297, 0));
    }
}
