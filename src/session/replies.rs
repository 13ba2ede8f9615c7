//! What comes back from a server: which message ends which exchange, and what the client sees of it.
//!
//! Pure: bytes move from a server's buffer to the client's, the queue of expected replies shrinks, and what the session
//! must know is returned. Rows are not decoded; runs of frames that are relayed are copied at once.

use bytes::{Bytes, BytesMut};

use crate::exec::{Expected, Fate, Held, Reply};
use crate::wire::diagnostic::Fields;
use crate::wire::frame::{self, HEADER_BYTES, Header};
use crate::wire::{Malformed, SqlState};

/// An error of a server whose frame may be this long is looked at whole; longer ones are relayed as they come.
const ERROR_BYTES: usize = 1 << 20;

/// Messages up to this length are relayed whole or not at all, so that an error can follow when their server is lost;
/// longer ones are relayed as they come.
const WHOLE_BYTES: usize = 64 << 10;

/// Why [`relay`] stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Everything at hand was taken in; more is expected.
    NeedMore,
    /// Nothing is expected any more.
    Drained,
    /// The server wants COPY data; the exchange is still open.
    CopyIn,
    /// A part has described itself ([`Held::description`]).
    Described,
    /// An ErrorResponse is next: the session decides whether it is relayed ([`take_error`]) or the unit runs again.
    Error {
        /// Its SQLSTATE.
        code: SqlState,
        /// Whether the server closes the connection behind it.
        fatal: bool,
    },
}

/// Why a server's bytes make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfStep {
    /// Not a message.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It said that it ends at once.
    #[error("the server says goodbye")]
    Farewell,
    /// A message that nobody asked for.
    #[error("unexpected message {0:?} from the server")]
    Unexpected(char),
}

/// Puts the answers of ours whose turn has come into `out`.
pub fn answers(held: &mut Held, out: &mut BytesMut) {
    while let Some(Expected::Answer(bytes)) = held.expected.front() {
        out.extend_from_slice(bytes);
        held.expected.pop_front();
    }
}

/// Moves what came from the server to `out`, as far as it is expected, until `room` bytes wait there.
///
/// # Errors
/// [`OutOfStep`]: the server must be closed.
pub fn relay(held: &mut Held, out: &mut BytesMut, room: usize) -> Result<Stopped, OutOfStep> {
    loop {
        if speaks(held) {
            answers(held, out);
        }
        if held.passing.0 > 0 {
            pass(held, out);
            if held.passing.0 > 0 {
                return Ok(Stopped::NeedMore);
            }
        }
        if out.len() >= room {
            return Ok(Stopped::NeedMore);
        }
        let fate = match held.expected.front() {
            Some(Expected::Server { fate, .. }) => Some(*fate),
            _ => None,
        };
        let run = relayed_run(&held.peek().inbuf, fate, room);
        if run > 0 {
            let rows = held.conn().inbuf.split_to(run);
            out.extend_from_slice(&rows);
            continue;
        }
        let Some(header) = frame::peek(&held.peek().inbuf)? else {
            return Ok(if held.expected.is_empty() { Stopped::Drained } else { Stopped::NeedMore });
        };
        if let Some(stopped) = one(held, out, header, fate)? {
            return Ok(stopped);
        }
    }
}

/// Whether answers of ours may go out: the server says something other than an error, or nothing more is expected of it. An
/// answer that went out alone would be a byte the client has seen, and a read whose server is lost then could not run again.
fn speaks(held: &mut Held) -> bool {
    match held.peek().inbuf.first() {
        Some(b'E') => false,
        Some(_) => true,
        None => held.expected.iter().all(|expected| matches!(expected, Expected::Answer(_))),
    }
}

/// Bytes at the start of `buf` that are whole frames of rows or COPY data to be relayed as they are.
fn relayed_run(buf: &[u8], fate: Option<Fate>, room: usize) -> usize {
    if !matches!(fate, Some(Fate::Relay | Fate::Part)) {
        return 0;
    }
    let mut run = 0;
    while run < room
        && let Some([tag @ (b'D' | b'd'), a, b, c, d]) = buf.get(run..run + HEADER_BYTES)
    {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        if length < 4 || buf.len() - run < length + 1 {
            break;
        }
        debug_assert!(matches!(tag, b'D' | b'd'));
        run += length + 1;
    }
    run
}

