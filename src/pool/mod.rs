//! Server connections: connect, log in, prepared statements and settings per connection, check out, reset, cancel, limits.
//!
//! A pool holds the servers of one node for one database and one role. It knows nothing of shards, plans or clients beyond
//! "somebody waits". A server that is taken is a [`Checkout`] and ends with a [`Verdict`]; one that is dropped without a
//! verdict is closed, because nobody can say what state it is in.
//!
//! Start at [`Pool::checkout`]; `server` is the connection itself, `handshake` how it begins.

pub mod cancel;
pub mod handshake;
#[allow(clippy::module_inception)]
mod pool;
mod pools;
pub mod server;
pub mod settings;
pub mod views;

pub use cancel::{CancelRegistry, CancelSlot};
pub use handshake::{ConnectError, Handshaken, Login};
pub use pool::{Checkout, CheckoutError, Pool, PoolSettings, Priority, Verdict};
pub use pools::{PoolKey, Pools};
pub use server::{PreparedSet, ServerConn, ServerError, ServerIdentity, StatementId};
pub use settings::Settings;
pub use views::{PoolView, ServerState, ServerView};
