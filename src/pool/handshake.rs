//! From nothing to a server that is ready for its first query; and cancel requests, which go no further than half of it.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};

use crate::auth::{LoginFailure, Progress, ServerLogin};
use crate::config::Secret;
use crate::net::framed::{self, Frame, FrameError};
use crate::net::{DialError, Endpoint, Stream, dial};
use crate::wire::diagnostic::Fields;
use crate::wire::frame::take_cstr;
use crate::wire::{Diagnostic, Fault, Report, Retry, SqlState};

/// The longest message taken before the server is ready; PostgreSQL's are a few hundred bytes.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// The most parameters that a server may report; PostgreSQL 17 reports 15.
const MAX_PARAMS: usize = 256;

/// As whom to log in, and with which settings.
#[derive(Clone, Debug)]
pub struct Login {
    /// The role.
    pub user: String,
    /// Its password, if there is one.
    pub password: Option<Secret>,
    /// The database, as the server names it.
    pub dbname: String,
    /// More start-up parameters, such as `application_name`. Not `user`, `database` or `replication`.
    pub params: Vec<(String, String)>,
}

/// A server that has said ReadyForQuery for the first time.
#[derive(Debug)]
pub struct Handshaken {
    /// The connection.
    pub stream: Stream,
    /// What the server reported by ParameterStatus: name and value, each name once.
    pub params: Vec<(String, String)>,
    /// The process id of its backend; 0 when it gave none and cannot be cancelled.
    pub process_id: u32,
    /// The secret for cancelling.
    pub secret: u32,
    /// Bytes that came behind ReadyForQuery (a notice, say); usually none.
    pub leftover: BytesMut,
}

