//! Positions in the write-ahead log, and marks: the positions a read must not be older than.
//!
//! A mark is never asked of a server by a statement. The monitor samples every node anyway, and a sample that was begun
//! after an event was acknowledged is an upper bound of the event's position.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

/// A position in the write-ahead log, in bytes (`pg_lsn`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

/// A timeline's number. Only grows along one history: every promotion begins a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timeline(pub u32);

/// A text that is not of the form `16/B374D848`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid log position \"{0}\"")]
pub struct NotAnLsn(String);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 as u32)
    }
}

impl FromStr for Lsn {
    type Err = NotAnLsn;

    fn from_str(text: &str) -> Result<Lsn, NotAnLsn> {
        let half = |part: &str| u32::from_str_radix(part, 16).ok().filter(|_| !part.starts_with('+'));
        text.split_once('/')
            .and_then(|(high, low)| Some(Lsn(u64::from(half(high)?) << 32 | u64::from(half(low)?))))
            .ok_or_else(|| NotAnLsn(text.to_string()))
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Lsn {
    /// Bytes from `earlier` to this position; zero if this one is the earlier.
    pub fn bytes_since(self, earlier: Lsn) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// An insert position as a replica can reach it, on a server whose log segments have `segment_bytes` bytes.
    ///
    /// When the last record ends at a page's end, `pg_current_wal_insert_lsn()` answers the first byte behind the *next*
    /// page's header, where the next record would begin, while a replica that has replayed everything says the page's
    /// start. Such a position has no byte of a record before it on its page, so the page's start is the same place. The
    /// header has 40 bytes on a segment's first page and 24 on all others; without telling them apart a true position
    /// would be lowered below its record.
    pub fn reachable(self, segment_bytes: u64) -> Lsn {
        let in_page = self.0 % WAL_PAGE_BYTES;
        let first_of_segment = self.0 % segment_bytes.max(WAL_PAGE_BYTES) < WAL_PAGE_BYTES;
        let header = if first_of_segment { LONG_HEADER_BYTES } else { SHORT_HEADER_BYTES };
        if in_page == header { Lsn(self.0 - in_page) } else { self }
    }
}

/// `XLOG_BLCKSZ` of every stock build.
const WAL_PAGE_BYTES: u64 = 8192;
/// `SizeOfXLogShortPHD`.
const SHORT_HEADER_BYTES: u64 = 24;
/// `SizeOfXLogLongPHD`.
const LONG_HEADER_BYTES: u64 = 40;

/// What a read must not be older than: a position on a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The timeline of the node that was sampled.
    pub timeline: Timeline,
    /// Its position: inserted on a primary, replayed on a replica.
    pub lsn: Lsn,
}

/// A node's position and when it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The instant before the question was sent: whatever was acknowledged before it is in `mark`.
    pub begun: Instant,
    /// The answer.
    pub mark: Mark,
}

/// Where one timeline ended and the next began, as far as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// The timeline that ended.
    pub from: Timeline,
    /// The timeline that began; above `from`.
    pub to: Timeline,
    /// A lower bound of where: the last position the new primary was seen to have replayed before its promotion. What is
    /// at or below it survived for certain.
    pub at: Lsn,
}

/// Recent samples, oldest first; dense near now and sparse further back.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    list: Vec<Sample>,
}

impl Samples {
    /// Adds a sample. One begun before the newest is dropped: it says nothing new.
    pub fn push(&mut self, sample: Sample) {
        if self.list.last().is_some_and(|last| sample.begun <= last.begun) {
            return;
        }
        self.list.push(sample);
        if self.list.len() > SAMPLES {
            // Every second one of the older half goes: a later sample may stand for an earlier one everywhere, at the
            // price of a bound that is less tight.
            let half = SAMPLES / 2;
            let mut index = 0;
            self.list.retain(|_| {
                index += 1;
                index > half || index % 2 == 0
            });
        }
    }

    /// The newest.
    pub fn last(&self) -> Option<&Sample> {
        self.list.last()
    }

    /// The first that was begun after `instant`.
    pub fn first_after(&self, instant: Instant) -> Option<&Sample> {
        self.list.get(self.list.partition_point(|sample| sample.begun <= instant))
    }

    /// The newest whose position `replayed` has reached.
    pub fn last_reached(&self, replayed: Mark) -> Option<&Sample> {
        let reached = |s: &&Sample| s.mark.timeline <= replayed.timeline && s.mark.lsn <= replayed.lsn;
        self.list.iter().rev().find(reached)
    }

    /// All, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Sample> {
        self.list.iter()
    }
}

/// How many samples are kept per node.
const SAMPLES: usize = 128;

/// How a mark stands to a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The position includes it.
    Reached,
    /// Not yet.
    Ahead,
    /// A failover came between, and the new history is not known to include it.
    Lost,
}

