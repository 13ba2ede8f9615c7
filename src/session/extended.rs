//! The extended protocol: Parse, Bind, Describe, Execute, Close, Flush, Sync.
//!
//! A Parse waits for the Bind (or Describe, Flush, Sync) behind it, because only then is its server known.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use postgres_protocol::message::frontend as build;

use super::Session;
use super::prepared::{Portal, Prepared};
use super::route::Refused;
use super::serve::protocol_violation;
use super::simple::{in_failed_transaction, not_readable};
use super::unit::{Deferred, Flow};
use crate::exec::{Expected, Fate, Held, Reply};
use crate::map::{Placement, ShardId, TableName};
use crate::plan::{Access, Query, Shape};
use crate::pool::StatementId;
use crate::sql::Analysis;
use crate::sql::analysis::{Body, Kind, Pin, Values};
use crate::wire::frontend::{Bind, Execute, Parse, Target};
use crate::wire::{Diagnostic, SqlState, backend};

/// A statement no server has: binding it is an error that nobody sees, which makes a server roll an implicit block back.
const NO_STATEMENT: &str = "pgweave_refused";

impl Session {
    /// Parse.
    pub(super) async fn on_parse(&mut self, body: &[u8]) -> Flow {
        let parse = Parse::read(body).map_err(|wrong| protocol_violation(&wrong))?;
        let unnamed = parse.name.is_empty();
        if !unnamed && self.names.statement(parse.name).is_some() {
            let name = String::from_utf8_lossy(parse.name).into_owned();
            // The one of that name may itself wait for its server.
            if !self.unit.deferred.is_empty() {
                self.place_deferred().await?;
                if self.unit.failed {
                    return Ok(());
                }
            }
            self.refuse_here(Diagnostic::error(
                SqlState::DUPLICATE_PREPARED_STATEMENT,
                format!("prepared statement \"{name}\" already exists"),
            ));
            return Ok(());
        }
        let limit = self.database.settings.load().limits.prepared_per_client;
        if self.names.len() >= limit {
            let report = Diagnostic::error(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many prepared statements")
                .detail(format!("This session has {limit}."))
                .hint("Close some, or raise \"limits.prepared_per_client\".");
            self.refuse_here(report);
            return Ok(());
        }
        let statement = self.prepare(parse.query, parse.type_oids);
        let kind = &statement.analysis.kind;
        if self.tx.as_ref().is_some_and(|tx| tx.failed) && !ends_block(kind) {
            self.refuse_here(in_failed_transaction());
            return Ok(());
        }
        let seq = self.unit.seq;
        if is_answered_here(kind) {
            let mut bytes = BytesMut::new();
            backend::parse_complete(&mut bytes);
            self.answer(&bytes);
        } else {
            self.unit.deferred.push(Deferred::Parse { seq, unnamed, statement: statement.clone() });
        }
        self.names.set(seq, parse.name, statement);
        Ok(())
    }

    fn prepare(&mut self, text: &[u8], type_oids: &[u8]) -> Arc<Prepared> {
        let version = self.database.schema.load().version;
        let analysis = match self.readable(text) {
            Some(text) => self.analysis_exact(text),
            None => Arc::new(Analysis::opaque()),
        };
        Arc::new(Prepared {
            text: text.into(),
            type_oids: type_oids.into(),
            analysis,
            literals: self.literals.as_slice().into(),
            id: self.statement_id(text, type_oids, version),
            context: self.state.context_key ^ version.rotate_left(17),
        })
    }

    /// What a text asks; the exact text is the key. Its literals are left in `self.literals`.
    fn analysis_exact(&mut self, text: &str) -> Arc<Analysis> {
        let schema = self.database.schema.load();
        let key = self.state.context_key ^ schema.version.rotate_left(17);
        let context = &self.state.context;
        let mut literals = std::mem::take(&mut self.literals);
        let strings = context.standard_conforming_strings;
        let (analysis, hit) = self.database.cache.lookup_exact(text, strings, key, &mut literals, || {
            match crate::sql::split(text, strings) {
                Ok(pieces) if pieces.len() <= 1 => crate::sql::analyse(text, context, &schema),
                // Several statements, or none that can be told: the server has the right error.
                _ => Analysis::opaque(),
            }
        });
        self.literals = literals;
        if hit {
            self.database.stats.cache_hits.bump()
        } else {
            self.database.stats.cache_misses.bump()
        }
        analysis
    }

    /// The statement of this name, analysed anew if the schema or the session's context changed since.
    fn statement(&mut self, name: &[u8]) -> Result<Arc<Prepared>, Refused> {
        let Some(statement) = self.names.statement(name).cloned() else {
            let message = if name.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                format!("prepared statement \"{}\" does not exist", String::from_utf8_lossy(name))
            };
            return Err(Box::new(Diagnostic::error(SqlState::INVALID_SQL_STATEMENT_NAME, message)));
        };
        let context = self.state.context_key ^ self.database.schema.load().version.rotate_left(17);
        if statement.context == context {
            return Ok(statement);
        }
        let Some(text) = self.readable(&statement.text) else { return Ok(statement) };
        let text = text.to_owned();
        let analysis = self.analysis_exact(&text);
        let fresh = Arc::new(Prepared {
            text: statement.text.clone(),
            type_oids: statement.type_oids.clone(),
            analysis,
            literals: self.literals.as_slice().into(),
            // Servers still know it by what it was when the client prepared it.
            id: statement.id,
            context,
        });
        self.names.refresh(name, fresh.clone());
        Ok(fresh)
    }

