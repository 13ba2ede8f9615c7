//! The simple protocol: one Query, one or several statements, one ReadyForQuery.

use std::hash::Hasher;
use std::ops::Range;

use bytes::BufMut;

use super::Session;
use super::route::{PinnedBy, Refused};
use super::unit::{Effect, Flow};
use crate::exec::{Expected, Fate, Reply};
use crate::map::ShardId;
use crate::plan::{Access, Plan, Query, Shape};
use crate::sql::analysis::{Analysis, Kind, Values};
use crate::wire::frame::HEADER_BYTES;
use crate::wire::{Diagnostic, SqlState, backend, frontend};
use std::sync::Arc;

impl Session {
    /// A Query.
    pub(super) async fn on_query(&mut self, body: &[u8]) -> Flow {
        let text = frontend::read_query(body).map_err(|wrong| super::serve::protocol_violation(&wrong))?;
        self.unit.ending = true;
        let pipelined = !self.unit.deferred.is_empty() || self.held.iter().any(|held| held.unsynced);
        if pipelined && !self.unit.executed && !self.unit.skip {
            self.end_descriptions().await?;
            if self.unit.failed {
                // As behind any error of a pipeline, what comes before Sync is skipped, this Query included.
                self.unit.ending = false;
                return Ok(());
            }
        } else if pipelined {
            let report =
                Diagnostic::error(SqlState::FEATURE_NOT_SUPPORTED, "cannot run a simple query within a pipeline");
            self.refuse(report.hint("Send Sync before the query."));
            self.sync_servers();
            return Ok(());
        }
        let outcome = match self.readable(text) {
            Some(text) => self.query_text(text).await?,
            None => self.opaque_query(text).await?,
        };
        if let Err(refused) = outcome
            && !self.unit.failed
        {
            self.refuse(*refused);
        }
        Ok(())
    }

