//! Transaction control, and what else a session does itself on servers it holds.
//!
//! BEGIN waits for its first statement. COMMIT, ROLLBACK and savepoints run on every server of the block by queries of our
//! own; the client's answer is ours. That is the same for both protocols, and for one server or several.

use bytes::BytesMut;

use super::Session;
use super::client;
use super::route::{Refused, send_query};
use super::simple::in_failed_transaction;
use super::tx::Tx;
use super::unit::{Break, Deferred, Effect, Flow};
use crate::exec::{Expected, Held};
use crate::map::ShardId;
use crate::sql::analysis::{Analysis, Kind, TxModes};
use crate::wire::{Diagnostic, Severity, SqlState, backend};

/// How long the answer to DDL waits for the schema to be read.
const REREAD: std::time::Duration = std::time::Duration::from_secs(2);

/// `None`: the statement is none of ours. Else it was answered, or the client's error.
type Controlled = Option<Result<(), Refused>>;

impl Session {
    /// Runs a statement of transaction control or one over names that only we know.
    pub(super) async fn control(&mut self, analysis: &Analysis, statement: &str) -> Flow<Controlled> {
        if moves_transaction(&analysis.kind) {
            // What is before it in the pipeline may fail, and then it is skipped: a server that skips to Sync answers no
            // query of ours.
            self.settle_active().await?;
            if self.unit.failed {
                return Ok(Some(Ok(())));
            }
            // What it ends is not rolled back when something behind it fails.
            self.unit.pinned = false;
        }
        let outcome = match &analysis.kind {
            Kind::Begin(modes) => self.begin(statement, modes.clone()).await?,
            Kind::Commit { chain } => self.end_block(statement, true, *chain).await?,
            Kind::Rollback { chain } => self.end_block(statement, false, *chain).await?,
            Kind::Savepoint(name) => self.savepoint(statement, name).await?,
            Kind::Release(name) => self.release_savepoint(statement, name).await?,
            Kind::RollbackTo(name) => self.roll_back_to(statement, name).await?,
            _ if self.tx.as_ref().is_some_and(|tx| tx.failed) => Err(Box::new(in_failed_transaction())),
            Kind::Set(set) if set.name == "transaction" && self.is_deferred() => self.set_transaction(statement),
            Kind::Set(_) if self.block_servers().len() > 1 => self.set_everywhere(statement).await?,
            Kind::Set(_) if self.tx.is_some() => {
                if !self.remember(statement) {
                    return Ok(Some(Err(Box::new(prelude_full()))));
                }
                return Ok(None);
            }
            Kind::Deallocate(name) => match self.deallocate(name.as_deref()) {
                Some(outcome) => outcome,
                None => return Ok(None),
            },
            Kind::Discard(what) if what == "all" && self.tx.is_none() && !self.state.pinned => {
                self.names.clear();
                self.state.hints = Default::default();
                self.state.consistency = None;
                self.complete("DISCARD ALL");
                Ok(())
            }
            _ => return Ok(None),
        };
        Ok(Some(outcome))
    }

    /// A block was begun by the client, and by no server yet.
    pub(super) fn is_deferred(&self) -> bool {
        self.tx.is_some() && self.block_servers().is_empty()
    }

    /// The servers of the block.
    fn block_servers(&self) -> Vec<(ShardId, bool)> {
        self.held.iter().filter(|held| held.begun).map(|held| (held.shard, held.primary)).collect()
    }

    /// Answers a statement with its tag.
    pub(super) fn complete(&mut self, tag: &str) {
        let mut bytes = BytesMut::new();
        backend::command_complete(&mut bytes, tag);
        self.answer(&bytes);
    }

    /// Puts an answer of ours behind everything that is to come before it.
    pub(super) fn answer(&mut self, bytes: &[u8]) {
        if !self.unit.deferred.is_empty() {
            self.unit.deferred.push(Deferred::Answer(bytes.to_vec().into()));
            return;
        }
        match self.unit.active.and_then(|place| self.held_at(place)) {
            Some(index) if !self.held[index].expected.is_empty() => {
                self.held[index].expected.push_back(Expected::Answer(bytes.to_vec().into()));
            }
            _ => self.client.outbuf.extend_from_slice(bytes),
        }
    }

