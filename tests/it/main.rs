//! Against real servers: clusters by `initdb` on ports of their own.

#[path = "../support/mod.rs"]
mod support;

mod auth;
mod catalog;
mod check;
mod cluster;
mod commands;
mod console;
mod demo;
mod drivers;
mod hash;
mod isolation;
mod same;
mod schema;
mod superset;
mod topology;
