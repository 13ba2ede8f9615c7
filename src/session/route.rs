//! From a statement to the server that runs it: the plan, the node, and making the server ready.

use std::sync::Arc;

use postgres_protocol::message::frontend;

use super::Session;
use super::tx::Tx;
use super::unit::{Break, Flow};
use crate::config::Consistency;
use crate::exec::{Expected, Fate, Held, Reply, Wish, take};
use crate::map::ShardId;
use crate::plan::{self, Access, Facts, Plan, Refusal, World};
use crate::pool::Priority;
use crate::pool::cancel::CancelTarget;
use crate::sql::Analysis;
use crate::sql::analysis::{Kind, Pin, RoleHint, TxModes, Values};
use crate::stats::ClientState;
use crate::topology::Need;
use crate::wire::{Diagnostic, Report, SqlState};

/// Why a statement does not run: told to the client, the session goes on.
pub(super) type Refused = Box<Diagnostic>;

impl Session {
    /// Plans a statement on the map of this moment.
    pub(super) fn decide(&self, analysis: &Analysis, values: &Values<'_>) -> Result<Plan, Refused> {
        self.database.stats.statements.bump();
        let plan = self.planned(analysis, values).map_err(|refusal| self.refused(&refusal))?;
        // Never the text: it may hold what is nobody's business.
        tracing::trace!(epoch = %plan.epoch, access = ?plan.access, shape = ?plan.shape.kind(), "statement planned");
        Ok(plan)
    }

    /// The plan of a statement, or why there is none. Nothing is counted.
    pub(super) fn planned(&self, analysis: &Analysis, values: &Values<'_>) -> Result<Plan, Refusal> {
        let map = self.database.map.load();
        let schema = self.database.schema.load();
        let settings = self.database.settings.load();
        let world = World {
            map: &map,
            schema: &schema,
            functions: &settings.functions,
            safe_triggers: &settings.safe_triggers,
            facts: Facts {
                hints: &self.state.hints,
                may_bypass_routing: self.user.may_bypass_routing,
                temporary: &self.state.temporary,
            },
        };
        plan::plan(analysis, values, &world)
    }

    fn refused(&self, refusal: &Refusal) -> Refused {
        if refusal.code == SqlState::FEATURE_NOT_SUPPORTED {
            self.database.stats.refused.bump();
        }
        Box::new(refusal.diagnostic())
    }

    /// Keeps the servers of this session from now on, if `analysis` leaves something on its server. If it only may, its
    /// server is cleaned before another session has it.
    pub(super) fn pin_for(&mut self, analysis: &Analysis) -> Option<PinnedBy> {
        let Some(pin) = analysis.pin.as_ref() else {
            return self.may_leave_state(analysis).then_some(PinnedBy { stains: false });
        };
        if !self.state.pinned && only_cleans(&analysis.kind) {
            return None;
        }
        let resettable = match &analysis.kind {
            // What RESET ALL leaves alone.
            Kind::Set(set) => !matches!(set.name.as_str(), "role" | "session authorization" | "seed"),
            _ => true,
        };
        let before = !self.state.pinned || self.state.resettable;
        let pinned = self.pin_by(pin);
        self.state.resettable = match pin {
            Pin::Setting { custom: false } => before && resettable,
            _ => before && only_cleans(&analysis.kind),
        };
        Some(pinned)
    }

    /// Whether it calls a function that can do anything, set_config and advisory locks included: a volatile one that is
    /// neither built in nor an extension's C.
    pub(super) fn may_leave_state(&self, analysis: &Analysis) -> bool {
        if analysis.functions.is_empty() {
            return false;
        }
        let schema = self.database.schema.load();
        analysis.functions.iter().filter_map(|name| schema.functions.get(name)).any(|function| {
            !function.builtin && !function.in_c && function.volatility == crate::sql::schema::Volatility::Volatile
        })
    }

    /// The sequences' state of a session (`lastval`, `currval`) lives on the server that advanced them. Without a pin only
    /// a server that this unit or block has written on can be that one.
    pub(super) fn lost_sequence_state(&self, analysis: &Analysis) -> Option<Refused> {
        if let Some(refused) = self.not_to_be_repeated(analysis) {
            return Some(refused);
        }
        let asks = analysis.functions.iter().any(|name| name == "lastval" || name == "currval");
        if !asks || self.state.pinned || self.user.session_mode || self.held.iter().any(|held| held.wrote) {
            return None;
        }
        Some(self.refused(&Refusal::unsupported(
            "lastval and currval are not known here",
            "The statement that advanced the sequence may have run on another server connection.",
            "Use RETURNING, or ask in the transaction of the INSERT, or give the user \"pool_mode\" = \"session\".",
        )))
    }

