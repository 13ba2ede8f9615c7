//! One connection from us to a node.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Instant, SystemTime};

use bytes::{Buf, BytesMut};
use postgres_protocol::message::frontend;
use tokio::io::AsyncWrite;

use super::handshake::Handshaken;
use super::{ServerState, Settings};
use crate::map::NodeId;
use crate::net::Stream;
use crate::wire::diagnostic::Fields;
use crate::wire::frame::{self, HEADER_BYTES, take, take_cstr, take_i16, take_i32};
use crate::wire::{Diagnostic, Fault, Report, Retry, SqlState};

/// The most bytes one of our own queries may answer with.
const OWN_ANSWER_BYTES: usize = 256 << 20;

/// Bytes read from a socket at once.
pub const READ_BYTES: usize = 16 << 10;

/// What went wrong on a server connection. The connection is of no use afterwards, but for [`ServerError::Sql`].
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The socket failed.
    #[error("the connection to the server failed: {0}")]
    Io(#[from] std::io::Error),
    /// The server closed the connection; with what it said last, if anything.
    #[error("the server closed the connection{}", .0.as_ref().map(|said| format!(": {said}")).unwrap_or_default())]
    Closed(Option<String>),
    /// It sent what the protocol does not have.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
    /// Our own query failed. The connection is in sync.
    #[error("{code}: {message}")]
    Sql {
        /// The server's SQLSTATE.
        code: SqlState,
        /// The server's message.
        message: String,
    },
    /// It did not answer in time.
    #[error("the server did not answer in time")]
    Timeout,
}

impl Report for ServerError {
    fn diagnostic(&self) -> Diagnostic {
        match self {
            ServerError::Sql { code, message } => Diagnostic::error(*code, message.clone()),
            _ => Diagnostic::error(SqlState::CONNECTION_FAILURE, "the connection to the server was lost"),
        }
    }

    fn fault(&self) -> Fault {
        Fault::Server
    }

    fn retry(&self) -> Retry {
        Retry::FreshConnection
    }
}

/// A prepared statement as servers know it: a 128-bit keyed hash of all that makes it what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StatementId(pub u128);

impl StatementId {
    /// Its name on every server.
    pub fn server_name(self) -> String {
        format!("pgweave_{:032x}", self.0)
    }
}

/// The named statements one server connection holds, bounded; the least recently used one goes first.
#[derive(Debug)]
pub struct PreparedSet {
    limit: usize,
    clock: u64,
    used: HashMap<StatementId, u64>,
}

impl PreparedSet {
    /// An empty set of at most `limit` (at least one) statements.
    pub fn new(limit: usize) -> PreparedSet {
        PreparedSet { limit: limit.max(1), clock: 0, used: HashMap::new() }
    }

    /// Whether the server has `id`; if so it counts as used now.
    pub fn touch(&mut self, id: StatementId) -> bool {
        self.clock += 1;
        let clock = self.clock;
        self.used.get_mut(&id).map(|at| *at = clock).is_some()
    }

    /// Records that `id` is being prepared. Returns the statement to close first when the set is full.
    pub fn insert(&mut self, id: StatementId) -> Option<StatementId> {
        let evicted = if self.used.len() >= self.limit && !self.used.contains_key(&id) {
            let oldest = self.used.iter().min_by_key(|(_, at)| **at).map(|(id, _)| *id);
            oldest.inspect(|id| {
                self.used.remove(id);
            })
        } else {
            None
        };
        self.clock += 1;
        self.used.insert(id, self.clock);
        evicted
    }

    /// Forgets `id`: its Parse failed.
    pub fn remove(&mut self, id: StatementId) {
        self.used.remove(&id);
    }

    /// Forgets all: the server was told DEALLOCATE ALL or DISCARD ALL.
    pub fn clear(&mut self) {
        self.used.clear();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }
}

/// The reported parameters that follow a client over servers; all others say what cannot change, or what is true of the one
/// server (`in_hot_standby`).
pub const FOLLOWED: [&str; 10] = [
    "application_name",
    "client_encoding",
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "standard_conforming_strings",
    "search_path",
    "is_superuser",
    "session_authorization",
    "default_transaction_read_only",
];

/// A digest of the followed ones among `params`, so that a server and a client are compared by one number. Within one
/// process; two that differ and digest alike would have to be looked for.
pub fn digest_followed(params: &[(String, String)]) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = siphasher::sip::SipHasher13::new();
    for name in FOLLOWED {
        params.iter().find(|(known, _)| known == name).map(|(_, value)| value).hash(&mut hasher);
    }
    hasher.finish()
}