    /// Bind.
    pub(super) async fn on_bind(&mut self, body: &[u8]) -> Flow {
        let bind = Bind::read(body).map_err(|wrong| protocol_violation(&wrong))?;
        if let Err(refused) = self.bind(&bind).await?
            && !self.unit.failed
        {
            self.refuse_here(*refused);
        }
        Ok(())
    }

    async fn bind(&mut self, bind: &Bind<'_>) -> Flow<Result<(), Refused>> {
        let statement = match self.statement(bind.statement) {
            Ok(statement) => statement,
            Err(refused) => return Ok(Err(refused)),
        };
        let kind = &statement.analysis.kind;
        if self.tx.as_ref().is_some_and(|tx| tx.failed) && !ends_block(kind) {
            return Ok(Err(Box::new(in_failed_transaction())));
        }
        if is_answered_here(kind) {
            self.names.set_portal(bind.portal, Portal::Here { statement, done: false });
            let mut bytes = BytesMut::new();
            backend::bind_complete(&mut bytes);
            self.answer(&bytes);
            return Ok(Ok(()));
        }
        if let Some(refused) = self.refused_behind_setting().or_else(|| self.lost_sequence_state(&statement.analysis)) {
            return Ok(Err(refused));
        }
        let text = match statement.text() {
            Some(text) => text,
            None if self.database.map.load().is_single() => "",
            None => return Ok(Err(Box::new(not_readable()))),
        };
        if let Some(place) = self.portal_place(&statement.analysis, text) {
            return match place {
                Ok((shard, access)) => self.bind_direct(bind, statement, shard, access, &Query::Original).await,
                Err(refused) => Ok(Err(refused)),
            };
        }
        let values = Values {
            text,
            literals: &statement.literals,
            params: Some(bind.params),
            param_types: &statement.type_oids,
            utf8: self.state.utf8,
        };
        let plan = match self.decide(&statement.analysis, &values) {
            Ok(plan) => plan,
            Err(refused) => return Ok(Err(refused)),
        };
        match plan.shape {
            Shape::Direct { shard, query } => {
                self.database.stats.direct.bump();
                self.bind_direct(bind, statement, shard, plan.access, &query).await
            }
            Shape::Scatter { parts } => {
                self.database.stats.scatter.bump();
                Box::pin(self.bind_scatter(bind, statement, parts, plan.access)).await
            }
        }
    }

