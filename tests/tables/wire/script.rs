//! Scripts: who sends what and who gets what, in order.
//!
//! ```text
//! # A line that begins like this is for the reader.
//! > Query "SELECT 1"          the client sends
//! < ReadyForQuery I           the client gets
//! s1> Query "SELECT 1"        the first connection to shard 1 gets (s1b is the second)
//! s1< ReadyForQuery I         ... and sends
//! >s1 Query "SELECT 1"        the client sends it and s1 gets the very same
//! <s1 ReadyForQuery I         s1 sends it and the client gets the very same
//! c2> ...  c2< ...  c2>s1     another client
//! >. ...   s1<. ...  >s1. ... byte by byte
//! > (close)  < (closed)       closes; sees the end of the stream
//! < (silent)                  gets nothing for now
//! ```
//! pgweave's names of statements are hashes: `pgweave_#1` is the first that the script sees.
//! Messages on successive lines of one marker are sent by one write. What is expected is compared byte for byte.

use std::collections::HashMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::message::encode;
use crate::support::LIMIT;

/// How long silence has to last to be believed.
const QUIET: Duration = Duration::from_millis(30);

/// One end of a connection that the script speaks for.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The statements' names in the order of their appearance.
#[derive(Debug, Default)]
struct Names(Vec<Vec<u8>>);

const PREFIX: &str = "pgweave_";

/// Digits of a hash.
const DIGITS: usize = 32;

impl Names {
    /// Puts the number of a name in its place, of the same length.
    fn number(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while let Some(found) = bytes[at..].windows(PREFIX.len()).position(|window| window == PREFIX.as_bytes()) {
            let start = at + found + PREFIX.len();
            at = start;
            let Some(hash) = bytes.get(start..start + DIGITS).filter(|hash| hash.iter().all(u8::is_ascii_hexdigit))
            else {
                continue;
            };
            let number = self.0.iter().position(|known| known == hash).unwrap_or_else(|| {
                self.0.push(hash.to_vec());
                self.0.len() - 1
            });
            bytes[start..start + DIGITS].copy_from_slice(format!("{:032}", number + 1).as_bytes());
        }
    }

    /// Writes `pgweave_#1` out.
    fn expand(message: &str) -> String {
        let mut parts = message.split("pgweave_#");
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            let number: usize = part[..end].parse().expect("a number behind pgweave_#");
            whole.push_str(&format!("{PREFIX}{number:032}{}", &part[end..]));
        }
        whole
    }
}

impl Peer {
    /// A peer that has read `buffer` already.
    pub fn new(stream: TcpStream, buffer: Vec<u8>) -> Peer {
        stream.set_nodelay(true).expect("sets TCP_NODELAY");
        Peer { stream, buffer }
    }

    async fn send(&mut self, bytes: &[u8], torn: bool) {
        if torn {
            for byte in bytes {
                self.stream.write_all(&[*byte]).await.expect("writes");
                tokio::task::yield_now().await;
            }
        } else {
            self.stream.write_all(bytes).await.expect("writes");
        }
    }

    /// Reads until `count` bytes are there or the stream ends; false at the end.
    async fn fill(&mut self, count: usize) -> bool {
        let mut chunk = vec![0; 16 * 1024];
        while self.buffer.len() < count {
            let read = tokio::time::timeout(LIMIT / 10, self.stream.read(&mut chunk)).await;
            match read {
                // A reset is an end, too.
                Ok(Ok(0) | Err(_)) | Err(_) => return false,
                Ok(Ok(count)) => self.buffer.extend_from_slice(&chunk[..count]),
            }
        }
        true
    }

    /// What is different from `expected`, if anything is.
    async fn expect(&mut self, expected: &[u8], names: &mut Names) -> Result<(), String> {
        self.fill(expected.len()).await;
        let got = self.buffer.len().min(expected.len());
        names.number(&mut self.buffer[..got]);
        if self.buffer[..got] == *expected {
            self.buffer.drain(..got);
            return Ok(());
        }
        // What comes behind helps the reader; it may be nothing.
        let _ = tokio::time::timeout(QUIET, self.fill(expected.len() + 4096)).await;
        Err(format!("expected {}\n     got {}", show(expected), show(&self.buffer)))
    }