    fn warn(&mut self, code: SqlState, message: &str) {
        let warning = Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message) };
        let bytes = client::diagnostic(&warning);
        self.answer(&bytes);
    }

    async fn begin(&mut self, statement: &str, modes: TxModes) -> Flow<Result<(), Refused>> {
        let start = statement.trim_start().get(..5).is_some_and(|word| word.eq_ignore_ascii_case("start"));
        match &self.tx {
            Some(tx) if tx.failed => return Ok(Err(Box::new(in_failed_transaction()))),
            Some(_) => {
                self.warn(SqlState::ACTIVE_SQL_TRANSACTION, "there is already a transaction in progress");
            }
            None => {
                // "BEGIN" inside an implicit block turns what ran before it into a part of the block.
                let implicit: Vec<_> =
                    self.held.iter().filter(|held| held.unsynced).map(|held| (held.shard, held.primary)).collect();
                if !implicit.is_empty() {
                    self.run_on(&implicit, statement).await?;
                    if self.unit.failed {
                        return Ok(Ok(()));
                    }
                    self.each(&implicit, |held| held.begun = true);
                }
                self.tx = Some(Tx::begin(statement, modes));
                self.unit.once = true;
            }
        }
        self.complete(if start { "START TRANSACTION" } else { "BEGIN" });
        Ok(Ok(()))
    }

    async fn end_block(&mut self, statement: &str, commit: bool, chain: bool) -> Flow<Result<(), Refused>> {
        let word = if commit { "COMMIT" } else { "ROLLBACK" };
        let Some(tx) = self.tx.clone() else {
            let implicit: Vec<_> =
                self.held.iter().filter(|held| held.unsynced).map(|held| (held.shard, held.primary)).collect();
            if chain {
                return Ok(Err(Box::new(Diagnostic::error(
                    SqlState::NO_ACTIVE_SQL_TRANSACTION,
                    format!("{word} AND CHAIN can only be used in transaction blocks"),
                ))));
            }
            if implicit.is_empty() {
                self.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
            } else {
                // It ends the implicit block of the pipeline so far; the server warns.
                self.unit.committing |= commit;
                self.run_on(&implicit, statement).await?;
                if self.unit.failed {
                    return Ok(Ok(()));
                }
            }
            self.complete(word);
            return Ok(Ok(()));
        };
        let really = commit && !tx.failed;
        let sent = match (commit == really, chain) {
            (true, _) => statement,
            (false, true) => "ROLLBACK AND CHAIN",
            (false, false) => "ROLLBACK",
        };
        let servers = self.ending_order();
        self.unit.once = true;
        self.unit.committing = really && (tx.wrote || self.held.iter().any(|held| held.wrote));
        // The writer decides; readers are ended behind it.
        let (first, rest) = servers.split_at(servers.len().min(1));
        self.run_on(first, sent).await?;
        let refused = self.unit.failed;
        self.unit.committing = false;
        self.end_others(rest, if refused { "ROLLBACK" } else { sent }).await?;
        self.tx = (chain && !refused).then(|| tx.chain());
        let goes_on = self.tx.is_some();
        self.each(&servers, |held| held.begun = goes_on);
        if refused {
            // The COMMIT's own error (a deferred constraint) was relayed; the block is over.
            return Ok(Ok(()));
        }
        if !really {
            self.unit.effects.clear();
            self.promised.clear();
            self.held.iter_mut().for_each(|held| held.wrote = false);
        }
        self.names.clear_portals();
        self.complete(if really { "COMMIT" } else { "ROLLBACK" });
        Ok(Ok(()))
    }

    /// The servers of the block, the one that wrote first.
    fn ending_order(&self) -> Vec<(ShardId, bool)> {
        let mut servers = self.block_servers();
        servers.sort_by_key(|place| !self.held.iter().any(|held| (held.shard, held.primary) == *place && held.wrote));
        servers
    }

    /// Ends the block on servers that only read. One that will not is closed, which ends it, too.
    async fn end_others(&mut self, places: &[(ShardId, bool)], sql: &str) -> Flow {
        for place in places {
            let failed = self.unit.failed;
            self.run_on(&[*place], sql).await?;
            if let Some(index) = self.held_at(*place)
                && self.unit.failed
                && !failed
            {
                self.held.remove(index).close();
            }
        }
        Ok(())
    }

    async fn savepoint(&mut self, statement: &str, name: &str) -> Flow<Result<(), Refused>> {
        match self.inside(false, "SAVEPOINT") {
            Err(refused) => Ok(Err(refused)),
            Ok(tx) => {
                tx.savepoint(name);
                self.everywhere(statement, "SAVEPOINT").await
            }
        }
    }

    async fn release_savepoint(&mut self, statement: &str, name: &str) -> Flow<Result<(), Refused>> {
        match self.inside(false, "RELEASE SAVEPOINT") {
            Err(refused) => Ok(Err(refused)),
            Ok(tx) => {
                if !tx.opaque && !tx.release(name) {
                    return Ok(Err(no_savepoint(name)));
                }
                self.everywhere(statement, "RELEASE").await
            }
        }
    }

    async fn roll_back_to(&mut self, statement: &str, name: &str) -> Flow<Result<(), Refused>> {
        match self.inside(true, "ROLLBACK TO SAVEPOINT") {
            Err(refused) => Ok(Err(refused)),
            Ok(tx) => {
                if !tx.opaque && !tx.roll_back_to(name) {
                    return Ok(Err(no_savepoint(name)));
                }
                tx.failed = false;
                self.everywhere(statement, "ROLLBACK").await
            }
        }
    }

    /// The block, if a savepoint command may run in it.
    fn inside(&mut self, failed_too: bool, command: &str) -> Result<&mut Tx, Refused> {
        match &mut self.tx {
            None => Err(Box::new(Diagnostic::error(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                format!("{command} can only be used in transaction blocks"),
            ))),
            Some(tx) if tx.lost || (tx.failed && !failed_too) => Err(Box::new(in_failed_transaction())),
            Some(tx) => Ok(tx),
        }
    }

    /// Runs a statement on all servers of the block, now and on those that join later.
    async fn everywhere(&mut self, statement: &str, tag: &str) -> Flow<Result<(), Refused>> {
        if !self.remember(statement) {
            return Ok(Err(Box::new(prelude_full())));
        }
        let servers = self.block_servers();
        self.run_on(&servers, statement).await?;
        if !self.unit.failed {
            self.complete(tag);
        }
        Ok(Ok(()))
    }

    fn remember(&mut self, statement: &str) -> bool {
        self.tx.as_mut().is_none_or(|tx| tx.remember(statement))
    }

    fn set_transaction(&mut self, statement: &str) -> Result<(), Refused> {
        if !self.remember(statement) {
            return Err(Box::new(prelude_full()));
        }
        if let Some(tx) = &mut self.tx {
            tx.set_modes(statement);
        }
        self.complete("SET");
        Ok(())
    }

    /// SET within a block of several servers.
    async fn set_everywhere(&mut self, statement: &str) -> Flow<Result<(), Refused>> {
        let analysis = self.analysis_of(statement);
        if let Some(pinned) = self.pin_for(&analysis) {
            let servers = self.block_servers();
            self.each(&servers, |held| {
                held.dirty = true;
                held.stained |= pinned.stains;
            });
        }
        // Servers that join after the block must have it, too, once it commits.
        self.note_effects(&analysis, statement);
        self.everywhere(statement, if is_reset(&analysis) { "RESET" } else { "SET" }).await
    }

    fn each(&mut self, places: &[(ShardId, bool)], change: impl Fn(&mut Held)) {
        for held in &mut self.held {
            if places.contains(&(held.shard, held.primary)) {
                change(held);
            }
        }
    }

    /// Runs one statement of ours on each of these servers in turn and waits. An error is the client's, and ends it.
    async fn run_on(&mut self, places: &[(ShardId, bool)], sql: &str) -> Flow {
        self.settle_active().await?;
        let before = self.unit.active;
        for place in places {
            let Some(index) = self.held_at(*place) else { continue };
            self.unit.active = Some(*place);
            send_query(&mut self.held[index], sql);
            self.drain(*place).await?;
            if self.unit.failed && self.held_at(*place).is_none() {
                break;
            }
        }
        if before.is_some() {
            self.unit.active = before;
        }
        Ok(())
    }

    /// Waits for all replies of the active server, so that what comes next is in order.
    pub(super) async fn settle_active(&mut self) -> Flow {
        let Some(place) = self.unit.active else { return Ok(()) };
        let Some(index) = self.held_at(place) else { return Ok(()) };
        if self.held[index].expected.is_empty() {
            return Ok(());
        }
        if self.held[index].unsynced {
            postgres_protocol::message::frontend::flush(&mut self.held[index].conn().outbuf);
        }
        self.drain(place).await
    }

    /// Ends the block on the other servers of the unit. (Called when all replies of a unit are there.)
    pub(super) async fn end_members(&mut self, sql: &str) -> Flow {
        let others = self.block_servers();
        self.end_others(&others, sql).await
    }

    /// DEALLOCATE of a name of ours; `None` when only a server can answer.
    fn deallocate(&mut self, name: Option<&str>) -> Option<Result<(), Refused>> {
        match name {
            Some(name) if self.names.remove(self.unit.seq, name.as_bytes()) => {
                self.complete("DEALLOCATE");
                Some(Ok(()))
            }
            None if !self.state.pinned => {
                self.names.clear();
                self.complete("DEALLOCATE ALL");
                Some(Ok(()))
            }
            Some(name) if !self.state.pinned => Some(Err(Box::new(Diagnostic::error(
                SqlState::INVALID_SQL_STATEMENT_NAME,
                format!("prepared statement \"{name}\" does not exist"),
            )))),
            _ => None,
        }
    }

    /// DEALLOCATE ALL in a session that keeps its servers, which may know names of its own.
    pub(super) async fn deallocate_all(&mut self) -> Flow {
        let places: Vec<_> = self.held.iter().map(|held| (held.shard, held.primary)).collect();
        self.run_on(&places, "DEALLOCATE ALL").await?;
        if !self.unit.failed {
            self.names.clear();
            self.held.iter_mut().for_each(|held| held.conn().prepared.clear());
            self.complete("DEALLOCATE ALL");
        }
        Ok(())
    }

    /// What follows from a unit that succeeded.
    pub(super) async fn apply_effects(&mut self) -> Flow {
        if self.promised.is_empty() {
            return Ok(());
        }
        let effects = std::mem::take(&mut self.promised);
        for effect in effects {
            match effect {
                Effect::Setting(sql) => {
                    self.log_setting(sql)?;
                }
                Effect::Reset(name) => {
                    self.reapply(name.as_deref()).await?;
                    if name.is_none() && self.state.resettable {
                        self.unpin();
                    }
                }
                Effect::DiscardAll => {
                    self.discard_all();
                    self.reapply(None).await?;
                }
                Effect::DeallocateAll => {
                    self.names.clear();
                    self.held.iter_mut().for_each(|held| held.conn().prepared.clear());
                }
                Effect::SchemaChanged => self.reread_schema().await,
            }
        }
        Ok(())
    }

    /// Records a setting for servers that join later. With one shard there are none: the session's server is its only one.
    fn log_setting(&mut self, sql: std::sync::Arc<str>) -> Flow {
        if !self.state.pinned || self.database.map.load().is_single() {
            return Ok(());
        }
        let active = self.unit.active;
        let full = self.state.log.len();
        if full >= super::state::LOG {
            return Err(Break::Fatal(Box::new(
                Diagnostic::fatal(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many settings in one session")
                    .detail(format!("At most {} of them are kept for servers that join later.", super::state::LOG))
                    .hint("DISCARD ALL forgets them."),
            )));
        }
        self.state.log.push(sql);
        for held in &mut self.held {
            if Some((held.shard, held.primary)) == active && held.log_applied == full {
                held.log_applied = full + 1;
            }
        }
        Ok(())
    }

    /// RESET brought a server's own default back where the client's start-up packet had set another one.
    async fn reapply(&mut self, name: Option<&str>) -> Flow {
        let settings = match name {
            None => self.settings.as_ref().clone(),
            Some(name) => {
                let var = self.settings.value(name).map(|value| (name.to_owned(), value.to_owned()));
                crate::pool::Settings::new(var)
            }
        };
        let Some(sql) = settings.change_sql(&crate::pool::Settings::default()) else { return Ok(()) };
        if let Some(place) = self.unit.active {
            self.run_on(&[place], &sql).await?;
            if let (None, Some(index)) = (name, self.held_at(place)) {
                self.held[index].conn().settings = self.settings.clone();
            }
        }
        self.log_setting(sql.into())
    }

    /// RESET ALL undid all that the session was pinned for. Its servers are cleaned before others have them, as always.
    fn unpin(&mut self) {
        self.state.pinned = false;
        self.state.resettable = false;
        self.state.log.clear();
        self.held.iter_mut().for_each(|held| held.log_applied = 0);
    }

    /// DISCARD ALL ran on the active server: nothing of the session is left there, nor is it to be anywhere.
    fn discard_all(&mut self) {
        self.names.clear();
        self.names.clear_portals();
        self.state.log.clear();
        self.state.temporary.clear();
        self.state.hints = Default::default();
        self.state.consistency = None;
        self.state.pinned = false;
        for held in &mut self.held {
            held.conn().prepared.clear();
            held.conn().settings = Default::default();
            held.log_applied = 0;
        }
    }

    /// DDL went through: the next statement is planned by the schema as it is now. If it cannot be read soon, the reader
    /// goes on trying, and what it does not know yet is treated as the worst.
    async fn reread_schema(&mut self) {
        let reading = self.database.schema_reader.refresh();
        if let Ok(Ok(schema)) = tokio::time::timeout(REREAD, reading).await {
            self.database.adopt(Some(schema), None);
        }
    }

    /// Asks the active server what the search path is now; unqualified names are resolved by it.
    pub(super) async fn learn_search_path(&mut self) -> Flow {
        if !self.state.path_unsure {
            return Ok(());
        }
        let Some(index) = self.unit.active.and_then(|place| self.held_at(place)) else { return Ok(()) };
        if !self.held[index].is_quiet() || self.held[index].status == b'E' {
            return Ok(());
        }
        match self.held[index].conn().query(super::greeting::SEARCH_PATH).await {
            Ok(rows) => {
                self.state.context.search_path = super::greeting::read_search_path(&rows);
                self.state.refresh();
                // A block may still be rolled back, and the setting with it.
                self.state.path_unsure = self.tx.is_some();
                Ok(())
            }
            Err(_) => self.lost(index),
        }
    }
}

fn moves_transaction(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Begin(_)
            | Kind::Commit { .. }
            | Kind::Rollback { .. }
            | Kind::Savepoint(_)
            | Kind::Release(_)
            | Kind::RollbackTo(_)
    )
}

fn is_reset(analysis: &Analysis) -> bool {
    matches!(&analysis.kind, Kind::Set(set) if set.reset)
}

fn no_savepoint(name: &str) -> Refused {
    Box::new(Diagnostic::error(SqlState::INVALID_SAVEPOINT, format!("savepoint \"{name}\" does not exist")))
}

fn prelude_full() -> Diagnostic {
    Diagnostic::error(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many savepoints and settings in one transaction")
        .detail(format!("At most {} of them are kept for servers that join later.", super::tx::PRELUDE))
}
