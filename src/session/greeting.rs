//! What a client is told when it has logged in: the parameters of a server, with its own settings applied.
//!
//! The first client of its kind takes a server and asks; the answer serves all others that give the same settings, so that
//! thousands of idle clients need no server at all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::unit::Break;
use crate::exec::{Database, Wish, take};
use crate::pool::{Login, Priority, ServerError, Settings, Verdict};
use crate::topology::Need;
use crate::wire::{Diagnostic, Report, Severity, SqlState};

/// Asks for the schemas that unqualified names are looked up in.
pub(super) const SEARCH_PATH: &str =
    "SELECT n FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS s(n, o) ORDER BY o";

/// The most kinds of clients that are remembered.
const KINDS: usize = 1024;

/// What a client of one kind is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The settings it is for: one value for all sessions of the kind, so that a server between two of them is known at a
    /// glance to need no change.
    pub settings: Arc<Settings>,
    /// ParameterStatus, by name.
    pub params: Arc<Vec<(String, String)>>,
    /// The schemas that unqualified names are looked up in.
    pub search_path: Vec<String>,
}

/// The greetings of one database by role and settings.
#[derive(Debug, Default)]
pub struct Greetings {
    known: Mutex<HashMap<(String, Settings), Arc<Greeting>>>,
}

impl Greetings {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, Settings), Arc<Greeting>>> {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Forgets all: servers or roles may have changed.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The greeting for a client, asked of a server if it is the first of its kind.
    ///
    /// # Errors
    /// What the client is to be told before it is closed.
    pub async fn greeting(
        &self,
        database: &Database,
        login: &Login,
        settings: &Arc<Settings>,
    ) -> Result<Arc<Greeting>, Box<Diagnostic>> {
        if database.schema.load().version == 0 {
            // Right after the start: what is routed by the schema would be refused.
            let limit = database.settings.load().limits.connect_timeout;
            if let Ok(Ok(schema)) = tokio::time::timeout(limit, database.schema_reader.ready()).await {
                database.adopt(Some(schema), None);
            }
        }
        let key = (login.user.clone(), settings.as_ref().clone());
        if let Some(known) = self.lock().get(&key) {
            return Ok(known.clone());
        }
        let greeting = Arc::new(ask(database, login, settings).await?);
        let mut known = self.lock();
        if known.len() >= KINDS {
            known.clear();
        }
        known.insert(key, greeting.clone());
        Ok(greeting)
    }
}

async fn ask(database: &Database, login: &Login, settings: &Arc<Settings>) -> Result<Greeting, Box<Diagnostic>> {
    let home = database.map.load().home;
    let need = if database.topology.snapshot().primary(home).is_some() {
        Need::Primary
    } else {
        // While the home shard has no primary, clients that only read may still come in.
        Need::Replica { at_least: None }
    };
    let wish = Wish { shard: home, need, sticky: None, priority: Priority::Empty };
    let held = take::take(database, login, wish).await.map_err(|error| fatal(error.diagnostic()))?;
    let mut checkout = held.into_checkout();
    let conn = checkout.conn();
    let asked = async {
        if let Some(change) = settings.change_sql(&conn.settings) {
            conn.query(&change).await?;
        }
        conn.settings = settings.clone();
        conn.query(SEARCH_PATH).await
    };
    let limit = database.settings.load().limits.connect_timeout;
    match tokio::time::timeout(limit, asked).await.unwrap_or(Err(ServerError::Timeout)) {
        Ok(rows) => {
            let params = Arc::new(conn.params.clone());
            let greeting = Greeting { settings: settings.clone(), params, search_path: read_search_path(&rows) };
            checkout.finish(Verdict::Clean);
            Ok(greeting)
        }
        // A setting that the server does not take: half of them may be set, so the server is closed.
        Err(error) => Err(fatal(error.diagnostic())),
    }
}

/// The rows of [`SEARCH_PATH`].
pub(super) fn read_search_path(rows: &[Vec<Option<String>>]) -> Vec<String> {
    rows.iter().filter_map(|row| row.first().cloned().flatten()).collect()
}

fn fatal(report: Diagnostic) -> Box<Diagnostic> {
    Box::new(Diagnostic { severity: Severity::Fatal, ..report })
}

/// The settings that a start-up packet asks for.
///
/// # Errors
/// What the client is to be told: `options` that cannot be read.
pub fn startup_settings(params: &[(String, String)]) -> Result<Settings, Box<Diagnostic>> {
    let mut all = Vec::new();
    for (name, value) in params {
        match name.as_str() {
            "options" => {
                let read = crate::pool::settings::read_options(value).map_err(|word| {
                    Box::new(Diagnostic::fatal(
                        SqlState::SYNTAX_ERROR,
                        format!("invalid command-line argument for server process: {word}"),
                    ))
                })?;
                // Options come first whatever their place in the packet (process_startup_options).
                all.splice(0..0, read);
            }
            name if name.starts_with("_pq_.") => {}
            _ => all.push((name.clone(), value.clone())),
        }
    }
    if all.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
        return Err(Box::new(Diagnostic::fatal(SqlState::PROTOCOL_VIOLATION, "invalid startup packet layout")));
    }
    Ok(Settings::new(all))
}

impl From<Box<Diagnostic>> for Break {
    fn from(report: Box<Diagnostic>) -> Break {
        Break::Fatal(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_give_way_to_named_parameters() {
        let params = [
            ("application_name".to_owned(), "psql".to_owned()),
            ("options".to_owned(), "-c application_name=x -c work_mem=1MB".to_owned()),
        ];
        let settings = startup_settings(&params).unwrap();
        assert_eq!(settings.value("application_name"), Some("psql"));
        assert_eq!(settings.value("work_mem"), Some("1MB"));
        assert!(startup_settings(&[("options".to_owned(), "-k".to_owned())]).is_err());
    }
}