    async fn expect_end(&mut self) -> Result<(), String> {
        let ended = !self.fill(1).await;
        if ended && self.buffer.is_empty() {
            Ok(())
        } else {
            Err(format!("expected the end, got {}", show(&self.buffer)))
        }
    }

    async fn expect_silence(&mut self) -> Result<(), String> {
        // Time that passes is all there is to silence.
        let _ = tokio::time::timeout(QUIET, self.fill(1)).await;
        if self.buffer.is_empty() { Ok(()) } else { Err(format!("expected nothing, got {}", show(&self.buffer))) }
    }
}

/// The first bytes as text, escaped.
fn show(bytes: &[u8]) -> String {
    format!("{} bytes: {}", bytes.len(), bytes[..bytes.len().min(1500)].escape_ascii())
}

/// What the peers of a script are.
pub trait World {
    /// A new client that has logged in and read ReadyForQuery.
    async fn client(&mut self, number: usize) -> Peer;
    /// The connection `number` (from 0) that pgweave has opened to `shard` (from 1), after its log-in.
    async fn server(&mut self, shard: usize, number: usize) -> Peer;
    /// Waits for a request to cancel what runs on this connection, and closes it.
    async fn cancelled(&mut self, shard: usize, number: usize);
    /// Sends a request to cancel what this client runs.
    async fn cancel(&mut self, client: usize);
}

/// A marker: who, in which direction, with whom in step.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Marker {
    sender: Option<String>,
    receiver: Option<String>,
    torn: bool,
}

/// Lines of one marker.
#[derive(Debug)]
struct Block {
    line: usize,
    marker: Marker,
    messages: Vec<String>,
}

/// Runs a script to its end.
///
/// # Errors
/// The line where what came was not what the script says.
pub async fn run(text: &str, world: &mut impl World) -> Result<(), String> {
    let (mut peers, mut names) = (HashMap::new(), Names::default());
    for block in blocks(text) {
        let at = |error: String| format!("line {}: {error}", block.line);
        let bytes = || block.messages.iter().flat_map(|message| encode(&Names::expand(message))).collect::<Vec<u8>>();
        if let Some(sender) = &block.marker.sender {
            match block.messages[0].as_str() {
                "(close)" => drop(peers.remove(sender)),
                "(cancel)" => world.cancel(number_of_client(sender)).await,
                _ => peer(&mut peers, sender, world).await.send(&bytes(), block.marker.torn).await,
            }
        }
        if let Some(receiver) = &block.marker.receiver {
            match block.messages[0].as_str() {
                "(closed)" => peer(&mut peers, receiver, world).await.expect_end().await.map_err(at)?,
                "(silent)" => peer(&mut peers, receiver, world).await.expect_silence().await.map_err(at)?,
                "(cancelled)" => {
                    let (shard, number) = place(receiver);
                    world.cancelled(shard, number).await;
                }
                _ => expect_each(peer(&mut peers, receiver, world).await, &block, &mut names).await?,
            }
        }
    }
    // A message nobody asked for is a difference, too.
    let mut all: Vec<String> = peers.keys().cloned().collect();
    all.sort();
    for name in all {
        let peer = peer(&mut peers, &name, world).await;
        if !peer.expect_silence().await.is_ok_and(|()| true) {
            return Err(format!("at the end {name} got {}", show(&peer.buffer)));
        }
    }
    Ok(())
}

async fn expect_each(peer: &mut Peer, block: &Block, names: &mut Names) -> Result<(), String> {
    for (offset, message) in block.messages.iter().enumerate() {
        let compared = peer.expect(&encode(&Names::expand(message)), names).await;
        compared.map_err(|error| format!("line {}: {message}\n{error}", block.line + offset))?;
    }
    Ok(())
}

async fn peer<'a>(peers: &'a mut HashMap<String, Peer>, name: &str, world: &mut impl World) -> &'a mut Peer {
    if !peers.contains_key(name) {
        let made = if name.starts_with('c') {
            world.client(number_of_client(name)).await
        } else {
            let (shard, number) = place(name);
            world.server(shard, number).await
        };
        peers.insert(name.to_owned(), made);
    }
    peers.get_mut(name).expect("just put in")
}

