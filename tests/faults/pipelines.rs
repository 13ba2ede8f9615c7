//! Pipelines: the answers that PostgreSQL gives, in its order, however the messages are cut.

use super::support::{self, Database, Frame, Proxy, Raw};
use super::tools::{codes, run_frames, tags, values};

const SCHEMA: &str = "CREATE TABLE things (id int PRIMARY KEY, name text);
    INSERT INTO things SELECT i, 'n' || i FROM generate_series(1, 10) AS i";

fn parse(name: &str, text: &str) -> Vec<u8> {
    Raw::parse_frame(name, text)
}

fn bind(portal: &str, name: &str, params: &[Option<&str>]) -> Vec<u8> {
    Raw::bind_frame(portal, name, params)
}

fn execute(portal: &str, rows: i32) -> Vec<u8> {
    Raw::execute_frame(portal, rows)
}

fn describe(kind: u8, name: &str) -> Vec<u8> {
    Raw::describe_frame(kind, name)
}

fn close(kind: u8, name: &str) -> Vec<u8> {
    Raw::close_frame(kind, name)
}

fn sync() -> Vec<u8> {
    Raw::sync_frame()
}

fn flush() -> Vec<u8> {
    Raw::flush_frame()
}

/// Pipelines of whole Sync groups, each sent in one write.
fn scripts() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let select = run_frames("SELECT id FROM things ORDER BY id LIMIT 3");
    vec![
        ("five groups", [&select[..], &sync()].concat().repeat(5)),
        (
            "queries and groups",
            [&Raw::query_frame("SELECT 1")[..], &select, &sync(), &Raw::query_frame("SELECT 2")].concat(),
        ),
        ("several statements in one group", [&select[..], &select, &select, &sync()].concat()),
        ("an error skips to Sync", [&run_frames("SELECT 1/0")[..], &select, &sync(), &select, &sync()].concat()),
        (
            "an error in the middle",
            [&select[..], &run_frames("SELECT 1/0"), &select, &sync(), &select, &sync()].concat(),
        ),
        (
            "a syntax error",
            [&parse("", "SELEC 1")[..], &bind("", "", &[]), &execute("", 0), &sync(), &select, &sync()].concat(),
        ),
        (
            "an error undoes its group",
            [
                &run_frames("INSERT INTO things VALUES (11, 'x')")[..],
                &run_frames("SELECT 1/0"),
                &sync(),
                &run_frames("SELECT count(*) FROM things"),
                &sync(),
            ]
            .concat(),
        ),
        (
            "Describe in between",
            [
                &parse("", "SELECT id, name FROM things WHERE id = $1::int")[..],
                &describe(b'S', ""),
                &bind("", "", &[Some("1")]),
                &describe(b'P', ""),
                &execute("", 0),
                &sync(),
            ]
            .concat(),
        ),
        (
            "Describe of what gives no rows",
            [
                &parse("", "UPDATE things SET name = name")[..],
                &describe(b'S', ""),
                &bind("", "", &[]),
                &describe(b'P', ""),
                &execute("", 0),
                &sync(),
            ]
            .concat(),
        ),
        ("a Sync alone", sync().repeat(3)),
        ("nothing to execute", [&parse("", "")[..], &bind("", "", &[]), &execute("", 0), &sync()].concat()),
        (
            "BEGIN and COMMIT within",
            [
                &run_frames("BEGIN")[..],
                &run_frames("INSERT INTO things VALUES (12, 'x')"),
                &run_frames("COMMIT"),
                &sync(),
                &select,
                &sync(),
            ]
            .concat(),
        ),
        (
            "a block over groups",
            [
                &run_frames("BEGIN")[..],
                &sync(),
                &select,
                &sync(),
                &run_frames("SELECT 1/0"),
                &sync(),
                &select,
                &sync(),
                &run_frames("ROLLBACK"),
                &sync(),
            ]
            .concat(),
        ),
        (
            "COMMIT of a failed block",
            [&run_frames("BEGIN")[..], &sync(), &run_frames("SELECT 1/0"), &sync(), &run_frames("COMMIT"), &sync()]
                .concat(),
        ),
        (
            "a savepoint",
            [
                &run_frames("BEGIN")[..],
                &run_frames("SAVEPOINT a"),
                &sync(),
                &run_frames("SELECT 1/0"),
                &sync(),
                &run_frames("ROLLBACK TO a"),
                &sync(),
                &select,
                &sync(),
                &run_frames("COMMIT"),
                &sync(),
            ]
            .concat(),
        ),
        (
            "a portal in pieces",
            [
                &parse("", "SELECT id FROM things WHERE id < 8 ORDER BY id")[..],
                &bind("p", "", &[]),
                &execute("p", 3),
                &flush(),
                &execute("p", 3),
                &flush(),
                &execute("p", 3),
                &execute("p", 3),
                &sync(),
            ]
            .concat(),
        ),
        (
            "two portals in turn",
            [
                &parse("a", "SELECT id FROM things ORDER BY id")[..],
                &parse("b", "SELECT name FROM things ORDER BY id"),
                &bind("p", "a", &[]),
                &bind("q", "b", &[]),
                &execute("p", 2),
                &execute("q", 2),
                &execute("p", 2),
                &execute("q", 2),
                &close(b'P', "p"),
                &close(b'S', "a"),
                &close(b'S', "b"),
                &sync(),
            ]
            .concat(),
        ),
        (
            "a portal that ends with its group",
            [&parse("", "SELECT 1")[..], &bind("p", "", &[]), &sync(), &execute("p", 0), &sync()].concat(),
        ),
        (
            "a portal that outlives its group in a block",
            [
                &run_frames("BEGIN")[..],
                &parse("", "SELECT id FROM things ORDER BY id"),
                &bind("p", "", &[]),
                &execute("p", 2),
                &sync(),
                &execute("p", 2),
                &sync(),
                &run_frames("COMMIT"),
                &sync(),
                &execute("p", 2),
                &sync(),
            ]
            .concat(),
        ),
        (
            "unnamed over groups",
            [
                &parse("", "SELECT 7")[..],
                &sync(),
                &bind("", "", &[]),
                &execute("", 0),
                &sync(),
                &bind("", "", &[]),
                &execute("", 0),
                &sync(),
            ]
            .concat(),
        ),
        (
            "unnamed replaced",
            [&parse("", "SELECT 7")[..], &parse("", "SELECT 8"), &bind("", "", &[]), &execute("", 0), &sync()].concat(),
        ),
        (
            "named over groups",
            [
                &parse("n", "SELECT 7")[..],
                &sync(),
                &bind("", "n", &[]),
                &execute("", 0),
                &sync(),
                &close(b'S', "n"),
                &sync(),
            ]
            .concat(),
        ),
        (
            "a name twice",
            [
                &parse("t", "SELECT 1")[..],
                &sync(),
                &parse("t", "SELECT 2"),
                &sync(),
                &bind("", "t", &[]),
                &execute("", 0),
                &sync(),
                &close(b'S', "t"),
                &sync(),
            ]
            .concat(),
        ),
        (
            "a name twice in one group",
            [
                &parse("t", "SELECT 1")[..],
                &parse("t", "SELECT 2"),
                &sync(),
                &bind("", "t", &[]),
                &execute("", 0),
                &sync(),
                &close(b'S', "t"),
                &sync(),
            ]
            .concat(),
        ),
        (
            "closed and used again",
            [
                &parse("c", "SELECT 1")[..],
                &close(b'S', "c"),
                &parse("c", "SELECT 2"),
                &bind("", "c", &[]),
                &execute("", 0),
                &sync(),
                &close(b'S', "c"),
                &bind("", "c", &[]),
                &sync(),
            ]
            .concat(),
        ),
        ("closing what is not there", [&close(b'S', "nothing")[..], &close(b'P', "nothing"), &sync()].concat()),
        (
            "a name that failed",
            [
                &parse("f", "SELECT * FROM missing")[..],
                &sync(),
                &bind("", "f", &[]),
                &sync(),
                &parse("f", "SELECT 3"),
                &bind("", "f", &[]),
                &execute("", 0),
                &sync(),
                &close(b'S', "f"),
                &sync(),
            ]
            .concat(),
        ),
        (
            "a Parse behind an error",
            [&run_frames("SELECT 1/0")[..], &parse("g", "SELECT 1"), &sync(), &bind("", "g", &[]), &sync()].concat(),
        ),
        (
            "a portal that is not there",
            [
                &execute("nothing", 0)[..],
                &sync(),
                &describe(b'P', "nothing"),
                &sync(),
                &describe(b'S', "nothing"),
                &sync(),
            ]
            .concat(),
        ),
        (
            "too few parameters",
            [&parse("", "SELECT $1::int")[..], &bind("", "", &[]), &execute("", 0), &sync(), &select, &sync()].concat(),
        ),
        (
            "DEALLOCATE of a protocol's name",
            [&parse("d", "SELECT 1")[..], &run_frames("DEALLOCATE d"), &sync(), &bind("", "d", &[]), &sync()].concat(),
        ),
        (
            "DEALLOCATE ALL before a Parse",
            [
                &run_frames("DEALLOCATE ALL")[..],
                &sync(),
                &parse("e", "SELECT 1"),
                &bind("", "e", &[]),
                &execute("", 0),
                &sync(),
                &close(b'S', "e"),
                &sync(),
            ]
            .concat(),
        ),
        (
            "a SET that fails",
            [&select[..], &run_frames("SET lock_timeout TO sdfs"), &sync(), &select, &sync()].concat(),
        ),
    ]
    .into_iter()
    .map(|(name, bytes)| (name, groups(&bytes)))
    .collect()
}

