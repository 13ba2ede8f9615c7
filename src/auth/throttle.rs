//! Failed logins cost time: each failure doubles the wait before the next try of the same user from the same address.
//!
//! The wait lies before the verdict and does not depend on it, so a guess costs the same whether right or wrong. Tries
//! that run at once wait side by side; how many there can be is the limit on clients. Memory is bounded: at most
//! [`MAX_ENTRIES`] pairs of a fixed size, the one that failed longest ago goes first.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::password::{self, Key};

/// The most pairs of address and user that are remembered.
pub const MAX_ENTRIES: usize = 4096;

/// The wait after the first failure.
pub const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The longest wait; well below the start-up timeout, so that the right password still gets in.
pub const LONGEST_DELAY: Duration = Duration::from_secs(3);

/// A pair is forgotten this long after its last failure.
pub const MEMORY: Duration = Duration::from_secs(600);

/// An address and the digest of a name, which would be as long as a stranger likes.
type Pair = (Option<IpAddr>, Key);

fn pair(address: Option<IpAddr>, user: &str) -> Pair {
    (address, password::hash(user.as_bytes()))
}

/// What is known of one pair.
#[derive(Clone, Copy, Debug)]
struct Entry {
    failures: u32,
    last: Instant,
}

/// Who failed lately.
#[derive(Debug, Default)]
pub struct Throttle {
    entries: HashMap<Pair, Entry>,
}

impl Throttle {
    /// How long a login of `user` from `address` has to wait at `now`; zero for who did not fail lately. `None` is an
    /// address that is not known (a Unix socket).
    pub fn delay(&self, address: Option<IpAddr>, user: &str, now: Instant) -> Duration {
        self.entries
            .get(&pair(address, user))
            .filter(|entry| now.saturating_duration_since(entry.last) < MEMORY)
            .map_or(Duration::ZERO, |entry| {
                let doublings = entry.failures.saturating_sub(1).min(16);
                FIRST_DELAY.saturating_mul(1 << doublings).min(LONGEST_DELAY)
            })
    }

    /// Notes a failed login.
    pub fn failed(&mut self, address: Option<IpAddr>, user: &str, now: Instant) {
        let key = pair(address, user);
        if !self.entries.contains_key(&key) && self.entries.len() >= MAX_ENTRIES {
            self.make_room(now);
        }
        let entry = self.entries.entry(key).or_insert(Entry { failures: 0, last: now });
        if now.saturating_duration_since(entry.last) >= MEMORY {
            entry.failures = 0;
        }
        entry.failures = entry.failures.saturating_add(1);
        entry.last = now;
    }

    /// Notes a login that succeeded: earlier failures are forgotten.
    pub fn succeeded(&mut self, address: Option<IpAddr>, user: &str) {
        self.entries.remove(&pair(address, user));
    }

    /// How many pairs are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody failed lately.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn make_room(&mut self, now: Instant) {
        self.entries.retain(|_, entry| now.saturating_duration_since(entry.last) < MEMORY);
        if self.entries.len() >= MAX_ENTRIES {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.last).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                self.entries.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    #[test]
    fn waits_double_up_to_a_bound() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        assert_eq!(throttle.delay(HERE, "bob", now), Duration::ZERO);
        let mut delays = Vec::new();
        for _ in 0..7 {
            throttle.failed(HERE, "bob", now);
            delays.push(throttle.delay(HERE, "bob", now).as_millis());
        }
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3000, 3000]);
        for _ in 0..100 {
            throttle.failed(HERE, "bob", now);
        }
        assert_eq!(throttle.delay(HERE, "bob", now), LONGEST_DELAY);
        assert_eq!(throttle.delay(HERE, "eve", now), Duration::ZERO);
        assert_eq!(throttle.delay(None, "bob", now), Duration::ZERO);
    }

    #[test]
    fn failures_are_forgotten() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        throttle.failed(HERE, "bob", now);
        throttle.failed(HERE, "bob", now);
        assert_eq!(throttle.delay(HERE, "bob", now + MEMORY), Duration::ZERO);
        throttle.failed(HERE, "bob", now + MEMORY);
        assert_eq!(throttle.delay(HERE, "bob", now + MEMORY), FIRST_DELAY);
        throttle.succeeded(HERE, "bob");
        assert!(throttle.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        for number in 0..MAX_ENTRIES as u64 + 10 {
            throttle.failed(HERE, &number.to_string(), start + Duration::from_millis(number));
        }
        let now = start + Duration::from_secs(5);
        assert_eq!(throttle.len(), MAX_ENTRIES);
        assert_eq!(throttle.delay(HERE, "9", now), Duration::ZERO);
        assert_eq!(throttle.delay(HERE, "10", now), FIRST_DELAY);
    }
}