/// What others may know of a server connection while somebody else has it.
#[derive(Debug)]
pub struct ServerIdentity {
    /// Unique over the life of the process.
    pub id: u64,
    /// The node.
    pub node: NodeId,
    /// The backend's process id.
    pub process_id: u32,
    /// Its cancel key.
    pub secret: u32,
    /// When it was connected.
    pub connected_at: SystemTime,
    /// Whether it is encrypted.
    pub tls: bool,
    pub(super) state: AtomicU8,
    pub(super) checkouts: AtomicU64,
}

impl ServerIdentity {
    pub(super) fn set_state(&self, state: ServerState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    pub(super) fn state(&self) -> ServerState {
        match self.state.load(Ordering::Relaxed) {
            0 => ServerState::Idle,
            1 => ServerState::Active,
            _ => ServerState::Resetting,
        }
    }
}

/// One connection from us to a node, with what we know of the session behind it.
pub struct ServerConn {
    stream: Stream,
    /// Bytes that came and were not looked at yet.
    pub inbuf: BytesMut,
    /// Bytes that are to be sent.
    pub outbuf: BytesMut,
    /// Who it is.
    pub identity: Arc<ServerIdentity>,
    /// What it reported by ParameterStatus, by name.
    pub params: Vec<(String, String)>,
    /// The digest of those of `params` that follow a client from server to server ([`digest_followed`]).
    pub followed: u64,
    /// The statements it holds under our names.
    pub prepared: PreparedSet,
    /// Which statement its unnamed one is, if it is one that we know.
    pub unnamed: Option<StatementId>,
    /// The start-up settings it was brought to.
    pub settings: Arc<Settings>,
    /// When it was connected.
    pub created: Instant,
    /// When it was put to rest last.
    pub rested: Instant,
}

impl std::fmt::Debug for ServerConn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerConn").field("identity", &self.identity).finish_non_exhaustive()
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl ServerConn {
    /// A connection that has just said ReadyForQuery.
    pub fn new(node: NodeId, handshaken: Handshaken, prepared_limit: usize) -> ServerConn {
        let now = Instant::now();
        let identity = ServerIdentity {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            node,
            process_id: handshaken.process_id,
            secret: handshaken.secret,
            connected_at: SystemTime::now(),
            tls: handshaken.stream.is_tls(),
            state: AtomicU8::new(ServerState::Idle as u8),
            checkouts: AtomicU64::new(0),
        };
        ServerConn {
            stream: handshaken.stream,
            inbuf: handshaken.leftover,
            outbuf: BytesMut::new(),
            identity: Arc::new(identity),
            followed: digest_followed(&handshaken.params),
            params: handshaken.params,
            prepared: PreparedSet::new(prepared_limit),
            unnamed: None,
            settings: Arc::new(Settings::default()),
            created: now,
            rested: now,
        }
    }

    /// The value of a reported parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Takes in the body of a ParameterStatus.
    pub fn note_parameter(&mut self, mut body: &[u8]) {
        let (Some(name), Some(value)) = (take_cstr(&mut body), take_cstr(&mut body)) else { return };
        let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        match self.params.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value.into_owned(),
            None => self.params.push((name.into_owned(), value.into_owned())),
        }
        self.followed = digest_followed(&self.params);
    }