/// The bytes of a script as one write; the number of its ReadyForQuery is that of its Syncs and Queries.
fn groups(bytes: &[u8]) -> Vec<Vec<u8>> {
    vec![bytes.to_vec()]
}

fn ready_count(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let [tag, a, b, c, d, ..] = bytes {
        count += usize::from(matches!(tag, b'S' | b'Q'));
        bytes = &bytes[1 + u32::from_be_bytes([*a, *b, *c, *d]) as usize..];
    }
    count
}

/// What may be compared between two servers: all but the place in PostgreSQL's source and the OIDs of tables.
fn comparable(frame: &Frame) -> String {
    let tag = char::from(frame.tag);
    match frame.tag {
        b'E' | b'N' => format!("{tag} {:?} {:?} {:?}", frame.field(b'S'), frame.field(b'C'), frame.field(b'M')),
        b'T' => format!("{tag} {:?}", frame.body),
        _ => format!("{tag} {:?}", String::from_utf8_lossy(&frame.body)),
    }
}

async fn play(raw: &mut Raw, writes: &[Vec<u8>]) -> Vec<String> {
    let mut seen = Vec::new();
    for bytes in writes {
        raw.send(bytes).await;
        for _ in 0..ready_count(bytes) {
            seen.extend(raw.until_ready().await.iter().map(comparable));
        }
    }
    seen
}