impl Mark {
    /// How this mark stands to a node that is at `position`, given where timelines were switched.
    ///
    /// Below every switch since its timeline, a mark of an older timeline is an ordinary position of the new one.
    pub fn standing(&self, position: Mark, switches: &[Switch]) -> Standing {
        let mut timeline = self.timeline;
        while timeline < position.timeline {
            // A switch that nobody saw (before this proxy started, or between two probes) proves nothing, so the mark
            // counts as lost rather than as reached.
            match switches.iter().find(|switch| switch.from == timeline) {
                Some(switch) if self.lsn <= switch.at => timeline = switch.to,
                _ => return Standing::Lost,
            }
        }
        if position.timeline >= self.timeline && position.lsn >= self.lsn { Standing::Reached } else { Standing::Ahead }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn mark(timeline: u32, lsn: u64) -> Mark {
        Mark { timeline: Timeline(timeline), lsn: Lsn(lsn) }
    }

    #[test]
    fn texts() {
        assert_eq!("16/B374D848".parse(), Ok(Lsn(0x16_B374_D848)));
        assert_eq!(Lsn(0x16_B374_D848).to_string(), "16/B374D848");
        assert_eq!(Lsn(0).to_string(), "0/0");
        for wrong in ["", "1", "1/", "/1", "x/1", "1/123456789", "+1/1", "1/1/1"] {
            assert!(wrong.parse::<Lsn>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_position_behind_a_page_header_is_the_page() {
        const SEGMENT: u64 = 16 << 20;
        let check = |lsn: u64, expect: u64| assert_eq!(Lsn(lsn).reachable(SEGMENT), Lsn(expect), "{lsn:#x}");
        check(3 * 8192 + 24, 3 * 8192);
        check(3 * 8192 + 32, 3 * 8192 + 32);
        // A record that ends 16 bytes into an ordinary page is not at its start.
        check(3 * 8192 + 40, 3 * 8192 + 40);
        check(5 * SEGMENT + 40, 5 * SEGMENT);
        check(5 * SEGMENT + 24, 5 * SEGMENT + 24);
        check(5 * SEGMENT, 5 * SEGMENT);
        // Larger segments have fewer first pages.
        assert_eq!(Lsn(SEGMENT + 40).reachable(64 << 20), Lsn(SEGMENT + 40));
        assert_eq!(Lsn(SEGMENT + 24).reachable(64 << 20), Lsn(SEGMENT));
    }

    #[test]
    fn the_first_sample_begun_after_an_event() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut samples = Samples::default();
        assert_eq!(samples.first_after(start), None);
        for step in 1..=3 {
            samples.push(Sample { begun: at(step * 100), mark: mark(1, step * 10) });
        }
        let lsn = |instant| samples.first_after(instant).map(|s| s.mark.lsn.0);
        assert_eq!(lsn(at(0)), Some(10));
        // Begun in the same instant is not begun after.
        assert_eq!(lsn(at(100)), Some(20));
        assert_eq!(lsn(at(250)), Some(30));
        assert_eq!(lsn(at(300)), None);
        assert_eq!(samples.last_reached(mark(1, 25)).map(|s| s.mark.lsn.0), Some(20));
        assert_eq!(samples.last_reached(mark(1, 9)), None);
    }

    #[test]
    fn thinned_samples_stay_ordered_and_bound_from_above() {
        let start = Instant::now();
        let mut samples = Samples::default();
        for step in 1..=10_000u64 {
            samples.push(Sample { begun: start + Duration::from_millis(step), mark: mark(1, step) });
        }
        assert!(samples.list.len() <= SAMPLES);
        assert!(samples.list.windows(2).all(|pair| pair[0].begun < pair[1].begun));
        for event in [0u64, 17, 5_000, 9_990, 9_999] {
            let found = samples.first_after(start + Duration::from_millis(event)).unwrap();
            assert!(found.mark.lsn.0 > event, "the write at {event} is at position {event}");
        }
        assert_eq!(samples.last().unwrap().mark.lsn.0, 10_000);
        // Dense at the end: the last samples are all there.
        assert_eq!(samples.first_after(start + Duration::from_millis(9_980)).unwrap().mark.lsn.0, 9_981);
    }

    #[test]
    fn marks_across_a_failover() {
        let switches = [Switch { from: Timeline(1), to: Timeline(2), at: Lsn(100) }];
        let check = |m: Mark, position: Mark, expect| assert_eq!(m.standing(position, &switches), expect, "{m:?}");
        check(mark(1, 50), mark(1, 60), Standing::Reached);
        check(mark(1, 50), mark(1, 40), Standing::Ahead);
        check(mark(1, 100), mark(2, 120), Standing::Reached);
        check(mark(1, 101), mark(2, 120), Standing::Lost);
        // A replica left on the old timeline may be further along it and has still nothing of the new one.
        check(mark(2, 110), mark(1, 500), Standing::Ahead);
        check(mark(2, 110), mark(2, 110), Standing::Reached);
        // The switch from 2 to 3 was not seen.
        check(mark(2, 110), mark(3, 500), Standing::Lost);
    }
}