    /// Reads once into `inbuf`. `Ready(Ok(0))` is the end of the stream.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        poll_read(&mut self.stream, cx, &mut self.inbuf)
    }

    /// Writes once from `outbuf`.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        poll_write(&mut self.stream, cx, &mut self.outbuf)
    }

    /// Whether a resting connection is still good: nothing came but notices and parameters, and it was not closed.
    pub fn is_fresh(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            match self.poll_read(&mut cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) => return false,
            }
        }
        while let Ok(Some(header)) = frame::peek(&self.inbuf) {
            if self.inbuf.len() < header.frame_bytes() || !matches!(header.tag, b'N' | b'S') {
                return false;
            }
            let frame = self.inbuf.split_to(header.frame_bytes());
            if header.tag == b'S' {
                self.note_parameter(&frame[HEADER_BYTES..]);
            }
        }
        self.inbuf.is_empty()
    }

    /// Sends all of `outbuf`.
    ///
    /// Not cancel safe: a part may have been sent.
    pub async fn flush(&mut self) -> std::io::Result<()> {
        while !self.outbuf.is_empty() {
            poll_fn(|cx| self.poll_write(cx)).await?;
        }
        poll_fn(|cx| Pin::new(&mut self.stream).poll_flush(cx)).await
    }

    /// Waits until a whole frame is in `inbuf` and cuts it off.
    async fn next_frame(&mut self) -> Result<(u8, BytesMut), ServerError> {
        loop {
            match frame::peek(&self.inbuf).map_err(|wrong| ServerError::Protocol(wrong.to_string()))? {
                Some(header) if self.inbuf.len() >= header.frame_bytes() => {
                    let mut frame = self.inbuf.split_to(header.frame_bytes());
                    frame.advance(HEADER_BYTES);
                    return Ok((header.tag, frame));
                }
                Some(header) if header.frame_bytes() > OWN_ANSWER_BYTES => {
                    return Err(ServerError::Protocol("a message of an own query is too long".into()));
                }
                _ => {}
            }
            if poll_fn(|cx| self.poll_read(cx)).await? == 0 {
                return Err(ServerError::Closed(None));
            }
        }
    }

    /// Runs one of our own queries over the simple protocol: the rows of all its statements, values as text.
    ///
    /// The connection must be at rest. Not cancel safe: dropped half way, the connection is out of sync and must be
    /// dropped, too.
    ///
    /// # Errors
    /// [`ServerError::Sql`] leaves the connection in sync, everything else does not.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, ServerError> {
        frontend::query(sql, &mut self.outbuf)?;
        self.unnamed = None;
        self.flush().await?;
        let (mut rows, mut failed, mut bytes) = (Vec::new(), None, 0);
        loop {
            let (tag, body) = self.next_frame().await?;
            bytes += body.len();
            if bytes > OWN_ANSWER_BYTES {
                return Err(ServerError::Protocol("the answer to an own query is too long".into()));
            }
            match tag {
                b'D' => rows.push(
                    read_row(&body).ok_or_else(|| ServerError::Protocol("a DataRow does not add up".to_owned()))?,
                ),
                b'E' => {
                    let fields = Fields::new(&body);
                    if fields.is_fatal() {
                        return Err(ServerError::Closed(Some(fields.message())));
                    }
                    let code = fields.code().unwrap_or(SqlState::INTERNAL_ERROR);
                    failed.get_or_insert(ServerError::Sql { code, message: fields.message() });
                }
                b'S' => self.note_parameter(&body),
                b'Z' => return failed.map_or(Ok(rows), Err),
                b'T' | b'C' | b'N' | b'I' | b'A' => {}
                other => return Err(ServerError::Protocol(format!("unexpected message {:?}", char::from(other)))),
            }
        }
    }

    /// Says goodbye as far as that goes without waiting.
    pub fn terminate(mut self) {
        frontend::terminate(&mut self.outbuf);
        let mut cx = Context::from_waker(Waker::noop());
        // Whatever happens to it, the socket is closed right behind.
        let _ = self.poll_write(&mut cx);
    }
}

fn read_row(mut body: &[u8]) -> Option<Vec<Option<String>>> {
    let count = take_i16(&mut body)?;
    let mut row = Vec::with_capacity(count.max(0) as usize);
    for _ in 0..count {
        row.push(match take_i32(&mut body)? {
            -1 => None,
            length => Some(String::from_utf8_lossy(take(&mut body, usize::try_from(length).ok()?)?).into_owned()),
        });
    }
    Some(row)
}

/// Reads once from `stream` behind what `buf` holds. Room is made only when there is something to read, so that a
/// connection at rest holds no buffer.
pub fn poll_read(stream: &mut Stream, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<std::io::Result<usize>> {
    match stream {
        Stream::Plain(socket) => ready!(socket.poll_read_ready(cx))?,
        Stream::Unix(socket) => ready!(socket.poll_read_ready(cx))?,
        Stream::Tls(_) => {}
    }
    buf.reserve(READ_BYTES);
    tokio_util::io::poll_read_buf(Pin::new(stream), cx, buf)
}

/// Writes once from the front of `buf` and cuts off what was taken.
pub fn poll_write(stream: &mut Stream, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<std::io::Result<usize>> {
    if buf.is_empty() {
        return Poll::Ready(Ok(0));
    }
    match Pin::new(stream).poll_write(cx, buf) {
        Poll::Ready(Ok(0)) => Poll::Ready(Err(std::io::ErrorKind::WriteZero.into())),
        Poll::Ready(Ok(count)) => {
            buf.advance(count);
            Poll::Ready(Ok(count))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_statement_goes() {
        let mut set = PreparedSet::new(2);
        let id = |n| StatementId(n);
        assert_eq!(set.insert(id(1)), None);
        assert_eq!(set.insert(id(2)), None);
        assert!(set.touch(id(1)));
        assert_eq!(set.insert(id(3)), Some(id(2)));
        assert_eq!(set.insert(id(1)), None);
        assert!(!set.touch(id(2)));
        assert_eq!(set.len(), 2);
    }

    #[test]
    fn rows_as_text() {
        assert_eq!(read_row(b"\0\x02\0\0\0\x01a\xff\xff\xff\xff"), Some(vec![Some("a".into()), None]));
        assert_eq!(read_row(b"\0\x02\0\0\0\x01a"), None);
    }
}
