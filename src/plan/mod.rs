//! What to do with one statement, decided but not yet done.
//!
//! `plan` marries what a text asks ([`crate::sql::Analysis`]) with who owns what ([`crate::map::ShardMap`]). It is pure: a
//! plan is data that can be printed, compared and cached. It names shards, never nodes: which replica answers is chosen at
//! checkout, because health changes faster than plans do.

mod access;
mod builtin;
mod code;
pub mod explain;
mod hint;
mod insert;
mod keys;
mod keyset;
mod modify;
mod other;
mod place;
mod scatter;
mod select;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::FunctionDeclaration;
use crate::map::{Epoch, KeyRange, Point, ShardId, ShardMap};
use crate::sql::analysis::{Body, Hints, Values};
use crate::sql::{Analysis, Schema};
use crate::wire::{Diagnostic, Fault, Report, SqlState};

/// What a plan is made from beside the statement.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// Who owns what.
    pub map: &'a ShardMap,
    /// What the servers' catalogs say.
    pub schema: &'a Schema,
    /// `[databases.NAME.functions]`.
    pub functions: &'a BTreeMap<String, FunctionDeclaration>,
    /// `[databases.NAME.triggers] safe`: functions and triggers that touch no other shard's rows.
    pub safe_triggers: &'a [String],
    /// What the session adds.
    pub facts: Facts<'a>,
}

/// What a session adds to its statements.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Hints from `SET pgweave.…`; those of the statement's comment come first.
    pub hints: &'a Hints,
    /// Whether the user may run writes that were not understood where a hint says.
    pub may_bypass_routing: bool,
    /// The bare names of the temporary tables the session has made: they hide others.
    pub temporary: &'a [String],
}

/// Decides what to do with one statement.
///
/// # Errors
/// A [`Refusal`]: `0A000` for what cannot be proven right, `22023` for a hint that names nothing, `23502` for a NULL key,
/// `23514` for a key that no range holds, `42601` for rows wider than their table.
pub fn plan(analysis: &Analysis, values: &Values<'_>, world: &World<'_>) -> Result<Plan, Refusal> {
    let hints = hint::Effective::new(&analysis.hints, world)?;
    let access = hints.access(&analysis.kind, access::access(analysis, world))?;
    let home = world.map.home;
    if let [only] = world.map.shards.as_slice() {
        let route = Route::direct(
            if world.map.distributions.is_empty() { Touches::Nothing } else { Touches::Everything },
            only.id,
        );
        return Ok(route.into_plan(access, world));
    }
    let computed = match &analysis.body {
        Body::Understood(model) => select::route(model, &analysis.kind, values, access, world),
        Body::Tokens { names, reason } => {
            other::route(analysis, names, reason, values, world).map(|()| Route::direct(Touches::Nothing, home))
        }
    };
    let route = hints.route(analysis, access, computed, world)?;
    Ok(route.into_plan(access, world))
}

/// Where a statement goes, before it is known which nodes may run it.
#[derive(Clone, Debug)]
struct Route {
    touches: Touches,
    shape: Shape,
}

impl Route {
    fn direct(touches: Touches, shard: ShardId) -> Route {
        Route { touches, shape: Shape::Direct { shard, query: Query::Original } }
    }

    fn into_plan(self, access: Access, world: &World<'_>) -> Plan {
        Plan { epoch: world.map.epoch, access, touches: self.touches, shape: self.shape }
    }
}

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

impl Shape {
    /// The shape's name and its shards, without any text.
    pub fn kind(&self) -> (&'static str, Vec<ShardId>) {
        match self {
            Shape::Direct { shard, .. } => ("direct", vec![*shard]),
            Shape::Scatter { parts } => ("scatter", parts.iter().map(|(shard, _)| *shard).collect()),
        }
    }
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
