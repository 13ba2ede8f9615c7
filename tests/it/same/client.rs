//! A session that runs steps and notes every answer as lines of text.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;

use super::cases::{Mode, Step};
use crate::support::{Frame, Raw};

/// How long the next message of an answer may take, below the limit of [`Raw`] itself: a silence is a difference to be
/// shown with its case.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection and what is known of its state.
pub struct Client {
    raw: Raw,
    mode: Mode,
    /// The parameters as reported so far.
    reported: BTreeMap<String, String>,
    /// The status of the last ReadyForQuery; `None` when the connection has ended.
    pub status: Option<u8>,
}

impl Client {
    /// Logs in as the user `app`.
    pub async fn login(port: u16, dbname: &str, mode: Mode) -> Client {
        let mut raw = Raw::connect(port).await;
        let frames = raw.startup("app", "app", &[("database", dbname), ("application_name", "same")]).await;
        assert_eq!(frames.last().map(|frame| frame.tag), Some(b'Z'), "logs in to {dbname}: {frames:?}");
        let reported = frames.iter().filter_map(report).collect();
        Client { raw, mode, reported, status: Some(b'I') }
    }

    /// Runs a step up to ReadyForQuery, or to the end of the connection.
    pub async fn run(&mut self, step: &Step) -> Vec<Frame> {
        if self.status.is_none() {
            return Vec::new();
        }
        let results = i16::from(self.mode == Mode::Binary);
        if let Some(script) = step.sql.strip_prefix('>') {
            self.raw.send(&script_bytes(script, results)).await;
            return self.answer(step, true, false).await;
        }
        match self.mode {
            Mode::Simple => {
                self.raw.send(&Raw::query_frame(&step.inlined())).await;
                self.answer(step, false, false).await
            }
            Mode::Text => {
                let mut bytes = BytesMut::new();
                bytes.extend_from_slice(&Raw::parse_frame("", &step.sql));
                self.execute(step, &[], bytes, results).await
            }
            Mode::Binary => {
                let ask = [Raw::parse_frame("", &step.sql), Raw::describe_frame(b'S', ""), Raw::sync_frame()].concat();
                self.raw.send(&ask).await;
                let mut frames = self.answer(step, true, false).await;
                if frames.iter().any(|frame| frame.tag == b'E') {
                    return frames;
                }
                let types = frames.iter().find(|frame| frame.tag == b't').map(types).unwrap_or_default();
                frames.extend(self.execute(step, &types, BytesMut::new(), results).await);
                frames
            }
        }
    }

    async fn execute(&mut self, step: &Step, types: &[u32], mut bytes: BytesMut, results: i16) -> Vec<Frame> {
        bind(&mut bytes, "", "", &step.params, types, results);
        bytes.extend_from_slice(&Raw::describe_frame(b'P', ""));
        bytes.extend_from_slice(&Raw::execute_frame("", step.rows.map_or(0, |(rows, _)| rows)));
        let again = step.rows.is_some_and(|(_, again)| again);
        bytes.extend_from_slice(&if again { Raw::flush_frame() } else { Raw::sync_frame() });
        self.raw.send(&bytes).await;
        self.answer(step, true, again).await
    }

    /// Reads up to ReadyForQuery, and gives what is asked for on the way: COPY data, and while the Sync is not sent, the
    /// next rows of a portal and then the Sync.
    async fn answer(&mut self, step: &Step, extended: bool, mut unsynced: bool) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            let frame = match tokio::time::timeout(PATIENCE, self.raw.frame()).await {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    self.status = None;
                    frames.push(Frame { tag: b'!', body: b"closed".to_vec() });
                    return frames;
                }
                Err(_) => {
                    self.status = None;
                    frames.push(Frame { tag: b'!', body: b"nothing more comes".to_vec() });
                    return frames;
                }
            };
            if let Some((name, value)) = report(&frame) {
                if self.reported.insert(name, value.clone()).as_ref() != Some(&value) {
                    frames.push(frame);
                }
                continue;
            }
            let tag = frame.tag;
            if tag == b'Z' {
                self.status = frame.body.first().copied();
            }
            frames.push(frame);
            match tag {
                b'Z' => return frames,
                b'G' => self.send_copy(step, extended).await,
                b's' if unsynced => {
                    let (rows, _) = step.rows.expect("rows are limited");
                    self.raw.send(&[Raw::execute_frame("", rows), Raw::flush_frame()].concat()).await;
                }
                b'C' | b'I' | b'E' if unsynced => {
                    unsynced = false;
                    self.raw.send(&Raw::sync_frame()).await;
                }
                _ => {}
            }
        }
    }

    async fn send_copy(&mut self, step: &Step, extended: bool) {
        let mut bytes = BytesMut::new();
        for line in &step.data {
            frontend::CopyData::new(format!("{line}\n").into_bytes().as_slice()).expect("fits").write(&mut bytes);
        }
        if step.fail {
            frontend::copy_fail("given up", &mut bytes).expect("fits");
        } else {
            frontend::copy_done(&mut bytes);
        }
        // PostgreSQL ignores a Sync while it takes COPY data: the one that was sent with the statement is gone.
        if extended {
            frontend::sync(&mut bytes);
        }
        self.raw.send(&bytes).await;
    }
}

