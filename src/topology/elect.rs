//! Who is the primary of a shard. Pure.
//!
//! The primary is who says so: not in recovery, of the right cluster, on the highest timeline seen. Two that say so, or
//! one on an older timeline, leave the shard without a primary: a statement that waits is better than a history that
//! splits.

use super::mark::Timeline;
use super::state::NodeState;
use crate::config::NodeRole;
use crate::map::NodeId;

/// A node that answers, and what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub id: NodeId,
    /// Its address, for alarms.
    pub address: String,
    /// Whether it is in recovery.
    pub in_recovery: bool,
    /// Its timeline.
    pub timeline: Timeline,
    /// Its cluster.
    pub system_id: u64,
    /// Its role, if the configuration fixes it.
    pub fixed: Option<NodeRole>,
}

/// What is remembered of a shard from one answer to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Its cluster.
    pub system_id: Option<u64>,
    /// The highest timeline seen.
    pub timeline: Option<Timeline>,
}

/// What came of an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The one primary.
    pub primary: Option<NodeId>,
    /// What an operator must look at.
    pub alarm: Option<String>,
    /// What is to be remembered.
    pub memory: Memory,
}

/// Elects. `candidates` are the nodes whose last probe was answered; `suspect` is the primary so far, if its probes go
/// unanswered but it was not seen to be gone: it stays only while nobody else makes the claim.
pub fn elect(memory: &Memory, candidates: &[Candidate], suspect: Option<NodeId>) -> Outcome {
    let claims_first = || candidates.iter().filter(|c| !c.in_recovery).chain(candidates);
    // The cluster of a shard whose cluster is not known is that of the first claimant; if claimants are of different
    // clusters, both are counted below and neither wins.
    let claimants_differ = {
        let mut ids = candidates.iter().filter(|c| !c.in_recovery).map(|c| c.system_id);
        let first = ids.next();
        ids.any(|id| Some(id) != first)
    };
    if memory.system_id.is_none() && claimants_differ {
        let alarm =
            format!("nodes of different clusters claim to be its primary: {}", list(candidates, |c| !c.in_recovery));
        return Outcome { primary: None, alarm: Some(alarm), memory: *memory };
    }
    let claimed = candidates.iter().any(|c| !c.in_recovery);
    let system_id = memory.system_id.or_else(|| claims_first().next().filter(|_| claimed).map(|c| c.system_id));
    let ours = |c: &Candidate| system_id.is_none_or(|id| id == c.system_id);
    let timeline = candidates.iter().filter(|c| ours(c)).map(|c| c.timeline).max().max(memory.timeline);
    let claims = |c: &Candidate| !c.in_recovery && ours(c) && c.fixed != Some(NodeRole::Replica);
    let older = |c: &Candidate| claims(c) && Some(c.timeline) < timeline;
    let memory = Memory { system_id, timeline };

    let count = candidates.iter().filter(|c| claims(c)).count();
    let (primary, alarm) = match count {
        _ if candidates.iter().any(older) => (None, Some(older_claim(candidates, older, timeline))),
        0 => (suspect, None),
        1 => (candidates.iter().find(|c| claims(c)).map(|c| c.id), None),
        _ => (None, Some(format!("several nodes claim to be its primary: {}", list(candidates, claims)))),
    };
    Outcome { primary, alarm: alarm.or_else(|| oddity(candidates, ours)), memory }
}

/// The role of a node under an election's outcome; `None` while it may be used for nothing.
pub fn role(node: &NodeState, primary: Option<NodeId>, system_id: Option<u64>) -> Option<NodeRole> {
    if primary == Some(node.id()) {
        return Some(NodeRole::Primary);
    }
    let seen = node.seen?;
    let ours = system_id.is_none_or(|id| id == seen.system_id);
    let replica = seen.in_recovery && ours && node.settings.node.role != Some(NodeRole::Primary);
    replica.then_some(NodeRole::Replica)
}

fn older_claim(candidates: &[Candidate], older: impl Fn(&Candidate) -> bool, timeline: Option<Timeline>) -> String {
    let highest = timeline.map(|t| t.to_string()).unwrap_or_default();
    format!(
        "{} claims to be its primary on an older timeline than {highest}; shut it down, then rewind or rebuild it",
        list(candidates, older)
    )
}

/// What does not keep the shard from having a primary, but is wrong.
fn oddity(candidates: &[Candidate], ours: impl Fn(&Candidate) -> bool) -> Option<String> {
    let foreign = |c: &Candidate| !ours(c);
    let promoted = |c: &Candidate| ours(c) && !c.in_recovery && c.fixed == Some(NodeRole::Replica);
    let demoted = |c: &Candidate| ours(c) && c.in_recovery && c.fixed == Some(NodeRole::Primary);
    if candidates.iter().any(foreign) {
        return Some(format!("not of this cluster by its system identifier: {}", list(candidates, foreign)));
    }
    if candidates.iter().any(promoted) {
        return Some(format!("configured as a replica, but not in recovery: {}", list(candidates, promoted)));
    }
    candidates
        .iter()
        .any(demoted)
        .then(|| format!("configured as the primary, but in recovery: {}", list(candidates, demoted)))
}

