//! The nodes: who is primary, who answers, how far replicas are behind, and which node gets a statement.
//!
//! Deciding and doing are apart. `elect`, `lag`, `mark`, `choose` and `tracker` are pure: answers and the time come in as
//! arguments. `monitor` asks every node over connections of its own (a pool that is merely busy must not look like a dead
//! server) and publishes what the tracker makes of the answers as one immutable [`Snapshot`]. This room knows no
//! statements, no plans and no sessions.
//!
//! Start at [`Snapshot`]; [`TopologyHandle`] is what the rooms above hold.

pub mod choose;
pub mod elect;
pub mod handle;
pub mod lag;
pub mod line;
pub mod mark;
pub mod monitor;
pub mod probe;
pub mod schema;
pub mod schema_watch;
pub mod state;
pub mod tracker;

pub use choose::{Need, NoNode, Preference};
pub use handle::TopologyHandle;
pub use lag::Lag;
pub use line::{Line, LineError, MonitorLogin};
pub use mark::{Lsn, Mark, Standing, Timeline};
pub use monitor::MonitorSettings;
pub use schema::load_schema;
pub use schema_watch::{SchemaError, SchemaHandle, SchemaSettings};
pub use state::{Health, NodeSettings, NodeState, Observation, ShardState, Snapshot};