    /// The text, if it can be looked into: UTF-8, in an encoding whose bytes are not mistaken for others.
    pub(super) fn readable<'a>(&self, text: &'a [u8]) -> Option<&'a str> {
        if self.state.utf8 || text.is_ascii() {
            return std::str::from_utf8(text).ok();
        }
        None
    }

    async fn query_text(&mut self, text: &str) -> Flow<Result<(), Refused>> {
        let strings = self.state.context.standard_conforming_strings;
        match crate::sql::split(text, strings) {
            Ok(pieces) if pieces.is_empty() => {
                backend::empty_query_response(&mut self.client.outbuf);
                Ok(Ok(()))
            }
            Ok(pieces) if pieces.len() == 1 => Box::pin(self.one_statement(text, pieces[0].clone())).await,
            Ok(pieces) => Box::pin(self.several_statements(text, &pieces)).await,
            // An unterminated string or comment: PostgreSQL says so best.
            Err(_) => self.opaque_query(text.as_bytes()).await,
        }
    }

    /// A text that cannot be looked into: passed on where there is one shard, else refused.
    async fn opaque_query(&mut self, text: &[u8]) -> Flow<Result<(), Refused>> {
        let map = self.database.map.load_full();
        if !map.is_single() {
            return Ok(Err(Box::new(not_readable())));
        }
        let analysis = Analysis::opaque();
        let home = map.home;
        let pinned = self.pin_for(&analysis);
        self.unit.pinned = false;
        self.send_simple(home, Access::Write, text, pinned).await
    }

    /// What a text asks, from the cache or by analysing it. Its literals are left in `self.literals`.
    pub(super) fn analysis_of(&mut self, text: &str) -> Arc<Analysis> {
        let schema = self.database.schema.load();
        let key = self.state.context_key ^ schema.version.rotate_left(17);
        let mut literals = std::mem::take(&mut self.literals);
        let context = &self.state.context;
        let (analysis, hit) =
            self.database.cache.lookup_lifted(text, context.standard_conforming_strings, key, &mut literals, || {
                crate::sql::analyse(text, context, &schema)
            });
        self.literals = literals;
        if hit {
            self.database.stats.cache_hits.bump()
        } else {
            self.database.stats.cache_misses.bump()
        }
        analysis
    }

    async fn one_statement(&mut self, text: &str, piece: Range<usize>) -> Flow<Result<(), Refused>> {
        let statement = &text[piece];
        let analysis = self.analysis_of(statement);
        if self.answer_here(&analysis, statement)? {
            return Ok(Ok(()));
        }
        if let Some(outcome) = self.control(&analysis, statement).await? {
            return Ok(outcome);
        }
        if let Some(refused) = self.lost_sequence_state(&analysis) {
            return Ok(Err(refused));
        }
        if let Some(place) = self.portal_place(&analysis, statement) {
            return match place {
                Ok((shard, access)) => self.send_simple(shard, access, text.as_bytes(), None).await,
                Err(refused) => Ok(Err(refused)),
            };
        }
        let literals = std::mem::take(&mut self.literals);
        let values =
            Values { text: statement, literals: &literals, params: None, param_types: &[], utf8: self.state.utf8 };
        let plan = self.decide(&analysis, &values);
        self.literals = literals;
        let plan = match plan {
            Ok(plan) => plan,
            Err(refused) => return Ok(Err(refused)),
        };
        self.run_simple(plan, text, statement, &analysis).await
    }

    async fn run_simple(
        &mut self,
        plan: Plan,
        text: &str,
        statement: &str,
        analysis: &Arc<Analysis>,
    ) -> Flow<Result<(), Refused>> {
        match plan.shape {
            Shape::Direct { shard, query } => {
                self.database.stats.direct.bump();
                let sent = match &query {
                    Query::Original => text,
                    Query::Rewritten(rewritten) => rewritten,
                };
                self.note_effects(analysis, statement);
                let pinned = self.pin_for(analysis);
                self.send_simple(shard, plan.access, sent.as_bytes(), pinned).await
            }
            Shape::Scatter { parts } => {
                self.database.stats.scatter.bump();
                self.scatter_simple(parts, plan.access, statement, analysis).await
            }
        }
    }

    /// Sends a Query to one shard.
    pub(super) async fn send_simple(
        &mut self,
        shard: ShardId,
        access: Access,
        text: &[u8],
        pinned: Option<PinnedBy>,
    ) -> Flow<Result<(), Refused>> {
        self.unit.text_hash = hash_text(text);
        let index = match self.server(shard, access, self.unit.text_hash).await? {
            Ok(index) => index,
            Err(refused) => return Ok(Err(refused)),
        };
        let Some(index) = self.activate(index).await? else { return Ok(Ok(())) };
        self.note_use(index, access, pinned);
        self.unit.committing |= access == Access::Write && self.tx.is_none();
        let seq = self.unit.seq;
        let held = &mut self.held[index];
        let out = &mut held.conn().outbuf;
        out.reserve(text.len() + HEADER_BYTES + 1);
        out.put_u8(b'Q');
        out.put_i32(text.len() as i32 + 5);
        out.put_slice(text);
        out.put_u8(0);
        held.conn().unnamed = None;
        held.expected.push_back(Expected::server(Reply::Query, Fate::Relay, seq));
        Ok(Ok(()))
    }

    /// Several statements in one string run on one server, whole: PostgreSQL gives them their implicit transaction block.
    async fn several_statements(&mut self, text: &str, pieces: &[Range<usize>]) -> Flow<Result<(), Refused>> {
        let mut whole: Option<(ShardId, Access)> = None;
        let mut pins: Vec<Arc<Analysis>> = Vec::new();
        for piece in pieces {
            let statement = &text[piece.clone()];
            let analysis = self.analysis_of(statement);
            if let Some(refused) = self
                .refused_in_string(&analysis)
                .or_else(|| self.refused_behind_setting())
                .or_else(|| self.not_to_be_repeated(&analysis))
            {
                return Ok(Err(refused));
            }
            let literals = std::mem::take(&mut self.literals);
            let values =
                Values { text: statement, literals: &literals, params: None, param_types: &[], utf8: self.state.utf8 };
            let place = self.place_in_string(&analysis, &values);
            self.literals = literals;
            match (place, whole) {
                (Err(refused), _) => return Ok(Err(refused)),
                (Ok(None), _) => {}
                (Ok(Some(next)), None) => whole = Some(next),
                (Ok(Some((shard, access))), Some((first, before))) if shard == first => {
                    whole = Some((shard, worse(access, before)));
                }
                (Ok(Some(_)), Some(_)) => return Ok(Err(Box::new(several_shards()))),
            }
            self.note_effects(&analysis, statement);
            if analysis.pin.is_some() || self.may_leave_state(&analysis) {
                pins.push(analysis);
            }
        }
        if self.tx.as_ref().is_some_and(|tx| tx.failed) && self.held.iter().all(|held| held.status != b'E') {
            return Ok(Err(Box::new(in_failed_transaction())));
        }
        let home = self.database.map.load().home;
        let (shard, access) = whole.unwrap_or((home, Access::Write));
        let mut pinned: Option<PinnedBy> = None;
        for analysis in &pins {
            if let Some(by) = self.pin_for(analysis) {
                pinned = Some(PinnedBy { stains: by.stains || pinned.is_some_and(|before| before.stains) });
            }
        }
        // Control of transactions may hide in it, so a part of it may stand when it fails.
        self.unit.pinned = false;
        // It is the primary's business, and a commit may be under way.
        self.database.stats.direct.bump();
        self.unit.once = true;
        let outcome = self.send_simple(shard, worse(access, Access::ReadPrimary), text.as_bytes(), pinned).await?;
        self.unit.committing |= access == Access::Write;
        Ok(outcome)
    }

    /// Statements that a string of several cannot hold, because they are ours to answer or to follow.
    fn refused_in_string(&self, analysis: &Analysis) -> Option<Refused> {
        let control = matches!(
            &analysis.kind,
            Kind::Begin(_)
                | Kind::Commit { .. }
                | Kind::Rollback { .. }
                | Kind::Savepoint(_)
                | Kind::Release(_)
                | Kind::RollbackTo(_)
        );
        let several = self.held.iter().filter(|held| held.begun).count() > 1;
        if super::here::is_ours(&analysis.kind) || (control && several) {
            return Some(Box::new(
                Diagnostic::error(SqlState::FEATURE_NOT_SUPPORTED, "cannot run this string of several statements")
                    .detail(
                        "One of its statements is answered by pgweave, or would end a transaction over several shards.",
                    )
                    .hint("Send its statements one by one."),
            ));
        }
        None
    }

    /// Over several shards nothing is planned between a statement that may change the search path and the end of its unit,
    /// when the server is asked what it is now.
    pub(super) fn refused_behind_setting(&self) -> Option<Refused> {
        let changed = self.unit.effects.iter().any(|effect| matches!(effect, Effect::Setting(_) | Effect::Reset(_)));
        if !changed || !self.state.path_unsure {
            return None;
        }
        Some(Box::new(
            Diagnostic::error(SqlState::FEATURE_NOT_SUPPORTED, "cannot run a statement right behind a setting")
                .detail("The setting may change which tables the statement names, and several shards hold the tables.")
                .hint("Send the setting as a statement of its own, and Sync."),
        ))
    }

    /// Where a statement of a string must run; `None`: wherever the others do.
    fn place_in_string(&self, analysis: &Analysis, values: &Values<'_>) -> Result<Option<(ShardId, Access)>, Refused> {
        match &analysis.kind {
            Kind::Empty
            | Kind::Begin(_)
            | Kind::Commit { .. }
            | Kind::Rollback { .. }
            | Kind::Savepoint(_)
            | Kind::Release(_)
            | Kind::RollbackTo(_) => return Ok(None),
            _ => {}
        }
        if let Some(place) = self.portal_place(analysis, values.text) {
            return place.map(Some);
        }
        let plan = self.decide(analysis, values)?;
        match plan.shape {
            Shape::Direct { shard, query: Query::Original } => Ok(Some((shard, plan.access))),
            Shape::Direct { .. } | Shape::Scatter { .. } => Err(Box::new(several_shards())),
        }
    }

    /// Records what follows from a statement when its unit succeeds.
    pub(super) fn note_effects(&mut self, analysis: &Analysis, statement: &str) {
        self.state.path_unsure |= may_set(analysis) && !self.database.map.load().is_single();
        match &analysis.kind {
            Kind::Set(set) if set.reset => {
                let name = (set.name != "all").then(|| set.name.clone());
                self.effect(Effect::Setting(statement.into()));
                self.effect(Effect::Reset(name));
            }
            Kind::Set(set) if !set.local => self.effect(Effect::Setting(statement.into())),
            Kind::Select if matches!(analysis.pin, Some(crate::sql::analysis::Pin::Setting { .. })) => {
                self.effect(Effect::Setting(statement.into()));
            }
            Kind::Discard(what) if what == "all" => self.effect(Effect::DiscardAll),
            Kind::Deallocate(None) => self.effect(Effect::DeallocateAll),
            Kind::Ddl(_) => self.effect(Effect::SchemaChanged),
            _ => {}
        }
    }

    /// Reports an error of ours in place of a statement.
    pub(super) fn refuse(&mut self, report: Diagnostic) {
        self.refuse_here(report);
    }
}

