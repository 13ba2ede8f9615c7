//! Values that must not be printed, and where they come from.

use std::path::Path;
use std::{env, fmt, fs, io, thread};

/// A value that must not be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Secret {
        Secret(value.into())
    }

    /// The secret itself; every call is a place to look at.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"...\"")
    }
}

/// What a configuration may take from outside its file.
pub trait Outside {
    /// The environment variable of this name, if it is set.
    fn variable(&self, name: &str) -> Option<String>;

    /// The content of a file.
    ///
    /// # Errors
    /// It cannot be read, or is not UTF-8.
    fn file(&self, path: &Path) -> io::Result<String>;

    /// The processors there are, at least one.
    fn processors(&self) -> usize;
}

/// This process' environment and file system: the room's one door to them.
#[derive(Clone, Copy, Debug)]
pub struct ThisProcess;

impl Outside for ThisProcess {
    fn variable(&self, name: &str) -> Option<String> {
        env::var(name).ok()
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        fs::read_to_string(path)
    }

    fn processors(&self) -> usize {
        thread::available_parallelism().map_or(1, usize::from)
    }
}

/// `{ env = "NAME" }`.
///
/// # Errors
/// What is wrong with it, to be put behind the key's path; never the value.
pub fn from_variable(outside: &dyn Outside, name: &str) -> Result<Secret, String> {
    match outside.variable(name) {
        None => Err(format!("environment variable {name:?} is not set")),
        Some(value) if value.is_empty() => Err(format!("environment variable {name:?} is empty")),
        Some(value) => Ok(Secret(value)),
    }
}

/// `{ file = "PATH" }`. One line end at the end of the file is not part of the secret.
///
/// # Errors
/// What is wrong with it, to be put behind the key's path; never the value.
pub fn from_file(outside: &dyn Outside, path: &Path) -> Result<Secret, String> {
    let text = outside.file(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let value = text.strip_suffix('\n').unwrap_or(&text);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.is_empty() { Err(format!("{} is empty", path.display())) } else { Ok(Secret(value.to_owned())) }
}