fn list(candidates: &[Candidate], wanted: impl Fn(&Candidate) -> bool) -> String {
    let text = |c: &Candidate| format!("{} (timeline {}, cluster {})", c.address, c.timeline, c.system_id);
    candidates.iter().filter(|c| wanted(c)).map(text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `p2` claims on timeline 2, `r1` follows on timeline 1; a `!` behind it is of another cluster, `=r` is fixed as a
    /// replica, `=p` as the primary.
    fn node(id: u32, text: &str) -> Candidate {
        let fixed = text.split_once('=').map(|(_, r)| if r == "p" { NodeRole::Primary } else { NodeRole::Replica });
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        Candidate {
            id: NodeId(id),
            address: format!("n{id}"),
            in_recovery: text.starts_with('r'),
            timeline: Timeline(digits.parse().unwrap()),
            system_id: if text.contains('!') { 8 } else { 7 },
            fixed,
        }
    }

    fn run(memory: &Memory, nodes: &[&str], suspect: Option<u32>) -> Outcome {
        let nodes: Vec<_> = nodes.iter().enumerate().map(|(id, text)| node(id as u32, text)).collect();
        elect(memory, &nodes, suspect.map(NodeId))
    }

    fn check(highest: u32, nodes: &[&str], suspect: Option<u32>, primary: Option<u32>, alarm: Option<&str>) {
        let memory = Memory { system_id: Some(7), timeline: (highest > 0).then_some(Timeline(highest)) };
        let outcome = run(&memory, nodes, suspect);
        assert_eq!(outcome.primary, primary.map(NodeId), "{nodes:?}");
        match alarm {
            None => assert_eq!(outcome.alarm, None, "{nodes:?}"),
            Some(part) => assert!(outcome.alarm.as_ref().is_some_and(|a| a.contains(part)), "{nodes:?} {outcome:?}"),
        }
    }

    #[test]
    fn elections() {
        check(0, &[], None, None, None);
        check(0, &["r1", "r1"], None, None, None);
        check(0, &["p1", "r1"], None, Some(0), None);
        check(1, &["r1", "p2"], None, Some(1), None);
        // Two claims on one timeline.
        check(1, &["p2", "p2"], None, None, Some("several nodes claim"));
        // A claim on an older timeline, whether or not the newer one answers, or is only seen at a follower.
        check(1, &["p1", "p2"], None, None, Some("n0 (timeline 1, cluster 7) claims"));
        check(2, &["p1", "r1"], None, None, Some("older timeline than 2"));
        check(1, &["p1", "r2"], None, None, Some("older timeline than 2"));
        // A primary that is only slow stays until somebody else claims.
        check(1, &["r1"], Some(7), Some(7), None);
        check(1, &["p2"], Some(7), Some(0), None);
        // Nodes of another cluster never count.
        check(1, &["p1", "p9!"], None, Some(0), Some("not of this cluster by its system identifier: n1"));
        check(1, &["r1", "p9!"], None, None, Some("n1"));
        // Fixed roles.
        check(1, &["p1", "p1=r"], None, Some(0), Some("configured as a replica, but not in recovery: n1"));
        check(1, &["p1=p", "r1"], None, Some(0), None);
        check(1, &["r1=p", "r1"], None, None, Some("configured as the primary, but in recovery: n0"));
    }

    #[test]
    fn the_cluster_of_a_shard_is_learned_from_its_first_claimant() {
        let nothing = Memory::default();
        let learned = run(&nothing, &["r1!", "p1"], None);
        assert_eq!(learned.memory, Memory { system_id: Some(7), timeline: Some(Timeline(1)) });
        assert_eq!(learned.primary, Some(NodeId(1)));
        let torn = run(&nothing, &["p1!", "p1"], None);
        assert_eq!((torn.primary, torn.memory), (None, nothing));
        assert!(torn.alarm.unwrap().contains("different clusters"));
        // Followers alone teach nothing about the cluster.
        assert_eq!(run(&nothing, &["r1"], None).memory.system_id, None);
    }

    #[test]
    fn the_highest_timeline_is_never_forgotten() {
        let memory = run(&Memory::default(), &["p5"], None).memory;
        let memory = run(&memory, &["r4"], None).memory;
        assert_eq!(memory.timeline, Some(Timeline(5)));
    }
}