    /// A SELECT that changes settings runs again on every server that joins later: over several shards it may do nothing else.
    pub(super) fn not_to_be_repeated(&self, analysis: &Analysis) -> Option<Refused> {
        let sets = matches!(analysis.pin, Some(Pin::Setting { .. })) && matches!(analysis.kind, Kind::Select);
        if !sets || self.database.map.load().is_single() {
            return None;
        }
        let harmless = |name: &String| matches!(name.as_str(), "set_config" | "current_setting");
        if !analysis.may_write && analysis.functions.iter().all(harmless) {
            return None;
        }
        Some(self.refused(&Refusal::unsupported(
            "cannot follow this setting to other shards",
            "The statement calls other functions beside set_config, and would have to run again on each shard.",
            "Call set_config in a statement of its own.",
        )))
    }

    /// Keeps the servers of this session from now on, because of `pin`.
    pub(super) fn pin_by(&mut self, pin: &Pin) -> PinnedBy {
        if !self.state.pinned {
            self.state.pinned = true;
            self.unit.pinned = !matches!(pin, Pin::AdvisoryLock | Pin::Prepared);
            self.database.stats.pins.bump();
        }
        if let Pin::Temporary(Some(name)) = pin
            && !self.state.temporary.contains(name)
        {
            self.state.temporary.push(name.clone());
        }
        self.unit.once = true;
        PinnedBy { stains: matches!(pin, Pin::Setting { custom: true }) }
    }

    /// A server for a part of the unit: the one held, or a new one. In a transaction block it has begun.
    ///
    /// The outer error breaks off, the inner one is the client's.
    pub(super) async fn server(
        &mut self,
        shard: ShardId,
        access: Access,
        text_hash: u64,
    ) -> Flow<Result<usize, Refused>> {
        self.server_beginning(shard, access, text_hash, true).await
    }

