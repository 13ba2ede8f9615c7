//! The clusters that demos and tests stand on do what they say.

use std::process::{Command, Stdio};
use std::time::Duration;

use pgweave::cluster::{Cluster, Spec, StopMode, guard};

use super::support::{self, Gate, LIMIT, Raw, eventually_blocking};

const ITEMS: &str = "CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items SELECT generate_series(1, 100)";

#[test]
fn a_database_is_on_every_shard_and_its_replicas() {
    let database = support::database(2, 1, ITEMS);
    for node in database.cluster.shards.iter().flat_map(|shard| std::iter::once(&shard.primary).chain(&shard.replicas))
    {
        assert_eq!(node.sql(&database.name, "SELECT count(*) FROM items").unwrap(), "100", "{}", node.name());
    }
    let identifiers: Vec<String> = database
        .cluster
        .shards
        .iter()
        .map(|shard| shard.primary.sql("postgres", "SELECT system_identifier FROM pg_control_system()").unwrap())
        .collect();
    assert_ne!(identifiers[0], identifiers[1], "two shards of one system identifier");
}

#[tokio::test]
async fn clients_reach_a_server_by_scram() {
    let database = support::database(2, 1, ITEMS);
    let port = database.cluster.shards[0].primary.port();
    let session = support::app(port, &database.name).await;
    assert_eq!(session.text("SELECT count(*) FROM items").await.as_deref(), Some("100"));
    let error = support::connect(port, "app", "wrong", &database.name).await.unwrap_err();
    assert_eq!(support::sqlstate(&error), "28P01");

    let mut raw = Raw::login(port, &database.name).await;
    let frames = raw.query("SELECT 7 AS seven, NULL").await;
    assert_eq!(frames.iter().map(|frame| frame.tag).collect::<Vec<_>>(), b"TDCZ");
    assert_eq!(frames[1].columns(), [Some(b"7".to_vec()), None]);
    let frames = Raw::connect(port).await.startup("app", "wrong", &[("database", &database.name)]).await;
    assert_eq!(frames.last().unwrap().field(b'C').as_deref(), Some("28P01"));
}

#[test]
fn a_paused_replica_stands_still_until_resumed() {
    let cluster = support::private(1, 1);
    let shard = &cluster.shards[0];
    shard.primary.sql("postgres", "CREATE TABLE notes (n int)").unwrap();
    cluster.wait_replayed().unwrap();
    shard.replicas[0].pause_replay().unwrap();
    shard.primary.sql("postgres", "INSERT INTO notes VALUES (1)").unwrap();
    let written = shard.primary.position().unwrap();
    // What it has received it may hold for ever: that it has received and not replayed is what shows the pause.
    eventually_blocking("the replica receives", LIMIT, || {
        let received = format!("SELECT pg_last_wal_receive_lsn() >= '{written}'");
        shard.replicas[0].sql("postgres", &received).unwrap() == "t"
    });
    assert_eq!(shard.replicas[0].sql("postgres", "SELECT count(*) FROM notes").unwrap(), "0");
    shard.replicas[0].resume_replay().unwrap();
    shard.replicas[0].wait_replayed(&written).unwrap();
    assert_eq!(shard.replicas[0].sql("postgres", "SELECT count(*) FROM notes").unwrap(), "1");
}

