//! The task that keeps a database's schema current.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use super::handle::TopologyHandle;
use super::line::{Line, LineError, MonitorLogin};
use super::schema::load_schema;
use super::state::{NodeSettings, Snapshot};
use crate::map::ShardId;
use crate::sql::Schema;
use crate::wire::{Diagnostic, Fault, Report, Retry, SqlState};

/// Whose schema is read, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaSettings {
    /// The database as clients name it, for the log.
    pub database: String,
    /// The shard whose schema counts.
    pub home: ShardId,
    /// The other shards: asked in this order while no node of the home shard answers.
    pub others: Vec<ShardId>,
    /// As whom, and in which database of the servers.
    pub login: MonitorLogin,
    /// How often it is read when nobody asks.
    pub interval: Duration,
    /// How long one reading may take.
    pub timeout: Duration,
}

/// Why there is no schema that is new enough.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SchemaError {
    /// No node of the database's shards is up.
    #[error("no server to read the schema from")]
    NoNode,
    /// A node was asked in vain.
    #[error("cannot read the schema: {0}")]
    Failed(#[source] Arc<LineError>),
    /// The watch was shut down.
    #[error("the schema is not read any more")]
    Ended,
}

impl Report for SchemaError {
    fn diagnostic(&self) -> Diagnostic {
        Diagnostic::error(SqlState::CANNOT_CONNECT_NOW, "cannot read the schema from a server")
            .hint("The statement can be tried again; the log of pgweave has the reason.")
    }

    fn fault(&self) -> Fault {
        Fault::Server
    }

    fn retry(&self) -> Retry {
        Retry::BeforeSend
    }
}

/// How soon a reading that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A database's schema as it is kept current. Cheap to clone; the task ends when the last handle is gone.
#[derive(Clone, Debug)]
pub struct SchemaHandle {
    shared: Arc<Shared>,
    done: watch::Receiver<Done>,
    /// Held by the handles alone: the task ends when it is dropped.
    _alive: Arc<watch::Sender<()>>,
}

#[derive(Debug)]
struct Shared {
    current: Arc<ArcSwap<Schema>>,
    /// How many times [`SchemaHandle::refresh`] was called.
    asked: AtomicU64,
    wake: Notify,
}

/// The last reading that ended.
#[derive(Clone, Debug)]
struct Done {
    /// Calls of refresh made before it began, all of which it answers.
    asked: u64,
    outcome: Result<Arc<Schema>, SchemaError>,
}

/// Starts reading. Must be called within a runtime.
pub fn start(settings: SchemaSettings, topology: TopologyHandle) -> SchemaHandle {
    let (alive, ended) = watch::channel(());
    let shared = Arc::new(Shared {
        current: Arc::new(ArcSwap::from_pointee(Schema::default())),
        asked: AtomicU64::new(0),
        wake: Notify::new(),
    });
    let (sender, done) = watch::channel(Done { asked: 0, outcome: Err(SchemaError::NoNode) });
    tokio::spawn(keep_current(settings, topology, shared.clone(), ended, sender));
    SchemaHandle { shared, done, _alive: Arc::new(alive) }
}

impl SchemaHandle {
    /// The schema as it was read last: empty and of version 0 before the first reading (see [`SchemaHandle::ready`]). A
    /// statement takes it once.
    pub fn current(&self) -> Arc<Schema> {
        self.shared.current.load_full()
    }

    /// Where the schema is published, for those who only read it.
    pub fn published(&self) -> Arc<ArcSwap<Schema>> {
        self.shared.current.clone()
    }

    /// Asks for a reading and does not wait for it.
    pub fn refresh_soon(&self) {
        self.shared.asked.fetch_add(1, Ordering::SeqCst);
        self.shared.wake.notify_one();
    }

    /// Reads again and returns what a reading found that was begun after this call. Many callers share one reading.
    ///
    /// # Errors
    /// [`SchemaError`] when that reading failed; the schema read before stays the current one.
    pub async fn refresh(&self) -> Result<Arc<Schema>, SchemaError> {
        let mine = self.shared.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.shared.wake.notify_one();
        self.wait(|done| done.asked >= mine).await
    }