/// Two databases of the same tables on one server, one of them behind the proxy.
fn twins(pool_size: usize) -> (Database, Database, Proxy) {
    let (plain, ours) = (support::database(1, 0, SCHEMA), support::database(1, 0, SCHEMA));
    let proxy = Proxy::start(&ours.config(&format!("pool_size = {pool_size}\n")));
    (plain, ours, proxy)
}

/// Table OIDs differ between the twins' databases.
fn without_oids(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().map(|line| if line.starts_with("T ") { "T".to_owned() } else { line }).collect()
}

#[tokio::test]
async fn every_script_is_answered_as_by_one_server() {
    let (plain, ours, proxy) = twins(1);
    let mut direct = Raw::login(plain.cluster.shards[0].primary.port(), &plain.name).await;
    let mut proxied = Raw::login(proxy.port, &ours.name).await;
    let mut wrong = Vec::new();
    for (name, script) in scripts() {
        let expected = without_oids(play(&mut direct, &script).await);
        let seen = without_oids(play(&mut proxied, &script).await);
        if seen != expected {
            wrong.push(format!("{name}:\n  expected {expected:?}\n  seen     {seen:?}"));
        }
        // Byte by byte it is the same.
        for byte in script.concat() {
            proxied.send(&[byte]).await;
        }
        let mut slow = Vec::new();
        for _ in 0..ready_count(&script.concat()) {
            slow.extend(proxied.until_ready().await.iter().map(comparable));
        }
        let mut again = without_oids(play(&mut direct, &script).await);
        again.retain(|line| !line.contains("23505"));
        let mut slow = without_oids(slow);
        slow.retain(|line| !line.contains("23505"));
        if slow != again {
            wrong.push(format!("{name}, byte by byte:\n  expected {again:?}\n  seen     {slow:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn flush_alone_is_answered() {
    let (_, ours, proxy) = twins(1);
    let mut raw = Raw::login(proxy.port, &ours.name).await;
    let next = async |raw: &mut Raw, count: usize| {
        let mut seen = Vec::new();
        for _ in 0..count {
            seen.push(raw.frame().await.expect("an answer"));
        }
        seen
    };
    raw.send(&[parse("f", "SELECT id FROM things ORDER BY id"), describe(b'S', "f"), flush()].concat()).await;
    assert_eq!(tags(&next(&mut raw, 3).await), "1tT");
    raw.send(&[bind("p", "f", &[]), execute("p", 2), flush()].concat()).await;
    assert_eq!(tags(&next(&mut raw, 4).await), "2DDs");
    raw.send(&[execute("p", 2), flush()].concat()).await;
    let frames = next(&mut raw, 3).await;
    assert_eq!((tags(&frames), values(&frames)), ("DDs".to_owned(), vec!["3".to_owned(), "4".to_owned()]));
    raw.send(&[run_frames("SELECT 1/0"), flush()].concat()).await;
    // By Bind, which plans it.
    assert_eq!(codes(&next(&mut raw, 2).await), ["22012"]);
    raw.send(&[flush(), execute("p", 2), flush(), sync()].concat()).await;
    assert_eq!(tags(&raw.until_ready().await), "Z");
    // By Parse and Sync it was prepared for good.
    raw.send(&[bind("", "f", &[]), execute("", 1), sync()].concat()).await;
    assert_eq!(tags(&raw.until_ready().await), "2DsZ");
}

#[tokio::test]
async fn a_named_statement_follows_its_client_to_another_server() {
    let (_, ours, proxy) = twins(2);
    let mut raw = Raw::login(proxy.port, &ours.name).await;
    let mut holder = Raw::login(proxy.port, &ours.name).await;
    let text = "SELECT pg_backend_pid() FROM things WHERE id = $1::int";
    raw.send(&[parse("s", text), parse("", text), sync()].concat()).await;
    assert_eq!(tags(&raw.until_ready().await), "11Z");
    let run = |name: &str| [bind("", name, &[Some("1")]), execute("", 0), sync()].concat();
    raw.send(&run("s")).await;
    let first = values(&raw.until_ready().await);
    // The server it used is now somebody else's.
    holder.query("BEGIN").await;
    assert_eq!(values(&holder.query("SELECT pg_backend_pid() FROM things WHERE id = 1").await), first);
    for name in ["s", "", "s"] {
        raw.send(&run(name)).await;
        let frames = raw.until_ready().await;
        assert_eq!(tags(&frames), "2DCZ", "{name}: {:?}", codes(&frames));
        assert_ne!(values(&frames), first);
    }
    holder.query("ROLLBACK").await;
}

#[tokio::test]
async fn a_mistake_does_not_keep_a_server() {
    let (_, ours, proxy) = twins(1);
    let mut raw = Raw::login(proxy.port, &ours.name).await;
    let mut other = Raw::login(proxy.port, &ours.name).await;
    for wrong in
        ["SELEC 1", "SET lock_timeout = 'x'", "CREATE TEMP TABLE t (id nothing)", "DO $$ BEGIN RAISE 'no'; END $$"]
    {
        assert_eq!(codes(&raw.query(wrong).await).len(), 1, "{wrong}");
        assert_eq!(values(&other.query("SELECT count(*) FROM things").await), ["10"], "{wrong}");
        raw.send(&[run_frames(wrong), sync()].concat()).await;
        assert_eq!(codes(&raw.until_ready().await).len(), 1, "{wrong}");
        assert_eq!(values(&other.query("SELECT count(*) FROM things").await), ["10"], "{wrong}");
    }
    // What outlives the failure is kept.
    raw.query("SELECT pg_advisory_lock(id), 1 / (id - 1) FROM things WHERE id = 1").await;
    raw.query("BEGIN").await;
    raw.query("CREATE TEMP TABLE mine (id int)").await;
    raw.query("COMMIT").await;
    assert_eq!(codes(&raw.query("SELECT 1/0").await), ["22012"]);
    assert_eq!(values(&raw.query("SELECT count(*) FROM mine").await), ["0"]);
}
