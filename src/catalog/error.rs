//! What can go wrong with the catalog.

use std::time::Duration;

use super::Difference;
use crate::map::{Epoch, MapError};
use crate::wire::{Diagnostic, Fault, Report, Retry, SqlState};

/// A failure of the catalog, or a change to it that is refused.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The DSN cannot be read. It is not shown: it may hold a password.
    #[error("the catalog's dsn is not valid")]
    Dsn,
    /// No answer in time.
    #[error("the catalog did not answer within {0:?}")]
    Timeout(Duration),
    /// The catalog's server reported an error or went away.
    #[error("the catalog failed: {0}")]
    Sql(#[from] sqlx::Error),
    /// The tables cannot be brought to this version.
    #[error("the catalog cannot be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// There is no catalog in this database.
    #[error("there is no catalog in this database; run pgweave init")]
    NotInitialised,
    /// A row that this version cannot have written.
    #[error("the catalog has {what} \"{value}\", which is not valid")]
    Row {
        /// What it is.
        what: &'static str,
        /// Its value.
        value: String,
    },
    /// What the catalog holds, or would hold after a change, is no map.
    #[error("{}", list(.0))]
    Map(Vec<MapError>),
    /// A change for which rows would have to move, or that would leave rows where no statement looks for them.
    #[error("the file differs from the catalog in what decides where rows are: {}", list(.0))]
    NeedsMove(Vec<Difference>),
    /// The catalog has no database of this name.
    #[error("database \"{0}\" is not in the catalog")]
    UnknownDatabase(String),
    /// A table that is placed already.
    #[error("table {0} is already placed")]
    TableExists(String),
    /// The catalog was found at an epoch below one that was already acted on.
    #[error("the catalog went back from epoch {seen} to {found}")]
    WentBack {
        /// The highest epoch seen.
        seen: Epoch,
        /// The epoch it has now.
        found: Epoch,
    },
    /// The proxy's registration ran out or was removed.
    #[error("the lease of this proxy has run out")]
    LeaseLost,
}

fn list<T: std::fmt::Display>(all: &[T]) -> String {
    all.iter().map(T::to_string).collect::<Vec<_>>().join("; ")
}

impl Report for CatalogError {
    fn diagnostic(&self) -> Diagnostic {
        let code = match self {
            CatalogError::Timeout(_)
            | CatalogError::Sql(_)
            | CatalogError::Migrate(_)
            | CatalogError::NotInitialised
            | CatalogError::LeaseLost => SqlState::CANNOT_CONNECT_NOW,
            CatalogError::NeedsMove(_) => SqlState::FEATURE_NOT_SUPPORTED,
            CatalogError::UnknownDatabase(_) => SqlState::INVALID_CATALOG_NAME,
            CatalogError::Map(errors) => {
                errors.first().map_or(SqlState::INVALID_PARAMETER_VALUE, |first| first.diagnostic().code)
            }
            CatalogError::Dsn | CatalogError::TableExists(_) => SqlState::INVALID_PARAMETER_VALUE,
            CatalogError::Row { .. } | CatalogError::WentBack { .. } => SqlState::INTERNAL_ERROR,
        };
        match self {
            // A client need not know the catalog's address or the words of its server.
            CatalogError::Sql(_) | CatalogError::Migrate(_) => Diagnostic::error(code, "the catalog failed"),
            _ => Diagnostic::error(code, self.to_string()),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            CatalogError::Timeout(_) | CatalogError::Sql(_) | CatalogError::Migrate(_) => Fault::Server,
            CatalogError::LeaseLost => Fault::Proxy,
            _ => Fault::Operator,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            CatalogError::Timeout(_) | CatalogError::Sql(_) => Retry::FreshConnection,
            _ => Retry::Never,
        }
    }
}
