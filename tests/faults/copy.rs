//! COPY and large results: memory stays flat, errors are the server's, and the client goes on.

use super::support::{self, Database, Frame, LIMIT, Proxy, Raw, eventually};
use super::tools::{codes, done, resident, run_frames, status, values};

const SCHEMA: &str = "CREATE TABLE things (id int, name text)";

fn data(bytes: &[u8]) -> Vec<u8> {
    [&b"d"[..], &(bytes.len() as i32 + 4).to_be_bytes(), bytes].concat()
}

const COPY_DONE: &[u8] = b"c\0\0\0\x04";
const COPY: &str = "COPY things FROM STDIN";

/// By how much the proxy may grow while it carries what is far larger.
const FLAT: u64 = 24 << 20;

fn started() -> (Database, Proxy) {
    let database = support::database(1, 0, SCHEMA);
    let proxy = Proxy::start(&database.config("pool_size = 1\n"));
    (database, proxy)
}

/// All fields of the first error, as they came.
fn error(frames: &[Frame]) -> Option<Vec<u8>> {
    frames.iter().find(|frame| frame.tag == b'E').map(|frame| frame.body.clone())
}

#[tokio::test]
async fn fifty_megabytes_are_copied_without_being_held() {
    let (database, proxy) = started();
    let mut raw = Raw::login(proxy.port, &database.name).await;
    raw.query("SELECT 1").await;
    let before = resident(proxy.pid());
    raw.send(&Raw::query_frame(COPY)).await;
    let asked = raw.frame().await.expect("is asked for data");
    assert_eq!(asked.tag, b'G');
    let row = format!("1\t{}\n", "x".repeat(990));
    let megabyte = data(row.as_bytes()).repeat(1000);
    let mut most = before;
    for _ in 0..50 {
        raw.send(&megabyte).await;
        most = most.max(resident(proxy.pid()));
    }
    raw.send(COPY_DONE).await;
    assert_eq!(done(&raw.until_ready().await), ["COPY 50000"]);
    assert!(most - before < FLAT, "grew by {} KiB", (most - before) >> 10);
    let sum = values(&raw.query("SELECT count(*) || ' ' || sum(length(name)) FROM things").await);
    assert_eq!(sum, ["50000 49500000"]);
}

