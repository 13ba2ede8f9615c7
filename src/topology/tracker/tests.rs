//! The tracker under a virtual clock.

use super::*;
use crate::config::{Balancing, Node, ReadFromPrimary, SslMode};
use crate::topology::mark::Lsn;
use crate::topology::{Need, NoNode, Preference, Standing};

const SHARD: ShardId = ShardId(0);
const CLUSTER: u64 = 7;

/// A shard, and a clock in milliseconds.
struct World {
    start: Instant,
    now: u64,
    tracker: Tracker,
}

fn settings(id: u32, weight: u32) -> NodeSettings {
    let node = Node {
        host: format!("n{id}"),
        port: 5432,
        zone: None,
        weight,
        role: None,
        sslmode: SslMode::Disable,
        root_cert: None,
    };
    NodeSettings { id: NodeId(id), shard: SHARD, node }
}

fn rules() -> Rules {
    Rules { lag: LagLimits { time: Duration::from_millis(1000), bytes: None }, recover_after: 2 }
}

fn primary(timeline: u32, lsn: u64) -> Observation {
    Observation {
        in_recovery: false,
        timeline: Timeline(timeline),
        system_id: CLUSTER,
        position: Lsn(lsn),
        received: None,
        xact_age: None,
        replay_paused: false,
    }
}

fn replica(timeline: u32, lsn: u64) -> Observation {
    Observation { in_recovery: true, xact_age: Some(Duration::from_secs(3600)), ..primary(timeline, lsn) }
}

impl World {
    fn new(nodes: u32) -> World {
        let nodes = (0..nodes).map(|id| settings(id, 1)).collect();
        World { start: Instant::now(), now: 0, tracker: Tracker::new(rules(), nodes) }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    /// The next probe of `node`: 100 ms later, answered after 1 ms.
    fn answer(&mut self, node: u32, seen: Observation) -> &mut World {
        self.now += 100;
        self.tracker.answered(self.at(self.now + 1), NodeId(node), self.at(self.now), seen);
        self
    }

    fn gone(&mut self, node: u32) -> &mut World {
        self.now += 1;
        self.tracker.failed(self.at(self.now), NodeId(node), Failure::Gone("refused".into()));
        self
    }

    fn slow(&mut self, node: u32) -> &mut World {
        self.now += 1;
        self.tracker.failed(self.at(self.now), NodeId(node), Failure::Slow("no answer".into()));
        self
    }

    fn report(&mut self, node: u32) -> &mut World {
        self.now += 1;
        self.tracker.reported(self.at(self.now), NodeId(node), "reset");
        self
    }

    fn shard(&mut self) -> Arc<ShardState> {
        self.tracker.snapshot().shard(SHARD).unwrap().clone()
    }

    fn health(&mut self, node: u32) -> &'static str {
        self.shard().node(NodeId(node)).unwrap().health.as_str()
    }

    fn primary(&mut self) -> Option<u32> {
        self.shard().primary.map(|node| node.0)
    }

    fn read(&mut self, at_least: Option<Mark>) -> Option<u32> {
        self.choose(Need::Replica { at_least }, None, 0).ok()
    }

    fn choose(&mut self, need: Need, sticky: Option<u32>, seed: u64) -> Result<u32, NoNode> {
        let preference = Preference {
            balancing: Balancing::RoundRobin,
            read_from_primary: ReadFromPrimary::Fallback,
            sticky: sticky.map(NodeId),
            seed,
        };
        self.tracker.snapshot().choose(SHARD, need, &preference, |_| 0).map(|node| node.0)
    }
}

#[test]
fn the_first_election_waits_until_every_node_was_asked() {
    let mut world = World::new(2);
    assert_eq!(world.answer(0, primary(1, 10)).primary(), None);
    assert_eq!(world.answer(1, primary(2, 20)).primary(), None);
    assert!(world.shard().alarm.as_ref().unwrap().contains("older timeline than 2"));
    let mut world = World::new(2);
    assert_eq!(world.answer(0, primary(1, 10)).gone(1).primary(), Some(0));
}

#[test]
fn lag_appears_and_goes() {
    let mut world = World::new(2);
    world.answer(0, primary(1, 100)).answer(1, replica(1, 100));
    assert_eq!(world.shard().nodes[1].lag, Lag { bytes: Some(0), time: Some(Duration::ZERO) });
    assert_eq!(world.read(None), Some(1));
    // Replay stops at 100 while the primary goes on. The sample it reached was begun at 100 ms.
    world.answer(0, primary(1, 150)).answer(1, replica(1, 100));
    assert_eq!(world.shard().nodes[1].lag, Lag { bytes: Some(50), time: Some(Duration::from_millis(200)) });
    while world.now < 1300 {
        assert_eq!(world.read(None), Some(1), "in rotation at {} ms", world.now);
        world.answer(0, primary(1, 150)).answer(1, replica(1, 100));
    }
    assert_eq!(world.shard().nodes[1].rotation, Rotation::Out);
    assert_eq!(world.read(None), Some(0), "the primary serves");
    world.answer(1, replica(1, 150));
    assert_eq!(world.read(None), Some(1));
    let rotations = |e: &Event| matches!(e, Event::Rotation { node: NodeId(1), .. });
    assert_eq!(world.tracker.take_events().iter().filter(|e| rotations(e)).count(), 2);
}

