//! What the rooms above hold of the topology.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use arc_swap::Guard;
use tokio::sync::watch;

use super::mark::Timeline;
use super::monitor::{MonitorSettings, Shared};
use super::state::{NodeSettings, Snapshot};
use crate::map::{NodeId, ShardId};

/// The way to what the monitor sees. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TopologyHandle {
    shared: Arc<Shared>,
}

impl TopologyHandle {
    pub(super) fn new(shared: Arc<Shared>) -> TopologyHandle {
        TopologyHandle { shared }
    }

    /// What is known now. A statement takes one snapshot and keeps it.
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.shared.published.load()
    }

    /// The version of the newest snapshot, to wait for the next one.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    /// Somebody who used `node` had it fail: refused, reset or timed out. It is out at once, unless nothing else can do
    /// its work, and is asked again at once.
    pub fn report_failure(&self, node: NodeId, why: &str) {
        self.shared.apply(|tracker| tracker.reported(Instant::now(), node, why));
        self.shared.wake(node);
    }

    /// Asks the nodes of a shard at once: somebody waits for the next sample.
    pub fn hurry(&self, shard: ShardId) {
        if let Some(shard) = self.snapshot().shard(shard) {
            shard.nodes.iter().for_each(|node| self.shared.wake(node.id()));
        }
    }

    /// The count of a node's servers in use, for those who take and return them; `None` for a node that is not known.
    /// The same counter for as long as the node is.
    pub fn load(&self, node: NodeId) -> Option<Arc<AtomicUsize>> {
        self.snapshot().node(node).map(|node| node.load.clone())
    }

    /// Replaces settings and nodes; what is known of nodes and shards that stay is kept. Must be called within a runtime.
    pub fn update_nodes(&self, settings: MonitorSettings, nodes: Vec<NodeSettings>) {
        self.shared.update(settings, nodes);
    }

    /// Raises what is remembered of a shard to what somebody else saw (another proxy, by the catalog), so that an old
    /// primary is not followed.
    pub fn remember(&self, shard: ShardId, system_id: Option<u64>, timeline: Option<Timeline>) {
        self.shared.apply(|tracker| tracker.remember(shard, system_id, timeline));
    }

    /// Waits until `condition` holds for a snapshot, and returns that one. Wrap it in a timeout.
    pub async fn wait_for(&self, mut condition: impl FnMut(&Snapshot) -> bool) -> Arc<Snapshot> {
        let mut changed = self.changed();
        loop {
            changed.borrow_and_update();
            let snapshot = Arc::clone(&self.snapshot());
            if condition(&snapshot) {
                return snapshot;
            }
            // The sender lives in `self`.
            changed.changed().await.expect("the topology publishes while a handle lives");
        }
    }

    /// Ends the monitor's tasks. What was published last stays.
    pub fn shutdown(&self) {
        self.shared.shutdown();
    }
}
