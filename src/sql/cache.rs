//! Analyses by fingerprint, shared by all sessions of a database.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::analysis::{Analysis, Literal};
use super::fingerprint::{FingerprintKey, exact, lifted};
use super::lexer;
use super::relocate::{last_position, relocate};

/// How many independent parts the cache has, so that sessions on different processors seldom wait for each other.
const SHARDS: usize = 16;

/// A bounded cache from texts to analyses. Evicts by CLOCK: what was used since the hand last came by stays.
///
/// The key of an entry is a 128-bit keyed hash of the text and of `context`, the caller's hash of all else that an analysis
/// depends on: role, search path, `standard_conforming_strings`, client encoding, schema version. Entries of an old schema
/// are never found again and are evicted as any other.
#[derive(Debug)]
pub struct PlanCache {
    key: FingerprintKey,
    shards: Vec<Mutex<Shard>>,
    /// Limits of one shard.
    entries: usize,
    bytes: usize,
}

impl PlanCache {
    /// An empty cache of about this many entries and bytes at most. `key` is random and the process's own.
    pub fn new(key: FingerprintKey, entries: usize, bytes: usize) -> PlanCache {
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard::default())).collect();
        PlanCache { key, shards, entries: entries.div_ceil(SHARDS).max(1), bytes: bytes / SHARDS }
    }

    /// The analysis of this very text, and whether it was there; else `make` makes it. `literals` receives the text's
    /// literals. For texts that come again as they are: those of Parse.
    pub fn lookup_exact(
        &self,
        text: &str,
        standard_strings: bool,
        context: u64,
        literals: &mut Vec<Literal>,
        make: impl FnOnce() -> Analysis,
    ) -> (Arc<Analysis>, bool) {
        let key = exact(self.key, context, text);
        literals.clear();
        if let Some(entry) = self.find(key) {
            literals.extend_from_slice(&entry.literals);
            return (Arc::clone(&entry.analysis), true);
        }
        // A text that cannot be cut has no literals, and its analysis asks for none.
        if let Ok(tokens) = lexer::lex(text, standard_strings) {
            *literals = lexer::literals(&tokens);
        }
        let analysis = Arc::new(make());
        let entry = Entry { analysis: Arc::clone(&analysis), literals: literals.as_slice().into(), start: 0, fixed: 0 };
        self.insert(key, Arc::new(entry), text.len());
        (analysis, false)
    }

    /// The analysis of this text or of one that differs from it in lifted literals alone, and whether it was there; else
    /// `make` makes it from this text. `literals` receives the text's literals, which the analysis' operands count.
    /// For texts that come with other values each time: those of simple Query messages.
    ///
    /// A hit allocates nothing, unless the analysis holds byte ranges behind a literal of another length.
    pub fn lookup_lifted(
        &self,
        text: &str,
        standard_strings: bool,
        context: u64,
        literals: &mut Vec<Literal>,
        make: impl FnOnce() -> Analysis,
    ) -> (Arc<Analysis>, bool) {
        let Ok((key, start)) = lifted(self.key, context, text, standard_strings, literals) else {
            literals.clear();
            return (Arc::new(make()), false);
        };
        if let Some(entry) = self.find(key) {
            if entry.lies_alike(start, literals) {
                return (Arc::clone(&entry.analysis), true);
            }
            // The same tokens have as many literals; anything else would be a collision, and then the entry is not ours.
            if entry.literals.len() == literals.len() {
                let moved = relocate(&entry.analysis, (entry.start, &entry.literals), (start, literals));
                return (Arc::new(moved), true);
            }
        }
        let mut analysis = make();
        let fixed = last_position(&mut analysis) as u32;
        let analysis = Arc::new(analysis);
        let entry = Entry { analysis: Arc::clone(&analysis), literals: literals.as_slice().into(), start, fixed };
        self.insert(key, Arc::new(entry), text.len());
        (analysis, false)
    }

    /// How many entries there are now.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).slots.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything.
    pub fn clear(&self) {
        for shard in &self.shards {
            *lock(shard) = Shard::default();
        }
    }

    fn shard(&self, key: u128) -> MutexGuard<'_, Shard> {
        // The high bits: the map inside uses the low ones.
        lock(&self.shards[(key >> 124) as usize % SHARDS])
    }

    fn find(&self, key: u128) -> Option<Arc<Entry>> {
        self.shard(key).find(key)
    }

    fn insert(&self, key: u128, entry: Arc<Entry>, length: usize) {
        let weight = weight(length);
        // One text must not push out all others.
        if weight <= self.bytes / 4 {
            self.shard(key).insert(Slot { key, entry, weight, used: false }, self.entries, self.bytes);
        }
    }
}

/// An upper bound of what an entry takes, in bytes, by the length of its text: the densest text is a long list of one-digit
/// constants, where two bytes of text become an operand and a literal of 48 together.
fn weight(length: usize) -> usize {
    1024 + 32 * length
}

/// A poisoned lock only says that a session's task panicked; the shard is consistent between any two statements of ours.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Entry {
    analysis: Arc<Analysis>,
    /// All literals of the text it was made from.
    literals: Box<[Literal]>,
    /// Where that text's first token begins.
    start: u32,
    /// The last byte position that the analysis holds.
    fixed: u32,
}

