//! The catalog: the PostgreSQL database that owns databases, shards, nodes, distributions, tables and the map, and knows
//! which proxies follow it.
//!
//! [`CatalogState`] is all of it at one epoch, and also what a configuration file says when there is no catalog: both are
//! turned into maps by the same function. [`Store`] reads and changes it, each change in one transaction that raises the
//! epoch and notifies; [`Follower`] publishes the newest state; [`Lease`] is a proxy's registration. `save.rs` writes the
//! difference between two states, `diff.rs` tells it. This room knows nothing of the shards' servers.

pub mod diff;
pub mod error;
pub mod follow;
pub mod lease;
mod load;
mod names;
mod save;
pub mod state;
pub mod store;

pub use diff::Difference;
pub use error::CatalogError;
pub use follow::Follower;
pub use lease::{Lease, LeaseKeeper, Proxy};
pub use state::{CatalogState, DatabaseEntry, NodeEntry, ShardEntry, TablePlace};
pub use store::{InitReport, Store};