/// Why there is no server connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens there.
    #[error("connection refused")]
    Refused(#[source] io::Error),
    /// The node cannot be reached, or the connection broke.
    #[error("node unreachable")]
    Unreachable(#[source] io::Error),
    /// The deadline passed before the server was ready.
    #[error("no server connection within {} ms", waited.as_millis())]
    Timeout {
        /// How long it was tried.
        waited: Duration,
    },
    /// TLS is asked for and cannot be had.
    #[error("no TLS connection to the node")]
    Tls(#[source] io::Error),
    /// The server rejected this login (class 28).
    #[error("login rejected by the server: {code}: {message}")]
    Auth {
        /// Its SQLSTATE.
        code: SqlState,
        /// Its primary message.
        message: String,
    },
    /// This login cannot be done: no password is there, or the server asks for what is not supported.
    #[error("cannot log in")]
    Login(#[from] LoginFailure),
    /// The server answered with another error: `3D000`, `53300`, `57P03`.
    #[error("server refused the connection: {code}: {message}")]
    Server {
        /// Its SQLSTATE.
        code: SqlState,
        /// Its primary message.
        message: String,
    },
    /// What came is not of the protocol.
    #[error("protocol violated by the server: {what}")]
    Protocol {
        /// What was wrong.
        what: String,
    },
}

impl ConnectError {
    /// Whether this says something of the node (it is down, starting, broken), and not of this login alone. A full
    /// server (`53300`) and a database that is not there are not the node's health.
    pub fn is_about_node(&self) -> bool {
        match self {
            ConnectError::Refused(_)
            | ConnectError::Unreachable(_)
            | ConnectError::Timeout { .. }
            | ConnectError::Tls(_)
            | ConnectError::Protocol { .. } => true,
            ConnectError::Server { code, .. } => code.as_str().starts_with("57P"),
            ConnectError::Auth { .. } | ConnectError::Login(_) => false,
        }
    }

    fn protocol(what: impl Into<String>) -> ConnectError {
        ConnectError::Protocol { what: what.into() }
    }
}

impl Report for ConnectError {
    fn diagnostic(&self) -> Diagnostic {
        match self {
            ConnectError::Server { code, message } if !self.is_about_node() => {
                Diagnostic::error(*code, message.clone())
                    .detail("A server refused the connection that pgweave asked for.")
            }
            ConnectError::Auth { .. } | ConnectError::Login(_) => {
                Diagnostic::error(SqlState::CONNECTION_FAILURE, "cannot log in to a server")
                    .detail("The server did not accept the login that pgweave has for this user.")
                    .hint("The log of pgweave has the reason.")
            }
            _ => Diagnostic::error(SqlState::CANNOT_CONNECT_NOW, "could not connect to a server")
                .hint("The log of pgweave has the reason."),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            ConnectError::Auth { .. } | ConnectError::Login(_) | ConnectError::Tls(_) => Fault::Operator,
            _ => Fault::Server,
        }
    }

    fn retry(&self) -> Retry {
        // No statement was sent.
        Retry::BeforeSend
    }
}

impl From<DialError> for ConnectError {
    fn from(error: DialError) -> ConnectError {
        match error {
            DialError::Refused(source) => ConnectError::Refused(source),
            DialError::Unreachable(source) => ConnectError::Unreachable(source),
            DialError::Tls(source) => ConnectError::Tls(source),
            DialError::Answer { .. } => ConnectError::protocol(error.to_string()),
        }
    }
}

impl From<FrameError> for ConnectError {
    fn from(error: FrameError) -> ConnectError {
        match error {
            FrameError::Closed => ConnectError::Unreachable(io::ErrorKind::UnexpectedEof.into()),
            FrameError::Io(source) => ConnectError::Unreachable(source),
            FrameError::Malformed(_) | FrameError::TooLong { .. } => ConnectError::protocol(error.to_string()),
        }
    }
}

/// Connects to `endpoint`, logs in, and reads until the server is ready. Dropping the future closes the connection.
///
/// # Errors
/// Every [`ConnectError`]; at the latest at `deadline`.
pub async fn connect(endpoint: &Endpoint, login: &Login, deadline: Instant) -> Result<Handshaken, ConnectError> {
    let began = Instant::now();
    let attempt = async {
        let stream = dial::open(endpoint).await?;
        log_in(stream, login).await
    };
    match timeout_at(deadline, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ConnectError::Timeout { waited: began.elapsed() }),
    }
}

/// Asks `endpoint` to cancel what the backend with this key runs, over TLS if the mode asks for it, and waits until the
/// server has closed the connection: only then is the request delivered to the backend, and a later statement is safe
/// from it.
///
/// # Errors
/// The connection's failure, or [`io::ErrorKind::TimedOut`] at `deadline`. The request may have been delivered even so.
pub async fn cancel(endpoint: &Endpoint, process_id: u32, secret: u32, deadline: Instant) -> io::Result<()> {
    let attempt = async {
        let mut stream = dial::open(endpoint).await.map_err(io::Error::other)?;
        let mut out = BytesMut::new();
        frontend::cancel_request(process_id as i32, secret as i32, &mut out);
        framed::send(&mut stream, &mut out).await?;
        let mut scrap = [0; 64];
        loop {
            match stream.read(&mut scrap).await {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // PostgreSQL ends a cancelling connection without TLS's farewell, and may reset it.
                Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    };
    timeout_at(deadline, attempt).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Start-up message, authentication, and what the server says until it is ready.
async fn log_in(mut stream: Stream, login: &Login) -> Result<Handshaken, ConnectError> {
    let mut out = BytesMut::new();
    let own = [("user", login.user.as_str()), ("database", login.dbname.as_str())];
    let more = login.params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    frontend::startup_message(own.into_iter().chain(more), &mut out)
        .map_err(|_| ConnectError::protocol("a start-up parameter contains a NUL"))?;
    send(&mut stream, &mut out).await?;

    let mut buf = BytesMut::new();
    let mut dialogue = ServerLogin::new(&login.user, login.password.clone());
    loop {
        let frame = framed::read_frame(&mut stream, &mut buf, MAX_MESSAGE_BYTES).await?;
        match frame.tag {
            b'R' => {
                let progress = dialogue.on_request(&frame.body, &mut out)?;
                send(&mut stream, &mut out).await?;
                if progress == Progress::Done {
                    return become_ready(stream, buf).await;
                }
            }
            b'E' => return Err(refusal(&frame)),
            b'N' => {}
            tag => return Err(unexpected(tag, "authentication")),
        }
    }
}

/// What follows AuthenticationOk: parameters, the key, ReadyForQuery.
async fn become_ready(mut stream: Stream, mut buf: BytesMut) -> Result<Handshaken, ConnectError> {
    let (mut params, mut key) = (Vec::new(), (0, 0));
    loop {
        let frame = framed::read_frame(&mut stream, &mut buf, MAX_MESSAGE_BYTES).await?;
        match frame.tag {
            b'S' => keep_param(&frame, &mut params)?,
            b'K' => key = read_key(&frame.body)?,
            b'Z' if &frame.body[..] == b"I" => break,
            b'E' => return Err(refusal(&frame)),
            b'N' => {}
            tag => return Err(unexpected(tag, "start-up")),
        }
    }
    let leftover = if buf.is_empty() { BytesMut::new() } else { buf };
    Ok(Handshaken { stream, params, process_id: key.0, secret: key.1, leftover })
}

async fn send(stream: &mut Stream, out: &mut BytesMut) -> Result<(), ConnectError> {
    if out.is_empty() {
        return Ok(());
    }
    framed::send(stream, out).await.map_err(ConnectError::Unreachable)
}

fn keep_param(frame: &Frame, params: &mut Vec<(String, String)>) -> Result<(), ConnectError> {
    let mut body = &frame.body[..];
    let (Some(name), Some(value), []) = (take_cstr(&mut body), take_cstr(&mut body), body) else {
        return Err(ConnectError::protocol("malformed ParameterStatus"));
    };
    let (name, value) = (String::from_utf8_lossy(name).into_owned(), String::from_utf8_lossy(value).into_owned());
    match params.iter().position(|(known, _)| *known == name) {
        Some(known) => params[known].1 = value,
        None if params.len() >= MAX_PARAMS => return Err(ConnectError::protocol("too many ParameterStatus")),
        None => params.push((name, value)),
    }
    Ok(())
}

fn read_key(body: &[u8]) -> Result<(u32, u32), ConnectError> {
    match *body {
        [a, b, c, d, e, f, g, h] => Ok((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))),
        _ => Err(ConnectError::protocol("malformed BackendKeyData")),
    }
}

fn refusal(frame: &Frame) -> ConnectError {
    let fields = Fields::new(&frame.body);
    let message = fields.message();
    match fields.code() {
        Some(code) if code.as_str().starts_with("28") => ConnectError::Auth { code, message },
        Some(code) => ConnectError::Server { code, message },
        None => ConnectError::protocol("ErrorResponse without a SQLSTATE"),
    }
}

fn unexpected(tag: u8, stage: &str) -> ConnectError {
    ConnectError::protocol(format!("unexpected message {:?} during {stage}", char::from(tag)))
}
