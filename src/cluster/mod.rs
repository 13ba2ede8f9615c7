//! PostgreSQL clusters on this machine: shards of real servers, each a primary and its streaming replicas.
//!
//! `pgweave demo` and the tests start them from the binaries found here, in one directory under the temporary directory,
//! on ports of their own and on 127.0.0.1 only. They end with the [`Cluster`] that owns them, and when its process is
//! killed, too (see [`guard`]). Everything here blocks: call it before the runtime has work, or from a thread of its own.
//! Linux only, as `/proc` tells which processes are ours.
//!
//! This room knows servers, not the proxy: no map, no pool, no session.
//!
//! Start at [`Cluster::start`].

mod account;
mod binaries;
#[allow(clippy::module_inception)]
mod cluster;
mod command;
mod error;
pub mod guard;
mod node;
mod template;

pub use account::Account;
pub use binaries::Binaries;
pub use cluster::{APP_PASSWORD, APP_USER, Cluster, Shard, Spec};
pub use error::ClusterError;
pub use node::{Node, StopMode};
