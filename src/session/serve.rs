//! The session's loop: frames in, replies out, one unit of commit after the other.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use tokio::sync::watch;

use super::client::Client;
use super::facts::Marks;
use super::greeting::Greeting;
use super::io::Reading;
use super::prepared::Names;
use super::replies::{self, OutOfStep, Stopped};
use super::state::State;
use super::tx::Tx;
use super::unit::{Break, Effect, Flow, TRIES, Unit};
use crate::exec::{Database, Held, KnownPools};
use crate::map::{NodeId, ShardId};
use crate::pool::cancel::CancelGuard;
use crate::pool::{Login, Settings, StatementId};
use crate::sql::analysis::Literal;
use crate::stats::{ClientInfo, ClientState, Registration};
use crate::wire::frame::{self, HEADER_BYTES, Header};
use crate::wire::{Diagnostic, Malformed, Severity, SqlState, backend};

/// The most bytes of a CopyData that are made up when its COPY fails half way through it; behind more the server is closed.
const TORN_BYTES: usize = 16 << 20;

/// Who a session runs as.
#[derive(Clone, Debug)]
pub struct SessionUser {
    /// Its log-in at the servers.
    pub login: Login,
    /// May run unparsed writes by hint.
    pub may_bypass_routing: bool,
    /// Keeps its servers until it leaves.
    pub session_mode: bool,
}

/// One client's session.
pub struct Session {
    pub(super) client: Client,
    pub(super) database: Arc<Database>,
    pub(super) user: Arc<SessionUser>,
    pub(super) settings: Arc<Settings>,
    pub(super) cancel: CancelGuard,
    pub(super) registration: Registration,
    pub(super) held: Vec<Held>,
    pub(super) tx: Option<Tx>,
    pub(super) unit: Unit,
    /// What follows when the transaction block commits.
    pub(super) promised: Vec<Effect>,
    pub(super) names: Names,
    pub(super) state: State,
    pub(super) marks: Marks,
    pub(super) sticky: Vec<(ShardId, NodeId)>,
    /// The server (shard, primary) that wants COPY data.
    pub(super) copying: Option<(ShardId, bool)>,
    /// Bytes of a client's frame that passes through without being held whole.
    passing: usize,
    /// Bytes that must be in the client's buffer before a frame can be taken.
    pub(super) need_bytes: usize,
    pub(super) literals: Vec<Literal>,
    pub(super) pools: KnownPools,
    /// A buffer that holds this many bytes is full: its source is not read until it has drained. That is all the
    /// back-pressure there is, and all that is needed.
    pub(super) full: usize,
}

impl Session {
    /// A session of an authenticated client that was greeted.
    pub fn new(
        client: Client,
        database: Arc<Database>,
        user: Arc<SessionUser>,
        greeting: &Greeting,
        cancel: CancelGuard,
        registration: Registration,
    ) -> Session {
        let full = database.settings.load().limits.buffer_bytes;
        let state = State::new(greeting.params.clone(), greeting.search_path.clone());
        Session {
            client,
            database,
            user,
            settings: greeting.settings.clone(),
            cancel,
            registration,
            held: Vec::new(),
            tx: None,
            unit: Unit::default(),
            promised: Vec::new(),
            names: Names::default(),
            state,
            marks: Marks::default(),
            sticky: Vec::new(),
            copying: None,
            passing: 0,
            need_bytes: 0,
            literals: Vec::new(),
            pools: KnownPools::default(),
            full,
        }
    }

    /// What others may know of its client.
    pub fn info(&self) -> Arc<ClientInfo> {
        self.registration.info.clone()
    }