fn number_of_client(name: &str) -> usize {
    name.strip_prefix('c').and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no client: {name}"))
}

/// `s2b` is the second connection to shard 2: (2, 1).
fn place(name: &str) -> (usize, usize) {
    let rest = name.strip_prefix('s').unwrap_or_else(|| panic!("no server: {name}"));
    let digits = rest.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let shard = digits.parse().unwrap_or_else(|_| panic!("no server: {name}"));
    let number = rest[digits.len()..].bytes().next().map_or(0, |letter| usize::from(letter - b'a'));
    (shard, number)
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (marker, message) = line.split_once(' ').unwrap_or_else(|| panic!("no message in line {}", index + 1));
        let (marker, message) = (marker_of(marker, index + 1), message.trim().to_owned());
        let special = message.starts_with('(');
        match blocks.last_mut() {
            Some(last) if last.marker == marker && !special && !last.messages[0].starts_with('(') => {
                last.messages.push(message);
            }
            _ => blocks.push(Block { line: index + 1, marker, messages: vec![message] }),
        }
    }
    blocks
}

fn marker_of(text: &str, line: usize) -> Marker {
    let at = text.find(['<', '>']).unwrap_or_else(|| panic!("no marker in line {line}"));
    let torn = text.ends_with('.');
    let (left, right) = (&text[..at], text[at + 1..].trim_end_matches('.'));
    let (right_to_left, is_server) = (&text[at..=at] == "<", left.starts_with('s'));
    let left = if left.is_empty() { "c1" } else { left }.to_owned();
    let right = (!right.is_empty()).then(|| right.to_owned());
    assert!(right.is_none() || !is_server, "a relayed message is named from the client's side, line {line}");
    // At a server the arrow has pgweave on its left: `s1>` is what the server gets.
    let (sender, receiver) = match (right_to_left, is_server) {
        (false, false) => (Some(left), right),
        (true, false) => (right, Some(left)),
        (false, true) => (None, Some(left)),
        (true, true) => (Some(left), None),
    };
    Marker { sender, receiver, torn }
}

#[test]
fn markers() {
    let parts = |text: &str| {
        let marker = marker_of(text, 1);
        (marker.sender.unwrap_or_default(), marker.receiver.unwrap_or_default(), marker.torn)
    };
    let owned = |sender: &str, receiver: &str, torn| (sender.to_owned(), receiver.to_owned(), torn);
    assert_eq!(parts(">"), owned("c1", "", false));
    assert_eq!(parts("<"), owned("", "c1", false));
    assert_eq!(parts(">."), owned("c1", "", true));
    assert_eq!(parts("s1>"), owned("", "s1", false));
    assert_eq!(parts("s1<"), owned("s1", "", false));
    assert_eq!(parts("s1<."), owned("s1", "", true));
    assert_eq!(parts(">s1"), owned("c1", "s1", false));
    assert_eq!(parts("<s1"), owned("s1", "c1", false));
    assert_eq!(parts("c2<s1b"), owned("s1b", "c2", false));
    assert_eq!((place("s1"), place("s2c")), ((1, 0), (2, 2)));
}

#[test]
fn names_are_numbered_in_place() {
    let (one, two) = ("ab".repeat(16), "01".repeat(16));
    let mut bytes = format!("pgweave_{one} pgweave_x pgweave_{two} pgweave_{one}").into_bytes();
    Names::default().number(&mut bytes);
    let expected = Names::expand("pgweave_#1 pgweave_x pgweave_#2 pgweave_#1");
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn successive_lines_of_a_marker_are_one_block() {
    let blocks = blocks("# note\n> Sync\n> Flush\n\n< ReadyForQuery I\n< (closed)\n");
    let shape: Vec<_> = blocks.iter().map(|block| (block.line, block.messages.len())).collect();
    assert_eq!(shape, [(2, 2), (5, 1), (6, 1)]);
}
