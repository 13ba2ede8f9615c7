//! The key space: which shard owns which rows.
//!
//! Everything here is a value. A [`ShardMap`] never changes; a change makes a new one with a higher epoch. This room knows
//! nothing of SQL, sockets or servers, so that a proxy, a mover and a test all answer "who owns this key?" with the same
//! few lines.
//!
//! Start at [`ShardMap`]. `build.rs` makes one from its plain parts and `change.rs` the next from the last; `convert.rs` and
//! `array.rs` say which spellings of a value are provably that value; `hash.rs` and `point.rs` make positions of values.

pub mod array;
pub mod build;
pub mod change;
pub mod convert;
pub mod hash;
pub mod ids;
pub mod key;
pub mod point;
pub mod range_map;
pub mod shard_map;

pub use array::convert_array;
pub use build::MapError;
pub use convert::{Conversion, Source, convert};
pub use ids::{DistributionId, Epoch, NodeId, ShardId};
pub use key::{KeyColumn, KeyType, KeyValue, Unsupported};
pub use point::{KeyRange, Point, RangeOp};
pub use range_map::RangeMap;
pub use shard_map::{Distribution, Method, Placement, ShardInfo, ShardMap, SharedMap, TableName, quoted};
