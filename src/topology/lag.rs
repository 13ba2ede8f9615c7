//! How far a replica is behind, in bytes and in time, and whether that is too far.

use std::time::{Duration, Instant};

use super::mark::{Mark, Samples};

/// How far a replica is behind its primary. `None` is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Bytes of log that the primary has inserted and the replica has not replayed.
    pub bytes: Option<u64>,
    /// For how long the replica has lacked what it lacks; zero when it lacks nothing that was seen on the primary,
    /// however long ago that was written.
    pub time: Option<Duration>,
}

/// How far is too far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LagLimits {
    /// Further behind than this a replica leaves the rotation.
    pub time: Duration,
    /// The same in bytes; `None`: no bound.
    pub bytes: Option<u64>,
}

/// Whether a replica takes reads, as far as its lag is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Its lag has not been measured yet.
    Unmeasured,
    /// It takes reads.
    In,
    /// It is, or recently was, too far behind.
    Out,
}

/// Measures a replica that has replayed up to `replayed`.
///
/// `primary` are the samples of the shard's primaries; `caught_up` is when a sample was begun that the replica is known
/// to have reached. Everything the replica lacks was written after that instant, so the time from there to the newest
/// sample bounds its lag, to within one probe and without comparing the clocks of two machines. While there is no primary,
/// nothing is written, and the lag stands still. Only while the replica has never been seen to reach a sample, `xact_age`
/// decides: the age of the last transaction it replayed by the servers' own clocks, which says too much after an idle
/// stretch.
///
/// A replica on an older timeline than the primary has an unknown lag: its positions are of another history.
pub fn measure(replayed: Mark, primary: &Samples, caught_up: Option<Instant>, xact_age: Option<Duration>) -> Lag {
    let Some(newest) = primary.last() else { return Lag { bytes: None, time: xact_age } };
    if replayed.timeline < newest.mark.timeline {
        return Lag::default();
    }
    let bytes = newest.mark.lsn.bytes_since(replayed.lsn);
    let time = match (bytes, caught_up) {
        (0, _) => Some(Duration::ZERO),
        (_, Some(instant)) => Some(newest.begun.saturating_duration_since(instant)),
        (_, None) => xact_age,
    };
    Lag { bytes: Some(bytes), time }
}

/// The next state of a replica's rotation: out beyond the limits, back at or below half of them.
pub fn rotate(was: Rotation, lag: &Lag, limits: &LagLimits) -> Rotation {
    let Some(time) = lag.time else {
        return if was == Rotation::Unmeasured { Rotation::Unmeasured } else { Rotation::Out };
    };
    let divisor = if was == Rotation::Out { 2 } else { 1 };
    let bytes_fit = match (limits.bytes, lag.bytes) {
        (None, _) => true,
        (Some(limit), Some(bytes)) => bytes <= limit / u64::from(divisor),
        (Some(_), None) => false,
    };
    if bytes_fit && time <= limits.time / divisor { Rotation::In } else { Rotation::Out }
}

#[cfg(test)]
mod tests {
    use super::super::mark::{Lsn, Sample, Timeline};
    use super::*;

    fn mark(timeline: u32, lsn: u64) -> Mark {
        Mark { timeline: Timeline(timeline), lsn: Lsn(lsn) }
    }

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn lag_of_a_replica() {
        let start = Instant::now();
        let mut primary = Samples::default();
        assert_eq!(measure(mark(1, 5), &primary, None, Some(ms(7))), Lag { bytes: None, time: Some(ms(7)) });
        primary.push(Sample { begun: start + ms(900), mark: mark(1, 500) });
        let check = |replayed, caught_up: Option<u64>, age: Option<u64>, bytes: Option<u64>, time: Option<u64>| {
            let lag = measure(replayed, &primary, caught_up.map(|at| start + ms(at)), age.map(ms));
            assert_eq!(lag, Lag { bytes, time: time.map(ms) }, "{replayed:?}");
        };
        // An idle primary: nothing is missing, however old the last transaction is.
        check(mark(1, 500), Some(900), Some(3_600_000), Some(0), Some(0));
        check(mark(1, 600), None, None, Some(0), Some(0));
        // Behind: since it was last known to have everything.
        check(mark(1, 450), Some(600), Some(3_600_000), Some(50), Some(300));
        // Never seen to have everything: by its last transaction.
        check(mark(1, 450), None, Some(2500), Some(50), Some(2500));
        check(mark(1, 450), None, None, Some(50), None);
        // Of an older history.
        check(mark(0, 9000), Some(600), Some(1), None, None);
    }

    #[test]
    fn hysteresis() {
        let limits = LagLimits { time: ms(1000), bytes: Some(100) };
        let check = |was, time: Option<u64>, bytes: Option<u64>, expect| {
            let lag = Lag { bytes, time: time.map(ms) };
            assert_eq!(rotate(was, &lag, &limits), expect, "{was:?} {lag:?}");
        };
        use Rotation::{In, Out, Unmeasured};
        check(In, Some(1000), Some(0), In);
        check(In, Some(1001), Some(0), Out);
        check(Out, Some(501), Some(0), Out);
        check(Out, Some(500), Some(0), In);
        check(In, Some(0), Some(100), In);
        check(In, Some(0), Some(101), Out);
        check(Out, Some(0), Some(51), Out);
        check(Out, Some(0), Some(50), In);
        check(Unmeasured, Some(900), Some(90), In);
        check(Unmeasured, None, None, Unmeasured);
        check(In, None, Some(0), Out);
        check(In, Some(0), None, Out);
        let unbounded = LagLimits { time: ms(1000), bytes: None };
        assert_eq!(rotate(In, &Lag { bytes: Some(u64::MAX), time: Some(ms(0)) }, &unbounded), In);
    }
}
