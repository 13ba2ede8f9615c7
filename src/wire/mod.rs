//! The PostgreSQL v3 protocol as values: framing, the messages of both directions, diagnostics and SQLSTATEs.
//!
//! Everything here is pure: bytes in, values out, and back. This room knows no sockets, no pools and no SQL; what it
//! says about a message is what the PostgreSQL manual says, chapter "Frontend/Backend Protocol". Messages to a server
//! are built by the `postgres-protocol` crate; what that crate does not have (the backend's direction as written by a
//! server, views over a client's messages without copying) lives here.
//!
//! Start at [`frame`]: everything else is a view over the body of one frame.

pub mod backend;
pub mod diagnostic;
pub mod frame;
pub mod frontend;
pub mod sqlstate;
pub mod startup;

pub use diagnostic::{Diagnostic, Fate, Fault, Report, Retry, Severity};
pub use frame::{Header, Malformed};
pub use sqlstate::SqlState;
