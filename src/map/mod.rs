//! The key space: which shard owns which rows.
//!
//! Everything here is a value. A [`ShardMap`] never changes; a change makes a new one with a higher epoch. This room knows
//! nothing of SQL, sockets or servers, so that a proxy, a mover and a test all answer "who owns this key?" with the same
//! few lines.
//!
//! Start at [`ShardMap`]; `hash.rs` has the positions of keys, `key.rs` how a value becomes one.

pub mod hash;
pub mod ids;
pub mod key;
pub mod point;
pub mod range_map;
pub mod shard_map;

pub use ids::{DistributionId, Epoch, NodeId, ShardId};
pub use key::{KeyType, KeyValue};
pub use point::{KeyRange, Point};
pub use range_map::RangeMap;
pub use shard_map::{Distribution, Method, Placement, ShardInfo, ShardMap, TableName};