    /// Serves the client until it leaves, breaks the protocol, or `stop` says that the proxy does not take new units.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let ended = loop {
            match self.turn(&mut stop).await {
                Ok(()) => {}
                Err(Break::Rerun) => self.rewind(),
                Err(other) => break other,
            }
        };
        self.leave(ended).await;
    }

    /// One turn: the frames at hand, then what must be waited for.
    async fn turn(&mut self, stop: &mut watch::Receiver<bool>) -> Flow {
        self.take_frames().await?;
        if self.unit.ending {
            return self.finish().await;
        }
        self.wait(stop).await
    }

    /// Takes frames off the client's buffer until there is no whole one, or the unit is to end.
    async fn take_frames(&mut self) -> Flow {
        // Taken out of `self` so that a frame can be looked at while the session works on it. What the client sends
        // meanwhile is put behind.
        let mut inbuf = std::mem::take(&mut self.client.inbuf);
        let mut at = 0;
        let outcome = loop {
            match self.next_frame(&inbuf[at..]) {
                Ok(Some(Taken::Frame(header))) => {
                    let end = at + header.frame_bytes();
                    let handled = self.on_frame(header, &inbuf[at..end]).await;
                    at = end;
                    if handled.is_err() {
                        break handled;
                    }
                }
                Ok(Some(Taken::Passed(count))) => {
                    self.pass_copy_data(&inbuf[at..at + count]);
                    at += count;
                }
                Ok(None) => break Ok(()),
                Err(wrong) => break Err(protocol_violation(&wrong)),
            }
            if self.unit.ending {
                break Ok(());
            }
        };
        inbuf.advance(at);
        if !self.client.inbuf.is_empty() {
            inbuf.extend_from_slice(&self.client.inbuf);
        }
        self.client.inbuf = inbuf;
        outcome
    }

    /// What can be taken next from the client's bytes `buf`.
    fn next_frame(&mut self, buf: &[u8]) -> Result<Option<Taken>, Malformed> {
        self.need_bytes = 0;
        if self.passing > 0 {
            let count = self.passing.min(buf.len());
            return Ok((count > 0).then_some(Taken::Passed(count)));
        }
        let Some(header) = frame::peek(buf)? else { return Ok(None) };
        if !is_frontend_tag(header.tag) {
            return Err(Malformed::Tag { tag: header.tag });
        }
        let whole = header.frame_bytes();
        if buf.len() >= whole {
            return Ok(if self.is_worth_starting(buf) { Some(Taken::Frame(header)) } else { None });
        }
        if header.tag == b'd' {
            // COPY data is never looked at, so it is not held whole either.
            self.passing = whole;
            return Ok(Some(Taken::Passed(buf.len())));
        }
        if header.body_bytes > self.database.settings.load().limits.message_bytes {
            return Err(Malformed::Length { tag: header.tag, length: header.body_bytes as i32 + 4 });
        }
        self.need_bytes = whole;
        Ok(None)
    }

    /// A pipeline is begun when its Sync or Flush is at hand (or it is long): a client that stops half way through its
    /// messages then holds no server.
    fn is_worth_starting(&self, buf: &[u8]) -> bool {
        if self.unit.open || buf.len() >= self.full / 4 {
            return true;
        }
        let mut rest = buf;
        while let Ok(Some(header)) = frame::peek(rest) {
            if !matches!(header.tag, b'P' | b'B' | b'D' | b'E' | b'C') {
                return true;
            }
            match rest.get(header.frame_bytes()..) {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        // What is behind is not there yet, or is no message: then the client is to hear of it.
        frame::peek(rest).is_err()
    }

    fn pass_copy_data(&mut self, part: &[u8]) {
        self.passing -= part.len();
        // Outside a COPY these bytes are left over from one that failed: "the backend will ignore them".
        if let Some(index) = self.copying.and_then(|place| self.held_at(place)) {
            self.held[index].conn().outbuf.extend_from_slice(part);
        }
    }

    async fn on_frame(&mut self, header: Header, frame: &[u8]) -> Flow {
        let body = &frame[HEADER_BYTES..];
        if header.tag == b'X' {
            return Err(Break::Gone);
        }
        if let Some(place) = self.copying {
            return self.on_copy_frame(header.tag, frame, place);
        }
        if matches!(header.tag, b'd' | b'c' | b'f') {
            return Ok(());
        }
        if !self.unit.open {
            self.begin_unit();
        }
        self.unit.seq += 1;
        self.unit.keep(frame);
        if self.unit.skip && header.tag != b'S' {
            return Ok(());
        }
        if self.tell_lost(header.tag, body) {
            return Ok(());
        }
        match header.tag {
            b'Q' => self.on_query(body).await,
            b'P' => self.on_parse(body).await,
            b'B' => self.on_bind(body).await,
            b'D' => self.on_describe(body).await,
            b'E' => self.on_execute(body).await,
            b'C' => self.on_close(body).await,
            b'H' => self.on_flush().await,
            b'S' => self.on_sync().await,
            b'F' => self.refuse_function_call(),
            _ => Err(protocol_violation(&Malformed::Tag { tag: header.tag })),
        }
    }

    fn on_copy_frame(&mut self, tag: u8, frame: &[u8], place: (ShardId, bool)) -> Flow {
        let Some(index) = self.held_at(place) else {
            self.copying = None;
            return Ok(());
        };
        match tag {
            b'd' | b'c' | b'f' => {
                self.held[index].conn().outbuf.extend_from_slice(frame);
                if tag != b'd' {
                    self.copying = None;
                    // A COPY by simple Query is over with the server's ReadyForQuery.
                    self.unit.ending = !self.held[index].unsynced;
                }
                Ok(())
            }
            // "In copy-in mode, Flush and Sync messages are ignored."
            b'H' | b'S' => Ok(()),
            _ => Err(Break::Fatal(Box::new(Diagnostic::fatal(
                SqlState::PROTOCOL_VIOLATION,
                format!("unexpected message type 0x{tag:02X} during COPY from stdin"),
            )))),
        }
    }

    fn begin_unit(&mut self) {
        self.unit.open = true;
        self.unit.generation = Some(self.database.generation.load_full());
        self.unit.once |= self.tx.is_some() || self.state.pinned;
        self.client.begin_unit();
        self.registration.info.set_state(ClientState::Active);
    }

    /// Waits for whatever comes next, with a unit half way or none at all.
    async fn wait(&mut self, stop: &mut watch::Receiver<bool>) -> Flow {
        if !self.unit.open && self.held.is_empty() {
            return self.idle(stop).await;
        }
        let reading = match self.unit.active.and_then(|place| self.held_at(place)) {
            Some(index) if self.unit.open => Reading::One(index),
            _ => Reading::All,
        };
        let at_rest = !self.unit.open && self.tx.is_none();
        let moved = tokio::select! {
            biased;
            moved = self.io(reading, true) => moved?,
            () = stopped(stop, at_rest) => return Err(shutting_down()),
        };
        if moved.client_closed {
            return Err(Break::Gone);
        }
        for index in (0..self.held.len()).rev() {
            if reading == Reading::All || reading == Reading::One(index) {
                self.collect(index)?;
            }
        }
        match moved.lost {
            Some(index) => self.lost(index),
            None => Ok(()),
        }
    }

    /// Waits with nothing in hand: no server, no unit, no buffers.
    async fn idle(&mut self, stop: &mut watch::Receiver<bool>) -> Flow {
        self.registration.info.set_state(ClientState::Idle);
        self.client.rest();
        let (from, to) = std::mem::take(&mut self.client.traffic);
        self.database.stats.client_bytes_in.add(from);
        self.database.stats.client_bytes_out.add(to);
        let moved = tokio::select! {
            biased;
            moved = self.io(Reading::Nothing, true) => moved?,
            () = stopped(stop, true) => return Err(shutting_down()),
        };
        if moved.client_closed { Err(Break::Gone) } else { Ok(()) }
    }

    /// Takes replies of one server in until nothing is at hand or COPY data is wanted.
    pub(super) fn collect(&mut self, index: usize) -> Flow<Stopped> {
        let full = self.full;
        loop {
            let held = &mut self.held[index];
            match replies::relay(held, &mut self.client.outbuf, full) {
                Ok(Stopped::Error { code, fatal }) => {
                    if self.may_rerun() && self.is_about_server(index, code, fatal) {
                        return Err(Break::Rerun);
                    }
                    self.accept_error(index, code, fatal)?;
                }
                Ok(Stopped::CopyIn) => {
                    let place = (self.held[index].shard, self.held[index].primary);
                    self.copying = Some(place);
                    self.unit.once = true;
                    self.unit.ending = false;
                    return Ok(Stopped::CopyIn);
                }
                Ok(stopped) => return Ok(stopped),
                Err(wrong) => {
                    let node = self.held[index].node;
                    if wrong != OutOfStep::Farewell {
                        tracing::warn!(%node, error = %wrong, "a server is out of step and is closed");
                    }
                    self.lost(index)?;
                    return Ok(Stopped::NeedMore);
                }
            }
        }
    }

    /// Whether an error speaks of the server rather than of the statement, so that another server may do better.
    fn is_about_server(&mut self, index: usize, code: SqlState, fatal: bool) -> bool {
        let replica = !self.held[index].primary;
        if replica && code == SqlState::READ_ONLY_SQL_TRANSACTION {
            self.unit.on_primary = true;
            self.database.learned.insert(self.unit.text_hash);
            self.database.stats.replica_retries.bump();
            return true;
        }
        if replica && code == SqlState::SERIALIZATION_FAILURE {
            // "canceling statement due to conflict with recovery": the primary has no recovery.
            self.unit.on_primary = true;
            return true;
        }
        fatal
    }

    fn accept_error(&mut self, index: usize, code: SqlState, fatal: bool) -> Flow {
        let fatal = fatal || code == SqlState::ADMIN_SHUTDOWN;
        // A fatal error is the last word of a server that closes, and is always passed on.
        let told = self.unit.failed && !fatal;
        match replies::take_error(&mut self.held[index], &mut self.client.outbuf, told) {
            Ok(failed) if failed.relayed => {
                self.names.roll_back(failed.seq);
                self.fail_unit();
            }
            Ok(_) => {}
            Err(_) => return self.lost(index),
        }
        if self.copying == Some((self.held[index].shard, self.held[index].primary)) {
            self.copying = None;
            if self.passing > TORN_BYTES {
                return self.lost(index);
            }
            // The server has the head of a CopyData whose rest is not here yet. It ignores what is in it now, but it must
            // be whole before anything else can be sent. What the client sends of it is dropped.
            let rest = self.passing;
            let out = &mut self.held[index].conn().outbuf;
            out.resize(out.len() + rest, 0);
            // By simple Query the server's ReadyForQuery follows at once; else the client's Sync is waited for.
            self.unit.ending = !self.held[index].unsynced;
        }
        if fatal {
            // The server has said why it closes. As with PostgreSQL itself, that is the last the client hears.
            return Err(Break::Gone);
        }
        Ok(())
    }

    /// An error was reported to the client: the rest of the unit is skipped and its block, if any, has failed.
    pub(super) fn fail_unit(&mut self) {
        self.unit.failed = true;
        self.unit.skip = true;
        self.unit.deferred.clear();
        self.unit.effects.clear();
        if let Some(tx) = &mut self.tx {
            tx.failed = true;
        }
    }

    /// Whether the unit can run again from its first frame without anybody noticing.
    pub(super) fn may_rerun(&self) -> bool {
        !self.unit.once && !self.client.was_answered() && !self.unit.failed && self.unit.open && self.unit.tries < TRIES
    }

    /// A server is gone in the middle of something.
    pub(super) fn lost(&mut self, index: usize) -> Flow {
        if self.may_rerun() {
            return Err(Break::Rerun);
        }
        let held = self.held.remove(index);
        self.cancel_end(&held);
        let place = (held.shard, held.primary);
        let (busy, wrote) = (!held.is_quiet() || self.unit.active == Some(place), held.wrote);
        let torn = held.passing.0 > 0 && held.passing.1;
        let keeps_state = self.state.pinned && (held.dirty || held.log_applied > 0);
        held.close();
        self.copying = self.copying.filter(|copying| *copying != place);
        if torn {
            // Half of a message has been relayed; nothing can follow it.
            return Err(Break::Gone);
        }
        if self.unit.committing && wrote {
            return Err(Break::Fatal(Box::new(
                Diagnostic::fatal(SqlState::TRANSACTION_RESOLUTION_UNKNOWN, "the server was lost while it committed")
                    .detail("It is not known whether the transaction was committed."),
            )));
        }
        if keeps_state {
            return Err(Break::Fatal(Box::new(Diagnostic::fatal(
                SqlState::CONNECTION_FAILURE,
                "the server that kept this session's state was lost",
            ))));
        }
        if let Some(tx) = &mut self.tx {
            tx.failed = true;
            tx.lost = true;
        } else if !busy {
            return Ok(());
        }
        if !self.unit.open {
            // Between two statements of a block nobody listens: a driver may take an error there for a notice.
            if let Some(tx) = &mut self.tx {
                tx.untold = true;
            }
            return Ok(());
        }
        backend::diagnostic(&mut self.client.outbuf, &lost_report());
        self.fail_unit();
        Ok(())
    }

    /// A server of the block was lost while the client said nothing: its next message is answered with that, unless it gives
    /// the block up. Whether it was answered.
    fn tell_lost(&mut self, tag: u8, body: &[u8]) -> bool {
        let Some(tx) = self.tx.as_mut().filter(|tx| tx.untold) else { return false };
        let text = match tag {
            b'S' | b'H' => return false,
            b'Q' => body,
            b'P' => body.iter().position(|byte| *byte == 0).map_or(&[][..], |end| &body[end + 1..]),
            _ => &[],
        };
        tx.untold = false;
        let word = text.trim_ascii_start().split(|byte| !byte.is_ascii_alphabetic()).next().unwrap_or_default();
        if word.eq_ignore_ascii_case(b"rollback") || word.eq_ignore_ascii_case(b"abort") {
            return false;
        }
        self.refuse_here(lost_report());
        self.unit.ending = tag == b'Q';
        true
    }

    /// Runs the unit again from its first frame.
    fn rewind(&mut self) {
        let (tries, on_primary) = (self.unit.tries + 1, self.unit.on_primary);
        if !on_primary {
            self.database.stats.server_lost_retries.bump();
        }
        self.client.take_back();
        let mut frames = BytesMut::from(&self.unit.raw[..]);
        frames.extend_from_slice(&self.client.inbuf);
        self.client.inbuf = frames;
        self.names.roll_back(0);
        self.names.clear_portals();
        for held in std::mem::take(&mut self.held) {
            self.cancel_end(&held);
            held.close();
        }
        self.copying = None;
        self.unit.reset();
        (self.unit.tries, self.unit.on_primary) = (tries, on_primary);
    }

    /// The unit's last message was sent: waits for all replies, then ends it.
    async fn finish(&mut self) -> Flow {
        while let Some(index) = self.next_owing() {
            let place = (self.held[index].shard, self.held[index].primary);
            self.drain(place).await?;
            if self.copying.is_some() {
                return Ok(());
            }
        }
        if let Some(end) = self.unit.members_end.take() {
            Box::pin(self.end_members(end)).await?;
        }
        self.end_unit().await
    }

    /// The server whose replies come next: the active one first.
    fn next_owing(&self) -> Option<usize> {
        let active = self.unit.active.and_then(|place| self.held_at(place));
        active
            .filter(|index| !self.held[*index].expected.is_empty())
            .or_else(|| self.held.iter().position(|held| !held.expected.is_empty()))
    }

    /// Waits until a server owes nothing (or wants COPY data, or is gone).
    pub(super) async fn drain(&mut self, place: (ShardId, bool)) -> Flow {
        loop {
            let Some(index) = self.held_at(place) else { return Ok(()) };
            match self.collect(index)? {
                Stopped::Drained | Stopped::CopyIn | Stopped::Described => return Ok(()),
                _ => {}
            }
            let Some(index) = self.held_at(place) else { return Ok(()) };
            if self.held[index].expected.is_empty() && self.held[index].passing.0 == 0 {
                return Ok(());
            }
            let moved = self.io(Reading::One(index), true).await?;
            if moved.client_closed {
                return Err(Break::Gone);
            }
            if let Some(index) = moved.lost {
                // What it said last is still to be taken in.
                self.collect(index)?;
                if self.held_at(place) == Some(index) && !self.held[index].expected.is_empty() {
                    self.lost(index)?;
                }
            }
        }
    }

    /// All replies are there: settles what the unit has done, gives servers back, and says ReadyForQuery.
    async fn end_unit(&mut self) -> Flow {
        let ended = self.settle_transaction();
        if !self.unit.failed {
            self.promised.append(&mut self.unit.effects);
            if self.tx.is_none() {
                self.apply_effects().await?;
            }
        } else if self.tx.is_none() {
            self.promised.clear();
        }
        if self.unit.failed && self.unit.pinned && self.tx.is_none() {
            // What was to be kept has been rolled back; its server is cleaned like any other that was pinned.
            self.state.pinned = false;
            self.state.temporary.clear();
        }
        self.learn_search_path().await?;
        self.names.settle();
        if self.tx.is_none() {
            self.names.clear_portals();
        }
        self.follow_parameters();
        if ended {
            self.note_writes();
            self.database.stats.transactions.bump();
            if !self.state.pinned && !self.user.session_mode {
                self.release_all().await;
            }
        }
        let status = self.tx.as_ref().map_or(b'I', Tx::status);
        backend::ready_for_query(&mut self.client.outbuf, status);
        self.registration.info.set_servers(self.held.len() as u32);
        self.registration.info.set_pinned(self.state.pinned);
        self.unit.reset();
        Ok(())
    }

    /// What the servers say of the transaction. Returns whether none is open.
    fn settle_transaction(&mut self) -> bool {
        let open = self.held.iter().filter(|held| held.status != b'I').count();
        match &mut self.tx {
            Some(tx) => {
                if self.held.iter().any(|held| held.status == b'E') {
                    tx.failed = true;
                }
                tx.wrote |= self.held.iter().any(|held| held.wrote);
                // A block of which servers had begun ends when the last of them is idle again.
                if open == 0 && self.held.iter().any(|held| held.begun) {
                    self.tx = None;
                }
            }
            None if open > 0 => {
                let failed = self.held.iter().any(|held| held.status == b'E');
                self.tx = Some(Tx::opaque(failed));
                self.held.iter_mut().for_each(|held| held.begun = held.status != b'I');
            }
            None => {}
        }
        if self.tx.is_none() {
            self.held.iter_mut().for_each(|held| held.begun = false);
        }
        self.tx.is_none()
    }

    fn note_writes(&mut self) {
        let now = Instant::now();
        for held in &mut self.held {
            if std::mem::take(&mut held.wrote) {
                self.marks.wrote(held.shard, now);
            }
        }
    }

    /// Tells the client what changed of the parameters it follows.
    fn follow_parameters(&mut self) {
        let Some(held) = self.unit.active.and_then(|place| self.held_at(place)).map(|index| &self.held[index]) else {
            return;
        };
        let conn = held.peek();
        if self.state.followed == conn.followed {
            return;
        }
        self.state.followed = conn.followed;
        let mut changed = false;
        for name in crate::pool::server::FOLLOWED {
            let Some(value) = conn.param(name) else { continue };
            let Some(at) = self.state.reported.iter().position(|(known, _)| known == name) else { continue };
            if self.state.reported[at].1 != value {
                backend::parameter_status(&mut self.client.outbuf, name, value);
                Arc::make_mut(&mut self.state.reported)[at].1 = value.to_owned();
                changed = true;
            }
        }
        if changed {
            self.state.refresh();
        }
    }

    /// Gives all servers back.
    pub(super) async fn release_all(&mut self) {
        for held in std::mem::take(&mut self.held) {
            if self.cancel_end(&held) && !self.cancel.slot.settle().await {
                // A cancel may still be on its way to it.
                held.close();
                continue;
            }
            held.release();
        }
    }

    fn cancel_end(&self, held: &Held) -> bool {
        self.cancel.slot.end(held.peek().identity.process_id)
    }

    /// Where in `held` the server of this shard and role is.
    pub(super) fn held_at(&self, place: (ShardId, bool)) -> Option<usize> {
        self.held.iter().position(|held| (held.shard, held.primary) == place)
    }

    /// Says goodbye, and gives back or closes what is still held.
    async fn leave(mut self, ended: Break) {
        // Nothing can follow half of a message.
        let torn = self.held.iter().any(|held| held.passing.0 > 0 && held.passing.1);
        if let Break::Fatal(report) = &ended
            && !torn
        {
            backend::diagnostic(&mut self.client.outbuf, report);
        }
        if self.unit.open && self.held.iter().any(|held| !held.is_quiet()) {
            // Nobody reads what it is doing; it should not go on doing it.
            let _ = tokio::time::timeout(std::time::Duration::from_secs(5), self.cancel.slot.cancel()).await;
        }
        self.release_all().await;
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), self.flush_client()).await;
        tracing::debug!(client = self.registration.info.id, "client left");
    }

    /// What a statement is known by on servers.
    pub(super) fn statement_id(&self, text: &[u8], type_oids: &[u8], version: u64) -> StatementId {
        use siphasher::sip128::{Hasher128, SipHasher24};
        use std::hash::Hasher;
        let (k0, k1) = self.database.statement_key;
        let mut hasher = SipHasher24::new_with_keys(k0, k1);
        hasher.write_usize(text.len());
        hasher.write(text);
        hasher.write(type_oids);
        hasher.write_u64(version);
        hasher.write_u64(self.state.context_key);
        StatementId(hasher.finish128().as_u128())
    }

    /// Adds an effect that follows when the unit succeeds.
    pub(super) fn effect(&mut self, effect: Effect) {
        self.unit.effects.push(effect);
    }
}

/// What [`Session::next_frame`] found.
enum Taken {
    /// A whole frame.
    Frame(Header),
    /// So many bytes of COPY data.
    Passed(usize),
}

fn is_frontend_tag(tag: u8) -> bool {
    matches!(tag, b'Q' | b'P' | b'B' | b'D' | b'E' | b'C' | b'H' | b'S' | b'F' | b'X' | b'd' | b'c' | b'f')
}

fn lost_report() -> Diagnostic {
    Diagnostic::error(SqlState::CONNECTION_FAILURE, "the connection to the server was lost")
        .detail("Nothing was committed.")
}

pub(super) fn protocol_violation(wrong: &Malformed) -> Break {
    Break::Fatal(Box::new(Diagnostic::fatal(SqlState::PROTOCOL_VIOLATION, wrong.to_string())))
}

fn shutting_down() -> Break {
    let report = Diagnostic::fatal(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command");
    debug_assert_eq!(report.severity, Severity::Fatal);
    Break::Fatal(Box::new(report))
}

/// Resolves when the proxy stops, if the session may be interrupted now.
async fn stopped(stop: &mut watch::Receiver<bool>, may: bool) {
    if !may || stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
