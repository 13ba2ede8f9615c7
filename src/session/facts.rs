//! What a session must not read behind: its own writes.

use std::time::Instant;

use crate::map::ShardId;
use crate::topology::{Mark, Need, Snapshot, Standing};

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Acknowledged at this instant; the monitor has not sampled the primary since.
    Pending(Instant),
    /// A position that is not before the write's.
    Known(Mark),
}

/// The marks of one session: per shard, what a replica must have replayed before the session reads from it again.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    marks: Vec<(ShardId, State)>,
}

impl Marks {
    /// A write on `shard` was acknowledged at `now`.
    pub fn wrote(&mut self, shard: ShardId, now: Instant) {
        self.marks.retain(|(known, _)| *known != shard);
        self.marks.push((shard, State::Pending(now)));
    }

    /// What a read on `shard` needs: any replica, one that has replayed the mark, or the primary while there is no mark yet.
    pub fn need(&mut self, shard: ShardId, snapshot: &Snapshot) -> Need {
        let Some(at) = self.marks.iter().position(|(known, _)| *known == shard) else {
            return Need::Replica { at_least: None };
        };
        let state = &mut self.marks[at].1;
        if let State::Pending(since) = *state
            && let Some(mark) = snapshot.mark_after(shard, since)
        {
            *state = State::Known(mark);
        }
        match *state {
            State::Pending(_) => Need::Primary,
            State::Known(mark) if snapshot.standing(shard, &mark) == Some(Standing::Lost) => {
                // A failover lost the write: no server has it any more, so no replica is worse than another.
                self.marks.swap_remove(at);
                Need::Replica { at_least: None }
            }
            State::Known(mark) => Need::Replica { at_least: Some(mark) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_write_the_primary_until_there_is_a_sample() {
        let mut marks = Marks::default();
        let snapshot = Snapshot::default();
        assert_eq!(marks.need(ShardId(0), &snapshot), Need::Replica { at_least: None });
        marks.wrote(ShardId(0), Instant::now());
        assert_eq!(marks.need(ShardId(0), &snapshot), Need::Primary);
        assert_eq!(marks.need(ShardId(1), &snapshot), Need::Replica { at_least: None });
    }
}
