//! The monitor against real primaries and replicas.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgweave::cluster::{Cluster, Node, Shard, StopMode};
use pgweave::config::{self, Balancing, NodeRole, ReadFromPrimary, Secret, SslMode};
use pgweave::map::{NodeId, ShardId};
use pgweave::topology::lag::{LagLimits, Rotation};
use pgweave::topology::tracker::Rules;
use pgweave::topology::{
    MonitorLogin, MonitorSettings, Need, NoNode, NodeSettings, NodeState, Preference, Snapshot, Standing, Timeline,
    TopologyHandle, monitor,
};

use super::support::{self, LIMIT};

const SHARD: ShardId = ShardId(0);
const PRIMARY: NodeId = NodeId(0);
const REPLICA: NodeId = NodeId(1);
const SECOND: NodeId = NodeId(2);

pub fn monitor_settings(max_lag: Duration) -> MonitorSettings {
    MonitorSettings {
        interval: Duration::from_millis(20),
        timeout: Duration::from_secs(2),
        rules: Rules { lag: LagLimits { time: max_lag, bytes: None }, recover_after: 2 },
        login: MonitorLogin { user: "app".into(), password: Some(Secret::new("app")), dbname: "postgres".into() },
    }
}

fn nodes(shard: &Shard) -> Vec<NodeSettings> {
    let all = std::iter::once(&shard.primary).chain(&shard.replicas);
    all.enumerate().map(|(id, node)| node_settings(NodeId(id as u32), node.port())).collect()
}

pub fn node_settings(id: NodeId, port: u16) -> NodeSettings {
    let node = config::Node {
        host: "127.0.0.1".into(),
        port,
        zone: None,
        weight: 1,
        role: None,
        sslmode: SslMode::Disable,
        root_cert: None,
    };
    NodeSettings { id, shard: SHARD, node }
}

/// A cluster of one shard, and a monitor that sees all of it.
async fn watched(replicas: usize, max_lag: Duration) -> (Cluster, TopologyHandle) {
    let cluster = support::private(1, replicas);
    let shard = &cluster.shards[0];
    shard.primary.sql("postgres", "GRANT pg_monitor TO app; CREATE TABLE t (n int)").unwrap();
    let handle = monitor::start(monitor_settings(max_lag), nodes(shard));
    wait(&handle, "all nodes are seen", |s| {
        s.primary(SHARD) == Some(PRIMARY) && s.nodes().filter(|n| n.is_fit_replica()).count() == replicas
    })
    .await;
    (cluster, handle)
}

async fn wait(handle: &TopologyHandle, what: &str, condition: impl FnMut(&Snapshot) -> bool) -> Arc<Snapshot> {
    match tokio::time::timeout(LIMIT, handle.wait_for(condition)).await {
        Ok(snapshot) => snapshot,
        Err(_) => panic!("{what}: not within {LIMIT:?}: {:#?}", handle.snapshot().shard(SHARD)),
    }
}

fn choose(snapshot: &Snapshot, need: Need) -> Result<NodeId, NoNode> {
    let preference = Preference {
        balancing: Balancing::LeastConnections,
        read_from_primary: ReadFromPrimary::Fallback,
        sticky: None,
        seed: 0,
    };
    snapshot.choose(SHARD, need, &preference, NodeState::in_use)
}

fn read(snapshot: &Snapshot) -> Result<NodeId, NoNode> {
    choose(snapshot, Need::Replica { at_least: None })
}

