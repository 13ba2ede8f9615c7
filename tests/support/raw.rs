//! A client of bare frames, for tests that care for every byte.

use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::wait::LIMIT;

/// One message from a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub tag: u8,
    /// What comes behind the length.
    pub body: Vec<u8>,
}

impl Frame {
    /// The field of an ErrorResponse or NoticeResponse by its code, such as `b'C'` for the SQLSTATE.
    pub fn field(&self, code: u8) -> Option<String> {
        let mut fields = self.body.split(|byte| *byte == 0);
        fields
            .find_map(|field| (field.first() == Some(&code)).then(|| String::from_utf8_lossy(&field[1..]).into_owned()))
    }

    /// The columns of a DataRow.
    pub fn columns(&self) -> Vec<Option<Vec<u8>>> {
        assert_eq!(self.tag, b'D', "not a DataRow: {self:?}");
        let mut rest = &self.body[2..];
        let mut columns = Vec::new();
        while !rest.is_empty() {
            let length = i32::from_be_bytes(rest[..4].try_into().unwrap());
            rest = &rest[4..];
            columns.push(usize::try_from(length).ok().map(|length| {
                let (value, after) = rest.split_at(length);
                rest = after;
                value.to_vec()
            }));
        }
        columns
    }
}

/// A connection of bare frames. Every read has a deadline of [`LIMIT`].
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    /// What was read and not yet taken.
    buffer: Vec<u8>,
}

impl Raw {
    /// Connects to 127.0.0.1 and sends nothing.
    pub async fn connect(port: u16) -> Raw {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
        stream.set_nodelay(true).expect("sets TCP_NODELAY");
        Raw { stream, buffer: Vec::new() }
    }

    /// Connects and logs in as the user `app`, up to and with the first ReadyForQuery.
    pub async fn login(port: u16, dbname: &str) -> Raw {
        let mut raw = Raw::connect(port).await;
        let frames = raw.startup("app", "app", &[("database", dbname)]).await;
        assert_eq!(frames.last().map(|frame| frame.tag), Some(b'Z'), "logs in: {frames:?}");
        raw
    }

    /// Sends a StartupMessage, proves the password if asked, and returns all frames up to ReadyForQuery or ErrorResponse.
    pub async fn startup(&mut self, user: &str, password: &str, params: &[(&str, &str)]) -> Vec<Frame> {
        let mut packet = BytesMut::new();
        let params = std::iter::once(("user", user)).chain(params.iter().copied());
        frontend::startup_message(params, &mut packet).unwrap();
        self.send(&packet).await;
        let mut frames = Vec::new();
        loop {
            let frame = self.frame().await.expect("an answer to the startup");
            if frame.tag == b'R' && frame.body[..4] == 10_i32.to_be_bytes() {
                frames.push(frame);
                self.scram(password, &mut frames).await;
                continue;
            }
            let last = matches!(frame.tag, b'Z' | b'E');
            frames.push(frame);
            if last {
                return frames;
            }
        }
    }

