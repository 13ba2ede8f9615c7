//! Running programs and waiting for conditions.

use std::process::Command;
use std::time::{Duration, Instant};

use super::ClusterError;

/// Time between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Runs a program to its end and returns what it wrote to its standard output.
///
/// # Errors
/// [`ClusterError::Io`] when it cannot be started, [`ClusterError::Program`] when it exits with anything but 0.
pub(super) fn run(command: &mut Command) -> Result<String, ClusterError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(ClusterError::io(format!("run {program}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if text.is_empty() {
        text = output.status.to_string();
    }
    Err(ClusterError::Program { program, output: text })
}

/// Looks again and again until `look` gives a value.
///
/// # Errors
/// The error of `look`, at once; [`ClusterError::Deadline`] after `limit`.
pub(super) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>, ClusterError>,
) -> Result<T, ClusterError> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = look()? {
            return Ok(value);
        }
        if Instant::now() >= end {
            return Err(ClusterError::Deadline { what: what.to_owned(), limit, detail: String::new() });
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