    async fn bind_direct(
        &mut self,
        bind: &Bind<'_>,
        statement: Arc<Prepared>,
        shard: ShardId,
        access: Access,
        query: &Query,
    ) -> Flow<Result<(), Refused>> {
        let replay = match self.replay_of(&statement, bind) {
            Ok(replay) => replay,
            Err(refused) => return Ok(Err(refused)),
        };
        let pinned = self.pin_for(&statement.analysis);
        self.unit.text_hash = super::simple::hash_text(&statement.text);
        let index = match self.server(shard, access, self.unit.text_hash).await? {
            Ok(index) => index,
            Err(refused) => return Ok(Err(refused)),
        };
        let Some(index) = self.activate(index).await? else { return Ok(Ok(())) };
        self.note_use(index, access, pinned);
        self.emit_deferred(index);
        let (statement, unnamed) = match query {
            Query::Original => (statement, bind.statement.is_empty()),
            Query::Rewritten(text) => (self.rewritten(&statement, text), false),
        };
        let seq = self.unit.seq;
        let held = &mut self.held[index];
        ensure_statement(held, &statement, unnamed, seq);
        send_bind(held, bind, &statement, unnamed);
        held.expected.push_back(Expected::server(Reply::Bind, Fate::Relay, seq));
        let place = (held.shard, held.primary);
        self.names.set_portal(bind.portal, Portal::Direct { place, statement, replay });
        Ok(Ok(()))
    }

    /// What servers that join later run in place of a statement that changes settings by its parameters.
    fn replay_of(&self, statement: &Prepared, bind: &Bind<'_>) -> Result<Option<Arc<str>>, Refused> {
        let changes = matches!(statement.analysis.pin, Some(Pin::Setting { .. }));
        if bind.params.is_empty() || !changes || self.database.map.load().is_single() {
            return Ok(None);
        }
        let strings = self.state.context.standard_conforming_strings;
        let text = statement.text().filter(|_| self.state.utf8);
        let text = text.and_then(|text| super::replay::with_constants(&statement.analysis, text, strings, bind.params));
        match text {
            Some(text) => Ok(Some(text.into())),
            None => Err(Box::new(
                Diagnostic::error(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "cannot change a setting by parameters of an unknown type",
                )
                .detail("The other shards of this session must follow, and the value cannot be told without a server.")
                .hint("Write the value into the statement, or send its parameters as text."),
            )),
        }
    }

    /// The same statement with another text.
    fn rewritten(&self, statement: &Prepared, text: &str) -> Arc<Prepared> {
        Arc::new(Prepared {
            text: text.as_bytes().into(),
            type_oids: statement.type_oids.clone(),
            analysis: statement.analysis.clone(),
            literals: Box::default(),
            id: self.statement_id(text.as_bytes(), &statement.type_oids, statement.context),
            context: statement.context,
        })
    }

    /// Sends what waited for its server to the one of `index`.
    pub(super) fn emit_deferred(&mut self, index: usize) {
        let held = &mut self.held[index];
        for deferred in self.unit.deferred.drain(..) {
            match deferred {
                Deferred::Answer(bytes) => held.expected.push_back(Expected::Answer(bytes)),
                Deferred::Parse { seq, unnamed: true, statement } => {
                    send_parse(held, "", &statement);
                    held.conn().unnamed = Some(statement.id);
                    expect_parse(held, Fate::Relay, seq, None);
                }
                Deferred::Parse { seq, unnamed: false, statement } => {
                    if held.conn().prepared.touch(statement.id) {
                        let mut bytes = BytesMut::new();
                        backend::parse_complete(&mut bytes);
                        held.expected.push_back(Expected::Answer(bytes.freeze()));
                    } else {
                        prepare_named(held, &statement, Fate::Relay, seq);
                    }
                }
            }
        }
    }

    /// Finds a server for Parses that no Bind followed, and sends them there.
    async fn place_deferred(&mut self) -> Flow {
        let first = self.unit.deferred.iter().find_map(|deferred| match deferred {
            Deferred::Parse { statement, .. } => Some(statement.clone()),
            Deferred::Answer(_) => None,
        });
        let Some(statement) = first else {
            // Answers alone: nothing is before them any more.
            for deferred in std::mem::take(&mut self.unit.deferred) {
                if let Deferred::Answer(bytes) = deferred {
                    self.answer(&bytes);
                }
            }
            return Ok(());
        };
        match self.describing_server(&statement).await? {
            Ok(index) => {
                self.emit_deferred(index);
                self.end_description(index);
            }
            Err(refused) if !self.unit.failed => self.refuse_here(*refused),
            Err(_) => {}
        }
        Ok(())
    }

