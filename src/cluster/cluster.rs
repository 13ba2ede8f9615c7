//! Several shards, each a primary with its replicas, and a catalog.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::command::{run, wait_for};
use super::guard::{Guard, Owner, keep};
use super::node::{Node, Role};
use super::{Binaries, ClusterError, template};

/// The role of applications on every server: may log in and read `pg_monitor`'s views, owns the databases made by
/// [`Cluster::create_database`].
pub const APP_USER: &str = "app";

/// Its password. The superuser `postgres` has the password `postgres`.
pub const APP_PASSWORD: &str = "app";

/// The file in a cluster's directory that says what is in it.
const LAYOUT: &str = "cluster.json";

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Shards, named `s1`, `s2` and so on.
    pub shards: usize,
    /// Replicas of each shard.
    pub replicas: usize,
    /// Whether there is a server for the catalog, without replicas.
    pub catalog: bool,
    /// Where the binaries are; `None`: wherever they are found.
    pub pg_bin: Option<PathBuf>,
    /// Whether the servers wait for the disk. Without it, a crash of the machine (not of a server) loses data.
    pub fsync: bool,
    /// Settings for every server beyond ours, as in `postgresql.conf`.
    pub settings: Vec<(String, String)>,
    /// Whose end ends the cluster.
    pub owner: Owner,
    /// The directory to make for it; `None`: one of a random name in the temporary directory.
    pub dir: Option<PathBuf>,
}

impl Spec {
    /// `shards` shards with `replicas` replicas each, no catalog, no waiting for the disk.
    pub fn new(shards: usize, replicas: usize) -> Spec {
        Spec {
            shards,
            replicas,
            catalog: false,
            pg_bin: None,
            fsync: false,
            settings: Vec::new(),
            owner: Owner::Us,
            dir: None,
        }
    }
}

/// A primary and its replicas.
#[derive(Debug)]
pub struct Shard {
    /// `s1`, `s2` and so on.
    pub name: String,
    /// The server that was the primary at the start; a promotion does not move it.
    pub primary: Node,
    /// The servers that were replicas at the start.
    pub replicas: Vec<Node>,
}

/// Running servers. Dropped, they are stopped and their directory is removed.
#[derive(Debug)]
pub struct Cluster {
    /// In order.
    pub shards: Vec<Shard>,
    /// The catalog's server, if there is one.
    pub catalog: Option<Node>,
    dir: PathBuf,
    bin: Binaries,
    account: Account,
    guard: Option<Guard>,
}

/// What [`LAYOUT`] holds: names and ports.
#[derive(Serialize, Deserialize)]
struct Layout {
    shards: Vec<ShardLayout>,
    catalog: Option<(String, u16)>,
}

#[derive(Serialize, Deserialize)]
struct ShardLayout {
    name: String,
    primary: (String, u16),
    replicas: Vec<(String, u16)>,
}

impl Cluster {
    /// Makes and starts all servers and waits until every replica streams from its primary.
    ///
    /// # Errors
    /// [`ClusterError`] of the first server that did not start; what had been started is stopped and removed.
    pub fn start(spec: &Spec) -> Result<Cluster, ClusterError> {
        let bin = Binaries::find(spec.pg_bin.as_deref())?;
        let account = Account::find()?;
        let dir = fresh_dir(&account, spec.dir.as_deref())?;
        let guard = Guard::start(&dir, spec.owner)?;
        let mut cluster = Cluster { shards: Vec::new(), catalog: None, dir, bin, account, guard: Some(guard) };
        cluster.start_servers(spec)?;
        cluster.wait_streaming()?;
        cluster.write_layout()?;
        Ok(cluster)
    }

    /// A handle on the cluster that another process started in `dir` and that does not end with us.
    ///
    /// # Errors
    /// [`ClusterError::Io`] when there is none.
    pub fn attach(dir: &Path, pg_bin: Option<&Path>) -> Result<Cluster, ClusterError> {
        let path = dir.join(LAYOUT);
        let text = std::fs::read_to_string(&path).map_err(ClusterError::io(format!("read {}", path.display())))?;
        let layout: Layout = serde_json::from_str(&text)
            .map_err(|error| ClusterError::Io { doing: format!("read {}", path.display()), source: error.into() })?;
        let (bin, account) = (Binaries::find(pg_bin)?, Account::find()?);
        let node = |(name, port): (String, u16)| Node::attach(name.clone(), &bin, &account, dir.join(name), port);
        let shards = layout.shards.into_iter().map(|shard| Shard {
            name: shard.name,
            primary: node(shard.primary),
            replicas: shard.replicas.into_iter().map(node).collect(),
        });
        let shards = shards.collect();
        let catalog = layout.catalog.map(node);
        Ok(Cluster { shards, catalog, dir: dir.to_path_buf(), bin, account, guard: None })
    }

