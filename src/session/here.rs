//! Statements that pgweave answers itself: `SET pgweave.…`, `SHOW pgweave.…`, `EXPLAIN (ROUTE) …`.

use bytes::BytesMut;

use super::Session;
use super::prepared::Prepared;
use super::route::Refused;
use super::simple::in_failed_transaction;
use super::unit::Flow;
use crate::config::Consistency;
use crate::plan;
use crate::sql::analysis::{Analysis, Kind, RoleHint, Set, Values};
use crate::wire::backend::{self, Column};
use crate::wire::{Diagnostic, SqlState};

/// The settings of ours.
const NAMES: [&str; 5] =
    ["pgweave.consistency", "pgweave.shard", "pgweave.key", "pgweave.distribution", "pgweave.role"];

/// Whether a statement is one of these.
pub(super) fn is_ours(kind: &Kind) -> bool {
    match kind {
        Kind::Set(set) => set.name.starts_with("pgweave."),
        Kind::Show(name) => name.starts_with("pgweave."),
        Kind::Explain { route, .. } => route.is_some(),
        _ => false,
    }
}

/// An answer of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Here {
    columns: Vec<Column>,
    rows: Vec<Vec<Option<String>>>,
    tag: String,
}

impl Here {
    fn tag(tag: &str) -> Here {
        Here { columns: Vec::new(), rows: Vec::new(), tag: tag.to_owned() }
    }

    fn text_rows(column: &str, rows: Vec<String>, tag: &str) -> Here {
        let rows = rows.into_iter().map(|row| vec![Some(row)]).collect();
        Here { columns: vec![Column::text(column)], rows, tag: tag.to_owned() }
    }

    fn write_description(&self, out: &mut BytesMut) {
        if self.columns.is_empty() {
            backend::no_data(out);
        } else {
            backend::row_description(out, &self.columns);
        }
    }

    /// Rows and tag, without the description.
    pub(super) fn write_rows(&self, out: &mut BytesMut) {
        for row in &self.rows {
            backend::data_row(out, row);
        }
        backend::command_complete(out, &self.tag);
    }
}

impl Session {
    /// Answers a simple Query, if it is one of ours.
    pub(super) fn answer_here(&mut self, analysis: &Analysis, statement: &str) -> Flow<bool> {
        let Some(outcome) = self.rows_here(analysis, statement) else { return Ok(false) };
        match outcome {
            Ok(here) => {
                let mut bytes = BytesMut::new();
                if !here.columns.is_empty() {
                    here.write_description(&mut bytes);
                }
                here.write_rows(&mut bytes);
                self.answer(&bytes);
            }
            Err(refused) => self.refuse_here(*refused),
        }
        Ok(true)
    }

    /// The description of a statement of ours, for Describe.
    pub(super) fn describe_here(&self, statement: &Prepared, out: &mut BytesMut) {
        let columns = match &statement.analysis.kind {
            Kind::Show(name) => vec![Column::text(name.clone())],
            Kind::Explain { route: Some(_), .. } => vec![Column::text("QUERY PLAN")],
            _ => Vec::new(),
        };
        Here { columns, rows: Vec::new(), tag: String::new() }.write_description(out);
    }

    /// The answer to a statement of ours; `None` for all others.
    pub(super) fn rows_here(&mut self, analysis: &Analysis, statement: &str) -> Option<Result<Here, Refused>> {
        if !is_ours(&analysis.kind) {
            return None;
        }
        self.database.stats.here.bump();
        if self.tx.as_ref().is_some_and(|tx| tx.failed) {
            return Some(Err(Box::new(in_failed_transaction())));
        }
        Some(match &analysis.kind {
            Kind::Set(set) => self.set_ours(set),
            Kind::Show(name) => self.show_ours(name),
            Kind::Explain { route: Some(inner), .. } => Ok(self.explain_route(&statement[inner.clone()])),
            _ => return None,
        })
    }

    fn set_ours(&mut self, set: &Set) -> Result<Here, Refused> {
        if set.local {
            return Err(Box::new(
                Diagnostic::error(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("cannot set \"{}\" with SET LOCAL", set.name),
                )
                .hint("Use a hint in a comment for one statement, or SET for the session."),
            ));
        }
        let value = if set.reset { None } else { set.value.clone() };
        if !set.reset && value.is_none() {
            return Err(invalid(&set.name, ""));
        }
        match set.name.as_str() {
            "pgweave.consistency" => {
                self.state.consistency = match value.as_deref() {
                    None => None,
                    Some("primary") => Some(Consistency::Primary),
                    Some("session") => Some(Consistency::Session),
                    Some("eventual") => Some(Consistency::Eventual),
                    Some(other) => return Err(invalid(&set.name, other)),
                };
            }
            "pgweave.role" => {
                self.state.hints.role = match value.as_deref() {
                    None => None,
                    Some("primary") => Some(RoleHint::Primary),
                    Some("replica") => Some(RoleHint::Replica),
                    Some(other) => return Err(invalid(&set.name, other)),
                };
            }
            "pgweave.shard" => {
                if let Some(name) = &value
                    && self.database.map.load().shard_named(name).is_none()
                {
                    return Err(invalid(&set.name, name));
                }
                self.state.hints.shard = value;
            }
            "pgweave.key" => self.state.hints.key = value,
            "pgweave.distribution" => self.state.hints.distribution = value,
            other => return Err(unknown(other)),
        }
        Ok(Here::tag(if set.reset { "RESET" } else { "SET" }))
    }

    fn show_ours(&self, name: &str) -> Result<Here, Refused> {
        let hints = &self.state.hints;
        let value = match name {
            "pgweave.consistency" => {
                let level = self.state.consistency.unwrap_or(self.database.settings.load().consistency);
                match level {
                    Consistency::Primary => "primary",
                    Consistency::Session => "session",
                    Consistency::Eventual => "eventual",
                }
                .to_owned()
            }
            "pgweave.role" => match hints.role {
                None => String::new(),
                Some(RoleHint::Primary) => "primary".to_owned(),
                Some(RoleHint::Replica) => "replica".to_owned(),
            },
            "pgweave.shard" => hints.shard.clone().unwrap_or_default(),
            "pgweave.key" => hints.key.clone().unwrap_or_default(),
            "pgweave.distribution" => hints.distribution.clone().unwrap_or_default(),
            "pgweave.epoch" => self.database.map.load().epoch.to_string(),
            other => return Err(unknown(other)),
        };
        Ok(Here::text_rows(name, vec![value], "SHOW"))
    }

    fn explain_route(&mut self, inner: &str) -> Here {
        let analysis = self.analysis_of(inner);
        let literals = std::mem::take(&mut self.literals);
        let values = Values { text: inner, literals: &literals, params: None, param_types: &[], utf8: self.state.utf8 };
        let map = self.database.map.load_full();
        let lines = plan::explain::explain(&self.planned(&analysis, &values), &map).lines();
        self.literals = literals;
        Here::text_rows("QUERY PLAN", lines, "EXPLAIN")
    }
}

fn invalid(name: &str, value: &str) -> Refused {
    Box::new(Diagnostic::error(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid value for parameter \"{name}\": \"{value}\""),
    ))
}

fn unknown(name: &str) -> Refused {
    Box::new(
        Diagnostic::error(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
            .hint(format!("Known are {}.", NAMES.join(", "))),
    )
}
