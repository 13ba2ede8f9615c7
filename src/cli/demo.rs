//! `pgweave demo`: a whole cluster on this machine, with data to try it on.
//!
//! Real servers (see [`crate::cluster`]), `pgweave init` and `pgweave serve` as an operator would run them, and every
//! statement through the proxy as an application would send it. `--tour` does the main job unattended and checks each
//! step against the servers themselves.

mod client;
mod data;
mod tour;
mod workload;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cluster::ClusterError;

use self::workload::Workload;
use self::world::{Ended, World};

/// A whole cluster on this machine, from the PostgreSQL binaries found here, with sample data
///
/// Starts a catalog, the shards (each a primary with replicas by streaming replication) and the proxy, and says what to
/// try. Ctrl-C stops everything and removes it. Data is not forced to the disk: this is for trying out.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// How many shards
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub shards: u8,
    /// Replicas of each shard
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=4))]
    pub replicas: u8,
    /// Port for clients, on 127.0.0.1 [default: 6432, or a free one if that is taken]
    #[arg(long)]
    pub port: Option<u16>,
    /// Port for HTTP, on 127.0.0.1 [default: 6433, or a free one if that is taken]
    #[arg(long)]
    pub http: Option<u16>,
    /// Directory of initdb, postgres and psql [default: searched in PATH and /usr/lib/postgresql/*/bin]
    #[arg(long, value_name = "DIR")]
    pub pg_bin: Option<PathBuf>,
    /// Leave the directory with data, logs and configuration behind
    #[arg(long)]
    pub keep: bool,
    /// Show the main job from end to end unattended, check every step, and exit with 0 if all went well, else 1
    #[arg(long)]
    pub tour: bool,
}

/// Why a demo ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A server did not do its part.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A statement failed that should not.
    #[error("{sql}: {source}")]
    Statement {
        /// Its text.
        sql: String,
        /// The answer.
        source: sqlx::Error,
    },
    /// A connection was not made.
    #[error("cannot connect to {dbname} on port {port}: {source}")]
    Connect {
        /// The database.
        dbname: String,
        /// The port on 127.0.0.1.
        port: u16,
        /// Why.
        source: sqlx::Error,
    },
    /// A step of ours, `pgweave init` or `pgweave serve`, ended or did not become ready.
    #[error("{what}\n{log}")]
    Proxy {
        /// What happened.
        what: String,
        /// The end of what it logged.
        log: String,
    },
    /// The system refused something.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A step of the tour showed something else.
    #[error("expected {expected}\nsaw      {seen}")]
    Unexpected {
        /// What would have been right.
        expected: String,
        /// What was there instead.
        seen: String,
    },
}

impl DemoError {
    /// For `map_err`: the system refused to do `doing`.
    fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> DemoError {
        let doing = doing.into();
        move |source| DemoError::Io { doing, source }
    }
}

/// Runs the demo to its end: the tour's, or Ctrl-C. Blocks, and must not be called from within a runtime.
pub fn run(args: &DemoArgs) -> ExitCode {
    let result = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(DemoError::io("start the runtime"))
        .and_then(|runtime| if args.tour { runtime.block_on(tour::run(args)) } else { runtime.block_on(stay(args)) });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pgweave demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Everything is there until Ctrl-C or SIGTERM.
async fn stay(args: &DemoArgs) -> Result<(), DemoError> {
    let world = World::start(args)?;
    data::fill(&world).await?;
    let workload = Workload::start(&world).await?;
    // Before it says that Ctrl-C ends it.
    let ended = Ended::listen()?;
    println!("{}", invitation(&world));
    world.watch(ended).await?;
    println!("stopping");
    let done = workload.stop().await;
    println!(
        "the workload wrote {} orders and read {} times, {} errors",
        done.written.len(),
        done.reads,
        done.errors.len()
    );
    Ok(())
}

fn invitation(world: &World) -> String {
    let (port, http) = (world.port, world.http);
    let mut servers = String::new();
    for node in world.cluster.nodes() {
        servers.push_str(&format!("  {:<14} 127.0.0.1:{}\n", node.name(), node.port()));
    }
    let replica = world.cluster.shards[0].replicas.first().map_or_else(String::new, |replica| {
        format!(
            "Let a replica fall behind, and look at SHOW LAG meanwhile:\n  psql 'postgres://postgres:postgres@127.0.0.1:{0}/shop' -c 'SELECT pg_wal_replay_pause()'\n  \
             psql 'postgres://postgres:postgres@127.0.0.1:{0}/shop' -c 'SELECT pg_wal_replay_resume()'\n\n",
            replica.port()
        )
    });
    format!(
        "
pgweave is up: one database over {shards} shards.

  psql 'postgres://app:app@127.0.0.1:{port}/shop'
  psql 'postgres://app:app@127.0.0.1:{port}/pgweave' -c 'SHOW LAG'
  http://127.0.0.1:{http}/metrics

Try:
  SELECT * FROM customers WHERE id = 7;                      one shard, by its key
  EXPLAIN (ROUTE) SELECT * FROM customers WHERE id = 7;      which one, and why
  SELECT * FROM orders JOIN customers ON customers.id = orders.customer_id WHERE customers.id = 7;
  SELECT id, name FROM customers WHERE country = 'FR';       all shards
  UPDATE customers SET id = 8 WHERE id = 7;                  refused, and says why

{replica}Servers (user postgres, password postgres):
{servers}
Configuration, logs and data: {dir}
Ctrl-C stops everything{removes}.",
        shards = world.cluster.shards.len(),
        dir = world.cluster.dir().display(),
        removes = if world.keep { "" } else { " and removes it" },
    )
}