    /// A server that knows what `statement` is about.
    async fn describing_server(&mut self, statement: &Prepared) -> Flow<Result<usize, Refused>> {
        let shard = self.describing_shard(&statement.analysis);
        let access = if statement.analysis.may_write { Access::ReadPrimary } else { Access::Read };
        // A block that no server has begun yet is not begun for a description: the statement may belong to another shard,
        // and one snapshot cannot span two.
        let index = match self.server_beginning(shard, access, 0, !self.is_deferred()).await? {
            Ok(index) => index,
            Err(refused) => return Ok(Err(refused)),
        };
        match self.activate(index).await? {
            Some(index) => {
                self.note_use(index, access, None);
                Ok(Ok(index))
            }
            None => Ok(Err(Box::new(in_failed_transaction()))),
        }
    }

    /// Every shard has the sharded tables; a local one only its own.
    fn describing_shard(&self, analysis: &Analysis) -> ShardId {
        let map = self.database.map.load();
        let begun = self.held.iter().find(|held| held.begun).map(|held| held.shard);
        let anywhere = begun.unwrap_or(map.home);
        let Body::Understood(model) = &analysis.body else { return anywhere };
        let local = model.relations.iter().find_map(|relation| {
            let name = TableName { schema: relation.schema.clone(), name: relation.name.clone() };
            match map.tables.get(&name) {
                Some(Placement::Local(shard)) => Some(*shard),
                _ => None,
            }
        });
        local.unwrap_or(anywhere)
    }

    /// Describe.
    pub(super) async fn on_describe(&mut self, body: &[u8]) -> Flow {
        let target = Target::read(body, "Describe").map_err(|wrong| protocol_violation(&wrong))?;
        let outcome = match target {
            Target::Statement(name) => self.describe_statement(name).await?,
            Target::Portal(name) => self.describe_portal(name, body).await?,
        };
        if let Err(refused) = outcome
            && !self.unit.failed
        {
            self.refuse_here(*refused);
        }
        Ok(())
    }

    async fn describe_statement(&mut self, name: &[u8]) -> Flow<Result<(), Refused>> {
        let statement = match self.statement(name) {
            Ok(statement) => statement,
            Err(refused) => return Ok(Err(refused)),
        };
        if is_answered_here(&statement.analysis.kind) {
            let mut bytes = BytesMut::new();
            backend::parameter_description(&mut bytes, &[]);
            self.describe_here(&statement, &mut bytes);
            self.answer(&bytes);
            return Ok(Ok(()));
        }
        let index = match self.describing_server(&statement).await? {
            Ok(index) => index,
            Err(refused) => return Ok(Err(refused)),
        };
        self.emit_deferred(index);
        let (seq, unnamed) = (self.unit.seq, name.is_empty());
        let held = &mut self.held[index];
        ensure_statement(held, &statement, unnamed, seq);
        let server_name = if unnamed { String::new() } else { statement.id.server_name() };
        // The only error is a NUL inside a name, and ours have none.
        if build::describe(b'S', &server_name, &mut held.conn().outbuf).is_ok() {
            held.unsynced = true;
            held.expected.push_back(Expected::server(Reply::DescribeStatement, Fate::Relay, seq));
        }
        self.end_description(index);
        Ok(Ok(()))
    }

    /// A server that only describes, for a block that it has not begun, leaves the implicit block that Parse opened: "SET
    /// TRANSACTION ISOLATION LEVEL must be called before any query", and the BEGIN of this block may be still to come.
    fn end_description(&mut self, index: usize) {
        let deferred = self.is_deferred();
        let held = &mut self.held[index];
        if deferred && held.unsynced {
            build::sync(&mut held.conn().outbuf);
            held.unsynced = false;
            held.expected.push_back(Expected::server(Reply::Sync, Fate::Swallow, self.unit.seq));
        }
    }

