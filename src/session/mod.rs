//! One client: its pipeline, its names, its transaction, its state, and the servers it holds meanwhile.
//!
//! One task owns a client and, for the length of a unit of commit, its servers. Frames of the client are taken one by one
//! (`serve.rs`); what a statement is was decided in `sql`, where it goes in `plan`. Replies come back through `replies.rs`,
//! which is pure. This room does not know the console, and never re-prints SQL.
//!
//! Start at [`serve::Session::run`], then `simple.rs` (Query) and `extended.rs` (Parse, Bind, Execute, Sync).

mod client;
mod control;
mod cursors;
mod extended;
mod facts;
mod greeting;
mod here;
mod io;
mod prepared;
mod replay;
mod replies;
mod route;
mod scatter;
mod serve;
mod simple;
pub mod startup;
mod state;
mod tx;
mod unit;

pub use client::Client;
pub use facts::Marks;
pub use greeting::{Greeting, Greetings, startup_settings};
pub use serve::{Session, SessionUser};
pub use startup::{Accepted, Authenticated, StartupError, StartupSettings};
