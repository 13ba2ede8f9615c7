//! One client.
//!
//! Start at [`startup::accept`].

pub mod startup;

pub use startup::{Accepted, Authenticated, StartupError, StartupSettings};