impl Entry {
    /// Whether every position that the analysis holds is right for a text with these literals, too.
    fn lies_alike(&self, start: u32, literals: &[Literal]) -> bool {
        if self.fixed == 0 {
            return true;
        }
        start == self.start
            && self
                .literals
                .iter()
                .zip(literals)
                .take_while(|(ours, _)| ours.span.start < self.fixed)
                .all(|(ours, theirs)| ours.span == theirs.span)
    }
}

#[derive(Debug)]
struct Slot {
    key: u128,
    entry: Arc<Entry>,
    weight: usize,
    used: bool,
}

/// The key is a hash already.
#[derive(Debug, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

#[derive(Debug, Default)]
struct Shard {
    /// Into `slots`.
    index: HashMap<u128, usize, BuildHasherDefault<Identity>>,
    slots: Vec<Slot>,
    hand: usize,
    bytes: usize,
}

impl Shard {
    fn find(&mut self, key: u128) -> Option<Arc<Entry>> {
        let slot = &mut self.slots[*self.index.get(&key)?];
        slot.used = true;
        Some(Arc::clone(&slot.entry))
    }

    fn insert(&mut self, slot: Slot, entries: usize, bytes: usize) {
        if let Some(&at) = self.index.get(&slot.key) {
            // Another session was as fast; or a collision, where the newer may as well stay.
            self.bytes = self.bytes - self.slots[at].weight + slot.weight;
            self.slots[at] = slot;
            return;
        }
        while !self.slots.is_empty() && (self.slots.len() >= entries || self.bytes + slot.weight > bytes) {
            self.evict();
        }
        self.bytes += slot.weight;
        self.index.insert(slot.key, self.slots.len());
        self.slots.push(slot);
    }

    /// Takes out the first entry from the hand on that was not used since the hand came by.
    fn evict(&mut self) {
        loop {
            self.hand %= self.slots.len();
            if !std::mem::take(&mut self.slots[self.hand].used) {
                break;
            }
            self.hand += 1;
        }
        let out = self.slots.swap_remove(self.hand);
        self.bytes -= out.weight;
        self.index.remove(&out.key);
        if let Some(moved) = self.slots.get(self.hand) {
            self.index.insert(moved.key, self.hand);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Context, Schema, analyse};

    const KEY: FingerprintKey = FingerprintKey(*b"0123456789abcdef");

    fn make(text: &str) -> Analysis {
        let context = Context { search_path: vec!["public".to_owned()], standard_conforming_strings: true };
        analyse(text, &context, &Schema::default())
    }

    fn look(cache: &PlanCache, text: &str, context: u64) -> bool {
        let mut literals = Vec::new();
        cache.lookup_exact(text, true, context, &mut literals, || make(text)).1
    }

    #[test]
    fn the_same_text_is_found_under_the_same_context() {
        let cache = PlanCache::new(KEY, 100, 1 << 20);
        assert!(!look(&cache, "SELECT 1", 1));
        assert!(look(&cache, "SELECT 1", 1));
        assert!(!look(&cache, "SELECT 1", 2));
        assert!(!look(&cache, "SELECT 2", 1));
        assert_eq!(cache.len(), 3);
        cache.clear();
        assert!(cache.is_empty());
        assert!(!look(&cache, "SELECT 1", 1));
    }

    #[test]
    fn literals_are_told_on_hit_and_miss() {
        let cache = PlanCache::new(KEY, 100, 1 << 20);
        let text = "SELECT * FROM t WHERE a = 'x' AND b = 42";
        let (mut first, mut second) = (Vec::new(), Vec::new());
        cache.lookup_exact(text, true, 0, &mut first, || make(text));
        cache.lookup_exact(text, true, 0, &mut second, || make(text));
        assert_eq!(first, second);
        assert_eq!(
            first.iter().map(|l| &text[l.span.start as usize..l.span.end as usize]).collect::<Vec<_>>(),
            ["'x'", "42"]
        );
        let other = "SELECT * FROM t WHERE a = 'long one' AND b = 7";
        assert!(!cache.lookup_lifted(text, true, 0, &mut first, || make(text)).1);
        assert!(cache.lookup_lifted(other, true, 0, &mut first, || make(other)).1);
        assert_eq!(
            first.iter().map(|l| &other[l.span.start as usize..l.span.end as usize]).collect::<Vec<_>>(),
            ["'long one'", "7"]
        );
    }

    #[test]
    fn it_stays_within_its_bounds_and_keeps_what_is_used() {
        let cache = PlanCache::new(KEY, 160, 1 << 20);
        for n in 0..2_000 {
            look(&cache, "SELECT hot", 0);
            look(&cache, &format!("SELECT {n}"), 0);
            assert!(cache.len() <= 160);
        }
        assert!(cache.len() > 100);
        assert!(look(&cache, "SELECT hot", 0));
        let small = PlanCache::new(KEY, 1_000_000, 64 << 10);
        for n in 0..2_000 {
            look(&small, &format!("SELECT {n}"), 0);
            let bytes: usize = small.shards.iter().map(|shard| lock(shard).bytes).sum();
            assert!(bytes <= 64 << 10);
        }
        let long = format!("SELECT '{}'", "x".repeat(64 << 10));
        look(&small, &long, 0);
        assert!(!look(&small, &long, 0));
    }
}
