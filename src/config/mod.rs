//! The configuration: TOML to [`Config`].
//!
//! Two steps: the raw form is what the file says (serde, unknown keys are errors, everything optional), [`Config`] is
//! complete and checked. All problems are reported at once, each with its line, column and path. This room reads one file
//! and otherwise knows nothing: no sockets, no servers.
//!
//! Start at [`Config`]; `load` reads a file into one.

#[allow(clippy::module_inception)]
pub mod config;

pub use config::*;
