//! A plain client: one connection, simple queries, rows as text. To the console of a running proxy, or to a node.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use postgres_protocol::message::frontend;
use tokio::time::{Instant, timeout_at};

use super::rows::{Kind, Rows};
use crate::config::{Node, Secret, SslMode};
use crate::net::{Endpoint, Frame, FrameError, Stream, TlsError, framed, tls};
use crate::pool::{ConnectError, Login, handshake};
use crate::wire::diagnostic::Fields;

/// The longest message of an answer.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {}", chain(.0))]
    Tls(#[from] TlsError),
    /// No connection.
    #[error("{}", chain(.0))]
    Connect(#[from] ConnectError),
    /// The statement failed; the connection goes on.
    #[error("{code}: {message}")]
    Server {
        /// The SQLSTATE.
        code: String,
        /// The primary message.
        message: String,
        /// The hint, if there is one.
        hint: Option<String>,
    },
    /// The connection broke.
    #[error("connection lost: {}", chain(.0))]
    Lost(#[from] FrameError),
    /// What came is not of the protocol.
    #[error("unexpected message in the answer: {0}")]
    Protocol(String),
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
}

impl From<std::io::Error> for ClientError {
    fn from(error: std::io::Error) -> ClientError {
        ClientError::Lost(error.into())
    }
}

/// An error with all its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // A transparent error says what its source says.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Where and as whom.
#[derive(Clone, Debug)]
pub struct Target {
    /// The address and its TLS.
    pub endpoint: Endpoint,
    /// The login.
    pub login: Login,
    /// Each connect and each answer may take so long.
    pub timeout: Duration,
}

impl Target {
    /// A target of these parts; `root_cert` as in the configuration of a node.
    ///
    /// # Errors
    /// [`ClientError::Tls`].
    pub fn new(node: &Node, user: &str, password: Option<Secret>, dbname: &str) -> Result<Target, ClientError> {
        let tls = match node.sslmode {
            SslMode::Disable => None,
            mode => tls::connector(mode, node.root_cert.as_deref())?,
        };
        let endpoint = Endpoint { host: node.host.clone(), port: node.port, sslmode: node.sslmode, tls };
        let params = [("application_name", "pgweave"), ("client_encoding", "UTF8"), ("DateStyle", "ISO")];
        let login = Login {
            user: user.to_owned(),
            password,
            dbname: dbname.to_owned(),
            params: params.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        };
        Ok(Target { endpoint, login, timeout: TIMEOUT })
    }
}

/// For connects and answers.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A connection.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    buf: BytesMut,
    timeout: Duration,
}

impl Client {
    /// Connects and logs in.
    ///
    /// # Errors
    /// [`ClientError::Connect`].
    pub async fn connect(target: &Target) -> Result<Client, ClientError> {
        let deadline = Instant::now() + target.timeout;
        let server = handshake::connect(&target.endpoint, &target.login, deadline).await?;
        Ok(Client { stream: server.stream, buf: server.leftover, timeout: target.timeout })
    }

    /// Runs one or more statements by a simple query; the rows are those of the last that had any. Not cancel safe: a
    /// client whose query was cut off must be dropped.
    ///
    /// # Errors
    /// [`ClientError::Server`] after which the client goes on; any other error ends it.
    pub async fn query(&mut self, sql: &str) -> Result<Rows, ClientError> {
        let deadline = Instant::now() + self.timeout;
        let timeout = self.timeout;
        timeout_at(deadline, self.ask(sql)).await.unwrap_or(Err(ClientError::Timeout(timeout)))
    }

    async fn ask(&mut self, sql: &str) -> Result<Rows, ClientError> {
        let mut out = BytesMut::new();
        frontend::query(sql, &mut out)?;
        framed::send(&mut self.stream, &mut out).await?;
        let mut rows = Rows::new(&[]);
        let mut failure = None;
        loop {
            let frame = framed::read_frame(&mut self.stream, &mut self.buf, MAX_MESSAGE_BYTES).await?;
            match frame.tag {
                b'T' => rows = Rows { columns: columns(frame)?, rows: Vec::new() },
                b'D' => rows.rows.push(row(frame, rows.columns.len())?),
                b'E' => failure = Some(server_error(&frame)),
                b'Z' => return failure.map_or(Ok(rows), Err),
                // CommandComplete, EmptyQueryResponse, NoticeResponse, ParameterStatus, NotificationResponse.
                b'C' | b'I' | b'N' | b'S' | b'A' => {}
                tag => return Err(ClientError::Protocol(format!("type {:?}", char::from(tag)))),
            }
        }
    }
}

fn server_error(frame: &Frame) -> ClientError {
    let fields = Fields::new(&frame.body);
    let text = |kind: u8| fields.field(kind).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    ClientError::Server { code: text(b'C').unwrap_or_default(), message: fields.message(), hint: text(b'H') }
}

/// RowDescription: per column a name, then 18 bytes of which the type's OID is at 6.
fn columns(frame: Frame) -> Result<Vec<(String, Kind)>, ClientError> {
    let mut body = frame.body;
    let read = |body: &mut bytes::Bytes| {
        let name_bytes = body.iter().position(|byte| *byte == 0)?;
        let name = String::from_utf8_lossy(&body.split_to(name_bytes)).into_owned();
        body.advance(1);
        (body.len() >= 18).then(|| {
            let fields = body.split_to(18);
            (name, Kind::of_type((&fields[6..10]).get_u32()))
        })
    };
    let count = count(&mut body)?;
    (0..count).map(|_| read(&mut body).ok_or_else(|| cut_off("RowDescription"))).collect()
}

/// DataRow: per column a length, -1 for NULL, and as many bytes.
fn row(frame: Frame, columns: usize) -> Result<Vec<Option<String>>, ClientError> {
    let mut body = frame.body;
    if count(&mut body)? != columns {
        return Err(ClientError::Protocol("a row of another length than its description".to_owned()));
    }
    let mut read = || {
        let length = (body.len() >= 4).then(|| body.get_i32())?;
        match usize::try_from(length) {
            Err(_) => Some(None),
            Ok(length) if length <= body.len() => {
                Some(Some(String::from_utf8_lossy(&body.split_to(length)).into_owned()))
            }
            Ok(_) => None,
        }
    };
    (0..columns).map(|_| read().ok_or_else(|| cut_off("DataRow"))).collect()
}

fn count(body: &mut bytes::Bytes) -> Result<usize, ClientError> {
    if body.len() < 2 {
        return Err(cut_off("count"));
    }
    Ok(usize::from(body.get_u16()))
}

fn cut_off(what: &str) -> ClientError {
    ClientError::Protocol(format!("{what} is cut off"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::backend;
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn frame(write: impl FnOnce(&mut BytesMut)) -> Frame {
        let mut out = BytesMut::new();
        write(&mut out);
        Frame { tag: out[0], body: out.split_off(5).freeze() }
    }

    #[test]
    fn what_the_console_writes_is_read() {
        let described = [backend::Column::text("name"), backend::Column::int8("lag_bytes")];
        let columns = columns(frame(|out| backend::row_description(out, &described))).unwrap();
        assert_eq!(columns, [("name".to_owned(), Kind::Text), ("lag_bytes".to_owned(), Kind::Number)]);
        let values = [Some("größe".to_owned()), None];
        assert_eq!(row(frame(|out| backend::data_row(out, &values)), 2).unwrap(), values);
    }

    /// A server that lets anyone in and then answers each query with the next of `answers`; it closes after the last.
    async fn server(answers: Vec<BytesMut>) -> Target {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let startup_bytes = stream.read_u32().await.unwrap();
            stream.read_exact(&mut vec![0; startup_bytes as usize - 4]).await.unwrap();
            let mut out = BytesMut::new();
            backend::authentication_ok(&mut out);
            backend::ready_for_query(&mut out, b'I');
            stream.write_all(&out).await.unwrap();
            let mut buf = BytesMut::new();
            for answer in answers {
                assert_eq!(framed::read_frame(&mut stream, &mut buf, 1024).await.unwrap().tag, b'Q');
                stream.write_all(&answer).await.unwrap();
            }
        });
        let node = Node {
            host: "127.0.0.1".to_owned(),
            port,
            zone: None,
            weight: 1,
            role: None,
            sslmode: SslMode::Disable,
            root_cert: None,
        };
        Target::new(&node, "app", None, "pgweave").unwrap()
    }

    #[tokio::test]
    async fn a_failed_statement_is_told_and_the_connection_goes_on() {
        let mut refused = BytesMut::new();
        let code = crate::wire::SqlState::UNDEFINED_OBJECT;
        backend::diagnostic(
            &mut refused,
            &crate::wire::Diagnostic::error(code, "no such thing").hint("Try SHOW HELP."),
        );
        backend::ready_for_query(&mut refused, b'I');
        let mut shown = BytesMut::new();
        backend::row_description(&mut shown, &[backend::Column::text("shard"), backend::Column::int8("epoch")]);
        backend::data_row(&mut shown, &[Some("s1"), Some("7")]);
        backend::command_complete(&mut shown, "SHOW");
        backend::ready_for_query(&mut shown, b'I');
        let mut client = Client::connect(&server(vec![refused, shown]).await).await.unwrap();
        match client.query("SHOW NOTHING").await {
            Err(ClientError::Server { code, message, hint }) => {
                assert_eq!(
                    (code.as_str(), message.as_str(), hint.as_deref()),
                    ("42704", "no such thing", Some("Try SHOW HELP."))
                );
            }
            other => panic!("{other:?}"),
        }
        let rows = client.query("SHOW MAP").await.unwrap();
        assert_eq!(rows.columns, [("shard".to_owned(), Kind::Text), ("epoch".to_owned(), Kind::Number)]);
        assert_eq!(rows.rows, [[Some("s1".to_owned()), Some("7".to_owned())]]);
        assert!(matches!(client.query("SHOW MAP").await, Err(ClientError::Lost(_))), "the server is gone");
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_not_waited_for_without_end() {
        let mut half = BytesMut::new();
        backend::row_description(&mut half, &[backend::Column::text("shard")]);
        // The second answer is never asked for, so the connection stays open.
        let mut target = server(vec![half, BytesMut::new()]).await;
        let mut client = Client::connect(&target).await.unwrap();
        client.timeout = Duration::from_millis(50);
        assert!(matches!(client.query("SHOW MAP").await, Err(ClientError::Timeout(_))));
        target.endpoint.port = 1;
        assert!(matches!(Client::connect(&target).await, Err(ClientError::Connect(ConnectError::Refused(_)))));
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let described = [backend::Column::text("name"), backend::Column::int8("lag_bytes")];
        let whole = frame(|out| backend::row_description(out, &described)).body;
        let data = frame(|out| backend::data_row(out, &[Some("a"), Some("b")])).body;
        for end in 0..whole.len() {
            assert!(columns(Frame { tag: b'T', body: whole.slice(..end) }).is_err(), "{end}");
        }
        for end in 0..data.len() {
            assert!(row(Frame { tag: b'D', body: data.slice(..end) }, 2).is_err(), "{end}");
        }
        let lying = Bytes::from_static(b"\0\x01\x7f\xff\xff\xffx");
        assert!(row(Frame { tag: b'D', body: lying }, 1).is_err());
    }
}