fn pass(held: &mut Held, out: &mut BytesMut) {
    let (left, relayed) = held.passing;
    let count = left.min(held.peek().inbuf.len());
    let part = held.conn().inbuf.split_to(count);
    if relayed {
        out.extend_from_slice(&part);
    }
    held.passing = (left - count, relayed);
}

/// Takes in one frame. `Ok(None)`: go on.
fn one(held: &mut Held, out: &mut BytesMut, header: Header, fate: Option<Fate>) -> Result<Option<Stopped>, OutOfStep> {
    let whole = held.peek().inbuf.len() >= header.frame_bytes();
    let relayed = fate == Some(Fate::Relay) || (fate == Some(Fate::Part) && matches!(header.tag, b'D' | b'N' | b'S'));
    match header.tag {
        // Asynchronous messages come at any time. "ParameterStatus messages will be generated whenever the active value
        // changes for any of the parameters the backend believes the frontend should know about."
        b'S' | b'A' | b'N' => {
            if !whole {
                return Ok(Some(Stopped::NeedMore));
            }
            let frame = held.conn().inbuf.split_to(header.frame_bytes());
            if header.tag == b'S' {
                // Told before ReadyForQuery as PostgreSQL does since 14, and only if it then differs from what the client
                // was told: RESET ALL, say, is followed by the client's own start-up settings.
                held.conn().note_parameter(&frame[HEADER_BYTES..]);
                return Ok(None);
            }
            if header.tag == b'N' && is_farewell(&frame[HEADER_BYTES..]) {
                return Err(OutOfStep::Farewell);
            }
            // Of our own exchanges the client still gets the notices (a deferred trigger's at COMMIT, say).
            let notice = header.tag == b'N' && fate == Some(Fate::SwallowSuccess);
            if header.tag == b'A' || relayed || notice || fate.is_none() {
                out.extend_from_slice(&frame);
            }
            Ok(None)
        }
        b'E' => {
            if !whole && header.frame_bytes() <= ERROR_BYTES {
                return Ok(Some(Stopped::NeedMore));
            }
            let buf = &held.peek().inbuf;
            let fields = Fields::new(&buf[HEADER_BYTES..header.frame_bytes().min(buf.len())]);
            let code = fields.code().unwrap_or(SqlState::INTERNAL_ERROR);
            Ok(Some(Stopped::Error { code, fatal: fields.is_fatal() }))
        }
        b'Z' => {
            if !whole {
                return Ok(Some(Stopped::NeedMore));
            }
            let frame = held.conn().inbuf.split_to(header.frame_bytes());
            held.status = *frame.get(HEADER_BYTES).ok_or(OutOfStep::Unexpected('Z'))?;
            match held.expected.pop_front() {
                Some(Expected::Server { reply: Reply::Query | Reply::Sync, .. }) => {
                    held.skipping = false;
                    held.errored = false;
                    Ok(None)
                }
                _ => Err(OutOfStep::Unexpected('Z')),
            }
        }
        tag => {
            let Some(Expected::Server { reply, .. }) = held.expected.front() else {
                return Err(OutOfStep::Unexpected(char::from(tag)));
            };
            if !whole && header.frame_bytes() <= WHOLE_BYTES {
                return Ok(Some(Stopped::NeedMore));
            }
            let (reply, ends) = (*reply, ends(*reply, tag).ok_or(OutOfStep::Unexpected(char::from(tag)))?);
            if fate == Some(Fate::Part) && !matches!(tag, b'D' | b'1' | b'2' | b'3' | b't') {
                return part(held, header, whole, ends);
            }
            if ends {
                held.expected.pop_front();
            }
            held.passing = (header.frame_bytes(), relayed);
            pass(held, out);
            let copy_in = tag == b'G' && held.passing.0 == 0;
            if copy_in {
                forget_ignored_syncs(held, reply);
            }
            Ok(copy_in.then_some(Stopped::CopyIn))
        }
    }
}

