//! The tasks that ask every node, and the state they share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tracing::{debug, error, info, warn};

use super::handle::TopologyHandle;
use super::lag::Rotation;
use super::line::{LineError, MonitorLogin};
use super::probe::Probe;
use super::state::{NodeSettings, Observation, Snapshot};
use super::tracker::{Event, Failure, Rules, Tracker};
use crate::map::NodeId;

/// How nodes are watched.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorSettings {
    /// How often every node is asked.
    pub interval: Duration,
    /// How long it may take to answer, connecting included.
    pub timeout: Duration,
    /// What is made of the answers.
    pub rules: Rules,
    /// Who asks.
    pub login: MonitorLogin,
}

/// A node that is gone is asked this many times less often, in the end.
const SLOWEST: u32 = 10;

/// However often somebody reports a failure, a node is not asked more often than this.
const LEAST_GAP: Duration = Duration::from_millis(10);

/// What the tasks share with the handles.
#[derive(Debug)]
pub(super) struct Shared {
    tracker: Mutex<Tracker>,
    pub(super) published: ArcSwap<Snapshot>,
    pub(super) changed: watch::Sender<u64>,
    tasks: Mutex<HashMap<NodeId, Task>>,
}

#[derive(Debug)]
struct Task {
    settings: NodeSettings,
    monitor: MonitorSettings,
    wake: Arc<Notify>,
    abort: AbortHandle,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

/// Starts watching `nodes` and returns the handle to what is seen. Must be called within a runtime; the tasks end with
/// [`TopologyHandle::shutdown`].
pub fn start(settings: MonitorSettings, nodes: Vec<NodeSettings>) -> TopologyHandle {
    let mut tracker = Tracker::new(settings.rules, Vec::new());
    let first = tracker.snapshot();
    let shared = Arc::new(Shared {
        tracker: Mutex::new(tracker),
        changed: watch::Sender::new(first.version),
        published: ArcSwap::from_pointee(first),
        tasks: Mutex::new(HashMap::new()),
    });
    shared.update(settings, nodes);
    TopologyHandle::new(shared)
}

impl Shared {
    /// Replaces settings and nodes. Tasks of nodes of which nothing changed go on.
    pub(super) fn update(self: &Arc<Shared>, settings: MonitorSettings, nodes: Vec<NodeSettings>) {
        self.apply(|tracker| tracker.replace(settings.rules, nodes.clone()));
        let mut tasks = lock(&self.tasks);
        tasks.retain(|_, task| nodes.contains(&task.settings) && task.monitor == settings);
        for node in nodes {
            tasks.entry(node.id).or_insert_with(|| self.spawn(node, settings.clone()));
        }
    }

    fn spawn(self: &Arc<Shared>, settings: NodeSettings, monitor: MonitorSettings) -> Task {
        let wake = Arc::new(Notify::new());
        let watcher = Watcher {
            shared: self.clone(),
            node: settings.clone(),
            settings: monitor.clone(),
            wake: wake.clone(),
            probe: None,
        };
        let abort = tokio::spawn(watcher.run()).abort_handle();
        Task { settings, monitor, wake, abort }
    }

    /// Ends all tasks. What was published last stays.
    pub(super) fn shutdown(&self) {
        lock(&self.tasks).clear();
    }

    /// Asks a node at once.
    pub(super) fn wake(&self, node: NodeId) {
        if let Some(task) = lock(&self.tasks).get(&node) {
            task.wake.notify_one();
        }
    }

