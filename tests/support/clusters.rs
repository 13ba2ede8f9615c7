//! Clusters for tests: one per shape and run that all tests share, each in databases of its own, or one for a test alone.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use pgweave::cluster::{Cluster, Spec, guard};

/// The clusters this process knows, by shards and replicas. Never dropped: their guards end them with their owner.
static SHARED: LazyLock<Mutex<HashMap<(usize, usize), &'static Cluster>>> = LazyLock::new(Mutex::default);

/// The shared cluster of this shape. Do not stop its servers and do not change its settings: others are using it. Work in a
/// [`Database`] of your own.
///
/// nextest runs every test in a process of its own, so there the cluster belongs to the run: the first test that needs
/// it starts it, and it ends with nextest's process.
pub fn cluster(shards: usize, replicas: usize) -> &'static Cluster {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.entry((shards, replicas)).or_insert_with(|| Box::leak(Box::new(share(shards, replicas))))
}

/// A cluster for one test, whose servers it may stop, kill and promote. Ends with the value.
pub fn private(shards: usize, replicas: usize) -> Cluster {
    cluster_with(&Spec::new(shards, replicas))
}

/// A cluster for one test, as `spec` says.
pub fn cluster_with(spec: &Spec) -> Cluster {
    Cluster::start(spec).expect("starts a cluster")
}

fn share(shards: usize, replicas: usize) -> Cluster {
    let spec = Spec { catalog: true, ..Spec::new(shards, replicas) };
    let Ok(run) = std::env::var("NEXTEST_RUN_ID") else { return cluster_with(&spec) };
    let dir = std::env::temp_dir().join(format!("pgweave-{run}-{shards}x{replicas}"));
    let lock = File::options().create(true).append(true).open(dir.with_extension("lock")).expect("opens the lock");
    lock.lock().expect("locks");
    if Cluster::is_at(&dir) {
        return Cluster::attach(&dir, None).expect("attaches to the cluster of this run");
    }
    let owner = guard::Owner::Process(std::os::unix::process::parent_id());
    cluster_with(&Spec { owner, dir: Some(dir), ..spec })
}

/// A database of its own on every shard of a shared cluster, removed at the end.
#[derive(Debug)]
pub struct Database {
    /// Where it lies.
    pub cluster: &'static Cluster,
    /// Its name on every shard; use it as the name in the proxy, too.
    pub name: String,
}

/// A fresh database on every shard of the shared cluster of this shape, with `schema` run on each shard as the user `app`.
/// The replicas have it all, too.
pub fn database(shards: usize, replicas: usize, schema: &str) -> Database {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let cluster = cluster(shards, replicas);
    let name = format!("t{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    cluster.create_database(&name).expect("creates a database");
    if !schema.is_empty() {
        cluster.sql_everywhere(&name, schema).expect("runs the schema");
    }
    cluster.wait_replayed().expect("replicas follow");
    Database { cluster, name }
}

impl Database {
    /// A configuration for this database: user `app`, all shards, a fast monitor, and `body` as what stands under
    /// `[databases.NAME]`, where `{db}` is the name, as in `[[databases.{db}.distributions]]`.
    pub fn config(&self, body: &str) -> String {
        format!(
            "{}[databases.{db}]\n{}\n",
            super::proxy::head(self.cluster),
            body.replace("{db}", &self.name),
            db = self.name
        )
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        for shard in &self.cluster.shards {
            // With whoever is still connected; it is only to keep a long run small, so an error is no failure.
            let _ = shard.primary.sql("postgres", &format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name));
        }
    }
}
