//! What an operator looks at: the console (the database `pgweave` on the client port), HTTP with metrics, the log.
//!
//! This room reads what others publish and changes nothing but what it is told to (`RELOAD`). It knows nothing of sessions;
//! the composition root hands it a client that is authenticated, or a socket.
//!
//! Start at [`Sources`]: everything shown comes from there. `show` makes tables of it, `console` serves them over the
//! PostgreSQL protocol, `http` over HTTP.

pub mod command;
pub mod console;
pub mod http;
pub mod log;
pub mod metrics;
#[cfg(test)]
mod page;
pub mod show;
pub mod sources;
pub mod table;
#[cfg(test)]
mod testing;

pub use sources::{DatabaseSource, Readiness, Reload, Sources};
