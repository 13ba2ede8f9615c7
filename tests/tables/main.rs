//! Cases as data, and the house's own rules. Needs no server.

#[path = "../support/mod.rs"]
mod support;

mod handshake;
mod layering;
mod oracle;
mod plans;
mod startup;
mod stream;
mod wire;