/// A server that is stopped at once warns each client before it goes. It is as good as gone then, and what came before the
/// warning need not have reached the client yet: perhaps all of it runs again elsewhere.
fn is_farewell(body: &[u8]) -> bool {
    let code = Fields::new(body).code();
    code == Some(SqlState::ADMIN_SHUTDOWN) || code == Some(SqlState::CRASH_SHUTDOWN)
}

/// Keeps what a part says of itself.
fn part(held: &mut Held, header: Header, whole: bool, ends: bool) -> Result<Option<Stopped>, OutOfStep> {
    if !whole {
        return Ok(Some(Stopped::NeedMore));
    }
    if ends {
        held.expected.pop_front();
    }
    let frame = held.conn().inbuf.split_to(header.frame_bytes()).freeze();
    match header.tag {
        b'T' | b'n' => {
            held.description = Some(frame);
            Ok(Some(Stopped::Described))
        }
        b'C' => {
            held.completed = Some(frame.slice(HEADER_BYTES..));
            Ok(None)
        }
        b's' => {
            held.completed = Some(Bytes::new());
            Ok(None)
        }
        tag => Err(OutOfStep::Unexpected(char::from(tag))),
    }
}

/// Whether `tag` ends an exchange of this kind; `None` when it does not belong to it.
fn ends(reply: Reply, tag: u8) -> Option<bool> {
    match (reply, tag) {
        (Reply::Parse, b'1') | (Reply::Bind, b'2') | (Reply::Close, b'3') => Some(true),
        (Reply::DescribeStatement, b't') => Some(false),
        (Reply::DescribeStatement | Reply::DescribePortal, b'T' | b'n') => Some(true),
        (Reply::Execute, b'C' | b'I' | b's') => Some(true),
        (Reply::Execute, b'D' | b'd' | b'c' | b'G' | b'H' | b'W') => Some(false),
        (Reply::Query, b'T' | b'D' | b'C' | b'I' | b'd' | b'c' | b'G' | b'H' | b'W' | b'V') => Some(false),
        _ => None,
    }
}

/// "In copy-in mode, Flush and Sync messages are ignored": a Sync that was sent right behind the Execute of a COPY will
/// never be answered; the one behind CopyDone will.
fn forget_ignored_syncs(held: &mut Held, reply: Reply) {
    if reply != Reply::Execute {
        return;
    }
    let at = held.expected.iter().position(|e| matches!(e, Expected::Server { reply: Reply::Sync, .. }));
    if let Some(at) = at {
        held.expected.remove(at);
        held.unsynced = true;
    }
}

/// What an accepted error undid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The number of the client's message it answers.
    pub seq: u32,
    /// Whether the client saw it.
    pub relayed: bool,
}

/// Takes in the ErrorResponse that [`relay`] stopped at.
///
/// "When an error is detected while processing any extended-query message, the backend issues ErrorResponse, then reads and
/// discards messages until a Sync is reached": what was expected for them is dropped here, up to the Sync. In a simple
/// Query only ReadyForQuery follows.
///
/// `told`: the client has got an error for this unit already, and PostgreSQL sends one only. (Two shards that were given
/// the same statement fail alike.)
pub fn take_error(held: &mut Held, out: &mut BytesMut, told: bool) -> Result<Failed, OutOfStep> {
    answers(held, out);
    let header = frame::peek(&held.peek().inbuf)?.ok_or(OutOfStep::Unexpected('E'))?;
    let (seq, relayed) = match held.expected.front() {
        Some(Expected::Server { fate, seq, .. }) => (*seq, *fate != Fate::Swallow && !told),
        _ => (u32::MAX, !told),
    };
    held.passing = (header.frame_bytes(), relayed);
    pass(held, out);
    drop_to_sync(held);
    held.skipping = held.unsynced;
    held.errored = true;
    Ok(Failed { seq, relayed })
}

/// Drops what is expected before the next ReadyForQuery; statements that were to be prepared are not there.
fn drop_to_sync(held: &mut Held) {
    while let Some(front) = held.expected.front() {
        match front {
            Expected::Server { reply: Reply::Query | Reply::Sync, .. } => return,
            Expected::Server { statement, .. } => {
                if let Some(id) = *statement {
                    held.conn().prepared.remove(id);
                }
            }
            Expected::Answer(_) => {}
        }
        held.conn().unnamed = None;
        held.expected.pop_front();
    }
}
