//! What can go wrong with a cluster on this machine.

use std::path::PathBuf;
use std::time::Duration;

/// Why a cluster, or a step with one, failed.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No PostgreSQL server binaries of version 14 or newer.
    #[error("no PostgreSQL binaries (initdb, postgres, psql; version 14 or newer) in {searched}")]
    NoBinaries {
        /// The directories looked into.
        searched: String,
    },
    /// We are root, a PostgreSQL server refuses to run as root, and there is no other account to run it as.
    #[error("PostgreSQL does not run as root, and this machine has neither a user postgres nor a user nobody")]
    NoAccount,
    /// The operating system refused something.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A program said no.
    #[error("{program} failed: {output}")]
    Program {
        /// Its name.
        program: String,
        /// What it wrote to its standard error.
        output: String,
    },
    /// A server ended while it was starting.
    #[error("the server in {} ended while starting: {log}", dir.display())]
    Ended {
        /// Its directory.
        dir: PathBuf,
        /// The end of its log.
        log: String,
    },
    /// A condition did not come true in time.
    #[error("{what} did not happen within {} s{detail}", limit.as_secs())]
    Deadline {
        /// What was waited for.
        what: String,
        /// For how long.
        limit: Duration,
        /// What was seen last, or empty.
        detail: String,
    },
}

impl ClusterError {
    /// For `map_err`: the system refused to do `doing`.
    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> ClusterError {
        let doing = doing.into();
        move |source| ClusterError::Io { doing, source }
    }
}
