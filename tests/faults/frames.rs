//! Bytes that are no protocol: who sends them is told and closed, and nobody else notices.

use super::support::{self, Proxy, Raw};
use super::tools::{all_at_rest, codes, limited, status, tags, values};

const SCHEMA: &str = "CREATE TABLE things (id int)";

fn frame(tag: u8, length: i32, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

#[tokio::test]
async fn malformed_frames_close_their_client_alone() {
    let database = support::database(1, 0, SCHEMA);
    let proxy = Proxy::start(&limited(&database, "message_bytes = \"64KiB\"", "pool_size = 1\n"));
    let mut bystander = Raw::login(proxy.port, &database.name).await;
    let copy = Raw::query_frame("COPY things FROM STDIN");
    let parse = Raw::parse_frame("", "SELECT 1");
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("length -1", frame(b'Q', -1, b"SELECT 1\0")),
        ("length 3", frame(b'Q', 3, b"")),
        ("length 0", frame(b'S', 0, b"")),
        ("the least length", frame(b'Q', i32::MIN, b"")),
        ("a type that is none", frame(b'y', 4, b"")),
        ("a server's type", frame(b'Z', 5, b"I")),
        ("too long", frame(b'Q', 70_000, b"SELECT")),
        ("far too long", frame(b'P', i32::MAX, b"")),
        ("a query without its end", frame(b'Q', 12, b"SELECT 1")),
        ("a Bind whose lengths do not add up", frame(b'B', 14, b"\0\0\0\0\0\x05\0\0\0\x09")),
        ("a Parse with fewer types than it says", frame(b'P', 12, b"\0S\0\0\x05\0\0\0")),
        ("a Describe of nothing", frame(b'D', 6, b"X\0")),
        ("an Execute cut short", frame(b'E', 6, b"\0\0")),
        ("behind a Parse", [parse.clone(), frame(b'Q', 3, b"")].concat()),
        ("an unknown type behind a Parse", [parse, frame(b'y', 4, b"")].concat()),
        ("a query within COPY", [copy.clone(), Raw::query_frame("SELECT 1")].concat()),
        ("a Parse within COPY", [copy, Raw::parse_frame("", "SELECT 1")].concat()),
        ("in an open block", [Raw::query_frame("BEGIN; INSERT INTO things VALUES (1)"), frame(b'Q', 3, b"")].concat()),
    ];
    for (what, bytes) in cases {
        let mut raw = Raw::login(proxy.port, &database.name).await;
        raw.send(&bytes).await;
        // A pipeline is looked at when its Sync is there.
        raw.try_send(&Raw::sync_frame()).await;
        let frames = raw.until_closed().await;
        assert_eq!(codes(&frames), ["08P01"], "{what}: {}", tags(&frames));
        assert_eq!(frames.last().unwrap().field(b'V').as_deref(), Some("FATAL"), "{what}");
        assert_eq!(values(&bystander.query("SELECT count(*) FROM things").await), ["0"], "{what}");
    }
    all_at_rest(&proxy, &database).await;
}

#[tokio::test]
async fn data_that_nobody_asked_for_is_left_aside() {
    let database = support::database(1, 0, SCHEMA);
    let proxy = Proxy::start(&database.config(""));
    let mut raw = Raw::login(proxy.port, &database.name).await;
    // As PostgreSQL does: they may be left over from a COPY that failed.
    raw.send(&[frame(b'd', 6, b"1\n"), frame(b'c', 4, b""), frame(b'f', 6, b"x\0")].concat()).await;
    assert_eq!(values(&raw.query("SELECT count(*) FROM things").await), ["0"]);
}

#[tokio::test]
async fn startup_packets_that_are_none() {
    let database = support::database(1, 0, SCHEMA);
    let proxy = Proxy::start(&database.config(""));
    let mut bystander = Raw::login(proxy.port, &database.name).await;
    let packet = |length: i32, code: i32, body: &[u8]| [&length.to_be_bytes()[..], &code.to_be_bytes(), body].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("length -1", packet(-1, 196_608, b"")),
        ("length 3", packet(3, 196_608, b"")),
        ("too long", packet(1 << 20, 196_608, b"")),
        ("version 2", packet(8, 131_072, b"")),
        ("version 9", packet(8, 9 << 16, b"")),
        ("a name without a value", packet(13, 196_608, b"user\0")),
        ("no end", packet(17, 196_608, b"user\0app\0")),
        ("no user", packet(9, 196_608, b"\0")),
        ("a query", Raw::query_frame("SELECT 1")),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
    ];
    for (what, bytes) in cases {
        let mut raw = Raw::connect(proxy.port).await;
        raw.send(&bytes).await;
        raw.half_close().await;
        let frames = raw.until_closed().await;
        assert!(frames.iter().all(|frame| frame.tag == b'E'), "{what}: {}", tags(&frames));
        assert_eq!(values(&bystander.query("SELECT 1").await), ["1"], "{what}");
    }
}

#[tokio::test]
async fn the_function_call_protocol_is_refused() {
    let database = support::database(1, 0, SCHEMA);
    let proxy = Proxy::start(&database.config(""));
    let mut raw = Raw::login(proxy.port, &database.name).await;
    raw.send(&frame(b'F', 14, &[0; 10])).await;
    let frames = raw.until_ready().await;
    assert_eq!((codes(&frames), status(&frames)), (vec!["0A000".to_owned()], 'I'));
    assert_eq!(values(&raw.query("SELECT 1").await), ["1"]);
}
