//! Why a command ends, and with which exit code.

use std::process::ExitCode;

use super::client::ClientError;
use crate::catalog::CatalogError;
use crate::config::ConfigErrors;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration is wrong. Exit code 2.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The command was called in a way that makes no sense. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Another side could not be asked. Exit code 1.
    #[error("{place}: {source}")]
    Client {
        /// Whom was asked, as the operator knows it.
        place: String,
        /// What went wrong.
        source: ClientError,
    },
    /// The catalog failed, or refuses a change. Exit code 1.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// What was asked for was found to be wrong, or could not be done. Exit code 1.
    #[error("{0}")]
    Failed(String),
    /// It was found wrong, and that is printed already. Exit code 1.
    #[error("failed")]
    Told,
    /// Nothing can be written to standard output.
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

impl CliError {
    /// 1: it failed; 2: wrong usage or configuration.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            CliError::Config(_) | CliError::Usage(_) => ExitCode::from(2),
            // Whoever reads our output has seen enough.
            CliError::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }

    /// Tells it on standard error.
    pub fn tell(&self) {
        match self {
            CliError::Told => {}
            CliError::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            CliError::Config(errors) => {
                let count = errors.problems.len();
                eprintln!(
                    "{errors}\npgweave: {count} problem{} in the configuration",
                    if count == 1 { "" } else { "s" }
                );
            }
            CliError::Client { source: ClientError::Server { hint: Some(hint), .. }, .. } => {
                eprintln!("pgweave: {self}\nHint: {hint}");
            }
            _ => eprintln!("pgweave: {self}"),
        }
    }
}