#[test]
fn servers_die_come_back_on_their_port_and_are_promoted() {
    let mut cluster = support::private(1, 1);
    let shard = &cluster.shards[0];
    let port = shard.primary.port();
    shard.primary.sql("postgres", "CREATE TABLE notes (n int)").unwrap();
    shard.primary.kill9().unwrap();
    assert!(!shard.primary.is_running());
    shard.primary.start().unwrap();
    assert_eq!(shard.primary.port(), port);
    assert_eq!(shard.primary.sql("postgres", "SELECT count(*) FROM notes").unwrap(), "0");

    for mode in [StopMode::Fast, StopMode::Immediate, StopMode::Smart] {
        shard.replicas[0].stop(mode).unwrap();
        assert!(!shard.replicas[0].is_running(), "{mode:?}");
        shard.replicas[0].start().unwrap();
    }
    cluster.wait_replayed().unwrap();

    let added = cluster.add_replica(0).unwrap();
    assert_eq!(added.sql("postgres", "SELECT count(*) FROM notes").unwrap(), "0");
    let shard = &cluster.shards[0];
    shard.primary.stop(StopMode::Immediate).unwrap();
    shard.replicas[0].promote().unwrap();
    shard.replicas[0].sql("postgres", "INSERT INTO notes VALUES (1)").unwrap();
}

#[test]
fn a_frozen_server_holds_its_connections_and_answers_after_the_thaw() {
    let cluster = support::private(1, 0);
    let node = &cluster.shards[0].primary;
    node.freeze().unwrap();
    let mut asking = Command::new(cluster.binaries().program("psql"))
        .args(["-h", "127.0.0.1", "-p", &node.port().to_string(), "-U", "postgres", "-Atc", "SELECT 1"])
        .env("PGPASSWORD", "postgres")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let state = std::fs::read_to_string(format!(
        "/proc/{}/stat",
        std::fs::read_to_string(node.data().join("postmaster.pid")).unwrap().lines().next().unwrap()
    ));
    assert!(state.unwrap().contains(") T "), "the postmaster is stopped");
    assert!(asking.try_wait().unwrap().is_none(), "a frozen server answered");
    node.thaw().unwrap();
    let output = asking.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"1\n");
}

#[test]
fn a_cluster_ends_with_its_owner() {
    let cluster = support::private(1, 1);
    let (dir, port) = (cluster.dir().to_path_buf(), cluster.shards[0].primary.port());
    drop(cluster);
    assert!(!dir.exists());
    std::net::TcpStream::connect(("127.0.0.1", port)).expect_err("a server outlived its cluster");

    // The same when the owner is another process that is killed.
    let mut owner = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let cluster =
        support::cluster_with(&Spec { owner: guard::Owner::Process(owner.id()), catalog: true, ..Spec::new(1, 0) });
    let dir = cluster.dir().to_path_buf();
    let attached = Cluster::attach(&dir, None).unwrap();
    assert_eq!(attached.shards[0].primary.sql("postgres", "SELECT 1").unwrap(), "1");
    drop(attached);
    assert!(cluster.nodes().all(|node| node.is_running()), "an attached handle ended the cluster");
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually_blocking("the guard removes the cluster", LIMIT, || !dir.exists());
    assert!(cluster.nodes().all(|node| !node.is_running()));
}

#[tokio::test]
async fn a_gate_cuts_holds_and_mends() {
    let database = support::database(1, 0, ITEMS);
    let node = &database.cluster.shards[0].primary;
    let gate = Gate::to(node.port());
    let session = support::app(gate.port, &database.name).await;
    assert_eq!(session.text("SELECT count(*) FROM items").await.as_deref(), Some("100"));

    gate.hold();
    let mut held = Box::pin(session.text("SELECT 1"));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut held).await;
    assert!(early.is_err(), "a held gate passed {early:?} on");
    gate.mend();
    assert_eq!(held.await.as_deref(), Some("1"));

    let before = gate.from_server();
    gate.cut_after(50_000);
    let error = session.query("SELECT repeat('x', 1000) FROM generate_series(1, 1000)", &[]).await.unwrap_err();
    assert!(error.is_closed() || error.code().is_none(), "{error:?}");
    assert_eq!(gate.from_server() - before, 50_000, "cut to the byte");
    gate.mend();

    gate.close();
    support::connect(gate.port, "app", "app", &database.name).await.unwrap_err();
    gate.mend();
    let session = support::app(gate.port, &database.name).await;
    assert_eq!((gate.taken(), session.text("SELECT 1").await.as_deref()), (2, Some("1")));
}
