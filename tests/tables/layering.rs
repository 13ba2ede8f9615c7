//! Imports point down: the edges between rooms are collected from the source and compared with the table of ranks.

use std::path::{Path, PathBuf};

/// The table of ARCHITECTURE.md. A room uses rooms of a lower rank only, and `stats`.
const RANKS: [(&str, u32); 16] = [
    ("wire", 0),
    ("config", 0),
    ("stats", 0),
    ("map", 1),
    ("sql", 1),
    ("auth", 1),
    ("plan", 2),
    ("net", 2),
    ("pool", 3),
    ("catalog", 3),
    ("topology", 4),
    ("exec", 5),
    ("session", 6),
    ("admin", 7),
    ("cluster", 7),
    ("cli", 8),
];

/// The composition root: it may use every room, and of the rooms only `cli` may use it.
const ROOT: &str = "server";

/// Rooms that only compute. `config` and `auth` are among them although they are handed secrets and clocks.
const PURE: [&str; 6] = ["wire", "config", "map", "sql", "auth", "plan"];

/// What a pure room must not say.
const IMPURE: [&str; 6] = ["tokio::", "sqlx::", "Instant::now", "SystemTime::now", "std::net::Tcp", "std::thread"];

/// One use of another room.
#[derive(Debug, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
}

#[test]
fn imports_point_down() {
    let mut edges = 0;
    let mut wrong = Vec::new();
    for (path, room, code) in sources() {
        if room == ROOT || room == "lib" || room == "main" {
            continue;
        }
        for to in rooms_used(&code) {
            edges += 1;
            if let Some(problem) = problem(&Edge { from: room.clone(), to }) {
                wrong.push(format!("{}: {problem}", path.display()));
            }
        }
    }
    assert!(edges > 0, "no edge was found, so the collection is broken");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_only_compute() {
    let wrong: Vec<String> = sources()
        .iter()
        .filter(|(_, room, _)| PURE.contains(&room.as_str()))
        .flat_map(|(path, _, code)| impure(code).into_iter().map(move |word| format!("{}: {word}", path.display())))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_has_a_rank_and_a_head() {
    let source = source_dir();
    for entry in std::fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        let room = room_of(&path, &source);
        if path.is_dir() {
            assert!(rank(&room).is_some() || room == ROOT, "src/{room} has no rank");
            // The root's folder has its head beside it.
            let head = std::fs::read_to_string(path.join("mod.rs"))
                .or_else(|_| std::fs::read_to_string(path.with_extension("rs")))
                .unwrap();
            assert!(head.starts_with("//! "), "src/{room}/mod.rs does not say what lives there");
        } else {
            let known = rank(&room).is_some() || [ROOT, "lib", "main"].contains(&room.as_str());
            assert!(known, "src/{room}.rs has no rank");
        }
    }
}

#[test]
fn the_page_has_every_room_and_every_crate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    for (room, rank) in RANKS {
        assert!(page.contains(&format!("\n| {rank} | `{room}` |")), "ARCHITECTURE.md lacks `{room}` at rank {rank}");
    }
    let manifest: toml::Table = std::fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    for section in ["dependencies", "dev-dependencies"] {
        for name in manifest[section].as_table().unwrap().keys() {
            let has_reason = page.lines().any(|line| line.starts_with("| `") && line.contains(&format!("`{name}`")));
            assert!(has_reason, "ARCHITECTURE.md gives no reason for the crate `{name}`");
        }
    }
}

#[test]
fn planted_violations_are_found() {
    let found = |from: &str, code: &str| -> Vec<String> {
        let edges = rooms_used(&without_comments_and_tests(code)).into_iter();
        edges.filter_map(|to| problem(&Edge { from: from.to_owned(), to })).collect()
    };
    assert_eq!(found("plan", "use crate::pool::Pool;").len(), 1, "upward");
    assert_eq!(found("map", "use crate::sql::Analysis;").len(), 1, "sideways");
    assert_eq!(found("map", "use crate::{wire::SqlState, plan::{self, Plan}};").len(), 1, "upward in a group");
    assert_eq!(found("exec", "fn f(s: &crate::session::Session) {}").len(), 1, "upward in a path");
    assert_eq!(found("exec", "use crate::server;").len(), 1, "the composition root");
    assert_eq!(found("exec", "use crate::elsewhere::X;").len(), 1, "a room without rank");

    assert_eq!(found("plan", "use crate::{map::ShardMap, sql, wire};\nuse crate::stats::Counter;").len(), 0);
    assert_eq!(found("plan", "use crate::plan::Shape;").len(), 0, "within the room");
    assert_eq!(found("cli", "use crate::server;").len(), 0);
    assert_eq!(found("plan", "//! [`crate::exec`] runs it.\n/// See crate::session.").len(), 0, "only mentioned");
    assert_eq!(found("plan", "fn f() {}\n#[cfg(test)]\nmod tests { use crate::cluster::Cluster; }").len(), 0);

    assert_eq!(impure("let now = std::time::Instant::now();"), ["Instant::now"]);
    assert_eq!(impure("use tokio::net::TcpStream;"), ["tokio::"]);
    assert!(impure("fn f(now: Instant) {}").is_empty());
}

fn problem(edge: &Edge) -> Option<String> {
    let Edge { from, to } = edge;
    if from == to || (to == ROOT && from == "cli") {
        return None;
    }
    match (rank(from), rank(to)) {
        (Some(own), Some(other)) if other < own || to == "stats" => None,
        (Some(own), Some(other)) => Some(format!("`{from}` (rank {own}) uses `{to}` (rank {other})")),
        _ => Some(format!("`{from}` uses `{to}`, and one of them has no rank")),
    }
}

fn rank(room: &str) -> Option<u32> {
    RANKS.iter().find(|(name, _)| *name == room).map(|(_, rank)| *rank)
}

fn impure(code: &str) -> Vec<&'static str> {
    IMPURE.into_iter().filter(|word| code.contains(word)).collect()
}

/// The first segment of every path that begins with `crate::`, those in a group included.
fn rooms_used(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => rooms.push(identifier(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut at_start = true;
                for (at, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => at_start = true,
                        c if at_start && !c.is_whitespace() => {
                            rooms.push(identifier(&group[at..]));
                            at_start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    rooms
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Path, room and code of every source file.
fn sources() -> Vec<(PathBuf, String, String)> {
    let source = source_dir();
    let mut files = Vec::new();
    let mut dirs = vec![source.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let code = without_comments_and_tests(&std::fs::read_to_string(&path).unwrap());
                files.push((path.clone(), room_of(&path, &source), code));
            }
        }
    }
    assert!(files.len() > 10, "only {} source files were found", files.len());
    files.sort();
    files
}

fn source_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn room_of(path: &Path, source: &Path) -> String {
    let inner = path.strip_prefix(source).unwrap();
    let first = inner.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// Links in comments are welcome, and the tests at the end of a file may use what they like: neither makes a room depend on
/// another.
fn without_comments_and_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}
