//! From a file to a [`Config`], or to everything that is wrong with it.

use std::path::Path;

use toml::de::DeTable;

use super::config::Config;
use super::document::Document;
use super::errors::{ConfigErrors, Problem};
use super::secret::{Outside, ThisProcess};
use super::{check, raw};

/// Reads, completes and checks a configuration file.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn load(path: impl AsRef<Path>) -> Result<Config, ConfigErrors> {
    let path = path.as_ref();
    let origin = path.display().to_string();
    match ThisProcess.file(path) {
        Ok(text) => parse(&text, &origin),
        Err(e) => {
            let message = format!("cannot read the configuration: {e}");
            let problem = Problem { line: 0, column: 0, path: String::new(), message };
            Err(ConfigErrors { origin, problems: vec![problem] })
        }
    }
}

/// Completes and checks a configuration's text. `origin` is its path as the operator gave it: it names the file in the
/// report, and relative paths in the text begin at its directory.
///
/// # Errors
/// Everything that is wrong with it, in the order of the text.
pub fn parse(text: &str, origin: &str) -> Result<Config, ConfigErrors> {
    parse_with(text, origin, &ThisProcess)
}

/// [`parse`] with environment and files of the caller's choice.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(text: &str, origin: &str, outside: &dyn Outside) -> Result<Config, ConfigErrors> {
    let base = Path::new(origin).parent().unwrap_or(Path::new(""));
    let document = Document::new(text, base, outside);
    let (table, errors) = DeTable::parse_recoverable(text);
    let config = if errors.is_empty() {
        let mut config = raw::read(&document, table.get_ref());
        check::check(&config, &mut |path, message| document.note_meaning(path, message));
        check::complete(&mut config);
        Some(config)
    } else {
        // What can be made out of a broken text is guesswork; its keys are looked at once it is TOML.
        for error in errors {
            document.note(error.span().map_or(0, |span| span.start), "", error.message().to_owned());
        }
        None
    };
    match (config, document.errors(origin)) {
        (Some(config), None) => Ok(config),
        (_, errors) => Err(errors.expect("a text without a configuration has a problem")),
    }
}