    /// The same; with `begin` false the transaction block is not begun on it.
    pub(super) async fn server_beginning(
        &mut self,
        shard: ShardId,
        access: Access,
        text_hash: u64,
        begin: bool,
    ) -> Flow<Result<usize, Refused>> {
        if let Some(index) = self.fitting(shard, access) {
            if let Err(refused) = self.may_write_there(index, access) {
                return Ok(Err(refused));
            }
            self.ready(index, begin).await?;
            return Ok(self.still(index));
        }
        if let Err(refused) = self.may_join(shard, access) {
            return Ok(Err(refused));
        }
        let wish = Wish {
            shard,
            need: self.need(shard, access, text_hash),
            sticky: self.sticky.iter().find(|(known, _)| *known == shard).map(|(_, node)| *node),
            priority: if self.held.is_empty() { Priority::Empty } else { Priority::Holding },
        };
        match self.take(wish).await? {
            Ok(index) => {
                self.ready(index, begin).await?;
                Ok(self.still(index))
            }
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// After something was awaited: the server may be gone, and with it the unit.
    fn still(&self, index: usize) -> Result<usize, Refused> {
        if self.unit.failed || index >= self.held.len() {
            // The error was reported when it was found; nothing more is to be said.
            return Err(Box::new(Diagnostic::error(
                SqlState::CONNECTION_FAILURE,
                "the connection to the server was lost",
            )));
        }
        Ok(index)
    }

    /// The held server that can run this.
    fn fitting(&self, shard: ShardId, access: Access) -> Option<usize> {
        let on_replica = self.tx.as_ref().is_some_and(Tx::on_replica);
        let primary = self.held_at((shard, true));
        let replica = self.held_at((shard, false));
        match access {
            Access::Read => replica.or(primary),
            // A read-only block stays on its replica: what it may not do there, the server says.
            Access::ReadPrimary | Access::Write if on_replica => replica.or(primary),
            Access::ReadPrimary | Access::Write => primary,
        }
    }

    fn need(&mut self, shard: ShardId, access: Access, text_hash: u64) -> Need {
        let consistency = self.state.consistency.unwrap_or(self.database.settings.load().consistency);
        let may = match &self.tx {
            Some(tx) => tx.on_replica() && self.state.hints.role != Some(RoleHint::Primary),
            None => access == Access::Read && !self.unit.on_primary && !self.database.learned.contains(text_hash),
        };
        if !may || self.state.pinned || self.user.session_mode || consistency == Consistency::Primary {
            return Need::Primary;
        }
        match consistency {
            Consistency::Session => self.marks.need(shard, &self.database.topology.snapshot()),
            _ => Need::Replica { at_least: None },
        }
    }

    /// Whether one more shard may join the unit.
    fn may_join(&self, shard: ShardId, access: Access) -> Result<(), Refused> {
        let other = self.held.iter().any(|held| held.shard != shard && (held.begun || self.tx.is_none()));
        if let Some(tx) = &self.tx {
            if tx.opaque && other {
                return Err(self.refused(&Refusal::unsupported(
                    "cannot reach a second shard in this transaction",
                    "The transaction was opened within a string of several statements, so another shard cannot follow it.",
                    "Send BEGIN as a statement of its own.",
                )));
            }
            if tx.one_snapshot() && self.held.iter().any(|held| held.shard != shard && held.begun) {
                return Err(self.refused(&Refusal::unsupported(
                    "cannot reach a second shard in a transaction of this isolation level",
                    "REPEATABLE READ and SERIALIZABLE are complete on one shard only: there is no common snapshot.",
                    "Use READ COMMITTED, or keep the transaction to one sharding key.",
                )));
            }
        }
        self.second_writer(shard, access)
    }

    fn may_write_there(&self, index: usize, access: Access) -> Result<(), Refused> {
        if self.held[index].wrote { Ok(()) } else { self.second_writer(self.held[index].shard, access) }
    }

    fn second_writer(&self, shard: ShardId, access: Access) -> Result<(), Refused> {
        if access != Access::Write {
            return Ok(());
        }
        match self.held.iter().find(|held| held.wrote && held.shard != shard) {
            None => Ok(()),
            Some(first) => {
                let map = self.database.map.load();
                let name = |id| map.shard(id).map_or_else(String::new, |info| info.name.clone());
                Err(self.refused(&Refusal::unsupported(
                    "cannot write to a second shard in one transaction",
                    format!(
                        "The transaction has written to shard \"{}\"; this statement would write to shard \"{}\".",
                        name(first.shard),
                        name(shard)
                    ),
                    "Commit first, or keep each transaction to one shard.",
                )))
            }
        }
    }

    /// Takes a server from a pool, unless the client cancels or leaves meanwhile.
    pub(super) async fn take(&mut self, wish: Wish) -> Flow<Result<usize, Refused>> {
        let at_rest = take::try_take(&self.database, &self.user.login, wish, &mut self.pools);
        let held = match at_rest {
            Some(held) => held,
            None => match Box::pin(self.wait_for_server(wish)).await? {
                Ok(held) => held,
                Err(refused) => return Ok(Err(refused)),
            },
        };
        let identity = &held.peek().identity;
        self.cancel.slot.begin(CancelTarget {
            endpoint: held.checkout().pool().endpoint().clone(),
            process_id: identity.process_id,
            secret: identity.secret,
        });
        if !held.primary {
            self.stick(wish.shard, &held);
        }
        let at = self.held.partition_point(|known| (known.shard, known.primary) < (held.shard, held.primary));
        self.held.insert(at, held);
        Ok(Ok(at))
    }

    async fn wait_for_server(&mut self, wish: Wish) -> Flow<Result<Held, Refused>> {
        let started = std::time::Instant::now();
        self.registration.info.set_state(ClientState::Waiting);
        let database = self.database.clone();
        let slot = self.cancel.slot.clone();
        let taken = {
            let taking = slot.unless_cancelled(take::take(&database, &self.user.login, wish));
            tokio::select! {
                biased;
                taken = taking => taken,
                () = self.client.until_gone(self.full) => return Err(Break::Gone),
            }
        };
        self.registration.info.set_state(ClientState::Active);
        self.database.stats.wait_us.add(started.elapsed().as_micros() as u64);
        Ok(match taken {
            None => Err(Box::new(take::TakeError::Cancelled.diagnostic())),
            Some(Err(error)) => {
                tracing::debug!(%error, "no server for a statement");
                Err(Box::new(error.diagnostic()))
            }
            Some(Ok(held)) => Ok(held),
        })
    }

    fn stick(&mut self, shard: ShardId, held: &Held) {
        let consistency = self.state.consistency.unwrap_or(self.database.settings.load().consistency);
        if consistency != Consistency::Session {
            return;
        }
        match self.sticky.iter_mut().find(|(known, _)| *known == shard) {
            Some((_, node)) => *node = held.node,
            None => self.sticky.push((shard, held.node)),
        }
    }

    /// Brings a server to this session's settings, its log and its transaction block. All of it travels in front of the
    /// statement; only what could fail is waited for.
    async fn ready(&mut self, index: usize, begin: bool) -> Flow {
        let held = &mut self.held[index];
        let place = (held.shard, held.primary);
        let mut wait = false;
        let settings = &self.settings;
        if !Arc::ptr_eq(&held.peek().settings, settings) && held.log_applied == 0 {
            let change = settings.change_sql(&held.peek().settings);
            held.conn().settings = settings.clone();
            if let Some(sql) = change {
                send_query(held, &sql);
                wait = true;
            }
        }
        if self.state.pinned && held.log_applied < self.state.log.len() {
            for sql in &self.state.log[held.log_applied..] {
                send_query(held, sql);
            }
            held.log_applied = self.state.log.len();
            held.dirty = true;
            wait = true;
        }
        if let Some(tx) = &self.tx
            && begin
            && !held.begun
            && !tx.opaque
        {
            held.begun = true;
            for sql in &tx.prelude {
                send_query(held, sql);
            }
            // A plain BEGIN on an idle server cannot fail; one with modes, and what follows it in a prelude, can.
            wait |= tx.prelude.len() > 1 || !held.primary || tx.modes != TxModes::default();
        }
        if wait {
            let active = self.unit.active.replace(place);
            self.drain(place).await?;
            self.unit.active = active;
            if self.unit.failed {
                // The error has been relayed. A server half way to a session's state is of no use to it.
                if let Some(index) = self.held_at(place) {
                    let held = self.held.remove(index);
                    let _ = self.cancel.slot.end(held.peek().identity.process_id);
                    held.close();
                }
            }
        }
        Ok(())
    }

    /// Makes `place` the server whose replies come now; those of the one before are waited for first.
    pub(super) async fn activate(&mut self, index: usize) -> Flow<Option<usize>> {
        let place = (self.held[index].shard, self.held[index].primary);
        if let Some(before) = self.unit.active
            && before != place
            && let Some(old) = self.held_at(before)
        {
            if !self.held[old].expected.is_empty() {
                if self.held[old].unsynced {
                    frontend::flush(&mut self.held[old].conn().outbuf);
                }
                self.drain(before).await?;
            }
            if self.unit.failed {
                return Ok(None);
            }
        }
        self.unit.active = Some(place);
        Ok(self.held_at(place))
    }

    /// Notes what a statement does to its server and to the unit.
    pub(super) fn note_use(&mut self, index: usize, access: Access, pinned: Option<PinnedBy>) {
        let in_tx = self.tx.is_some();
        let held = &mut self.held[index];
        if access == Access::Write {
            held.wrote = true;
            self.unit.once = true;
        }
        if !held.primary {
            self.database.stats.replica_reads.bump();
        }
        if let Some(pinned) = pinned {
            held.dirty = true;
            held.stained |= pinned.stains;
        }
        if self.user.session_mode {
            held.dirty = true;
        }
        self.unit.once |= in_tx;
    }
}

/// What pinned a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct PinnedBy {
    /// DISCARD ALL does not undo it wholly.
    pub stains: bool,
}

/// Statements that only take state away: on a server that has none of this session's they leave nothing.
pub(super) fn only_cleans(kind: &Kind) -> bool {
    match kind {
        Kind::Set(set) => set.reset,
        Kind::Discard(_) | Kind::Deallocate(_) => true,
        _ => false,
    }
}

/// Sends one of our own statements; the client sees only a failure.
pub(super) fn send_query(held: &mut Held, sql: &str) {
    // The only error is a NUL inside; the texts are ours or came out of a NUL-terminated string.
    if frontend::query(sql, &mut held.conn().outbuf).is_ok() {
        held.conn().unnamed = None;
        held.expected.push_back(Expected::server(Reply::Query, Fate::SwallowSuccess, 0));
    }
}