    /// Whether a cluster has been started in `dir`.
    pub fn is_at(dir: &Path) -> bool {
        dir.join(LAYOUT).is_file()
    }

    /// Everything of the cluster lies under it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The binaries it runs on.
    pub fn binaries(&self) -> &Binaries {
        &self.bin
    }

    /// All servers: shard by shard the primary and its replicas, then the catalog's.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        let of_shards = self.shards.iter().flat_map(|shard| std::iter::once(&shard.primary).chain(&shard.replicas));
        of_shards.chain(&self.catalog)
    }

    /// Makes a database of this name, owned by [`APP_USER`], on every shard.
    ///
    /// # Errors
    /// [`ClusterError::Program`] when it exists, among others.
    pub fn create_database(&self, name: &str) -> Result<(), ClusterError> {
        let statement = format!("CREATE DATABASE \"{name}\" OWNER {APP_USER}");
        let results: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                self.shards.iter().map(|shard| scope.spawn(|| shard.primary.sql("postgres", &statement))).collect();
            threads.into_iter().map(join).collect()
        });
        results.into_iter().try_for_each(|result| result.map(drop))
    }

    /// Runs SQL as [`APP_USER`] in `dbname` on the primary of every shard, one after the other.
    ///
    /// # Errors
    /// [`ClusterError::Program`] with the server's message.
    pub fn sql_everywhere(&self, dbname: &str, sql: &str) -> Result<(), ClusterError> {
        self.shards.iter().try_for_each(|shard| shard.primary.sql_as(APP_USER, dbname, sql).map(drop))
    }

    /// Waits until every replica that runs has replayed all that its primary has written by now.
    ///
    /// # Errors
    /// [`ClusterError::Deadline`], [`ClusterError::Program`].
    pub fn wait_replayed(&self) -> Result<(), ClusterError> {
        for shard in &self.shards {
            let replicas: Vec<&Node> = shard.replicas.iter().filter(|replica| replica.is_running()).collect();
            if replicas.is_empty() {
                continue;
            }
            // A position on a page's first bytes is never reached by replay while nothing follows; a record is. The
            // message is of a transaction, as only that is flushed, and so sent, at once.
            let lsn = shard.primary.sql("postgres", "SELECT pg_logical_emit_message(true, 'pgweave', '')")?;
            replicas.iter().try_for_each(|replica| replica.wait_replayed(&lsn))?;
        }
        Ok(())
    }

    /// The `[[shards]]` of a configuration file for this cluster.
    pub fn shards_toml(&self) -> String {
        self.shards_toml_via(Node::port)
    }

    /// The same with another port for each node, such as that of a relay before it.
    pub fn shards_toml_via(&self, port: impl Fn(&Node) -> u16) -> String {
        let mut text = String::new();
        for shard in &self.shards {
            let nodes = std::iter::once(&shard.primary).chain(&shard.replicas);
            let nodes = nodes.map(|node| format!("  {{ host = \"127.0.0.1\", port = {} }},\n", port(node)));
            let nodes: String = nodes.collect();
            text.push_str(&format!("[[shards]]\nname = \"{}\"\nnodes = [\n{nodes}]\n\n", shard.name));
        }
        text
    }

    /// Makes the directory outlast the cluster; the servers are stopped all the same.
    ///
    /// # Errors
    /// [`ClusterError::Io`].
    pub fn keep(&self) -> Result<(), ClusterError> {
        keep(&self.dir).map(drop)
    }

    /// Adds a replica to the shard at `index` while that runs, by `pg_basebackup` from its primary, and waits until it streams.
    ///
    /// # Errors
    /// [`ClusterError`] when it does not start.
    pub fn add_replica(&mut self, index: usize) -> Result<&Node, ClusterError> {
        let shard = &self.shards[index];
        let name = format!("{}-replica{}", shard.name, shard.replicas.len() + 1);
        let dir = node_dir(&self.dir, &name, &self.account)?;
        let mut command = self.account.command(self.bin.program("pg_basebackup"));
        command.args(["--checkpoint=fast", "--no-sync", "--username=postgres", "--wal-method=stream", "--host"]);
        command.arg(shard.primary.dir()).args(["--port", &shard.primary.port().to_string(), "--pgdata"]);
        run(command.arg(dir.join("data")))?;
        let role = Role { follows: Some(shard.primary.port()), settings: &[], fsync: false };
        let node = Node::create(name, &self.bin, &self.account, dir, &role)?;
        self.shards[index].replicas.push(node);
        self.wait_streaming()?;
        self.write_layout()?;
        Ok(&self.shards[index].replicas[self.shards[index].replicas.len() - 1])
    }

    fn start_servers(&mut self, spec: &Spec) -> Result<(), ClusterError> {
        let (bin, account, dir) = (&self.bin, &self.account, &self.dir);
        // Shards at once, as their servers mostly wait; a replica after its primary, whose port it must know.
        let (shards, catalog) = std::thread::scope(|scope| {
            let shards: Vec<_> =
                (0..spec.shards).map(|slot| scope.spawn(move || start_shard(bin, account, dir, slot, spec))).collect();
            let catalog = spec.catalog.then(|| {
                let role = Role { follows: None, settings: &spec.settings, fsync: spec.fsync };
                start_node(bin, account, dir, "catalog", spec.shards, &role)
            });
            (shards.into_iter().map(join).collect::<Vec<_>>(), catalog)
        });
        // All that did start are kept until the end of this function, whatever failed beside them.
        let (good, bad): (Vec<_>, Vec<_>) = shards.into_iter().partition(Result::is_ok);
        self.shards = good.into_iter().flatten().collect();
        self.catalog = catalog.transpose()?;
        bad.into_iter().try_for_each(|shard| shard.map(drop))
    }

    fn wait_streaming(&self) -> Result<(), ClusterError> {
        let limit = std::time::Duration::from_secs(60);
        for shard in &self.shards {
            wait_for(&format!("replication of {}", shard.name), limit, || {
                let count = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
                Ok((shard.primary.sql("postgres", count)? == shard.replicas.len().to_string()).then_some(()))
            })?;
        }
        Ok(())
    }

    fn write_layout(&self) -> Result<(), ClusterError> {
        let of = |node: &Node| (node.name().to_owned(), node.port());
        let layout = Layout {
            shards: self
                .shards
                .iter()
                .map(|shard| ShardLayout {
                    name: shard.name.clone(),
                    primary: of(&shard.primary),
                    replicas: shard.replicas.iter().map(of).collect(),
                })
                .collect(),
            catalog: self.catalog.as_ref().map(of),
        };
        let path = self.dir.join(LAYOUT);
        let text = serde_json::to_string_pretty(&layout)
            .map_err(|error| ClusterError::Io { doing: "write the layout".to_owned(), source: error.into() })?;
        std::fs::write(&path, text).map_err(ClusterError::io(format!("write {}", path.display())))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let ours = self.guard.as_ref().is_some_and(|guard| guard.owner() == Owner::Us);
        drop(self.guard.take());
        if ours {
            self.nodes().for_each(Node::reap);
        }
    }
}