#[test]
fn lag_stands_still_while_there_is_no_primary() {
    let mut world = World::new(2);
    world.answer(0, primary(1, 100)).answer(1, replica(1, 100)).answer(0, primary(1, 150)).gone(0);
    for _ in 0..50 {
        world.answer(1, replica(1, 100));
    }
    assert_eq!(world.shard().nodes[1].lag.time, Some(Duration::from_millis(200)));
    assert_eq!((world.primary(), world.read(None)), (None, Some(1)), "reads go on");
}

#[test]
fn replicas_of_a_primary_that_cannot_be_watched_take_no_reads() {
    let mut world = World::new(2);
    world.answer(0, primary(1, 100)).answer(1, replica(1, 100));
    world.now += 1;
    world.tracker.failed(world.at(world.now), NodeId(0), Failure::Denied("password".into()));
    world.answer(1, replica(1, 100));
    assert_eq!((world.primary(), world.read(None)), (Some(0), Some(0)));
    world.answer(0, primary(1, 100)).answer(1, replica(1, 100));
    assert_eq!(world.read(None), Some(1));
}

#[test]
fn a_node_that_is_gone_comes_back_after_its_probes() {
    let mut world = World::new(2);
    world.answer(0, primary(1, 100)).answer(1, replica(1, 100)).gone(1);
    assert_eq!((world.health(1), world.read(None)), ("down", Some(0)));
    assert_eq!(world.answer(1, replica(1, 100)).health(1), "down");
    assert_eq!(world.gone(1).answer(1, replica(1, 100)).health(1), "down", "answers in a row");
    assert_eq!(world.answer(1, replica(1, 100)).health(1), "up");
    assert_eq!(world.read(None), Some(1));
    // An answer to a question asked before the failure says nothing about after it.
    let begun = world.at(world.now);
    world.report(1);
    for _ in 0..3 {
        world.tracker.answered(begun + Duration::from_millis(50), NodeId(1), begun, replica(1, 100));
    }
    assert_eq!(world.health(1), "down");
}

#[test]
fn the_last_node_that_can_do_the_work_is_not_banned_on_a_suspicion() {
    let mut world = World::new(2);
    world.answer(0, primary(1, 100)).answer(1, replica(1, 100));
    // Nobody else can take writes: only a refusal at the monitor's own probe takes the primary out.
    assert_eq!(world.report(0).health(0), "suspect");
    assert_eq!(world.slow(0).primary(), Some(0));
    assert_eq!(world.answer(0, primary(1, 100)).health(0), "up");
    assert_eq!(world.gone(0).primary(), None);
    assert_eq!(world.choose(Need::Primary, None, 0), Err(NoNode::NoPrimary { shard: SHARD, alarm: None }));
    // Now the replica is the last one for reads.
    assert_eq!(world.report(1).health(1), "suspect");
    assert_eq!(world.read(None), Some(1));
    assert_eq!(world.gone(1).read(None), None);
}

#[test]
fn a_frozen_primary_gives_way_to_a_promoted_replica() {
    let mut world = World::new(3);
    world.answer(0, primary(1, 100)).answer(1, replica(1, 100)).answer(2, replica(1, 90));
    let written = world.at(world.now);
    assert_eq!(world.slow(0).primary(), Some(0));
    assert_eq!(world.answer(1, primary(2, 120)).primary(), Some(1));
    // It left the rotation of replicas, and the other has not followed yet.
    assert_eq!(world.read(None), Some(1));
    assert_eq!(world.answer(2, replica(1, 95)).read(None), Some(1), "of an older history");
    assert_eq!(world.answer(2, replica(2, 120)).read(None), Some(2));
    // The switch was at 100 at least: an old mark below it stands, one above it is lost.
    let snapshot = world.tracker.snapshot();
    let standing = |lsn| snapshot.standing(SHARD, &Mark { timeline: Timeline(1), lsn: Lsn(lsn) });
    assert_eq!((standing(100), standing(101)), (Some(Standing::Reached), Some(Standing::Lost)));
    assert_eq!(snapshot.mark_after(SHARD, written).unwrap().timeline, Timeline(2));
    // The old primary comes back as one: writes stop.
    world.answer(0, primary(1, 130));
    assert_eq!(world.primary(), None);
    let refused = world.choose(Need::Primary, None, 0).unwrap_err();
    assert!(matches!(&refused, NoNode::NoPrimary { alarm: Some(text), .. } if text.contains("n0:5432")), "{refused:?}");
    // Reads go on, and once it follows, so do writes.
    assert_eq!(world.answer(2, replica(2, 120)).read(None), Some(2));
    assert_eq!(world.answer(0, replica(2, 120)).primary(), Some(1));
    assert_eq!(world.shard().alarm, None);
}

