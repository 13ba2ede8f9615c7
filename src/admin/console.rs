//! The console: the database `pgweave` over the PostgreSQL protocol, simple and extended.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::sync::{oneshot, watch};

use super::command::{self, Command};
use super::show;
use super::sources::Sources;
use super::table::{self, Formats, Value};
use crate::net::Stream;
use crate::net::framed::{self, Frame, FrameError};
use crate::wire::frame::{self, take, take_i16};
use crate::wire::frontend::{Bind, Execute, Parse, Target, read_query};
use crate::wire::{Diagnostic, Malformed, Severity, SqlState, backend};

/// The longest message taken. No command comes near.
const MAX_MESSAGE_BYTES: usize = 64 << 10;

/// Prepared statements, and portals, that one client may hold.
const MAX_NAMES: usize = 1000;

/// Bytes of answer that are gathered before they are sent.
const SEND_BYTES: usize = 64 << 10;

/// What drivers want to hear before they believe in a server.
const PARAMETERS: [(&str, &str); 7] = [
    // A PostgreSQL version that no driver objects to.
    ("server_version", concat!("14.0 (pgweave ", env!("CARGO_PKG_VERSION"), ")")),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("TimeZone", "UTC"),
    ("integer_datetimes", "on"),
    ("standard_conforming_strings", "on"),
];

/// Serves one client, which is authenticated and was told so, until it leaves, breaks the protocol, or `stop` turns true.
/// `leftover` are bytes that came already.
pub async fn serve(
    stream: Stream,
    leftover: BytesMut,
    user: String,
    is_admin: bool,
    sources: Arc<Sources>,
    mut stop: watch::Receiver<bool>,
) {
    let mut console = Console {
        stream,
        inbuf: leftover,
        out: BytesMut::new(),
        is_admin,
        sources,
        statements: HashMap::new(),
        portals: HashMap::new(),
        skipping: false,
    };
    let ended = console.run(&mut stop).await;
    if let Err(error) = ended {
        tracing::debug!(user, %error, "console client lost");
    }
}

/// What to do after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Continue,
    Close,
}

/// One client of the console.
struct Console {
    stream: Stream,
    inbuf: BytesMut,
    out: BytesMut,
    is_admin: bool,
    sources: Arc<Sources>,
    statements: HashMap<Vec<u8>, Command>,
    portals: HashMap<Vec<u8>, Portal>,
    /// After an error in the extended protocol: everything up to the next Sync is left aside.
    skipping: bool,
}

/// A bound command.
struct Portal {
    command: Command,
    formats: Formats,
    /// What is still to be sent; `None` before the first Execute.
    rest: Option<std::vec::IntoIter<Vec<Value>>>,
}

impl Console {
    async fn run(&mut self, stop: &mut watch::Receiver<bool>) -> io::Result<()> {
        for (name, value) in PARAMETERS {
            backend::parameter_status(&mut self.out, name, value);
        }
        backend::ready_for_query(&mut self.out, b'I');
        loop {
            // Replies of pipelined messages leave together, when nothing more is there to be read.
            let more = frame::peek(&self.inbuf).is_ok_and(|h| h.is_some_and(|h| self.inbuf.len() >= h.frame_bytes()));
            if !more || self.out.len() >= SEND_BYTES {
                framed::send(&mut self.stream, &mut self.out).await?;
            }
            let frame = tokio::select! {
                frame = framed::read_frame(&mut self.stream, &mut self.inbuf, MAX_MESSAGE_BYTES) => frame,
                () = stopped(stop) => return self.farewell(shutdown_notice()).await,
            };
            let next = match frame {
                Ok(frame) => self.take(&frame).await?,
                Err(FrameError::Closed) => return Ok(()),
                Err(FrameError::Io(error)) => return Err(error),
                Err(error @ (FrameError::Malformed(_) | FrameError::TooLong { .. })) => {
                    return self.farewell(Diagnostic::fatal(SqlState::PROTOCOL_VIOLATION, error.to_string())).await;
                }
            };
            if next == Next::Close {
                return framed::send(&mut self.stream, &mut self.out).await;
            }
        }
    }

    async fn farewell(&mut self, diagnostic: Diagnostic) -> io::Result<()> {
        backend::diagnostic(&mut self.out, &diagnostic);
        framed::send(&mut self.stream, &mut self.out).await
    }

