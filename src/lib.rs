//! pgweave weaves many stock PostgreSQL servers into one database.
//!
//! The rooms, lowest first; a room imports only from rooms of a lower rank (`tests/tables/layering.rs` keeps it):
//! `wire`, `config` · `map`, `sql`, `auth` · `plan`, `net` · `pool`, `catalog` · `topology` · `exec` · `session` · `admin` ·
//! `cli`. `stats` is a leaf that anyone may use; `server` builds everything once. `ARCHITECTURE.md` has the map.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod admin;
pub mod auth;
pub mod catalog;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod exec;
pub mod map;
pub mod net;
pub mod plan;
pub mod pool;
pub mod server;
pub mod session;
pub mod sql;
pub mod stats;
pub mod topology;
pub mod wire;