#[test]
fn a_read_waits_for_its_mark_at_the_primary() {
    let mut world = World::new(3);
    world.answer(0, primary(1, 100)).answer(1, replica(1, 100)).answer(2, replica(1, 100));
    let written = world.at(world.now);
    assert_eq!(world.tracker.snapshot().mark_after(SHARD, written), None);
    world.answer(0, primary(1, 200));
    let mark = world.tracker.snapshot().mark_after(SHARD, written);
    assert_eq!(mark, Some(Mark { timeline: Timeline(1), lsn: Lsn(200) }));
    assert_eq!(world.read(mark), Some(0));
    assert_eq!(world.answer(2, replica(1, 200)).read(mark), Some(2));
    // A replica that is left: the first sample begun after its last answer.
    let left = world.at(world.now);
    assert_eq!(world.tracker.snapshot().node_mark_after(NodeId(2), left), None);
    world.answer(2, replica(1, 230));
    assert_eq!(world.tracker.snapshot().node_mark_after(NodeId(2), left).unwrap().lsn, Lsn(230));
}

#[test]
fn nodes_are_replaced_without_forgetting_the_shard() {
    let mut world = World::new(2);
    world.answer(0, primary(3, 100)).answer(1, replica(3, 100));
    world.tracker.replace(rules(), vec![settings(0, 1), settings(2, 5)]);
    assert_eq!((world.primary(), world.health(0), world.health(2)), (Some(0), "up", "unknown"));
    world.tracker.replace(rules(), vec![settings(2, 5)]);
    assert_eq!(world.answer(2, primary(2, 900)).primary(), None, "an old primary of a timeline that is over");
    assert_eq!(world.answer(2, primary(4, 900)).primary(), Some(2));
    assert!(world.tracker.snapshot().node(NodeId(1)).is_none());
}

#[test]
fn what_another_proxy_saw_is_believed() {
    let mut world = World::new(1);
    world.tracker.remember(SHARD, Some(CLUSTER), Some(Timeline(4)));
    assert_eq!(world.answer(0, primary(3, 100)).primary(), None);
    assert_eq!(world.answer(0, Observation { system_id: 8, ..primary(4, 100) }).primary(), None);
    assert_eq!(world.answer(0, primary(4, 100)).primary(), Some(0));
}

#[test]
fn balancing() {
    let mut world = World::new(0);
    world.tracker.replace(rules(), vec![settings(0, 9), settings(1, 1), settings(2, 3), settings(3, 0)]);
    for node in [1, 2, 3] {
        world.answer(node, replica(1, 100));
    }
    world.answer(0, primary(1, 100));
    for node in [1, 2, 3] {
        world.answer(node, replica(1, 100));
    }
    let snapshot = world.tracker.snapshot();
    let check = |balancing, read_from_primary, loads: [usize; 4], expect: &[u32]| {
        let pick = |seed| {
            let preference = Preference { balancing, read_from_primary, sticky: None, seed };
            let need = Need::Replica { at_least: None };
            snapshot.choose(SHARD, need, &preference, |node| loads[node.id().0 as usize]).unwrap().0
        };
        let picked: Vec<u32> = (0..expect.len() as u64).map(pick).collect();
        assert_eq!(picked, expect, "{balancing:?} {read_from_primary:?} {loads:?}");
    };
    use ReadFromPrimary::{Always, Fallback};
    check(Balancing::RoundRobin, Fallback, [0; 4], &[1, 2, 3, 1, 2, 3]);
    check(Balancing::RoundRobin, Always, [0; 4], &[0, 1, 2, 3, 0]);
    check(Balancing::Weighted, Fallback, [0; 4], &[1, 2, 2, 2, 1, 2, 2, 2]);
    check(Balancing::LeastConnections, Fallback, [0, 5, 4, 6], &[2, 2, 2]);
    check(Balancing::LeastConnections, Fallback, [0, 4, 4, 6], &[1, 2, 1]);
    check(Balancing::LeastConnections, Always, [3, 4, 4, 6], &[0, 0]);
    // A session stays where it was while that is fit.
    assert_eq!(world.choose(Need::Replica { at_least: None }, Some(3), 0), Ok(3));
    world.gone(3);
    assert_eq!(world.choose(Need::Replica { at_least: None }, Some(3), 0), Ok(1));
    assert_eq!(world.choose(Need::Replica { at_least: None }, Some(0), 0), Ok(1), "the primary is no replica");
}
