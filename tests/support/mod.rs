//! What tests against real servers share: clusters, a running proxy, clients, waiting.
//!
//! In a test binary: `#[path = "../support/mod.rs"] mod support;`.

#![allow(dead_code, unused_imports, unreachable_pub)]

mod clients;
mod clusters;
mod gate;
mod proxy;
mod raw;
mod skipped;
mod wait;

pub use clients::{Session, app, connect, sqlstate};
pub use clusters::{Database, cluster, cluster_with, database, private};
pub use gate::Gate;
pub use proxy::Proxy;
pub use raw::{Frame, Raw};
pub use skipped::skipped;
pub use wait::{LIMIT, eventually, eventually_blocking};
