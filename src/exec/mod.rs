//! Plans meet servers: choosing a node, taking a server, knowing what it still owes.
//!
//! This room does not know clients: it takes servers for somebody and gives them back. What a statement is was decided in
//! `plan`; in what order replies reach a client is decided in `session`.
//!
//! Start at [`Database`], which bundles what the sessions of one database share; [`take`] gets a server from it.

pub mod database;
pub mod held;
pub mod take;

pub use database::{Database, DatabaseSettings, KnownPools, NodeAccess};
pub use held::{Expected, Fate, Held, Reply};
pub use take::{TakeError, Wish};