    /// Ends the messages that came before a simple Query without Sync, as far as they ran nothing: drivers describe a
    /// statement, flush, and then go on by simple Query.
    pub(super) async fn end_descriptions(&mut self) -> Flow {
        if !self.unit.deferred.is_empty() {
            self.place_deferred().await?;
        }
        let seq = self.unit.seq;
        let mut places = Vec::new();
        for held in self.held.iter_mut().filter(|held| held.unsynced) {
            build::sync(&mut held.conn().outbuf);
            held.unsynced = false;
            held.expected.push_back(Expected::server(Reply::Sync, Fate::Swallow, seq));
            places.push((held.shard, held.primary));
        }
        for place in places {
            self.drain(place).await?;
        }
        Ok(())
    }

    async fn describe_portal(&mut self, name: &[u8], body: &[u8]) -> Flow<Result<(), Refused>> {
        match self.names.portal(name).cloned() {
            None => match self.cursor_place() {
                Some(place) => self.pass_to_portal(place, name, b'D', body, Reply::DescribePortal).await,
                None => Ok(Err(no_portal(name))),
            },
            Some(Portal::Here { statement, .. }) => {
                let mut bytes = BytesMut::new();
                self.describe_here(&statement, &mut bytes);
                self.answer(&bytes);
                Ok(Ok(()))
            }
            Some(Portal::Scatter { description, .. }) => {
                self.answer(&description);
                Ok(Ok(()))
            }
            Some(Portal::Direct { place, .. }) => {
                self.pass_to_portal(place, name, b'D', body, Reply::DescribePortal).await
            }
        }
    }

    /// Where a portal is that no Bind made: SQL's DECLARE makes them, too. Only where the session holds one server.
    fn cursor_place(&self) -> Option<(ShardId, bool)> {
        match self.held.as_slice() {
            [only] if only.begun || self.state.pinned => Some((only.shard, only.primary)),
            _ => None,
        }
    }

    /// Passes a message on to the server that has its portal.
    async fn pass_to_portal(
        &mut self,
        place: (ShardId, bool),
        name: &[u8],
        tag: u8,
        body: &[u8],
        reply: Reply,
    ) -> Flow<Result<(), Refused>> {
        let Some(index) = self.held_at(place) else { return Ok(Err(no_portal(name))) };
        let Some(index) = self.activate(index).await? else { return Ok(Ok(())) };
        self.emit_deferred(index);
        let seq = self.unit.seq;
        let held = &mut self.held[index];
        let out = &mut held.conn().outbuf;
        out.put_u8(tag);
        out.put_i32(body.len() as i32 + 4);
        out.put_slice(body);
        held.unsynced = true;
        held.expected.push_back(Expected::server(reply, Fate::Relay, seq));
        Ok(Ok(()))
    }

    /// Execute.
    pub(super) async fn on_execute(&mut self, body: &[u8]) -> Flow {
        let execute = Execute::read(body).map_err(|wrong| protocol_violation(&wrong))?;
        self.unit.executed = true;
        let outcome = match self.names.portal(execute.portal).cloned() {
            None => match self.cursor_place() {
                Some(place) => self.pass_to_portal(place, execute.portal, b'E', body, Reply::Execute).await?,
                None => Err(no_portal(execute.portal)),
            },
            Some(Portal::Direct { place, statement, replay }) => {
                if let Some(text) = replay.as_deref().or(statement.text()) {
                    self.note_effects(&statement.analysis, text);
                }
                self.pass_to_portal(place, execute.portal, b'E', body, Reply::Execute).await?
            }
            Some(Portal::Scatter { .. }) => Box::pin(self.execute_scatter(execute.portal, execute.max_rows)).await?,
            Some(Portal::Here { statement, done }) => self.execute_here(execute.portal, &statement, done).await?,
        };
        if let Err(refused) = outcome
            && !self.unit.failed
        {
            self.refuse_here(*refused);
        }
        Ok(())
    }

