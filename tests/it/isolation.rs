//! What one client does to its session, the next client on the same server does not see.
//!
//! Every deed is done by one client on a pool of one server; it leaves, kindly or in the middle of a message; the next
//! client compares all there is to see of a session with what a new connection to the server sees. That the comparison is
//! worth something is shown each time: the client of the deed itself must see a difference, and so must whoever uses a
//! server that was not cleaned.

use std::time::{Duration, Instant};

use super::support::{self, Database, Frame, Proxy, Raw};

const SCHEMA: &str = "
    CREATE TABLE things (id serial PRIMARY KEY, name text);
    CREATE SEQUENCE numbers;
    CREATE SCHEMA other;
    CREATE TABLE other.things (id int);
    INSERT INTO other.things VALUES (42);
    CREATE FUNCTION become(who text) RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN PERFORM set_config('app.tenant', who, false); END $$;
    CREATE FUNCTION lock_it() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock(77); END $$;";

/// All that can be seen of a session. (A custom setting that was set once is '' ever after, in PostgreSQL, too, and not
/// NULL; and a loaded library has settings.)
const PRINT: &str = "
    SELECT name || ' = ' || setting FROM pg_catalog.pg_settings WHERE name NOT LIKE 'plpgsql.%'
    UNION ALL SELECT 'current_user = ' || current_user
    UNION ALL SELECT 'session_user = ' || session_user
    UNION ALL SELECT 'path = ' || pg_catalog.current_schemas(false)::text
    UNION ALL SELECT 'tenant = ' || coalesce(nullif(pg_catalog.current_setting('app.tenant', true), ''), 'none')
    UNION ALL SELECT 'advisory lock ' || objid FROM pg_catalog.pg_locks
        WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()
    UNION ALL SELECT 'prepared ' || name FROM pg_catalog.pg_prepared_statements WHERE name NOT LIKE 'pgweave\\_%'
    UNION ALL SELECT 'cursor ' || name FROM pg_catalog.pg_cursors WHERE name <> ''
    UNION ALL SELECT 'listens to ' || c FROM pg_catalog.pg_listening_channels() AS c
    UNION ALL SELECT 'temporary ' || relname FROM pg_catalog.pg_class
        WHERE relnamespace = pg_catalog.pg_my_temp_schema()
    ORDER BY 1";

