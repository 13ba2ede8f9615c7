//! The configuration: TOML to [`Config`].
//!
//! Two steps: the raw form is what the file says (unknown keys are errors, nearly everything is optional), [`Config`] is
//! complete and checked. All problems are reported at once, each with its line, column and path. This room reads the file,
//! and the files and environment variables it names, and otherwise knows nothing: no sockets, no servers.
//!
//! Start at [`load`]: `document` walks the text and notes what is wrong, `raw` names the keys and their defaults, `check` sees
//! whether they agree. [`settings`] writes a configuration out again, [`changes`] compares two.

mod check;
#[allow(clippy::module_inception)]
pub mod config;
mod document;
mod errors;
mod load;
mod nearest;
mod raw;
mod reload;
mod secret;
mod settings;
#[cfg(test)]
mod tests;
mod units;

pub use config::*;
pub use errors::{ConfigErrors, Problem};
pub use load::{load, parse, parse_with};
pub use nearest::nearest;
pub use reload::{Change, Effect, changes};
pub use secret::{Outside, Secret, ThisProcess};
pub use settings::settings;
pub use units::{duration_text, parse_duration, parse_size, size_text};
