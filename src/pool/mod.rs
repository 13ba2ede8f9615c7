//! Server connections.
//!
//! Start at [`handshake::connect`].

pub mod handshake;

pub use handshake::{ConnectError, Handshaken, Login};