/// How long the next client may have to wait for a server that has to be cleaned.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client does.
struct Deed {
    name: &'static str,
    /// Start-up parameters.
    params: &'static [(&'static str, &'static str)],
    /// Simple queries, one by one.
    queries: &'static [&'static str],
    /// One statement by the extended protocol with its text parameters.
    bound: Option<(&'static str, &'static [Option<&'static str>])>,
    /// It is seen by the one who does it.
    seen: bool,
}

const fn does(name: &'static str, queries: &'static [&'static str]) -> Deed {
    Deed { name, params: &[], queries, bound: None, seen: true }
}

const fn unseen(name: &'static str, queries: &'static [&'static str]) -> Deed {
    Deed { seen: false, ..does(name, queries) }
}

const fn starts(name: &'static str, params: &'static [(&'static str, &'static str)]) -> Deed {
    Deed { params, ..does(name, &[]) }
}

const DEEDS: &[Deed] = &[
    does("role", &["SET ROLE app"]),
    does("session authorization", &["SET SESSION AUTHORIZATION app"]),
    does("search path", &["SET search_path = other, public"]),
    does("SET SESSION", &["SET SESSION statement_timeout = '77s'"]),
    does("SET LOCAL in an open block", &["BEGIN", "SET LOCAL work_mem = '1MB'"]),
    does("SET in a block that commits", &["BEGIN", "SET work_mem = '1MB'", "COMMIT"]),
    does("SET behind a savepoint", &["BEGIN", "SAVEPOINT a", "SET work_mem = '1MB'", "RELEASE a", "COMMIT"]),
    does("set_config of a literal", &["SELECT set_config('work_mem', '1MB', false)"]),
    does("set_config of a name that is computed", &["SELECT set_config('work' || '_mem', '1MB', false)"]),
    Deed {
        bound: Some(("SELECT set_config($1, $2, false)", &[Some("work_mem"), Some("1MB")])),
        ..does("set_config by parameters", &[])
    },
    Deed {
        bound: Some(("SELECT set_config('app.tenant', $1, false)", &[Some("7")])),
        ..does("a custom setting by a parameter", &[])
    },
    Deed { bound: Some(("SET work_mem = '1MB'", &[])), ..does("SET by the extended protocol", &[]) },
    does("a custom setting", &["SET app.tenant = '7'"]),
    unseen("a custom setting that was reset", &["SET app.tenant = '7'", "RESET app.tenant"]),
    unseen("a custom setting of one transaction", &["BEGIN", "SELECT set_config('app.tenant', '7', true)", "COMMIT"]),
    does("a custom setting of an unfinished transaction", &["BEGIN", "SET LOCAL app.tenant = '7'"]),
    does("a function that sets", &["BEGIN", "SELECT become('7')"]),
    unseen("a function that sets, in autocommit", &["SELECT become('7')"]),
    unseen("a function that locks", &["SELECT lock_it()"]),
    does("DO that sets", &["DO $$ BEGIN PERFORM set_config('app.tenant', '7', false); END $$"]),
    does("an update of pg_settings", &["UPDATE pg_settings SET setting = '1024' WHERE name = 'work_mem'"]),
    does("several statements", &["SET timezone = 'Asia/Tokyo'; SELECT 1"]),
    does("several statements, the setting last", &["SELECT 1; SELECT set_config('timezone', 'Asia/Tokyo', false)"]),
    does("TIME ZONE", &["SET TIME ZONE 'Asia/Tokyo'"]),
    does("NAMES", &["SET NAMES 'LATIN1'"]),
    does("characteristics", &["SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"]),
    does("an advisory lock", &["SELECT pg_advisory_lock(77)"]),
    does("an advisory lock tried", &["SELECT pg_try_advisory_lock(77)"]),
    does("an advisory lock of an open block", &["BEGIN", "SELECT pg_advisory_xact_lock(77)"]),
    does("a temporary table", &["CREATE TEMP TABLE things (id int)", "INSERT INTO things VALUES (1)"]),
    does("a temporary table by SELECT INTO", &["SELECT 1 AS id INTO TEMP things"]),
    does("a prepared name", &["PREPARE p AS SELECT 1"]),
    does("a cursor with hold", &["DECLARE c CURSOR WITH HOLD FOR SELECT * FROM other.things"]),
    does("a cursor of an open block", &["BEGIN", "DECLARE c CURSOR FOR SELECT * FROM other.things"]),
    does("LISTEN", &["LISTEN news"]),
    unseen("nextval", &["SELECT nextval('numbers')"]),
    unseen("a serial column", &["INSERT INTO things DEFAULT VALUES", "DELETE FROM things"]),
    unseen("a failed block", &["BEGIN", "SELECT 1/0"]),
    unseen("settings taken back", &["SET work_mem = '1MB'", "RESET work_mem"]),
    starts("an application name", &[("application_name", "a")]),
    starts("a search path", &[("search_path", "other, public")]),
    starts("options", &[("options", "-c statement_timeout=77s -c search_path=other")]),
    starts("a custom option", &[("options", "-c app.tenant=7")]),
    starts("a role by options", &[("options", "-c role=app")]),
    Deed { queries: &["RESET ALL"], ..starts("RESET ALL over start-up settings", &[("TimeZone", "Asia/Tokyo")]) },
    Deed {
        queries: &["DISCARD ALL"],
        seen: false,
        ..starts("DISCARD ALL over start-up settings", &[("TimeZone", "Asia/Tokyo")])
    },
];

/// How a client leaves.
#[derive(Clone, Copy, Debug)]
enum Leaves {
    /// By Terminate.
    Kindly,
    /// In the middle of a message.
    HalfWay,
}

/// The rows of an answer, its only column; an error is a line of its own.
fn lines(frames: &[Frame]) -> Vec<String> {
    let line = |frame: &Frame| match frame.tag {
        b'D' => Some(frame.columns()[0].as_ref().map_or("NULL".into(), |v| String::from_utf8_lossy(v).into_owned())),
        b'E' => Some(format!("error {:?}: {:?}", frame.field(b'C'), frame.field(b'M'))),
        _ => None,
    };
    frames.iter().filter_map(line).collect()
}

async fn login(port: u16, dbname: &str, params: &[(&str, &str)]) -> Raw {
    let mut raw = Raw::connect(port).await;
    let params: Vec<(&str, &str)> = std::iter::once(("database", dbname)).chain(params.iter().copied()).collect();
    let frames = raw.startup("postgres", "postgres", &params).await;
    assert_eq!(frames.last().map(|frame| frame.tag), Some(b'Z'), "logs in with {params:?}: {frames:?}");
    raw
}

async fn print(raw: &mut Raw) -> Vec<String> {
    lines(&raw.query(PRINT).await)
}

/// What differs between two prints.
fn difference(seen: &[String], expected: &[String]) -> Vec<String> {
    let more = seen.iter().filter(|line| !expected.contains(line)).map(|line| format!("+ {line}"));
    let less = expected.iter().filter(|line| !seen.contains(line)).map(|line| format!("- {line}"));
    more.chain(less).collect()
}

impl Deed {
    async fn run(&self, raw: &mut Raw) {
        for query in self.queries {
            raw.query(query).await;
        }
        if let Some((text, params)) = &self.bound {
            let mut bytes = Raw::parse_frame("", text);
            bytes.extend(Raw::bind_frame("", "", params));
            bytes.extend(Raw::execute_frame("", 0));
            bytes.extend(Raw::sync_frame());
            raw.send(&bytes).await;
            raw.until_ready().await;
        }
    }
}

async fn leave(mut raw: Raw, leaves: Leaves) {
    match leaves {
        Leaves::Kindly => raw.send(b"X\0\0\0\x04").await,
        Leaves::HalfWay => {
            let message = Raw::query_frame("SELECT 'half of it'");
            raw.send(&message[..message.len() / 2]).await;
        }
    }
}

fn one_server() -> (Database, Proxy) {
    let database = support::database(1, 0, SCHEMA);
    let config = database.config("pool_size = 1\n");
    let proxy = Proxy::start(&format!("[[users]]\nname = \"postgres\"\npassword = \"postgres\"\n\n{config}"));
    (database, proxy)
}

/// Does all deeds, each followed by a client that must see nothing of it.
async fn nothing_is_left(leaves: Leaves) {
    let (database, proxy) = one_server();
    let server = database.cluster.shards[0].primary.port();
    let fresh = print(&mut login(server, &database.name, &[]).await).await;
    let mut leaks = Vec::new();
    for deed in DEEDS {
        let mut doer = login(proxy.port, &database.name, deed.params).await;
        deed.run(&mut doer).await;
        if deed.seen {
            let own = print(&mut doer).await;
            assert!(!difference(&own, &fresh).is_empty(), "{}: its own client sees nothing of it", deed.name);
        }
        leave(doer, leaves).await;
        let since = Instant::now();
        let mut next = login(proxy.port, &database.name, &[]).await;
        let left = difference(&print(&mut next).await, &fresh);
        if !left.is_empty() {
            leaks.push(format!("{}: {left:?}", deed.name));
        }
        assert!(since.elapsed() < PATIENCE, "{}: the next client waited {:?}", deed.name, since.elapsed());
        let tables = lines(&next.query("SELECT count(*) FROM things").await);
        assert_eq!(tables, ["0"], "{}: the next client reads another table", deed.name);
        let value = lines(&next.query("SELECT lastval()").await);
        if !value.iter().all(|line| ["55000", "0A000"].iter().any(|code| line.contains(code))) {
            leaks.push(format!("{}: lastval() is {value:?}", deed.name));
        }
        leave(next, Leaves::Kindly).await;
    }
    assert!(leaks.is_empty(), "{leaves:?}: {}", leaks.join("\n"));
}

#[tokio::test]
async fn nothing_is_left_by_a_client_that_says_goodbye() {
    nothing_is_left(Leaves::Kindly).await;
}

#[tokio::test]
async fn nothing_is_left_by_a_client_that_vanishes_in_the_middle_of_a_message() {
    nothing_is_left(Leaves::HalfWay).await;
}

/// The comparison itself: on one server connection that nobody cleans, every deed is found.
#[tokio::test]
async fn the_comparison_finds_what_is_left_on_a_server() {
    let database = support::database(1, 0, SCHEMA);
    let server = database.cluster.shards[0].primary.port();
    let fresh = print(&mut login(server, &database.name, &[]).await).await;
    for deed in DEEDS.iter().filter(|deed| deed.params.is_empty() && deed.seen) {
        let mut raw = login(server, &database.name, &[]).await;
        deed.run(&mut raw).await;
        assert!(!difference(&print(&mut raw).await, &fresh).is_empty(), "{}: is not found", deed.name);
    }
}

/// Two clients of other settings take turns on one server: each keeps its own.
#[tokio::test]
async fn clients_that_take_turns_keep_their_own_settings() {
    let (database, proxy) = one_server();
    let own = [
        [("application_name", "a"), ("TimeZone", "Asia/Tokyo"), ("search_path", "other, public")],
        [("application_name", "b"), ("TimeZone", "America/New_York"), ("search_path", "public")],
    ];
    let (mut a, mut b) =
        (login(proxy.port, &database.name, &own[0]).await, login(proxy.port, &database.name, &own[1]).await);
    let asked = "SELECT current_setting('application_name') || ' ' || current_setting('TimeZone') || ' ' ||
        current_setting('search_path') || ' ' || (SELECT count(*) FROM things)";
    let mut servers = Vec::new();
    for turn in 0..5 {
        assert_eq!(lines(&a.query(asked).await), ["a Asia/Tokyo other, public 1"], "turn {turn}");
        assert_eq!(lines(&b.query(asked).await), ["b America/New_York public 0"], "turn {turn}");
        let mut bound = Raw::parse_frame("", asked);
        bound.extend([Raw::bind_frame("", "", &[]), Raw::execute_frame("", 0), Raw::sync_frame()].concat());
        a.send(&bound).await;
        assert_eq!(lines(&a.until_ready().await), ["a Asia/Tokyo other, public 1"], "turn {turn}");
        servers.extend(lines(&a.query("SELECT pg_backend_pid()").await));
        servers.extend(lines(&b.query("SELECT pg_backend_pid()").await));
    }
    servers.dedup();
    assert_eq!(servers.len(), 1, "both used one server, which was not closed in between");
}

/// What a client set by SET it keeps, while others use the pool; it is told what changed.
#[tokio::test]
async fn a_setting_stays_with_its_client() {
    let database = support::database(1, 0, SCHEMA);
    let proxy = Proxy::start(&database.config("pool_size = 2\n"));
    let (mut a, mut b) = (Raw::login(proxy.port, &database.name).await, Raw::login(proxy.port, &database.name).await);
    let told = a.query("SET TimeZone = 'Asia/Tokyo'").await;
    assert!(told.iter().any(|frame| frame.tag == b'S' && frame.body == b"TimeZone\0Asia/Tokyo\0"), "{told:?}");
    for _ in 0..5 {
        assert_ne!(lines(&b.query("SHOW TimeZone").await), ["Asia/Tokyo"]);
        assert_eq!(lines(&a.query("SHOW TimeZone").await), ["Asia/Tokyo"]);
        assert_eq!(lines(&b.query("SELECT 1").await), ["1"]);
    }
    a.query("BEGIN").await;
    a.query("SET TimeZone = 'Europe/Rome'").await;
    a.query("ROLLBACK").await;
    assert_eq!(lines(&a.query("SHOW TimeZone").await), ["Asia/Tokyo"], "a rolled back SET is undone");
}

/// Statements prepared by the protocol are each client's own, whatever others call theirs.
#[tokio::test]
async fn prepared_names_are_each_clients_own() {
    let (database, proxy) = one_server();
    let (mut a, mut b) = (login(proxy.port, &database.name, &[]).await, login(proxy.port, &database.name, &[]).await);
    for (raw, text) in [(&mut a, "SELECT 'a'"), (&mut b, "SELECT 'b'")] {
        raw.send(&[Raw::parse_frame("s", text), Raw::sync_frame()].concat()).await;
        raw.until_ready().await;
    }
    let run = [Raw::bind_frame("", "s", &[]), Raw::execute_frame("", 0), Raw::sync_frame()].concat();
    for _ in 0..3 {
        for (raw, expected) in [(&mut a, "a"), (&mut b, "b")] {
            raw.send(&run).await;
            assert_eq!(lines(&raw.until_ready().await), [expected]);
        }
    }
    // One client's DEALLOCATE ALL takes nothing from another's.
    a.query("DEALLOCATE ALL").await;
    b.send(&run).await;
    assert_eq!(lines(&b.until_ready().await), ["b"]);
    a.send(&run).await;
    assert!(lines(&a.until_ready().await)[0].contains("26000"));
    let mut c = login(proxy.port, &database.name, &[]).await;
    c.send(&run).await;
    assert!(lines(&c.until_ready().await)[0].contains("26000"), "a new client has no statement");
    assert!(lines(&c.query("EXECUTE s").await)[0].contains("26000"));
}

/// lastval and currval tell of their own session or not at all.
#[tokio::test]
async fn the_last_value_of_a_sequence_is_the_sessions_own() {
    let (database, proxy) = one_server();
    let mut a = login(proxy.port, &database.name, &[]).await;
    a.query("BEGIN").await;
    a.query("INSERT INTO things (name) VALUES ('x')").await;
    assert_eq!(lines(&a.query("SELECT lastval()").await), ["1"]);
    assert_eq!(lines(&a.query("SELECT currval('things_id_seq')").await), ["1"]);
    a.query("COMMIT").await;
    // By then it keeps its server.
    a.query("INSERT INTO things (name) VALUES ('y')").await;
    assert_eq!(lines(&a.query("SELECT currval('things_id_seq')").await), ["2"]);
    leave(a, Leaves::Kindly).await;
    let mut b = login(proxy.port, &database.name, &[]).await;
    b.query("INSERT INTO things (name) VALUES ('z')").await;
    let refused = lines(&b.query("SELECT currval('things_id_seq')").await);
    assert!(refused[0].contains("0A000"), "{refused:?}");
}