/// Whether a statement may change what names mean: until the search path is asked for again, nothing else is planned.
pub(super) fn may_set(analysis: &Analysis) -> bool {
    match &analysis.kind {
        Kind::Set(_) | Kind::Discard(_) | Kind::Unknown => true,
        _ => analysis.functions.iter().any(|name| name == "set_config" || name == "?"),
    }
}

/// The worse of two.
fn worse(a: Access, b: Access) -> Access {
    match (a, b) {
        (Access::Write, _) | (_, Access::Write) => Access::Write,
        (Access::ReadPrimary, _) | (_, Access::ReadPrimary) => Access::ReadPrimary,
        (Access::Read, Access::Read) => Access::Read,
    }
}

/// The hash under which a text that a replica refused is remembered.
pub(super) fn hash_text(text: &[u8]) -> u64 {
    let mut hasher = siphasher::sip::SipHasher13::new();
    hasher.write(text);
    hasher.finish()
}

/// 25P02, in PostgreSQL's words.
pub(super) fn in_failed_transaction() -> Diagnostic {
    Diagnostic::error(
        SqlState::IN_FAILED_SQL_TRANSACTION,
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}

fn several_shards() -> Diagnostic {
    Diagnostic::error(SqlState::FEATURE_NOT_SUPPORTED, "cannot run this string of several statements")
        .detail("Its statements do not all run, unchanged, on one shard.")
        .hint("Send its statements one by one.")
}

/// A text in an encoding that cannot be looked into.
pub(super) fn not_readable() -> Diagnostic {
    Diagnostic::error(SqlState::FEATURE_NOT_SUPPORTED, "cannot route a statement in this client encoding")
        .detail("The text is not ASCII, and the client's encoding is not UTF8.")
        .hint("Set client_encoding to UTF8, or send what is not ASCII as parameters.")
}
