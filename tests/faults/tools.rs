//! What these tests share.

use std::time::Duration;

use super::support::{Database, Frame, Gate, Proxy, Raw, Session, eventually};

/// How long anything may take to be cleaned up.
pub const SOON: Duration = Duration::from_secs(8);

/// The tags of frames as a string, such as `"12DCZ"`.
pub fn tags(frames: &[Frame]) -> String {
    frames.iter().map(|frame| char::from(frame.tag)).collect()
}

/// The first column of all rows.
pub fn values(frames: &[Frame]) -> Vec<String> {
    let rows = frames.iter().filter(|frame| frame.tag == b'D');
    rows.map(|row| row.columns()[0].as_ref().map_or("NULL".into(), |v| String::from_utf8_lossy(v).into_owned()))
        .collect()
}

/// The SQLSTATEs of all errors.
pub fn codes(frames: &[Frame]) -> Vec<String> {
    frames.iter().filter(|frame| frame.tag == b'E').map(|frame| frame.field(b'C').unwrap_or_default()).collect()
}

/// The command tags.
pub fn done(frames: &[Frame]) -> Vec<String> {
    let complete = frames.iter().filter(|frame| frame.tag == b'C');
    complete.map(|frame| String::from_utf8_lossy(&frame.body).trim_end_matches('\0').to_owned()).collect()
}

/// The status of the last ReadyForQuery.
pub fn status(frames: &[Frame]) -> char {
    let ready = frames.iter().rfind(|frame| frame.tag == b'Z').expect("a ReadyForQuery");
    char::from(ready.body[0])
}

/// Parse, Bind and Execute of one statement, without Sync.
pub fn run_frames(text: &str) -> Vec<u8> {
    [Raw::parse_frame("", text), Raw::bind_frame("", "", &[]), Raw::execute_frame("", 0)].concat()
}

/// The configuration of `database` with every node behind `gate`; `limits` are lines under `[limits]`.
pub fn gated(database: &Database, gate: &Gate, limits: &str, body: &str) -> String {
    let name = &database.name;
    let config = Proxy::config_via(database.cluster, |_| gate.port, &format!("[databases.{name}]\n{body}"));
    format!("[limits]\n{limits}\n\n{config}")
}

/// The same without a gate.
pub fn limited(database: &Database, limits: &str, body: &str) -> String {
    format!("[limits]\n{limits}\n\n{}", database.config(body))
}

/// A key of a table of the console: each row as its columns' names and texts.
pub async fn show(console: &Session, what: &str) -> Vec<Vec<(String, String)>> {
    let messages = console.simple_query(&format!("SHOW {what}")).await.expect("the console answers");
    let rows = messages.iter().filter_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => {
            let columns = row.columns().iter().enumerate();
            Some(columns.map(|(i, c)| (c.name().to_owned(), row.get(i).unwrap_or("").to_owned())).collect())
        }
        _ => None,
    });
    rows.collect()
}

/// The sum of a column over the rows of one database.
pub async fn sum(console: &Session, what: &str, dbname: &str, column: &str) -> u64 {
    let rows = show(console, what).await;
    let of = |row: &[(String, String)], name: &str| {
        row.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    rows.iter().filter(|row| of(row, "database") == dbname).map(|row| of(row, column).parse::<u64>().unwrap_or(0)).sum()
}

/// Waits until no client has a server and no server of this database does anything.
pub async fn all_at_rest(proxy: &Proxy, database: &Database) {
    let console = proxy.app("pgweave").await;
    eventually("every server is at rest", SOON, async || {
        let active = sum(&console, "POOLS", &database.name, "sv_active").await;
        let waiting = sum(&console, "POOLS", &database.name, "cl_waiting").await;
        active == 0 && waiting == 0
    })
    .await;
    eventually("no backend is at work", SOON, async || busy(database) == 0).await;
}

/// Backends of this database that are at work or within a transaction.
pub fn busy(database: &Database) -> usize {
    let asked = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND state <> 'idle' AND pid <> pg_backend_pid()",
        database.name
    );
    database.cluster.shards.iter().map(|s| s.primary.sql("postgres", &asked).unwrap().parse::<usize>().unwrap()).sum()
}

/// Waits until a backend of this database runs a text like `like` and waits for a lock; its process id.
pub async fn blocked(database: &Database, like: &str) -> String {
    let asked = format!(
        "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND wait_event_type = 'Lock' AND query LIKE '{like}'",
        database.name
    );
    let ask = || database.cluster.shards[0].primary.sql("postgres", &asked).unwrap();
    eventually("a statement waits for a lock", SOON, async || !ask().is_empty()).await;
    ask()
}

/// Bytes of memory a process has in use.
pub fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("reads the process's status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("has VmRSS");
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