    async fn scram(&mut self, password: &str, frames: &mut Vec<Frame>) {
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        let mut packet = BytesMut::new();
        frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut packet).unwrap();
        self.send(&packet).await;
        for step in [11_i32, 12] {
            let frame = self.frame().await.expect("an answer to SASL");
            if frame.tag != b'R' {
                // A refusal: given back, to be read again by the caller.
                self.unread(&frame);
                return;
            }
            assert_eq!(frame.body[..4], step.to_be_bytes(), "SASL step");
            if step == 11 {
                scram.update(&frame.body[4..]).expect("server-first-message");
                let mut packet = BytesMut::new();
                frontend::sasl_response(scram.message(), &mut packet).unwrap();
                self.send(&packet).await;
            } else {
                scram.finish(&frame.body[4..]).expect("server-final-message");
            }
            frames.push(frame);
        }
    }

    fn unread(&mut self, frame: &Frame) {
        let mut bytes = vec![frame.tag];
        bytes.extend_from_slice(&(frame.body.len() as u32 + 4).to_be_bytes());
        bytes.extend_from_slice(&frame.body);
        bytes.append(&mut self.buffer);
        self.buffer = bytes;
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("writes");
    }

    /// Sends bytes as they are; `false` when the other side has closed.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Closes our direction: the other side reads the end of the stream.
    pub async fn half_close(&mut self) {
        self.stream.shutdown().await.expect("shuts down");
    }

    /// One byte outside any frame, as SSLRequest is answered.
    pub async fn byte(&mut self) -> Option<u8> {
        while self.buffer.is_empty() {
            if !self.fill().await {
                return None;
            }
        }
        Some(self.buffer.remove(0))
    }

    /// The next frame; `None` at the end of the stream, which must come between frames.
    pub async fn frame(&mut self) -> Option<Frame> {
        loop {
            if self.buffer.len() >= 5 {
                let length = u32::from_be_bytes(self.buffer[1..5].try_into().unwrap()) as usize;
                assert!(length >= 4, "a frame of length {length}");
                if self.buffer.len() > length {
                    let rest = self.buffer.split_off(length + 1);
                    let frame = std::mem::replace(&mut self.buffer, rest);
                    return Some(Frame { tag: frame[0], body: frame[5..].to_vec() });
                }
            }
            if !self.fill().await {
                assert!(self.buffer.is_empty(), "the stream ends inside a frame: {:?}", self.buffer);
                return None;
            }
        }
    }

    async fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        let read = tokio::time::timeout(LIMIT, self.stream.read(&mut chunk)).await;
        // A reset is an end, too: a server that refuses may close with our bytes unread.
        let count = read.unwrap_or_else(|_| panic!("nothing to read within {LIMIT:?}")).unwrap_or(0);
        self.buffer.extend_from_slice(&chunk[..count]);
        count > 0
    }

    /// Whether nothing comes for `quiet`. Only for "no answer is due": anything else waits for what does come.
    pub async fn is_silent(&mut self, quiet: Duration) -> bool {
        let mut chunk = [0; 1];
        self.buffer.is_empty() && tokio::time::timeout(quiet, self.stream.peek(&mut chunk)).await.is_err()
    }

    /// All frames up to and with the next ReadyForQuery.
    pub async fn until_ready(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            let frame = self.frame().await.unwrap_or_else(|| panic!("closed before ReadyForQuery, after {frames:?}"));
            let last = frame.tag == b'Z';
            frames.push(frame);
            if last {
                return frames;
            }
        }
    }

    /// All frames up to the end of the stream.
    pub async fn until_closed(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await {
            frames.push(frame);
        }
        frames
    }

    /// A simple query and its answer.
    pub async fn query(&mut self, sql: &str) -> Vec<Frame> {
        self.send(&Raw::query_frame(sql)).await;
        self.until_ready().await
    }

    /// The bytes of a Query.
    pub fn query_frame(sql: &str) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        frontend::query(sql, &mut bytes).unwrap();
        bytes.to_vec()
    }

    /// The bytes of a Parse without parameter types.
    pub fn parse_frame(name: &str, sql: &str) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        frontend::parse(name, sql, std::iter::empty(), &mut bytes).unwrap();
        bytes.to_vec()
    }

    /// The bytes of a Bind of text parameters to text results.
    pub fn bind_frame(portal: &str, statement: &str, params: &[Option<&str>]) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        let bound = frontend::bind(
            portal,
            statement,
            std::iter::empty(),
            params,
            |param, buffer| {
                Ok(match param {
                    Some(text) => {
                        buffer.extend_from_slice(text.as_bytes());
                        postgres_protocol::IsNull::No
                    }
                    None => postgres_protocol::IsNull::Yes,
                })
            },
            std::iter::empty(),
            &mut bytes,
        );
        assert!(bound.is_ok(), "parameters fit into a Bind");
        bytes.to_vec()
    }

    /// The bytes of an Execute; 0 rows is all.
    pub fn execute_frame(portal: &str, max_rows: i32) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        frontend::execute(portal, max_rows, &mut bytes).unwrap();
        bytes.to_vec()
    }

    /// The bytes of a Describe of a statement (`b'S'`) or portal (`b'P'`).
    pub fn describe_frame(kind: u8, name: &str) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        frontend::describe(kind, name, &mut bytes).unwrap();
        bytes.to_vec()
    }

    /// The bytes of a Close of a statement (`b'S'`) or portal (`b'P'`).
    pub fn close_frame(kind: u8, name: &str) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        frontend::close(kind, name, &mut bytes).unwrap();
        bytes.to_vec()
    }

    /// The bytes of a Sync.
    pub fn sync_frame() -> Vec<u8> {
        let mut bytes = BytesMut::new();
        frontend::sync(&mut bytes);
        bytes.to_vec()
    }

    /// The bytes of a Flush.
    pub fn flush_frame() -> Vec<u8> {
        let mut bytes = BytesMut::new();
        frontend::flush(&mut bytes);
        bytes.to_vec()
    }
}