    async fn execute_here(&mut self, portal: &[u8], statement: &Prepared, done: bool) -> Flow<Result<(), Refused>> {
        if done {
            self.complete("SELECT 0");
            return Ok(Ok(()));
        }
        if let Some(Portal::Here { done, .. }) = self.names.portal_mut(portal) {
            *done = true;
        }
        let text = statement.text().unwrap_or_default().to_owned();
        if !self.unit.deferred.is_empty() {
            self.place_deferred().await?;
        }
        if self.unit.failed {
            return Ok(Ok(()));
        }
        if matches!(statement.analysis.kind, Kind::Empty) {
            let mut bytes = BytesMut::new();
            backend::empty_query_response(&mut bytes);
            self.answer(&bytes);
            return Ok(Ok(()));
        }
        if let Some(outcome) = self.rows_here(&statement.analysis, &text) {
            return Ok(outcome.map(|here| {
                let mut bytes = BytesMut::new();
                here.write_rows(&mut bytes);
                self.answer(&bytes);
            }));
        }
        let trimmed = text.trim().trim_end_matches(';');
        match self.control(&statement.analysis, trimmed).await? {
            Some(outcome) => Ok(outcome),
            None if matches!(statement.analysis.kind, Kind::Deallocate(None)) => {
                self.deallocate_all().await?;
                Ok(Ok(()))
            }
            // DEALLOCATE of a name that only a pinned server can know.
            None => Ok(Err(Box::new(
                Diagnostic::error(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "cannot run this statement by the extended protocol",
                )
                .hint("Send it as a simple query."),
            ))),
        }
    }

    /// Close.
    pub(super) async fn on_close(&mut self, body: &[u8]) -> Flow {
        let target = Target::read(body, "Close").map_err(|wrong| protocol_violation(&wrong))?;
        let mut bytes = BytesMut::new();
        backend::close_complete(&mut bytes);
        match target {
            Target::Statement(name) => {
                self.names.remove(self.unit.seq, name);
                self.answer(&bytes);
            }
            Target::Portal(name) => match self.names.remove_portal(name) {
                Some(Portal::Direct { place, .. }) => {
                    let outcome = self.pass_to_portal(place, name, b'C', body, Reply::Close).await?;
                    if outcome.is_err() {
                        self.answer(&bytes);
                    }
                }
                None => match self.cursor_place().filter(|_| !name.is_empty()) {
                    Some(place) => {
                        if self.pass_to_portal(place, name, b'C', body, Reply::Close).await?.is_err() {
                            self.answer(&bytes);
                        }
                    }
                    None => self.answer(&bytes),
                },
                // A portal over several servers is closed on them by the end of the transaction.
                Some(_) => self.answer(&bytes),
            },
        }
        Ok(())
    }

    /// Flush.
    pub(super) async fn on_flush(&mut self) -> Flow {
        if !self.unit.deferred.is_empty() {
            self.place_deferred().await?;
        }
        if let Some(index) = self.unit.active.and_then(|place| self.held_at(place))
            && self.held[index].unsynced
        {
            build::flush(&mut self.held[index].conn().outbuf);
        }
        Ok(())
    }

    /// Sync.
    pub(super) async fn on_sync(&mut self) -> Flow {
        if !self.unit.deferred.is_empty() {
            self.place_deferred().await?;
        }
        self.sync_servers();
        self.unit.ending = true;
        Ok(())
    }

    /// Sends Sync to every server that waits for one. After an error of ours, or of another server, an implicit block is
    /// made to roll back first.
    pub(super) fn sync_servers(&mut self) {
        let (failed, implicit) = (self.unit.failed, self.tx.is_none());
        self.unit.committing |= implicit && !failed && self.held.iter().any(|held| held.wrote);
        let seq = self.unit.seq;
        for held in self.held.iter_mut().filter(|held| held.unsynced) {
            if failed && implicit && !held.skipping {
                let out = &mut held.conn().outbuf;
                let no_values = |(): (), _: &mut BytesMut| Ok(postgres_protocol::IsNull::Yes);
                let built = build::bind("", NO_STATEMENT, [], [] as [(); 0], no_values, [], out);
                if built.is_ok() {
                    held.expected.push_back(Expected::server(Reply::Bind, Fate::Swallow, seq));
                }
                held.wrote = false;
            }
            build::sync(&mut held.conn().outbuf);
            held.unsynced = false;
            held.expected.push_back(Expected::server(Reply::Sync, Fate::Relay, seq));
        }
    }

    /// FunctionCall is not carried.
    pub(super) fn refuse_function_call(&mut self) -> Flow {
        self.refuse_here(
            Diagnostic::error(SqlState::FEATURE_NOT_SUPPORTED, "the function call protocol is not supported")
                .hint("Call the function in a SELECT."),
        );
        self.sync_servers();
        self.unit.ending = true;
        Ok(())
    }

