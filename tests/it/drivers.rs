//! Drivers with their settings as they come: through the proxy a script gives what it gives on PostgreSQL itself.
//!
//! Each script runs three times: on a plain server, through a proxy whose pool has one server for all of its clients, and
//! through a proxy over two shards.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use pgweave::cluster::Node;
use tokio_postgres::{IsolationLevel, SimpleQueryMessage};

use super::support::{self, Database, Proxy, Raw, Session, eventually_blocking, sqlstate};

const SCHEMA: &str = include_str!("../drivers/schema.sql");

/// One shard without a map, and one server for everybody.
const ONE: &str = "pool_size = 1\nshards = [\"s1\"]\n[limits]\ncheckout_timeout = \"60s\"\n";

const TWO: &str = "pool_size = 4
[[databases.{db}.distributions]]
name = \"customers\"
tables = { customers = [\"id\"], orders = [\"customer_id\"] }
[limits]
checkout_timeout = \"60s\"
";

/// How long a program may take on a busy machine.
const SCRIPT: Duration = Duration::from_secs(240);

fn database() -> Database {
    support::database(2, 0, SCHEMA)
}

fn primary(database: &Database) -> &Node {
    &database.cluster.shards[0].primary
}

/// Runs a program with a deadline, its output kept in files so that no pipe can fill up.
fn run(command: &mut Command) -> Output {
    let files = tempfile();
    let open = |end: &str| std::fs::File::create(files.with_extension(end)).expect("creates a file");
    let read = |end: &str| {
        let path = files.with_extension(end);
        let bytes = std::fs::read(&path).expect("reads what it wrote");
        std::fs::remove_file(path).expect("removes the file");
        bytes
    };
    let mut child =
        command.stdin(Stdio::null()).stdout(open("out")).stderr(open("err")).spawn().expect("starts the program");
    let mut status = None;
    eventually_blocking(&format!("{command:?} ends"), SCRIPT, || {
        status = child.try_wait().expect("asks for the program's state");
        status.is_some()
    });
    Output { status: status.expect("it has ended"), stdout: read("out"), stderr: read("err") }
}

fn tempfile() -> PathBuf {
    std::env::temp_dir().join(format!("pgweave-drivers-{}-{:x}", std::process::id(), rand::random::<u64>()))
}

/// What a program printed; panics when it failed.
fn printed(command: &mut Command) -> String {
    let output = run(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// The first difference of two texts, told by lines.
fn assert_same(expected: &str, given: &str, through: &str) {
    for (at, pair) in expected.lines().zip(given.lines()).enumerate() {
        assert_eq!(pair.0, pair.1, "line {} of what it printed through {through}", at + 1);
    }
    assert_eq!(expected.lines().count(), given.lines().count(), "lines printed through {through}");
    assert!(!expected.is_empty(), "it printed nothing at all");
}

/// The interpreter that has the drivers; `None` (and the test is skipped) where no package index could be reached.
fn python(test: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if root.join(".venv/made").is_file() {
        return Some(root.join(".venv/bin/python"));
    }
    let output = run(Command::new("python3")
        .args(["-m", "pip", "download", "--no-deps", "--quiet", "--dest"])
        .args([std::env::temp_dir().join("pgweave-pip"), PathBuf::from("asyncpg")]));
    assert!(!output.status.success(), "there is no .venv; make it with: make drivers");
    support::skipped(test, "no .venv, and no package index to make it from (make drivers)");
    None
}

fn script(python: &Path, name: &str, port: u16, dbname: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers").join(name);
    let port = port.to_string();
    printed(Command::new(python).arg(path).args(["--port", &port, "--dbname", dbname]))
}

fn compare(test: &str, name: &str) {
    let Some(python) = python(test) else { return };
    let plain = database();
    let expected = script(&python, name, primary(&plain).port(), &plain.name);
    for (body, through) in [(ONE, "a pool of one server"), (TWO, "two shards")] {
        let database = database();
        let proxy = Proxy::start(&database.config(body));
        assert_same(&expected, &script(&python, name, proxy.port, &database.name), through);
    }
}

#[test]
fn psycopg_with_threads() {
    compare("psycopg_with_threads", "psycopg_sync.py");
}

#[test]
fn psycopg_with_tasks() {
    compare("psycopg_with_tasks", "psycopg_async.py");
}

#[test]
fn asyncpg_with_its_pool() {
    compare("asyncpg_with_its_pool", "asyncpg_pool.py");
}

fn psql(database: &Database, port: u16, args: &[&str]) -> Command {
    let mut command = Command::new(database.cluster.binaries().program("psql"));
    command.env("PGPASSWORD", "app").env("LC_ALL", "C").env("PAGER", "cat").args(["--no-psqlrc", "-h", "127.0.0.1"]);
    command.args(["-U", "app", "-p", &port.to_string()]).args(args);
    command
}

/// What psql does on its own account, by command line each: the arguments, and whether it is to succeed.
const PSQL: [(&[&str], bool); 14] = [
    (&["-c", "\\d"], true),
    (&["-c", "\\dt+ log"], true),
    (&["-c", "\\d customers", "-c", "\\d+ log"], true),
    (&["-c", "\\l {db}"], true),
    (&["-c", "\\df pg_catalog.abs", "-c", "\\dT+ mood", "-c", "\\dn", "-c", "\\di"], true),
    (&["-c", "\\conninfo", "-c", "\\encoding"], true),
    (&["-c", "INSERT INTO customers VALUES (7, 'seven')", "-c", "SELECT name FROM customers WHERE id = 7"], true),
    (&["-v", "who=7", "-f", "{dir}/variables.sql"], true),
    (
        &[
            "-c",
            "\\copy log (worker, n, note) from '{dir}/log.csv' csv",
            "-c",
            "\\copy (select n, note from log where worker = 70 order by n) to stdout csv header",
        ],
        true,
    ),
    (&["-c", "SELECT 1 AS one; SELECT 2 AS two; SELECT name FROM customers WHERE id = 7"], true),
    (
        &["-c", "INSERT INTO log (worker, n) VALUES (8, 8); SELECT 1 / 0; INSERT INTO log (worker, n) VALUES (8, 9)"],
        false,
    ),
    (&["-c", "SELECT n FROM log WHERE worker = 8"], true),
    (&["--single-transaction", "-c", "INSERT INTO customers VALUES (7, 'twice')", "-c", "SELECT 1"], false),
    (
        &[
            "--single-transaction",
            "-c",
            "UPDATE customers SET name = 'VII' WHERE id = 7",
            "-c",
            "SELECT name FROM customers WHERE id = 7",
        ],
        true,
    ),
];

const VARIABLES: &str = "\\set again 7
\\set AUTOCOMMIT off
SELECT name FROM customers WHERE id = :who;
UPDATE customers SET name = :'who' WHERE id = :again;
\\echo :ROW_COUNT :SQLSTATE
SAVEPOINT here;
SELECT no_such_column FROM customers WHERE id = :again;
\\echo :ERROR :SQLSTATE
ROLLBACK TO here;
SELECT name FROM customers WHERE id = :again \\gset
\\echo :name
ROLLBACK;
\\set AUTOCOMMIT on
SELECT name FROM customers WHERE id = :again;
\\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO customers VALUES (:again, 'twice');
SELECT count(*) FROM customers WHERE id = :again;
COMMIT;
\\set FETCH_COUNT 3
SELECT n, note FROM log WHERE worker = 70 ORDER BY n;
\\gdesc
SELECT id, balance FROM customers WHERE id = :again \\gdesc
SELECT $1::int + id AS sum FROM customers WHERE id = 7 \\bind 5 \\g
";

fn psql_prints(database: &Database, port: u16, dir: &Path) -> String {
    let mut all = String::new();
    for (args, well) in PSQL {
        let filled = |arg: &str| arg.replace("{db}", &database.name).replace("{dir}", &dir.display().to_string());
        let args: Vec<String> = args.iter().map(|arg| filled(arg)).collect();
        let args: Vec<&str> = std::iter::once(database.name.as_str()).chain(args.iter().map(String::as_str)).collect();
        let output = run(&mut psql(database, port, &args));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.success(), well, "psql {args:?}: {told}");
        let same = told.replace(&database.name, "DB").replace(&port.to_string(), "PORT");
        // The width of a column follows the length of the name.
        let lines = same.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ").replace('-', ""));
        all.push_str(
            &lines.fold(format!("psql {}\n", args[1..].join(" ").replace(&database.name, "DB")), |all, line| {
                all + &line + "\n"
            }),
        );
    }
    all
}

#[test]
fn psql_as_people_use_it() {
    let dir = tempfile();
    std::fs::create_dir_all(&dir).unwrap();
    // `\bind` came with psql 16.
    let plain = database();
    let variables = if plain.cluster.binaries().major() >= 16 {
        VARIABLES.to_owned()
    } else {
        VARIABLES.lines().filter(|line| !line.contains("\\bind")).collect::<Vec<_>>().join("\n")
    };
    std::fs::write(dir.join("variables.sql"), variables).unwrap();
    std::fs::write(dir.join("log.csv"), (0..10).map(|n| format!("70,{n},\"note, {n}\"\n")).collect::<String>())
        .unwrap();
    let expected = psql_prints(&plain, primary(&plain).port(), &dir);
    for (body, through) in [(ONE, "a pool of one server"), (TWO, "two shards")] {
        let database = database();
        let proxy = Proxy::start(&database.config(body));
        assert_same(&expected, &psql_prints(&database, proxy.port, &dir), through);
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn psql_at_the_console() {
    let database = support::database(2, 1, SCHEMA);
    let proxy = Proxy::start(&database.config(TWO));
    let lag = printed(&mut psql(&database, proxy.port, &["pgweave", "-At", "-c", "SHOW LAG"]));
    for shard in &database.cluster.shards {
        assert!(lag.contains(&format!("127.0.0.1:{}", shard.replicas[0].port())), "{lag}");
    }
    let output = run(&mut psql(&database, proxy.port, &["pgweave", "-c", "SHOW NONSENSE"]));
    assert!(!output.status.success(), "{output:?}");
}

fn pgbench(database: &Database, port: u16, args: &[&str]) -> String {
    let mut command = Command::new(database.cluster.binaries().program("pgbench"));
    command.env("PGPASSWORD", "app").env("LC_ALL", "C").args(["-h", "127.0.0.1", "-U", "app", "-p", &port.to_string()]);
    printed(command.args(args).arg(&database.name))
}

/// Transactions that failed are none, those that ran are `count`.
fn assert_ran(report: &str, count: u32) {
    assert!(report.contains(&format!("number of transactions actually processed: {count}/{count}")), "{report}");
    if let Some(failed) = report.lines().find(|line| line.starts_with("number of failed transactions")) {
        assert!(failed.contains(": 0 "), "{report}");
    }
}

#[tokio::test]
async fn pgbench_on_one_shard() {
    let database = support::database(2, 0, "");
    let proxy = Proxy::start(&database.config(ONE));
    pgbench(&database, proxy.port, &["-i", "-q", "-I", "dtgvpf"]);
    // pgbench prepares while it waits for nothing else: in one thread its clients would wait for each other's server.
    for mode in ["simple", "extended", "prepared"] {
        for select in [&["-S"][..], &[]] {
            let args: Vec<&str> =
                ["-n", "-c", "4", "-j", "4", "-t", "25", "-M", mode].iter().chain(select).copied().collect();
            assert_ran(&pgbench(&database, proxy.port, &args), 100);
        }
    }
    let client = proxy.app(&database.name).await;
    let sums = "SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(bbalance) FROM pgbench_branches), \
                (SELECT sum(tbalance) FROM pgbench_tellers), (SELECT sum(delta) FROM pgbench_history), \
                (SELECT count(*) FROM pgbench_history)";
    let row = client.rows(sums).await.remove(0);
    assert!(row[..4].windows(2).all(|pair| pair[0] == pair[1] && pair[0].is_some()), "{row:?}");
    assert_eq!(row[4].as_deref(), Some("300"), "{row:?}");
}

#[tokio::test]
async fn pgbench_by_key_on_two_shards() {
    let database = database();
    let proxy = Proxy::start(&database.config(TWO));
    let client = proxy.app(&database.name).await;
    for id in 1..=20 {
        client.simple_query(&format!("INSERT INTO customers VALUES ({id}, 'bench', 0)")).await.unwrap();
    }
    let file = tempfile();
    let text = "\\set id random(1, 20)\n\\set n random(1, 1000000000)\nBEGIN;\n\
                UPDATE customers SET balance = balance + 1 WHERE id = :id;\n\
                INSERT INTO orders VALUES (:id, :n, 'bench', 1) ON CONFLICT (customer_id, id) DO NOTHING;\n\
                SELECT balance FROM customers WHERE id = :id;\nCOMMIT;\n";
    std::fs::write(&file, text).unwrap();
    for mode in ["simple", "extended", "prepared"] {
        let path = file.display().to_string();
        assert_ran(&pgbench(&database, proxy.port, &["-n", "-c", "4", "-t", "25", "-M", mode, "-f", &path]), 100);
    }
    std::fs::remove_file(file).unwrap();
    let mut updates = 0.0;
    for id in 1..=20 {
        let balance = client.text(&format!("SELECT balance FROM customers WHERE id = {id}")).await.unwrap();
        updates += balance.parse::<f64>().unwrap();
    }
    assert_eq!(updates, 300.0);
    for shard in &database.cluster.shards {
        let rows = shard.primary.sql(&database.name, "SELECT count(*) FROM customers").unwrap();
        assert!((1..20).contains(&rows.parse::<i32>().unwrap()), "{rows} of 20 customers are on {}", shard.name);
    }
}

/// What one client of tokio-postgres does, told as text.
async fn tokio_postgres(client: &mut Session, key: i64) -> Result<Vec<String>, tokio_postgres::Error> {
    let mut told = Vec::new();
    let insert = client.prepare("INSERT INTO customers (id, name, balance) VALUES ($1, $2, 5)").await?;
    told.push(format!("{}", client.execute(&insert, &[&key, &"Zoë"]).await?));
    if let Err(error) = client.execute(&insert, &[&key, &"again"]).await {
        told.push(sqlstate(&error));
    }
    let read = client.prepare("SELECT name, tags FROM customers WHERE id = $1").await?;
    for _ in 0..3 {
        let row = client.query_one(&read, &[&key]).await?;
        told.push(format!("{:?} {:?}", row.get::<_, String>(0), row.get::<_, Option<Vec<String>>>(1)));
    }
    drop(read);
    // Pipelined: all of them are on their way before the first answer.
    let order = client.prepare("INSERT INTO orders VALUES ($1, $2, 'piped', $2)").await?;
    for n in (0..48).step_by(4) {
        let put = async |n: i32| client.execute(&order, &[&key, &n]).await;
        let counts = tokio::try_join!(put(n), put(n + 1), put(n + 2), put(n + 3))?;
        told.push(format!("{counts:?}"));
    }

    let transaction = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await?;
    let statement = transaction.prepare("SELECT id FROM orders WHERE customer_id = $1 ORDER BY id").await?;
    let portal = transaction.bind(&statement, &[&key]).await?;
    for count in [7, 7, 0] {
        let rows = transaction.query_portal(&portal, count).await?;
        told.push(format!("{:?}", rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>()));
    }
    transaction.commit().await?;

    let mut transaction = client.transaction().await?;
    transaction.execute("UPDATE customers SET name = 'outer' WHERE id = $1", &[&key]).await?;
    let savepoint = transaction.savepoint("within").await?;
    if let Err(error) = savepoint.execute("SELECT 1 / (id - $1) FROM customers WHERE id = $1", &[&key]).await {
        told.push(sqlstate(&error));
    }
    savepoint.rollback().await?;
    transaction.commit().await?;
    // Dropped without an end: rolled back.
    let transaction = client.transaction().await?;
    transaction.execute("UPDATE customers SET name = 'dropped' WHERE id = $1", &[&key]).await?;
    drop(transaction);
    let text = format!("SELECT name FROM customers WHERE id = {key}");
    told.push(format!("{:?}", client.text(&text).await));

    client.batch_execute(&format!("{text}; {text}")).await?;
    let messages =
        client.simple_query(&format!("{text}; DELETE FROM orders WHERE customer_id = {key} AND id > 40")).await?;
    told.extend(messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::CommandComplete(count) => Some(format!("complete {count}")),
        SimpleQueryMessage::Row(row) => Some(format!("{:?}", row.get(0))),
        _ => None,
    }));
    use tokio_postgres::types::Type;
    let qty = "SELECT qty + $2 FROM orders WHERE customer_id = $1 AND id = 3";
    let rows = client.query_typed(qty, &[(&key, Type::INT8), (&1_i32, Type::INT4)]).await?;
    told.push(format!("{:?}", rows[0].get::<_, i32>(0)));
    Ok(told)
}

async fn tokio_postgres_told(port: u16, dbname: &str) -> String {
    let told = async |n: i64| {
        let mut client = support::app(port, dbname).await;
        let told = tokio_postgres(&mut client, 4000 + n).await;
        told.unwrap_or_else(|error| panic!("client {n}: {error:?}")).join("\n")
    };
    let (one, two, three, four) = tokio::join!(told(1), told(2), told(3), told(4));
    [one, two, three, four].join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokio_postgres_as_it_comes() {
    let plain = database();
    let expected = tokio_postgres_told(primary(&plain).port(), &plain.name).await;
    for (body, through) in [(ONE, "a pool of one server"), (TWO, "two shards")] {
        let database = database();
        let proxy = Proxy::start(&database.config(body));
        assert_same(&expected, &tokio_postgres_told(proxy.port, &database.name).await, through);
    }
}

fn tags(frames: &[support::Frame]) -> String {
    frames.iter().map(|frame| char::from(frame.tag)).collect()
}

/// What psycopg does with cursors of DECLARE: it describes them as portals, which is what they are.
#[tokio::test]
async fn a_cursor_of_declare_is_a_portal() {
    let database = database();
    let proxy = Proxy::start(&database.config(TWO));
    let mut raw = Raw::login(proxy.port, &database.name).await;
    raw.query("INSERT INTO log (worker, n) VALUES (1, 1), (1, 2), (1, 3)").await;
    raw.query("BEGIN").await;
    raw.query("DECLARE c CURSOR FOR SELECT n FROM log ORDER BY n").await;
    raw.send(&[Raw::describe_frame(b'P', "c"), Raw::execute_frame("c", 2), Raw::sync_frame()].concat()).await;
    assert_eq!(tags(&raw.until_ready().await), "TDDsZ");
    raw.send(&[Raw::close_frame(b'P', "c"), Raw::sync_frame()].concat()).await;
    assert_eq!(tags(&raw.until_ready().await), "3Z");
    raw.send(&[Raw::describe_frame(b'P', "c"), Raw::sync_frame()].concat()).await;
    let frames = raw.until_ready().await;
    assert_eq!((tags(&frames).as_str(), frames[0].field(b'C').as_deref()), ("EZ", Some("34000")));
    raw.query("ROLLBACK").await;
}

/// What asyncpg does before COPY: it prepares with Flush and goes on with a Query.
#[tokio::test]
async fn a_query_may_come_behind_flush() {
    let database = database();
    for body in [ONE, TWO] {
        let proxy = Proxy::start(&database.config(body));
        let mut raw = Raw::login(proxy.port, &database.name).await;
        raw.query("DELETE FROM log").await;
        let ask = "SELECT n FROM log WHERE worker = $1";
        raw.send(&[Raw::parse_frame("s", ask), Raw::describe_frame(b'S', "s"), Raw::flush_frame()].concat()).await;
        for tag in *b"1tT" {
            assert_eq!(raw.frame().await.map(|frame| frame.tag), Some(tag));
        }
        assert_eq!(tags(&raw.query("INSERT INTO log (worker, n) VALUES (5, 5)").await), "CZ");
        let ask = [Raw::bind_frame("", "s", &[Some("5")]), Raw::execute_frame("", 0), Raw::sync_frame()].concat();
        raw.send(&ask).await;
        assert_eq!(tags(&raw.until_ready().await), "2DCZ");
        // Behind an error the Query is discarded.
        raw.send(
            &[Raw::parse_frame("t", "SELECT no_such_column FROM log"), Raw::query_frame("SELECT 1"), Raw::sync_frame()]
                .concat(),
        )
        .await;
        assert_eq!(tags(&raw.until_ready().await), "EZ");
        // Behind a write that no Sync has committed it would have to commit or roll back both.
        let write = [
            Raw::parse_frame("", "INSERT INTO log (worker, n) VALUES (6, 6)"),
            Raw::bind_frame("", "", &[]),
            Raw::execute_frame("", 0),
        ];
        raw.send(&[write.concat(), Raw::query_frame("SELECT 1")].concat()).await;
        let frames = raw.until_ready().await;
        assert_eq!(tags(&frames), "12CEZ");
        assert_eq!(frames[3].field(b'C').as_deref(), Some("0A000"));
        assert_eq!(tags(&raw.query("SELECT FROM log WHERE worker = 6").await), "TCZ");
    }
}

/// A statement that was described before its block began does not keep the block from its isolation level.
#[tokio::test]
async fn a_block_begins_behind_a_description() {
    let database = database();
    for body in [ONE, TWO] {
        let proxy = Proxy::start(&database.config(body));
        let mut raw = Raw::login(proxy.port, &database.name).await;
        raw.query("BEGIN ISOLATION LEVEL REPEATABLE READ").await;
        let ask = "SELECT current_setting('transaction_isolation') FROM generate_series(1, 1)";
        raw.send(&[Raw::parse_frame("s", ask), Raw::describe_frame(b'S', "s"), Raw::flush_frame()].concat()).await;
        for tag in *b"1tT" {
            assert_eq!(raw.frame().await.map(|frame| frame.tag), Some(tag));
        }
        raw.send(&[Raw::bind_frame("", "s", &[]), Raw::execute_frame("", 0), Raw::sync_frame()].concat()).await;
        let frames = raw.until_ready().await;
        assert_eq!(tags(&frames), "2DCZ");
        assert_eq!(frames[1].columns(), [Some(b"repeatable read".to_vec())]);
        raw.query("COMMIT").await;
    }
}

/// A COPY that fails while a message of it is half way to the server: what comes next is not taken for its rest.
#[tokio::test]
async fn a_copy_may_fail_in_the_middle_of_a_message() {
    let database = database();
    let proxy = Proxy::start(&database.config(ONE));
    let mut raw = Raw::login(proxy.port, &database.name).await;
    for block in [false, true] {
        if block {
            raw.query("BEGIN").await;
        }
        raw.send(&Raw::query_frame("COPY log (n) FROM STDIN")).await;
        assert_eq!(raw.frame().await.map(|frame| frame.tag), Some(b'G'));
        let data = |text: &[u8]| [b"d", &(text.len() as i32 + 4).to_be_bytes()[..], text].concat();
        let (wrong, torn) = (data(b"no number\n"), data(&[b'1'; 1000]));
        raw.send(&[&wrong[..], &torn[..500]].concat()).await;
        let frames = raw.until_ready().await;
        assert_eq!((tags(&frames).as_str(), frames[0].field(b'C').as_deref()), ("EZ", Some("22P02")));
        raw.send(&[&torn[500..], b"c\0\0\0\x04"].concat()).await;
        if block {
            assert_eq!(tags(&raw.query("ROLLBACK").await), "CZ");
        }
        assert_eq!(tags(&raw.query("SELECT 1").await), "TDCZ");
        // Another client, on the same server.
        let other = proxy.app(&database.name).await;
        assert_eq!(other.text("SELECT count(*) FROM log").await.as_deref(), Some("0"));
    }
}

/// What asyncpg does to skip rows of a cursor: MOVE of the portal, which may be on any shard.
#[tokio::test]
async fn a_portal_is_moved_where_it_is() {
    let database = database();
    let proxy = Proxy::start(&database.config(TWO));
    let mut raw = Raw::login(proxy.port, &database.name).await;
    for customer in 1..=8 {
        let values: Vec<String> = (1..=9).map(|n| format!("({customer}, {n})")).collect();
        let insert = format!("INSERT INTO orders (customer_id, id) VALUES {}", values.join(", "));
        assert_eq!(tags(&raw.query(&insert).await), "CZ");
        raw.query("BEGIN").await;
        let ask = "SELECT id FROM orders WHERE customer_id = $1 ORDER BY id";
        let bind = Raw::bind_frame("here", "", &[Some(&customer.to_string())]);
        raw.send(&[Raw::parse_frame("", ask), bind, Raw::execute_frame("here", 2), Raw::sync_frame()].concat()).await;
        assert_eq!(tags(&raw.until_ready().await), "12DDsZ");
        assert_eq!(tags(&raw.query("MOVE FORWARD 3 here").await), "CZ");
        let frames = raw.query("FETCH 1 FROM here").await;
        assert_eq!((tags(&frames).as_str(), frames[1].columns()), ("TDCZ", vec![Some(b"6".to_vec())]));
        raw.query("COMMIT").await;
    }
}

/// What asyncpg does before it looks up types: a setting by a parameter, which the other shard must follow, too.
#[tokio::test]
async fn a_setting_by_parameter_follows_to_the_other_shard() {
    let database = database();
    let proxy = Proxy::start(&database.config(TWO));
    let mut raw = Raw::login(proxy.port, &database.name).await;
    let set = "SELECT set_config('work_mem', $1, false)";
    let bind = Raw::bind_frame("", "", &[Some("7777kB")]);
    raw.send(&[Raw::parse_frame("", set), bind, Raw::execute_frame("", 0), Raw::sync_frame()].concat()).await;
    let frames = raw.until_ready().await;
    assert_eq!(tags(&frames), "12DCZ", "{:?}", frames[0].field(b'M'));
    for customer in 1..=8 {
        raw.query(&format!("INSERT INTO customers (id, name) VALUES ({customer}, 'x')")).await;
        let ask = format!("SELECT current_setting('work_mem') FROM customers WHERE id = {customer}");
        let frames = raw.query(&ask).await;
        assert_eq!((tags(&frames).as_str(), frames[1].columns()), ("TDCZ", vec![Some(b"7777kB".to_vec())]));
    }
}

/// What asyncpg's pool does on release: behind RESET ALL a session that only changed settings keeps no server.
#[tokio::test]
async fn reset_all_gives_the_server_back() {
    let database = database();
    let proxy = Proxy::start(&database.config(&ONE.replace("60s", "1s")));
    let mut one = Raw::login(proxy.port, &database.name).await;
    let mut other = Raw::login(proxy.port, &database.name).await;
    let reset = "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;";
    for (kept, undone) in [
        ("SET work_mem = '7777kB'", true),
        ("SELECT set_config('work_mem', '7777kB', false)", true),
        ("SET ROLE app", false),
        ("CREATE TEMP TABLE IF NOT EXISTS mine (n int)", false),
    ] {
        assert_eq!(one.query(kept).await.last().map(|frame| frame.tag), Some(b'Z'));
        let frames = other.query("SHOW work_mem").await;
        assert_eq!(frames[0].field(b'C').as_deref(), Some("53300"), "{kept}: keeps the server");
        assert_eq!(tags(&one.query(reset).await), "TDCCCCZ");
        let frames = other.query("SHOW work_mem").await;
        if undone {
            assert_eq!(frames[1].columns(), [Some(b"4MB".to_vec())], "{kept}");
        } else {
            assert_eq!(frames[0].field(b'C').as_deref(), Some("53300"), "{kept}: RESET ALL does not undo it");
            assert_eq!(tags(&one.query("DISCARD ALL").await), "CZ");
            assert_eq!(tags(&other.query("SHOW work_mem").await), "TDCZ", "{kept}");
        }
    }
}
