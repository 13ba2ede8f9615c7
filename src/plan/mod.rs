//! What to do with one statement, decided but not yet done.
//!
//! `plan` marries what a text asks ([`crate::sql::Analysis`]) with who owns what ([`crate::map::ShardMap`]). It is pure: a
//! plan is data that can be printed, compared and cached. It names shards, never nodes: which replica answers is chosen at
//! checkout, because health changes faster than plans do.

use std::sync::Arc;

use crate::map::{Epoch, KeyRange, Point, ShardId};
use crate::wire::{Diagnostic, Fault, Report, SqlState};

/// A decision about one statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The map it was made from.
    pub epoch: Epoch,
    /// Which nodes of a shard may run it.
    pub access: Access,
    /// Which part of the key space it touches.
    pub touches: Touches,
    /// How it is run.
    pub shape: Shape,
}

/// Which nodes of a shard may run a statement, and whether it makes its shard a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A proven read: any replica that is fit.
    Read,
    /// A proven read that only the primary can answer (per-server views and functions). Does not make a writer.
    ReadPrimary,
    /// Anything else: the primary, and the shard becomes a writer of the unit of commit.
    Write,
}

/// Which part of the key space a plan touches.
#[derive(Clone, Debug, PartialEq)]
pub enum Touches {
    /// No sharded table.
    Nothing,
    /// These positions.
    Points(Vec<Point>),
    /// These ranges.
    Ranges(Vec<KeyRange>),
    /// All of it.
    Everything,
}

/// How a statement is run.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// One shard; bytes are forwarded both ways.
    Direct {
        /// The shard.
        shard: ShardId,
        /// Whose text it gets.
        query: Query,
    },
    /// Each shard answers its part alone; answers are concatenated in shard order and tags added up. Reads only.
    Scatter {
        /// At least two shards, in shard order.
        parts: Vec<(ShardId, Query)>,
    },
}

/// The text a server gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// The client's own bytes.
    Original,
    /// A text spliced from them.
    Rewritten(Arc<str>),
}

/// A statement that is not run because it cannot be proven right (or is wrong in itself), and what would work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Usually `0A000`.
    pub code: SqlState,
    /// Lower-case, no full stop.
    pub message: String,
    /// Which part of the statement it is.
    pub detail: Option<String>,
    /// What would work.
    pub hint: Option<String>,
}

impl Refusal {
    /// An `0A000` with its three parts.
    pub fn unsupported(message: impl Into<String>, detail: impl Into<String>, hint: impl Into<String>) -> Refusal {
        Refusal {
            code: SqlState::FEATURE_NOT_SUPPORTED,
            message: message.into(),
            detail: Some(detail.into()),
            hint: Some(hint.into()),
        }
    }
}

impl Report for Refusal {
    fn diagnostic(&self) -> Diagnostic {
        Diagnostic {
            detail: self.detail.clone(),
            hint: self.hint.clone(),
            ..Diagnostic::error(self.code, self.message.clone())
        }
    }

    fn fault(&self) -> Fault {
        Fault::Client
    }
}