fn write(node: &Node) {
    node.sql("postgres", "INSERT INTO t VALUES (1)").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lag_appears_while_replay_is_paused_and_goes() {
    let (cluster, handle) = watched(1, Duration::from_millis(300)).await;
    let shard = &cluster.shards[0];
    shard.replicas[0].pause_replay().unwrap();
    write(&shard.primary);
    let written = Instant::now();
    let snapshot = wait(&handle, "a mark", |s| s.mark_after(SHARD, written).is_some()).await;
    let mark = snapshot.mark_after(SHARD, written).unwrap();
    assert_eq!(choose(&snapshot, Need::Replica { at_least: Some(mark) }), Ok(PRIMARY));
    let lagging = |s: &Snapshot| {
        let replica = s.node(REPLICA).unwrap();
        replica.seen.unwrap().replay_paused
            && replica.lag.bytes.is_some_and(|bytes| bytes > 0)
            && replica.lag.time.is_some_and(|time| time > Duration::from_millis(300))
    };
    let snapshot = wait(&handle, "lag", lagging).await;
    assert_eq!(snapshot.node(REPLICA).unwrap().rotation, Rotation::Out);
    assert_eq!(read(&snapshot), Ok(PRIMARY));
    assert_eq!(snapshot.shard(SHARD).unwrap().standing(snapshot.node(REPLICA).unwrap(), &mark), Standing::Ahead);
    shard.replicas[0].resume_replay().unwrap();
    let fits = |s: &Snapshot| choose(s, Need::Replica { at_least: Some(mark) }) == Ok(REPLICA);
    let snapshot = wait(&handle, "the replica has replayed the mark", fits).await;
    assert!(snapshot.node(REPLICA).unwrap().seen.unwrap().position >= mark.lsn);
    // Nothing is written any more: zero lag, in time too, although the last transaction grows older.
    let idle = |s: &Snapshot| {
        let replica = s.node(REPLICA).unwrap();
        replica.lag.bytes == Some(0)
            && replica.lag.time == Some(Duration::ZERO)
            && replica.seen.unwrap().xact_age > Some(Duration::from_millis(500))
    };
    wait(&handle, "an idle primary means no lag", idle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_are_reached_wherever_the_log_ends() {
    let (cluster, handle) = watched(1, Duration::from_secs(10)).await;
    let shard = &cluster.shards[0];
    // Each switch of the segment leaves an idle primary behind a page header, where no replica's position ever is.
    for _ in 0..3 {
        write(&shard.primary);
        shard.primary.sql("postgres", "SELECT pg_switch_wal()").unwrap();
        let written = Instant::now();
        let reached = |s: &Snapshot| {
            s.mark_after(SHARD, written)
                .is_some_and(|mark| choose(s, Need::Replica { at_least: Some(mark) }) == Ok(REPLICA))
        };
        wait(&handle, "the replica reaches the mark of an idle primary", reached).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_replica_is_out_and_comes_back() {
    let (cluster, handle) = watched(1, Duration::from_secs(10)).await;
    let shard = &cluster.shards[0];
    assert_eq!(read(&handle.snapshot()), Ok(REPLICA));
    shard.replicas[0].stop(StopMode::Fast).unwrap();
    // Before the port is closed, a server that shuts down says so, or breaks connections off.
    let down =
        |s: &Snapshot| s.node(REPLICA).is_some_and(|n| n.health.why().is_some_and(|why| why.contains("refused")));
    let snapshot = wait(&handle, "the replica is down", down).await;
    assert_eq!((read(&snapshot), choose(&snapshot, Need::Primary)), (Ok(PRIMARY), Ok(PRIMARY)));
    assert_eq!(snapshot.node(REPLICA).unwrap().health.as_str(), "down");
    shard.replicas[0].start().unwrap();
    wait(&handle, "the replica is back", |s| read(s) == Ok(REPLICA)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_puts_a_replica_out_until_its_probes_are_answered() {
    let (_cluster, handle) = watched(1, Duration::from_secs(10)).await;
    handle.report_failure(REPLICA, "reset");
    let version = handle.snapshot().version;
    assert_eq!(handle.snapshot().node(REPLICA).unwrap().health.as_str(), "down");
    assert_eq!(read(&handle.snapshot()), Ok(PRIMARY));
    let snapshot = wait(&handle, "the replica is back", |s| read(s) == Ok(REPLICA)).await;
    assert!(snapshot.version >= version + 2, "two probes");
    // A backend of the monitor that is terminated is not a node that is gone.
    handle.report_failure(PRIMARY, "reset");
    assert_eq!(choose(&handle.snapshot(), Need::Primary), Ok(PRIMARY));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_probe_says_nothing_of_its_node() {
    let (cluster, handle) = watched(1, Duration::from_secs(10)).await;
    let kill =
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'pgweave monitor'";
    let pids = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgweave monitor'";
    let before = cluster.shards[0].primary.sql("postgres", pids).unwrap();
    let mut always_primary = true;
    let mut watching = handle.changed();
    assert_eq!(cluster.shards[0].primary.sql("postgres", kill).unwrap(), "1");
    let end = Instant::now() + LIMIT;
    loop {
        watching.changed().await.unwrap();
        always_primary &= handle.snapshot().primary(SHARD) == Some(PRIMARY);
        let now = cluster.shards[0].primary.sql("postgres", pids).unwrap();
        if !now.is_empty() && now != before {
            break;
        }
        assert!(Instant::now() < end, "no new connection of the monitor");
    }
    assert!(always_primary);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_is_followed() {
    let (cluster, handle) = watched(2, Duration::from_secs(10)).await;
    let shard = &cluster.shards[0];
    write(&shard.primary);
    cluster.wait_replayed().unwrap();
    let written = Instant::now();
    let snapshot = wait(&handle, "a mark", |s| s.mark_after(SHARD, written).is_some()).await;
    let survives = snapshot.mark_after(SHARD, written).unwrap();
    let replayed = |s: &Snapshot| s.node(REPLICA).unwrap().seen.unwrap().position >= survives.lsn;
    wait(&handle, "the position of the next primary is seen", replayed).await;

    shard.primary.stop(StopMode::Immediate).unwrap();
    let snapshot = wait(&handle, "writes wait", |s| s.primary(SHARD).is_none()).await;
    assert!(matches!(choose(&snapshot, Need::Primary), Err(NoNode::NoPrimary { .. })));
    assert!(read(&snapshot).is_ok(), "reads go on");
    shard.replicas[0].promote().unwrap();
    let snapshot = wait(&handle, "the new primary", |s| s.primary(SHARD) == Some(REPLICA)).await;
    assert_eq!(snapshot.shard(SHARD).unwrap().timeline, Some(Timeline(2)));
    assert_eq!(snapshot.standing(SHARD, &survives), Some(Standing::Reached));

    // The other replica takes reads again when it follows the new primary.
    let conninfo =
        format!("host={} port={} user=postgres", shard.replicas[0].dir().display(), shard.replicas[0].port());
    shard.replicas[1].sql("postgres", &format!("ALTER SYSTEM SET primary_conninfo = '{conninfo}'")).unwrap();
    shard.replicas[1].sql("postgres", "SELECT pg_reload_conf()").unwrap();
    write(&shard.replicas[0]);
    let written = Instant::now();
    let follows = |s: &Snapshot| {
        s.mark_after(SHARD, written).is_some_and(|mark| choose(s, Need::Replica { at_least: Some(mark) }) == Ok(SECOND))
    };
    wait(&handle, "the other replica follows", follows).await;

    // The old primary comes back and still claims to be one: writes stop.
    shard.primary.start().unwrap();
    let snapshot = wait(&handle, "writes stop", |s| s.primary(SHARD).is_none()).await;
    let alarm = snapshot.shard(SHARD).unwrap().alarm.clone().unwrap();
    assert!(alarm.contains("older timeline than 2") && alarm.contains(&shard.primary.port().to_string()), "{alarm}");
    assert_eq!(read(&snapshot), Ok(SECOND));
    shard.primary.stop(StopMode::Fast).unwrap();
    wait(&handle, "writes go on", |s| s.primary(SHARD) == Some(REPLICA)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_primaries_of_one_timeline_stop_writes() {
    let (cluster, handle) = watched(2, Duration::from_secs(10)).await;
    let shard = &cluster.shards[0];
    shard.primary.stop(StopMode::Fast).unwrap();
    wait(&handle, "writes wait", |s| s.primary(SHARD).is_none()).await;
    shard.replicas[0].promote().unwrap();
    shard.replicas[1].promote().unwrap();
    let torn = |s: &Snapshot| s.shard(SHARD).unwrap().alarm.as_ref().is_some_and(|a| a.contains("several nodes claim"));
    let snapshot = wait(&handle, "the alarm", torn).await;
    assert_eq!(snapshot.primary(SHARD), None);
    let refused = choose(&snapshot, Need::Primary).unwrap_err();
    assert!(matches!(&refused, NoNode::NoPrimary { alarm: Some(_), .. }), "{refused:?}");
    assert!(read(&snapshot).is_err(), "nobody is a replica any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_node_is_slow_and_a_frozen_replica_is_out() {
    let (cluster, handle) = watched(1, Duration::from_secs(10)).await;
    let mut impatient = monitor_settings(Duration::from_secs(10));
    impatient.timeout = Duration::from_millis(300);
    handle.update_nodes(impatient, nodes(&cluster.shards[0]));
    let updated = Instant::now();
    assert_eq!(read(&handle.snapshot()), Ok(REPLICA), "what is known is kept");
    // A backend that is being forked while its server is frozen might not be.
    let connected = |s: &Snapshot| s.node(REPLICA).unwrap().seen_at > Some(updated);
    wait(&handle, "the new connection", connected).await;
    cluster.shards[0].replicas[0].freeze().unwrap();
    let down = |s: &Snapshot| s.node(REPLICA).is_some_and(|n| n.health.as_str() == "down");
    let snapshot = wait(&handle, "the frozen replica is out", down).await;
    assert!(snapshot.node(REPLICA).unwrap().health.why().unwrap().contains("within 30"), "{snapshot:#?}");
    cluster.shards[0].replicas[0].thaw().unwrap();
    wait(&handle, "the thawed replica is back", |s| read(s) == Ok(REPLICA)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_come_and_go() {
    let (cluster, handle) = watched(2, Duration::from_secs(10)).await;
    let all = nodes(&cluster.shards[0]);
    handle.update_nodes(monitor_settings(Duration::from_secs(10)), all[..1].to_vec());
    let snapshot = wait(&handle, "one node", |s| s.nodes().count() == 1).await;
    assert_eq!((snapshot.primary(SHARD), read(&snapshot)), (Some(PRIMARY), Ok(PRIMARY)));
    handle.update_nodes(monitor_settings(Duration::from_secs(10)), all);
    wait(&handle, "the replicas", |s| s.nodes().filter(|n| n.is_fit_replica()).count() == 2).await;
    // A node of another cluster is never used.
    let other = support::private(2, 0);
    let mut wrong = nodes(&cluster.shards[0]);
    wrong[2].node.port = other.shards[1].primary.port();
    handle.update_nodes(monitor_settings(Duration::from_secs(10)), wrong);
    let alarmed =
        |s: &Snapshot| s.shard(SHARD).unwrap().alarm.as_ref().is_some_and(|a| a.contains("not of this cluster"));
    let snapshot = wait(&handle, "the alarm", alarmed).await;
    assert_eq!(snapshot.primary(SHARD), Some(PRIMARY));
    assert_eq!(snapshot.node(SECOND).unwrap().role, None);
    assert_eq!(snapshot.node(REPLICA).unwrap().role, Some(NodeRole::Replica));
    handle.shutdown();
}
