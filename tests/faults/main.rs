//! What happens when something goes wrong: servers that die, clients that vanish, pools that are full, frames that are
//! none.

#[path = "../support/mod.rs"]
mod support;

mod cancel;
mod copy;
mod frames;
mod lost;
mod operation;
mod pipelines;
mod pool;
mod tools;
mod vanish;
