//! A connection of our own to a node, for questions whose answers are small. Never from a pool.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::time::Instant;

use super::state::NodeSettings;
use crate::config::Secret;
use crate::net::framed::{self, FrameError};
use crate::net::{Stream, TlsError, tls};
use crate::pool::handshake::{self, ConnectError, Login};
use crate::wire::SqlState;
use crate::wire::diagnostic::Fields;
use crate::wire::frame::{take, take_i16, take_i32};

/// Who asks. A role with `pg_monitor` sees the timeline a replica receives; without it a replica counts as on its old
/// timeline after a failover until its next restart point, and takes no reads that long.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorLogin {
    /// The role.
    pub user: String,
    /// Its password.
    pub password: Option<Secret>,
    /// The database, as the servers name it.
    pub dbname: String,
}

/// Why a node could not be asked. The line is of no use afterwards.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The TLS settings of the node cannot be used.
    #[error("no TLS set-up: {}", chain(.0))]
    Tls(#[from] TlsError),
    /// No connection.
    #[error("{}", chain(.0))]
    Connect(#[from] ConnectError),
    /// The connection broke.
    #[error("connection lost: {}", chain(.0))]
    Lost(#[from] FrameError),
    /// The server refused the question.
    #[error("{code}: {message}")]
    Sql {
        /// Its SQLSTATE.
        code: SqlState,
        /// Its primary message.
        message: String,
    },
    /// It took too long.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The answer is not what was asked for.
    #[error("unexpected answer: {0}")]
    Answer(String),
}

impl From<io::Error> for LineError {
    fn from(error: io::Error) -> LineError {
        LineError::Lost(error.into())
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A connection, and what came over it and was not read yet.
#[derive(Debug)]
pub struct Line {
    stream: Stream,
    inbuf: BytesMut,
}

impl Line {
    /// Connects to a node within `limit`.
    ///
    /// # Errors
    /// [`LineError::Tls`] and [`LineError::Connect`].
    pub async fn open(node: &NodeSettings, login: &MonitorLogin, limit: Duration) -> Result<Line, LineError> {
        let node = &node.node;
        let tls = tls::connector(node.sslmode, node.root_cert.as_deref())?;
        let endpoint = crate::net::Endpoint { host: node.host.clone(), port: node.port, sslmode: node.sslmode, tls };
        let params = [("application_name", "pgweave monitor"), ("client_encoding", "UTF8")];
        let login = Login {
            user: login.user.clone(),
            password: login.password.clone(),
            dbname: login.dbname.clone(),
            params: params.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        };
        let handshaken = handshake::connect(&endpoint, &login, Instant::now() + limit).await?;
        Ok(Line { stream: handshaken.stream, inbuf: handshaken.leftover })
    }

    /// Runs a text over the simple protocol and returns all rows of all its statements, as text. Not cancel safe: a line
    /// whose query was dropped half way must be dropped, too.
    ///
    /// # Errors
    /// [`LineError::Lost`], [`LineError::Sql`] (the first), and [`LineError::Answer`] for what the protocol does not have.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Row>, LineError> {
        let mut out = BytesMut::new();
        frontend::query(sql, &mut out)?;
        framed::send(&mut self.stream, &mut out).await?;
        let (mut rows, mut failed) = (Vec::new(), None);
        loop {
            let frame = framed::read_frame(&mut self.stream, &mut self.inbuf, MAX_MESSAGE_BYTES).await?;
            match frame.tag {
                b'D' if rows.len() == MAX_ROWS => return Err(LineError::Answer(format!("more than {MAX_ROWS} rows"))),
                b'D' => rows.push(Row::read(&frame.body).ok_or_else(|| LineError::Answer("a torn row".into()))?),
                b'E' => {
                    let fields = Fields::new(&frame.body);
                    let code = fields.code().unwrap_or(SqlState::INTERNAL_ERROR);
                    let error = LineError::Sql { code, message: fields.message() };
                    if fields.is_fatal() {
                        return Err(error);
                    }
                    failed.get_or_insert(error);
                }
                b'Z' => return failed.map_or(Ok(rows), Err),
                b'T' | b'C' | b'I' | b'N' | b'S' | b'A' => {}
                tag => return Err(LineError::Answer(format!("a message of type {tag:#04x}"))),
            }
        }
    }
}

/// The longest message of an answer: a view's text may be long.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// The most rows of an answer.
const MAX_ROWS: usize = 4 << 20;

/// A row of text values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row(Vec<Option<String>>);

impl Row {
    fn read(mut body: &[u8]) -> Option<Row> {
        let count = take_i16(&mut body)?;
        let mut values = Vec::with_capacity(usize::try_from(count).ok()?);
        for _ in 0..count {
            values.push(match take_i32(&mut body)? {
                -1 => None,
                length => Some(String::from_utf8_lossy(take(&mut body, usize::try_from(length).ok()?)?).into_owned()),
            });
        }
        body.is_empty().then_some(Row(values))
    }

    /// The text of a column, `None` for NULL.
    ///
    /// # Errors
    /// [`LineError::Answer`] when there is no such column.
    pub fn text(&self, index: usize) -> Result<Option<&str>, LineError> {
        let column = self.0.get(index).ok_or_else(|| LineError::Answer(format!("no column {index}")))?;
        Ok(column.as_deref())
    }

    /// A column read as `T`, `None` for NULL.
    ///
    /// # Errors
    /// [`LineError::Answer`] when there is no such column, or it is not a `T`.
    pub fn read_as<T: std::str::FromStr>(&self, index: usize) -> Result<Option<T>, LineError> {
        let read = |text: &str| text.parse().map_err(|_| LineError::Answer(format!("\"{text}\" in column {index}")));
        self.text(index)?.map(read).transpose()
    }

    /// A column that is not NULL.
    ///
    /// # Errors
    /// [`LineError::Answer`] when it is NULL, not there, or not a `T`.
    pub fn value<T: std::str::FromStr>(&self, index: usize) -> Result<T, LineError> {
        self.read_as(index)?.ok_or_else(|| LineError::Answer(format!("NULL in column {index}")))
    }

    /// A boolean column; NULL is false.
    ///
    /// # Errors
    /// [`LineError::Answer`] when there is no such column.
    pub fn flag(&self, index: usize) -> Result<bool, LineError> {
        Ok(self.text(index)? == Some("t"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        let row = Row::read(b"\0\x03\0\0\0\x0242\xff\xff\xff\xff\0\0\0\x01t").unwrap();
        assert_eq!(row.value::<u32>(0).unwrap(), 42);
        assert_eq!(row.text(1).unwrap(), None);
        assert!(row.flag(2).unwrap() && !row.flag(1).unwrap());
        assert_eq!(row.value::<u32>(1).unwrap_err().to_string(), "unexpected answer: NULL in column 1");
        assert_eq!(row.value::<u32>(2).unwrap_err().to_string(), "unexpected answer: \"t\" in column 2");
        assert_eq!(row.text(3).unwrap_err().to_string(), "unexpected answer: no column 3");
        assert_eq!(Row::read(b"\0\x01\0\0\0\x0542"), None);
        assert_eq!(Row::read(b"\0\x01\xff\xff\xff\xffx"), None);
    }
}