    /// Changes what is known, publishes it and tells what happened.
    pub(super) fn apply(&self, change: impl FnOnce(&mut Tracker)) {
        let events = {
            // Published under the lock: an older snapshot must not overwrite a newer one.
            let mut tracker = lock(&self.tracker);
            change(&mut tracker);
            let snapshot = tracker.snapshot();
            let version = snapshot.version;
            self.published.store(Arc::new(snapshot));
            self.changed.send_replace(version);
            tracker.take_events()
        };
        if !events.is_empty() {
            let snapshot = self.published.load();
            events.iter().for_each(|event| tell(&snapshot, event));
        }
    }
}

/// Nothing panics while one of these locks is held; were it poisoned, what is behind it would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tell(snapshot: &Snapshot, event: &Event) {
    let address = |id: NodeId| snapshot.node(id).map(|node| node.settings.address()).unwrap_or_default();
    match event {
        Event::Lost { node, why } => warn!(%node, address = address(*node), %why, "node lost"),
        Event::Back { node } => info!(%node, address = address(*node), "node answers"),
        Event::Primary { shard, node: Some(node), timeline } => {
            let timeline = timeline.map(|t| t.0);
            info!(%shard, %node, address = address(*node), timeline, "primary found");
        }
        Event::Primary { shard, node: None, .. } => warn!(%shard, "no primary"),
        Event::Alarm { shard, alarm: Some(alarm) } => error!(%shard, %alarm, "shard needs an operator"),
        Event::Alarm { shard, alarm: None } => info!(%shard, "alarm is over"),
        Event::Rotation { node, rotation, lag } => {
            let (lag_ms, lag_bytes) = (lag.time.map(|time| time.as_millis() as u64), lag.bytes);
            match rotation {
                Rotation::In => info!(%node, address = address(*node), lag_ms, lag_bytes, "replica caught up"),
                _ => warn!(%node, address = address(*node), lag_ms, lag_bytes, "replica too far behind"),
            }
        }
    }
}

/// The task of one node.
struct Watcher {
    shared: Arc<Shared>,
    node: NodeSettings,
    settings: MonitorSettings,
    wake: Arc<Notify>,
    probe: Option<Probe>,
}

impl Watcher {
    async fn run(mut self) {
        let mut failures = 0u32;
        loop {
            let begun = Instant::now();
            match self.look().await {
                Ok((asked, seen)) => {
                    failures = 0;
                    self.shared.apply(|tracker| tracker.answered(Instant::now(), self.node.id, asked, seen));
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    debug!(node = %self.node.id, %error, failures, "probe failed");
                    let failure: Failure = error.failure();
                    self.shared.apply(|tracker| tracker.failed(Instant::now(), self.node.id, failure));
                }
            }
            let pause = self.settings.interval * failures.clamp(1, SLOWEST);
            tokio::time::sleep_until((begun + LEAST_GAP).into()).await;
            tokio::select! {
                () = tokio::time::sleep_until((begun + pause).into()) => {}
                () = self.wake.notified() => {}
            }
        }
    }

    /// Asks once; if an old connection turns out to be broken, once more over a new one, because a backend that was
    /// terminated says nothing about its server. With the answer comes when its question was begun.
    async fn look(&mut self) -> Result<(Instant, Observation), LineError> {
        let limit = self.settings.timeout;
        let deadline = tokio::time::Instant::now() + limit;
        let had_connection = self.probe.is_some();
        match self.ask(deadline, limit).await {
            Err(LineError::Lost(_) | LineError::Sql { .. }) if had_connection => self.ask(deadline, limit).await,
            answer => answer,
        }
    }

    async fn ask(
        &mut self,
        deadline: tokio::time::Instant,
        limit: Duration,
    ) -> Result<(Instant, Observation), LineError> {
        // Taken out while it asks: a probe that fails or is cut off is dropped, and with it its connection.
        let probe = self.probe.take();
        let asked = async {
            let mut probe = match probe {
                Some(probe) => probe,
                None => Probe::open(&self.node, &self.settings.login, limit).await?,
            };
            let begun = Instant::now();
            let seen = probe.ask().await?;
            Ok((probe, begun, seen))
        };
        let (probe, begun, seen) =
            tokio::time::timeout_at(deadline, asked).await.unwrap_or(Err(LineError::Timeout(limit)))?;
        self.probe = Some(probe);
        Ok((begun, seen))
    }
}