    /// The current schema if the last reading went well, or the outcome of one more.
    ///
    /// # Errors
    /// [`SchemaError`] when that reading fails.
    pub async fn ready(&self) -> Result<Arc<Schema>, SchemaError> {
        if self.done.borrow().outcome.is_ok() { Ok(self.current()) } else { self.refresh().await }
    }

    /// Waits for the next reading that ends; `false` when there will be none.
    pub async fn next_reading(&mut self) -> bool {
        self.done.changed().await.is_ok()
    }

    async fn wait(&self, mut answers: impl FnMut(&Done) -> bool) -> Result<Arc<Schema>, SchemaError> {
        let mut done = self.done.clone();
        match done.wait_for(|done| answers(done)).await {
            Ok(done) => done.outcome.clone(),
            Err(_) => Err(SchemaError::Ended),
        }
    }
}

async fn keep_current(
    settings: SchemaSettings,
    topology: TopologyHandle,
    shared: Arc<Shared>,
    mut ended: watch::Receiver<()>,
    done: watch::Sender<Done>,
) {
    let mut failing = false;
    loop {
        // Counted before the reading begins: whoever asks from here on is answered by the next one.
        let asked = shared.asked.load(Ordering::SeqCst);
        let outcome = read(&settings, &topology).await;
        match &outcome {
            Ok(schema) => {
                let before = shared.current.swap(schema.clone()).version;
                if before != schema.version {
                    info!(database = settings.database, relations = schema.relations.len(), "schema read");
                }
            }
            // Told once; that no node is up is told by the monitor, and before the first probes it is no news at all.
            Err(SchemaError::Failed(error)) if !failing => {
                warn!(database = settings.database, %error, "cannot read the schema");
            }
            Err(_) => {}
        }
        failing = outcome.is_err();
        let none_up = matches!(outcome, Err(SchemaError::NoNode));
        done.send_replace(Done { asked, outcome });
        let pause = if failing { RETRY.min(settings.interval) } else { settings.interval };
        let wake = shared.wake.notified();
        let mut changed = topology.changed();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = wake => {}
            // A node that came up ends the wait for one.
            _ = changed.changed(), if none_up => {}
            _ = ended_or_closed(&mut ended) => return,
        }
    }
}

/// Resolves when the last handle is gone.
async fn ended_or_closed(ended: &mut watch::Receiver<()>) {
    while ended.changed().await.is_ok() {}
}

async fn read(settings: &SchemaSettings, topology: &TopologyHandle) -> Result<Arc<Schema>, SchemaError> {
    let nodes = candidates(&topology.snapshot(), settings);
    let mut failed = SchemaError::NoNode;
    for node in nodes {
        let began = Instant::now();
        let attempt = async {
            let mut line = Line::open(&node, &settings.login, settings.timeout).await?;
            load_schema(&mut line).await
        };
        let outcome = tokio::time::timeout(settings.timeout, attempt).await;
        match outcome.unwrap_or(Err(LineError::Timeout(began.elapsed()))) {
            Ok(schema) => return Ok(Arc::new(schema)),
            Err(error) => failed = SchemaError::Failed(Arc::new(error)),
        }
    }
    Err(failed)
}

/// The nodes to ask, best first: the home shard's primary, its replicas, then the other shards'.
fn candidates(snapshot: &Snapshot, settings: &SchemaSettings) -> Vec<NodeSettings> {
    let mut nodes = Vec::new();
    for shard in std::iter::once(&settings.home).chain(&settings.others).filter_map(|id| snapshot.shard(*id)) {
        let usable = shard.nodes.iter().filter(|node| node.role.is_some() && node.health.is_usable());
        let (first, rest): (Vec<_>, Vec<_>) = usable.partition(|node| shard.primary == Some(node.id()));
        nodes.extend(first.into_iter().chain(rest).map(|node| NodeSettings::clone(&node.settings)));
    }
    nodes
}
