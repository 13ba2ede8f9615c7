//! Taking a server: choose a node, check one out, and try the next when a node turns out to be gone.

use std::time::{Duration, Instant};

use super::{Database, Held, KnownPools};
use crate::map::{NodeId, ShardId};
use crate::pool::{CheckoutError, Login, Priority};
use crate::topology::{Need, NoNode, Preference};
use crate::wire::{Diagnostic, Fault, Report, Retry, SqlState};

/// The pause between two tries when a node that is said to be fit refuses: the monitor needs one probe to know better.
const AGAIN: Duration = Duration::from_millis(50);

/// What a statement needs of its server.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// The shard.
    pub shard: ShardId,
    /// Primary, or a replica that is fresh enough.
    pub need: Need,
    /// The replica this session read from last.
    pub sticky: Option<NodeId>,
    /// Whether the session holds another server already.
    pub priority: Priority,
}

/// Why there is no server for a statement. Nothing of it was sent.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TakeError {
    /// No usable node within the waiting time.
    #[error("shard \"{shard}\" has no usable node: {reason}")]
    NoNode {
        /// The shard's name.
        shard: String,
        /// What the topology says.
        reason: NoNode,
    },
    /// A node is there, but no server of it.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// The client gave up.
    #[error("canceling statement due to user request")]
    Cancelled,
}

impl Report for TakeError {
    fn diagnostic(&self) -> Diagnostic {
        match self {
            TakeError::NoNode { shard, reason } => {
                let report = reason.diagnostic();
                Diagnostic { message: format!("shard \"{shard}\" has no usable node now"), ..report }
            }
            // A node that refuses is no business of the client's but for this: its statement cannot run now.
            TakeError::Checkout(error) if error.is_node_failure() => {
                Diagnostic::error(SqlState::CANNOT_CONNECT_NOW, "the server for this statement cannot be reached now")
                    .detail(error.to_string())
            }
            TakeError::Checkout(error) => error.diagnostic(),
            TakeError::Cancelled => Diagnostic::error(SqlState::QUERY_CANCELED, self.to_string()),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            TakeError::NoNode { .. } => Fault::Server,
            TakeError::Checkout(error) => error.fault(),
            TakeError::Cancelled => Fault::Client,
        }
    }

    fn retry(&self) -> Retry {
        Retry::BeforeSend
    }
}

/// Takes a server for `wish` if one is at rest at the node that is chosen.
pub fn try_take(database: &Database, login: &Login, wish: Wish, pools: &mut KnownPools) -> Option<Held> {
    let (node, primary) = choose(database, wish).ok()?;
    let checkout = pools.pool(database, node, login)?.try_checkout()?;
    Some(Held::new(wish.shard, node, primary, checkout))
}

/// The node for `wish`, and whether it is the shard's primary.
fn choose(database: &Database, wish: Wish) -> Result<(NodeId, bool), NoNode> {
    let snapshot = database.topology.snapshot();
    let settings = database.settings.load();
    let preference = Preference {
        balancing: settings.balancing,
        read_from_primary: settings.read_from_primary,
        sticky: wish.sticky,
        seed: database.next_turn(),
    };
    let node = snapshot.choose(wish.shard, wish.need, &preference, |node| node.in_use())?;
    Ok((node, snapshot.primary(wish.shard) == Some(node)))
}

/// Takes a server for `wish` as the role of `login`. While the shard has no primary, or the chosen node refuses, it waits for
/// the topology to change, up to `failover_wait`.
///
/// Cancel safe: nothing is held until it returns.
///
/// # Errors
/// [`TakeError`] when there is none in time.
pub async fn take(database: &Database, login: &Login, wish: Wish) -> Result<Held, TakeError> {
    let settings = database.settings.load_full();
    let deadline = Instant::now() + settings.limits.failover_wait;
    loop {
        // Subscribed before the snapshot is looked at, so that no change falls between.
        let mut changed = database.topology.changed();
        let failed = match choose(database, wish) {
            Ok((node, primary)) => match checkout(database, login, node, wish.priority).await {
                Ok(Some(checkout)) => return Ok(Held::new(wish.shard, node, primary, checkout)),
                Ok(None) => TakeError::NoNode {
                    shard: shard_name(database, wish.shard),
                    reason: NoNode::NoPrimary { shard: wish.shard, alarm: None },
                },
                Err(error) if error.is_node_failure() => {
                    database.topology.report_failure(node, &error.to_string());
                    TakeError::Checkout(error)
                }
                Err(error) => return Err(error.into()),
            },
            Err(reason) => TakeError::NoNode { shard: shard_name(database, wish.shard), reason },
        };
        let now = Instant::now();
        if now >= deadline {
            return Err(failed);
        }
        let wait = if matches!(failed, TakeError::Checkout(_)) { AGAIN.min(deadline - now) } else { deadline - now };
        // Whether it changed or the time is up: look again.
        let _ = tokio::time::timeout(wait, changed.changed()).await;
    }
}

async fn checkout(
    database: &Database,
    login: &Login,
    node: NodeId,
    priority: Priority,
) -> Result<Option<crate::pool::Checkout>, CheckoutError> {
    match database.pool(node, login) {
        Some(pool) => pool.checkout(priority).await.map(Some),
        None => Ok(None),
    }
}

fn shard_name(database: &Database, shard: ShardId) -> String {
    database.map.load().shard(shard).map_or_else(|| shard.to_string(), |info| info.name.clone())
}