fn report(frame: &Frame) -> Option<(String, String)> {
    if frame.tag != b'S' {
        return None;
    }
    let mut parts = frame.body.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned());
    Some((parts.next()?, parts.next()?))
}

/// The types of a ParameterDescription.
fn types(frame: &Frame) -> Vec<u32> {
    frame.body[2..].chunks_exact(4).map(|oid| u32::from_be_bytes(oid.try_into().expect("four bytes"))).collect()
}

fn bind(bytes: &mut BytesMut, portal: &str, statement: &str, params: &[Option<String>], types: &[u32], results: i16) {
    let encoded: Vec<(i16, Option<Vec<u8>>)> = params
        .iter()
        .enumerate()
        .map(|(at, param)| {
            let Some(text) = param else { return (0, None) };
            match types.get(at).and_then(|oid| binary(*oid, text)) {
                Some(value) => (1, Some(value)),
                None => (0, Some(text.clone().into_bytes())),
            }
        })
        .collect();
    let formats = encoded.iter().map(|(format, _)| *format);
    let bound = frontend::bind(
        portal,
        statement,
        formats,
        encoded.iter().map(|(_, value)| value),
        |value, buffer| {
            Ok(match value {
                Some(value) => {
                    buffer.put_slice(value);
                    IsNull::No
                }
                None => IsNull::Yes,
            })
        },
        [results],
        bytes,
    );
    assert!(bound.is_ok(), "parameters fit into a Bind");
}

/// A value in its binary form, for types where that is plain; else it is sent as text.
fn binary(oid: u32, text: &str) -> Option<Vec<u8>> {
    match oid {
        16 => text.parse::<bool>().ok().map(|value| vec![u8::from(value)]),
        20 => text.parse::<i64>().ok().map(|value| value.to_be_bytes().to_vec()),
        21 => text.parse::<i16>().ok().map(|value| value.to_be_bytes().to_vec()),
        23 => text.parse::<i32>().ok().map(|value| value.to_be_bytes().to_vec()),
        25 | 1043 => Some(text.as_bytes().to_vec()),
        701 => text.parse::<f64>().ok().map(|value| value.to_be_bytes().to_vec()),
        1016 => int8_array(text),
        2950 => {
            let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
            u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32).map(|v| v.to_be_bytes().to_vec())
        }
        _ => None,
    }
}

/// `{1,2,3}` as PostgreSQL's binary form of one dimension without NULLs.
fn int8_array(text: &str) -> Option<Vec<u8>> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let values: Vec<i64> =
        inner.split(',').filter(|part| !part.is_empty()).map(str::parse).collect::<Result<_, _>>().ok()?;
    let mut bytes = Vec::new();
    let dimensions = i32::from(!values.is_empty());
    for head in [dimensions, 0, 20] {
        bytes.extend_from_slice(&head.to_be_bytes());
    }
    if dimensions == 1 {
        bytes.extend_from_slice(&i32::try_from(values.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(&1_i32.to_be_bytes());
    }
    for value in values {
        bytes.extend_from_slice(&8_i32.to_be_bytes());
        bytes.extend_from_slice(&value.to_be_bytes());
    }
    Some(bytes)
}

/// The bytes of a step of messages.
fn script_bytes(script: &str, results: i16) -> BytesMut {
    let mut bytes = BytesMut::new();
    let name = |word: Option<&str>| word.filter(|word| *word != "-").unwrap_or_default().to_owned();
    for message in script.split(";;").map(str::trim) {
        let (verb, rest) = message.split_once(' ').unwrap_or((message, ""));
        let mut words = rest.split_whitespace();
        match verb {
            "parse" => {
                let (statement, sql) = rest.split_once(':').unwrap_or_else(|| panic!("no SQL in {message:?}"));
                bytes.extend_from_slice(&Raw::parse_frame(&name(Some(statement)), sql.trim()));
            }
            "bind" => {
                let (portal, statement) = (name(words.next()), name(words.next()));
                let values = rest.splitn(3, ' ').nth(2).unwrap_or_default();
                let values = values.split('|').map(str::trim).filter(|value| !value.is_empty());
                let params: Vec<Option<String>> = values.map(|v| (v != "NULL").then(|| v.to_owned())).collect();
                bind(&mut bytes, &portal, &statement, &params, &[], results);
            }
            "describe" | "close" => {
                let kind = words.next().expect("S or P").as_bytes()[0];
                let of = name(words.next());
                bytes.extend_from_slice(&match verb {
                    "describe" => Raw::describe_frame(kind, &of),
                    _ => Raw::close_frame(kind, &of),
                });
            }
            "execute" => {
                let portal = name(words.next());
                let rows = words.next().map_or(0, |rows| rows.parse().expect("a number of rows"));
                bytes.extend_from_slice(&Raw::execute_frame(&portal, rows));
            }
            "flush" => bytes.extend_from_slice(&Raw::flush_frame()),
            "sync" => bytes.extend_from_slice(&Raw::sync_frame()),
            other => panic!("{other:?} is no message"),
        }
    }
    assert_eq!(script.matches("sync").count(), 1, "one sync, at the end: {script}");
    assert!(script.trim_end().ends_with("sync"), "a batch ends with sync: {script}");
    bytes
}