    /// One message.
    async fn take(&mut self, frame: &Frame) -> io::Result<Next> {
        let body = &frame.body[..];
        if self.skipping && !matches!(frame.tag, b'S' | b'X') {
            return Ok(Next::Continue);
        }
        let outcome = match frame.tag {
            b'X' => return Ok(Next::Close),
            b'Q' => self.simple(body).await,
            b'P' => self.parse(body),
            b'B' => self.bind(body),
            b'D' => self.describe(body),
            b'E' => self.execute(body).await,
            b'C' => self.close(body),
            b'H' => return framed::send(&mut self.stream, &mut self.out).await.map(|()| Next::Continue),
            b'S' => {
                self.skipping = false;
                // Without transactions, a Sync ends every portal.
                self.portals.clear();
                Ok(())
            }
            tag => Err(Failed::Malformed(Malformed::Tag { tag })),
        };
        match outcome {
            Ok(()) => {}
            Err(Failed::Told(diagnostic)) => {
                backend::diagnostic(&mut self.out, &diagnostic);
                self.skipping = frame.tag != b'Q';
            }
            Err(Failed::Malformed(malformed)) => {
                let fatal = Diagnostic::fatal(SqlState::PROTOCOL_VIOLATION, malformed.to_string());
                backend::diagnostic(&mut self.out, &fatal);
                return Ok(Next::Close);
            }
        }
        if matches!(frame.tag, b'Q' | b'S') {
            backend::ready_for_query(&mut self.out, b'I');
        }
        Ok(Next::Continue)
    }

    async fn simple(&mut self, body: &[u8]) -> Result<(), Failed> {
        let text = utf8(read_query(body)?)?;
        for part in command::split(text) {
            match read_command(&part)? {
                Command::Empty => backend::empty_query_response(&mut self.out),
                Command::Reload => self.reload().await?,
                Command::Show(show) => {
                    let formats = Formats::default();
                    table::write_description(&mut self.out, show::columns(show), &formats);
                    let rows = show::rows(show, &self.sources);
                    rows.iter().for_each(|row| table::write_row(&mut self.out, row, &formats));
                    backend::command_complete(&mut self.out, "SHOW");
                }
            }
        }
        Ok(())
    }

    fn parse(&mut self, body: &[u8]) -> Result<(), Failed> {
        let parse = Parse::read(body)?;
        let parts = command::split(utf8(parse.query)?);
        let [text] = &parts[..] else {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(Diagnostic::error(SqlState::SYNTAX_ERROR, message).into());
        };
        let command = read_command(text)?;
        if !parse.name.is_empty() && self.statements.contains_key(parse.name) {
            let message = format!("prepared statement \"{}\" already exists", lossy(parse.name));
            return Err(Diagnostic::error(SqlState::DUPLICATE_PREPARED_STATEMENT, message).into());
        }
        bounded(self.statements.len())?;
        self.statements.insert(parse.name.to_vec(), command);
        backend::parse_complete(&mut self.out);
        Ok(())
    }

    fn bind(&mut self, body: &[u8]) -> Result<(), Failed> {
        let bind = Bind::read(body)?;
        let command = self.statement(bind.statement)?;
        if !bind.params.is_empty() {
            let message = format!("bind message supplies {} parameters, but there are none", bind.params.len());
            return Err(Diagnostic::error(SqlState::PROTOCOL_VIOLATION, message).into());
        }
        let formats = result_formats(bind.rest).ok_or(Malformed::Body { message: "Bind" })?;
        let columns = columns(command).len();
        if formats.0.len() > 1 && formats.0.len() != columns {
            let message =
                format!("bind message has {} result formats but query has {columns} columns", formats.0.len());
            return Err(Diagnostic::error(SqlState::PROTOCOL_VIOLATION, message).into());
        }
        bounded(self.portals.len())?;
        self.portals.insert(bind.portal.to_vec(), Portal { command, formats, rest: None });
        backend::bind_complete(&mut self.out);
        Ok(())
    }

    fn describe(&mut self, body: &[u8]) -> Result<(), Failed> {
        let (command, formats) = match Target::read(body, "Describe")? {
            Target::Statement(name) => {
                let command = self.statement(name)?;
                backend::parameter_description(&mut self.out, &[]);
                (command, Formats::default())
            }
            Target::Portal(name) => {
                let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
                (portal.command, portal.formats.clone())
            }
        };
        match command {
            Command::Show(show) => table::write_description(&mut self.out, show::columns(show), &formats),
            Command::Empty | Command::Reload => backend::no_data(&mut self.out),
        }
        Ok(())
    }

    async fn execute(&mut self, body: &[u8]) -> Result<(), Failed> {
        let execute = Execute::read(body)?;
        let portal = self.portals.get_mut(execute.portal).ok_or_else(|| no_portal(execute.portal))?;
        let show = match portal.command {
            Command::Empty => {
                backend::empty_query_response(&mut self.out);
                return Ok(());
            }
            Command::Reload => return self.reload().await,
            Command::Show(show) => show,
        };
        // Read when it is first executed; a portal that is fetched from in pieces shows one moment.
        let rest = portal.rest.get_or_insert_with(|| show::rows(show, &self.sources).into_iter());
        let limit = usize::try_from(execute.max_rows).ok().filter(|rows| *rows > 0).unwrap_or(usize::MAX);
        for row in rest.by_ref().take(limit) {
            table::write_row(&mut self.out, &row, &portal.formats);
        }
        if limit != usize::MAX && rest.len() > 0 {
            backend::portal_suspended(&mut self.out);
        } else {
            backend::command_complete(&mut self.out, "SHOW");
        }
        Ok(())
    }