    /// Reports an error of ours at this place of the pipeline. Parses that were not sent yet count as failed with it.
    pub(super) fn refuse_here(&mut self, report: Diagnostic) {
        let first = self.unit.deferred.iter().find_map(|deferred| match deferred {
            Deferred::Parse { seq, .. } => Some(*seq),
            Deferred::Answer(_) => None,
        });
        self.names.roll_back(first.unwrap_or(self.unit.seq));
        self.unit.deferred.clear();
        let bytes: Bytes = super::client::diagnostic(&report);
        self.answer(&bytes);
        self.fail_unit();
    }
}

/// Kinds that no server sees as statements of the extended protocol.
pub(super) fn is_answered_here(kind: &Kind) -> bool {
    super::here::is_ours(kind)
        || matches!(
            kind,
            Kind::Empty
                | Kind::Begin(_)
                | Kind::Commit { .. }
                | Kind::Rollback { .. }
                | Kind::Savepoint(_)
                | Kind::Release(_)
                | Kind::RollbackTo(_)
                | Kind::Deallocate(_)
        )
}

fn ends_block(kind: &Kind) -> bool {
    matches!(kind, Kind::Commit { .. } | Kind::Rollback { .. } | Kind::RollbackTo(_))
}

fn no_portal(name: &[u8]) -> Refused {
    let name = String::from_utf8_lossy(name);
    Box::new(Diagnostic::error(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist")))
}

fn expect_parse(held: &mut Held, fate: Fate, seq: u32, statement: Option<StatementId>) {
    held.unsynced = true;
    held.expected.push_back(Expected::Server { reply: Reply::Parse, fate, seq, statement });
}

fn send_parse(held: &mut Held, name: &str, statement: &Prepared) {
    let out = &mut held.conn().outbuf;
    let length = 4 + name.len() + 1 + statement.text.len() + 1 + 2 + statement.type_oids.len();
    out.reserve(length + 1);
    out.put_u8(b'P');
    out.put_i32(length as i32);
    out.put_slice(name.as_bytes());
    out.put_u8(0);
    out.put_slice(&statement.text);
    out.put_u8(0);
    out.put_i16((statement.type_oids.len() / 4) as i16);
    out.put_slice(&statement.type_oids);
}

fn prepare_named(held: &mut Held, statement: &Prepared, fate: Fate, seq: u32) {
    if let Some(evicted) = held.conn().prepared.insert(statement.id) {
        // The only error is a NUL inside a name, and ours have none.
        if build::close(b'S', &evicted.server_name(), &mut held.conn().outbuf).is_ok() {
            held.expected.push_back(Expected::server(Reply::Close, Fate::SwallowSuccess, seq));
        }
    }
    send_parse(held, &statement.id.server_name(), statement);
    expect_parse(held, fate, seq, Some(statement.id));
}

/// Makes sure that the server has the statement before it is used.
pub(super) fn ensure_statement(held: &mut Held, statement: &Prepared, unnamed: bool, seq: u32) {
    if unnamed {
        if held.peek().unnamed != Some(statement.id) {
            send_parse(held, "", statement);
            held.conn().unnamed = Some(statement.id);
            expect_parse(held, Fate::SwallowSuccess, seq, None);
        }
    } else if !held.conn().prepared.touch(statement.id) {
        prepare_named(held, statement, Fate::SwallowSuccess, seq);
    }
}

/// Sends a Bind under the server's name of the statement; all else as the client wrote it.
pub(super) fn send_bind(held: &mut Held, bind: &Bind<'_>, statement: &Prepared, unnamed: bool) {
    let name = if unnamed { String::new() } else { statement.id.server_name() };
    let length = 4 + bind.portal.len() + 1 + name.len() + 1 + bind.rest.len();
    held.unsynced = true;
    let out = &mut held.conn().outbuf;
    out.reserve(length + 1);
    out.put_u8(b'B');
    out.put_i32(length as i32);
    out.put_slice(bind.portal);
    out.put_u8(0);
    out.put_slice(name.as_bytes());
    out.put_u8(0);
    out.put_slice(bind.rest);
}