#[tokio::test]
async fn data_is_held_back_while_the_server_does_not_take_it() {
    let (database, proxy) = started();
    let mut raw = Raw::login(proxy.port, &database.name).await;
    raw.send(&Raw::query_frame(COPY)).await;
    assert_eq!(raw.frame().await.map(|frame| frame.tag), Some(b'G'));
    let backend = || {
        let asked =
            format!("SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND query LIKE 'COPY%'", database.name);
        database.cluster.shards[0].primary.sql("postgres", &asked).unwrap()
    };
    let pid = backend();
    let signal = |name: &str| {
        let sent = std::process::Command::new("/bin/kill").args(["-s", name, &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -s {name} {pid}");
    };
    signal("STOP");
    let before = resident(proxy.pid());
    let megabyte = data(format!("1\t{}\n", "x".repeat(990)).as_bytes()).repeat(1000);
    let mut sent = 0;
    // What sockets and one buffer hold goes through; then the client cannot write any more.
    while sent < 60 && tokio::time::timeout(std::time::Duration::from_millis(500), raw.send(&megabyte)).await.is_ok() {
        sent += 1;
    }
    let grown = resident(proxy.pid()).saturating_sub(before);
    signal("CONT");
    assert!(sent < 60, "the client was never held back");
    assert!(grown < FLAT, "grew by {} KiB", grown >> 10);
}

#[tokio::test]
async fn a_reader_that_does_not_read_costs_no_memory() {
    let (database, proxy) = started();
    let mut raw = Raw::login(proxy.port, &database.name).await;
    raw.query("SELECT 1").await;
    let before = resident(proxy.pid());
    raw.send(&Raw::query_frame("SELECT repeat('x', 10000) FROM generate_series(1, 20000)")).await;
    let asked = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND wait_event = 'ClientWrite'",
        database.name
    );
    // Nothing is read here, so in the end the server itself has to wait.
    eventually("the server waits for its client", LIMIT, async || {
        database.cluster.shards[0].primary.sql("postgres", &asked).unwrap() == "1"
    })
    .await;
    let grown = resident(proxy.pid()).saturating_sub(before);
    assert!(grown < FLAT, "grew by {} KiB", grown >> 10);
    let mut rows = 0;
    loop {
        match raw.frame().await.expect("the result goes on") {
            frame if frame.tag == b'D' => rows += 1,
            frame if frame.tag == b'Z' => break,
            _ => {}
        }
    }
    assert_eq!(rows, 20_000);
    let grown = resident(proxy.pid()).saturating_sub(before);
    assert!(grown < FLAT, "grew by {} KiB", grown >> 10);
}

#[tokio::test]
async fn rows_larger_than_any_buffer_pass() {
    let (database, proxy) = started();
    let mut raw = Raw::login(proxy.port, &database.name).await;
    let text = "SELECT repeat(chr(96 + i), 3000000) FROM generate_series(1, 4) AS i";
    for bytes in [Raw::query_frame(text), [run_frames(text), Raw::sync_frame()].concat()] {
        raw.send(&bytes).await;
        let rows = values(&raw.until_ready().await);
        let expected: Vec<String> = ["a", "b", "c", "d"].iter().map(|letter| letter.repeat(3_000_000)).collect();
        assert!(rows == expected, "{:?}", rows.iter().map(String::len).collect::<Vec<_>>());
    }
    // And the other way, in one message.
    let long = "y".repeat(2_000_000);
    assert_eq!(done(&raw.query(&format!("INSERT INTO things VALUES (1, '{long}')")).await), ["INSERT 0 1"]);
    let bound = [
        Raw::parse_frame("", "INSERT INTO things VALUES (2, $1)"),
        Raw::bind_frame("", "", &[Some(&long)]),
        Raw::execute_frame("", 0),
        Raw::sync_frame(),
    ];
    raw.send(&bound.concat()).await;
    assert_eq!(done(&raw.until_ready().await), ["INSERT 0 1"]);
    let lengths = values(&raw.query("SELECT length(name) FROM things ORDER BY id").await);
    assert_eq!(lengths, ["2000000", "2000000"]);
}

/// Sends a COPY with a bad row in the middle and takes the answer up to ReadyForQuery.
async fn bad_copy(raw: &mut Raw, extended: bool) -> Vec<Frame> {
    let rows = [data(b"1\ta\n"), data(b"bad\tb\n"), data(b"3\tc\n")].concat();
    if extended {
        raw.send(&[run_frames(COPY), Raw::sync_frame()].concat()).await;
    } else {
        raw.send(&Raw::query_frame(COPY)).await;
    }
    let mut frames = Vec::new();
    while frames.last().is_none_or(|frame: &Frame| frame.tag != b'G') {
        frames.push(raw.frame().await.expect("is asked for data"));
    }
    raw.send(&[&rows[..], COPY_DONE].concat()).await;
    if extended {
        raw.send(&Raw::sync_frame()).await;
    }
    frames.extend(raw.until_ready().await);
    frames
}

#[tokio::test]
async fn a_bad_row_is_told_in_the_servers_words() {
    let (database, proxy) = started();
    let mut raw = Raw::login(proxy.port, &database.name).await;
    let mut direct = Raw::login(database.cluster.shards[0].primary.port(), &database.name).await;
    for block in [false, true] {
        for extended in [false, true] {
            if block {
                raw.query("BEGIN").await;
                direct.query("BEGIN").await;
            }
            let (seen, expected) = (bad_copy(&mut raw, extended).await, bad_copy(&mut direct, extended).await);
            let told = String::from_utf8_lossy(&error(&seen).expect("an error")).into_owned();
            assert_eq!(told, String::from_utf8_lossy(&error(&expected).expect("an error")), "verbatim");
            assert!(told.contains("COPY things, line 2, column id"), "with its context: {told}");
            assert_eq!(status(&seen), if block { 'E' } else { 'I' });
            if block {
                assert_eq!(codes(&raw.query("SELECT 1").await), ["25P02"]);
                raw.query("ROLLBACK").await;
                direct.query("ROLLBACK").await;
            }
            assert_eq!(values(&raw.query("SELECT count(*) FROM things").await), ["0"], "nothing of it stands");
        }
    }
}

#[tokio::test]
async fn an_error_within_half_of_a_message_leaves_the_server_in_step() {
    let (database, proxy) = started();
    let mut raw = Raw::login(proxy.port, &database.name).await;
    raw.query("BEGIN").await;
    raw.query("SAVEPOINT a").await;
    raw.send(&Raw::query_frame(COPY)).await;
    assert_eq!(raw.frame().await.map(|frame| frame.tag), Some(b'G'));
    let late = data(&b"5\tlate\n".repeat(1000));
    raw.send(&[data(b"bad\tb\n"), late[..100].to_vec()].concat()).await;
    // The server tells at the first message, while the second is on its way.
    let frames = raw.until_ready().await;
    assert_eq!((codes(&frames), status(&frames)), (vec!["22P02".to_owned()], 'E'));
    raw.send(&[&late[100..], COPY_DONE].concat()).await;
    assert_eq!(done(&raw.query("ROLLBACK TO a").await), ["ROLLBACK"]);
    assert_eq!(values(&raw.query("SELECT count(*) FROM things").await), ["0"]);
    assert_eq!(done(&raw.query("COMMIT").await), ["COMMIT"]);
}

#[tokio::test]
async fn a_copy_that_its_client_breaks_off() {
    let (database, proxy) = started();
    let mut raw = Raw::login(proxy.port, &database.name).await;
    for extended in [false, true] {
        let begin = if extended { [run_frames(COPY), Raw::sync_frame()].concat() } else { Raw::query_frame(COPY) };
        raw.send(&[begin, data(b"1\ta\n"), b"f\0\0\0\x07no\0".to_vec()].concat()).await;
        if extended {
            raw.send(&Raw::sync_frame()).await;
        }
        let frames = raw.until_ready().await;
        assert_eq!(codes(&frames), ["57014"], "{frames:?}");
        assert!(frames.iter().any(|frame| frame.field(b'M').is_some_and(|m| m.contains("no"))));
        assert_eq!(values(&raw.query("SELECT count(*) FROM things").await), ["0"]);
    }
    // And out again.
    raw.query("INSERT INTO things VALUES (1, 'a'), (2, 'b')").await;
    let frames = raw.query("COPY things TO STDOUT").await;
    let rows: Vec<_> = frames.iter().filter(|frame| frame.tag == b'd').map(|frame| frame.body.clone()).collect();
    assert_eq!(rows, [b"1\ta\n".to_vec(), b"2\tb\n".to_vec()]);
    assert_eq!(done(&frames), ["COPY 2"]);
}