fn start_shard(bin: &Binaries, account: &Account, dir: &Path, slot: usize, spec: &Spec) -> Result<Shard, ClusterError> {
    let name = format!("s{}", slot + 1);
    let role = Role { follows: None, settings: &spec.settings, fsync: spec.fsync };
    let primary = start_node(bin, account, dir, &format!("{name}-primary"), slot, &role)?;
    let role = Role { follows: Some(primary.port()), ..role };
    // The template was stopped cleanly, so its copy is a base backup of the primary that was copied from it, too.
    let replicas: Result<Vec<Node>, ClusterError> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=spec.replicas)
            .map(|number| {
                let (name, role) = (format!("{name}-replica{number}"), &role);
                scope.spawn(move || start_node(bin, account, dir, &name, slot, role))
            })
            .collect();
        threads.into_iter().map(join).collect()
    });
    Ok(Shard { name, primary, replicas: replicas? })
}

fn start_node(
    bin: &Binaries,
    account: &Account,
    cluster: &Path,
    name: &str,
    slot: usize,
    role: &Role<'_>,
) -> Result<Node, ClusterError> {
    let dir = node_dir(cluster, name, account)?;
    template::copy(bin, account, slot, &dir.join("data"))?;
    Node::create(name.to_owned(), bin, account, dir, role)
}

fn node_dir(cluster: &Path, name: &str, account: &Account) -> Result<PathBuf, ClusterError> {
    let dir = cluster.join(name);
    std::fs::create_dir(&dir).map_err(ClusterError::io(format!("create {}", dir.display())))?;
    template::give(account, &dir)?;
    Ok(dir)
}

/// The directory wanted, or one of a name nobody can guess; nobody has it yet. Short: a socket's path has at most 107 bytes.
fn fresh_dir(account: &Account, wanted: Option<&Path>) -> Result<PathBuf, ClusterError> {
    let random = || std::env::temp_dir().join(format!("pgweave-{:016x}", rand::random::<u64>()));
    let dir = wanted.map_or_else(random, Path::to_path_buf);
    std::fs::create_dir(&dir).map_err(ClusterError::io(format!("create {}", dir.display())))?;
    template::give(account, &dir)?;
    Ok(dir)
}

/// The result of a thread; its panic becomes ours.
fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