    fn close(&mut self, body: &[u8]) -> Result<(), Failed> {
        // PostgreSQL: "It is not an error to issue Close against a nonexistent statement or portal name."
        match Target::read(body, "Close")? {
            Target::Statement(name) => drop(self.statements.remove(name)),
            Target::Portal(name) => drop(self.portals.remove(name)),
        }
        backend::close_complete(&mut self.out);
        Ok(())
    }

    fn statement(&self, name: &[u8]) -> Result<Command, Diagnostic> {
        self.statements.get(name).copied().ok_or_else(|| {
            let message = format!("prepared statement \"{}\" does not exist", lossy(name));
            Diagnostic::error(SqlState::INVALID_SQL_STATEMENT_NAME, message)
        })
    }

    /// Has the configuration read again; every change is a notice.
    async fn reload(&mut self) -> Result<(), Failed> {
        if !self.is_admin {
            let denied = Diagnostic::error(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied for RELOAD");
            return Err(denied.hint("Users with admin = true in the configuration may reload it.").into());
        }
        let (answer, answered) = oneshot::channel();
        let asked = self.sources.reload.send(answer).await.is_ok();
        match answered.await {
            Ok(Ok(changes)) if asked => {
                for change in changes {
                    let notice = Diagnostic { severity: Severity::Notice, ..success(change) };
                    backend::diagnostic(&mut self.out, &notice);
                }
                backend::command_complete(&mut self.out, "RELOAD");
                Ok(())
            }
            Ok(Err(problems)) => {
                let message = "the configuration was not reloaded";
                Err(Diagnostic::error(SqlState::INVALID_PARAMETER_VALUE, message).detail(problems).into())
            }
            _ => Err(Diagnostic::error(SqlState::ADMIN_SHUTDOWN, "the proxy is shutting down").into()),
        }
    }
}

/// Why a message could not be answered as asked.
#[derive(Debug)]
enum Failed {
    /// The client is told and goes on.
    Told(Box<Diagnostic>),
    /// The client is told and closed.
    Malformed(Malformed),
}

impl From<Diagnostic> for Failed {
    fn from(diagnostic: Diagnostic) -> Failed {
        Failed::Told(Box::new(diagnostic))
    }
}

impl From<Malformed> for Failed {
    fn from(malformed: Malformed) -> Failed {
        Failed::Malformed(malformed)
    }
}

/// Resolves when `stop` turns true, or whoever could say so is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the proxy.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn shutdown_notice() -> Diagnostic {
    Diagnostic::fatal(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
}

fn success(message: String) -> Diagnostic {
    Diagnostic::error(SqlState::SUCCESSFUL_COMPLETION, message)
}

fn no_portal(name: &[u8]) -> Diagnostic {
    Diagnostic::error(SqlState::INVALID_CURSOR_NAME, format!("portal \"{}\" does not exist", lossy(name)))
}

fn bounded(count: usize) -> Result<(), Diagnostic> {
    if count < MAX_NAMES {
        return Ok(());
    }
    let message = format!("more than {MAX_NAMES} prepared statements or portals");
    Err(Diagnostic::error(SqlState::PROGRAM_LIMIT_EXCEEDED, message))
}

fn read_command(text: &str) -> Result<Command, Diagnostic> {
    command::read(text).map_err(|unknown| unknown.diagnostic())
}

fn columns(command: Command) -> &'static [table::Column] {
    match command {
        Command::Show(show) => show::columns(show),
        Command::Empty | Command::Reload => &[],
    }
}

fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn utf8(text: &[u8]) -> Result<&str, Diagnostic> {
    std::str::from_utf8(text).map_err(|_| Diagnostic::error(SqlState::SYNTAX_ERROR, "command is not valid UTF-8"))
}

/// The result formats of a Bind from all that stands behind its two names.
fn result_formats(mut rest: &[u8]) -> Option<Formats> {
    let count = |rest: &mut &[u8]| take_i16(rest).map(|count| usize::from(count as u16));
    let formats = count(&mut rest)?;
    take(&mut rest, formats * 2)?;
    if count(&mut rest)? != 0 {
        return None;
    }
    let results = count(&mut rest)?;
    let codes = take(&mut rest, results * 2)?;
    Some(Formats(codes.chunks(2).map(|code| code == [0, 1]).collect()))
}

#[cfg(test)]
mod tests;
