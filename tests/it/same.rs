//! The same as PostgreSQL: every case of `tests/same` is run on one plain PostgreSQL that holds all the rows, and through
//! pgweave over one shard and over several, in the simple and in the extended protocol, with results as text and as
//! binary. Columns, types, rows, tags, notices, SQLSTATEs and messages must be the same, and so must the rows afterwards,
//! each on the shard that PostgreSQL's own hash functions name.
//!
//! `SAME=insert` runs the files whose names contain `insert`.

mod cases;
mod client;
mod compare;
mod world;

use std::path::Path;

use self::cases::{Case, Kind, Mode, Step};
use self::client::Client;
use self::world::{Target, World};
use super::support::Frame;

/// Fewer kinds or cases than these mean that files were lost.
const LEAST: (usize, usize) = (32, 700);

fn all_kinds() -> Vec<Kind> {
    cases::kinds(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/same"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_is_answered_as_by_postgresql_in_the_simple_protocol() {
    every_case(Mode::Simple).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_is_answered_as_by_postgresql_in_the_extended_protocol_as_text() {
    every_case(Mode::Text).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_is_answered_as_by_postgresql_in_the_extended_protocol_as_binary() {
    every_case(Mode::Binary).await;
}

async fn every_case(mode: Mode) {
    let chosen = std::env::var("SAME").unwrap_or_default();
    let world = World::start().await;
    let mut judge = Judge::new(&world);
    for kind in all_kinds().iter().filter(|kind| kind.name.contains(&chosen)) {
        judge.kind(kind, mode).await;
    }
    let found = judge.found;
    assert!(found.is_empty(), "{} differences:\n\n{}", found.len(), found.join("\n"));
}

#[test]
fn no_file_of_cases_is_lost() {
    let kinds = all_kinds();
    let cases: usize = kinds.iter().map(|kind| kind.cases.len()).sum();
    assert!(kinds.len() >= LEAST.0 && cases >= LEAST.1, "{} kinds, {cases} cases", kinds.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_altered_row_is_found() {
    let world = World::start().await;
    let kind = |text| Kind { name: "planted".to_owned(), cases: cases::parse("planted", text) };
    let read = kind("-- read\nSELECT name FROM customers WHERE id = 7\n");
    let write = kind("-- write [simple]\nDELETE FROM customers WHERE id = 999\n");
    for planted in [&read, &write] {
        assert_eq!(judged(&world, planted).await, Vec::<String>::new(), "before anything was altered");
    }
    world.alter(Target::One, "UPDATE customers SET name = 'somebody else' WHERE id = 7").await;
    let found = judged(&world, &read).await;
    assert_eq!(found.len(), Mode::ALL.len(), "{found:?}");
    for (mode, found) in Mode::ALL.iter().zip(&found) {
        assert!(found.starts_with(&format!("planted: read, {mode:?}, One\n")), "{found}");
    }
    // A row that the case does not touch is found by what is in the tables afterwards.
    let found = judged(&world, &write).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("planted: write, Simple, One\n  the rows afterwards\n"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_on_the_wrong_shard_is_found() {
    let world = World::start().await;
    // Every shard writes it: on one of them it is wrong.
    world.alter(Target::Hash, "INSERT INTO people VALUES ('doubled', 1)").await;
    let rows = world.rows(Target::Hash).await;
    let wrong: Vec<_> = rows.iter().filter(|line| line.starts_with("on the wrong shard")).collect();
    assert_eq!(wrong, ["on the wrong shard: people (doubled,1)"]);
}

async fn judged(world: &World, kind: &Kind) -> Vec<String> {
    let mut judge = Judge::new(world);
    for mode in Mode::ALL {
        judge.kind(kind, mode).await;
    }
    judge.found
}

/// Runs cases and notes what differs.
struct Judge<'w> {
    world: &'w World,
    found: Vec<String>,
}

impl<'w> Judge<'w> {
    fn new(world: &'w World) -> Judge<'w> {
        Judge { world, found: Vec::new() }
    }

    async fn kind(&mut self, kind: &Kind, mode: Mode) {
        // Sessions are kept over cases that only read: this is how statements come to servers that know them.
        let mut sessions = Sessions::default();
        for case in kind.cases.iter().filter(|case| case.runs(mode)) {
            self.case(kind, case, mode, &mut sessions).await;
        }
    }

    async fn case(&mut self, kind: &Kind, case: &Case, mode: Mode, sessions: &mut Sessions) {
        let title = format!("{}: {}, {mode:?}", kind.name, case.name);
        let reads = case.only_reads();
        if !case.leaves_no_state() {
            sessions.end();
        }
        let plain = run(sessions.of(self.world, Target::Plain, mode).await, case, |_, _| true).await;
        for (step, frames) in case.steps.iter().zip(&plain) {
            let seen = compare::error(frames);
            if seen != step.error {
                let expected = step.error.as_deref().unwrap_or("no error");
                let answer = compare::lines(frames, true).join("\n    ");
                self.found
                    .push(format!("{title}\n  {}\n  PostgreSQL: {expected} was foretold\n    {answer}\n", step.sql));
            }
        }
        let mut whole = [true; 3];
        for (target, whole) in Target::PROXIED.into_iter().zip(&mut whole) {
            let client = sessions.of(self.world, target, mode).await;
            let title = format!("{title}, {target:?}");
            let mut found = Vec::new();
            let answers = run(client, case, |at, frames| {
                let difference = difference(&case.steps[at], target, &plain[at], frames);
                // A read that is refused outside a block leaves nothing to be missed by what comes next.
                *whole &= !refused(&case.steps[at], target) || reads;
                found.extend(difference);
                *whole && found.is_empty()
            })
            .await;
            if found.is_empty() && *whole && answers.len() != plain.len() {
                found.push(format!("{} answers, not {}", answers.len(), plain.len()));
            }
            for found in found {
                self.note(format!("{title}\n{found}"));
            }
        }
        if !case.leaves_no_state() {
            sessions.end();
        }
        // What is still in a block would hold the rows that are to be brought back.
        sessions.end_blocks();
        if !reads && (self.rows(&title, case, whole).await || case.moves_sequences()) {
            self.world.reset().await;
        }
    }

    fn note(&mut self, found: String) {
        eprintln!("{found}");
        self.found.push(found);
    }

    /// Compares what is in the tables after a case, and tells whether that is anything but the seed.
    async fn rows(&mut self, title: &str, case: &Case, whole: [bool; 3]) -> bool {
        let plain = self.world.rows(Target::Plain).await;
        let mut changed = plain != self.world.seeded();
        let first = case.steps[0].sql.trim_start_matches('>').trim().to_ascii_lowercase();
        let block = first.starts_with("begin") || first.starts_with("start");
        for (target, whole) in Target::PROXIED.into_iter().zip(whole) {
            let seen = self.world.rows(target).await;
            changed |= seen != self.world.seeded();
            let expected = match whole {
                true => plain.as_slice(),
                // The statement that was refused has undone the block, or was the only one.
                false if block || case.steps.len() == 1 => self.world.seeded(),
                false => continue,
            };
            if seen != expected {
                let lacks =
                    expected.iter().filter(|line| !seen.contains(line)).map(|line| format!("    lacks {line}\n"));
                let has = seen.iter().filter(|line| !expected.contains(line)).map(|line| format!("    has {line}\n"));
                let counts = format!("    {} rows, {} expected\n", seen.len(), expected.len());
                let rows: String = lacks.chain(has).chain([counts]).collect();
                self.note(format!("{title}, {target:?}\n  the rows afterwards\n{rows}"));
            }
        }
        changed
    }
}

/// Runs the steps of a case, until `go_on` says no to an answer.
async fn run(client: &mut Client, case: &Case, mut go_on: impl FnMut(usize, &[Frame]) -> bool) -> Vec<Vec<Frame>> {
    let mut answers = Vec::new();
    for (at, step) in case.steps.iter().enumerate() {
        let frames = client.run(step).await;
        let more = go_on(at, &frames);
        answers.push(frames);
        if !more {
            // What comes of the rest has nothing to be compared with.
            client.status = None;
            break;
        }
    }
    answers
}

fn refused(step: &Step, target: Target) -> bool {
    match target {
        Target::Plain | Target::One => false,
        Target::Hash => step.refused.hash,
        Target::Range => step.refused.range,
    }
}

/// Where an answer is not what it should be, with both sides in full.
fn difference(step: &Step, target: Target, plain: &[Frame], seen: &[Frame]) -> Option<String> {
    let (left, right) = (compare::lines(plain, step.ordered()), compare::lines(seen, step.ordered()));
    let expected = if refused(step, target) {
        // What PostgreSQL would not run either may fail as it fails there: its Parse comes before our plan.
        if compare::error(seen).as_deref() == Some("0A000") || (step.error.is_some() && left == right) {
            return None;
        }
        "a refusal (0A000); PostgreSQL"
    } else {
        if left == right {
            return None;
        }
        "PostgreSQL"
    };
    let details = seen.iter().filter(|frame| frame.tag == b'E').filter_map(|frame| frame.field(b'D'));
    let details: String = details.map(|detail| format!("\n    ({detail})")).collect();
    let (left, right) = (left.join("\n    "), right.join("\n    "));
    Some(format!("  {} {:?}\n  {expected}:\n    {left}\n  pgweave:\n    {right}{details}\n", step.sql, step.params))
}

/// Open sessions, one per target.
#[derive(Default)]
struct Sessions {
    open: Vec<(Target, Client)>,
}

impl Sessions {
    /// The session of a target: a new one if there is none, or none that is idle.
    async fn of(&mut self, world: &World, target: Target, mode: Mode) -> &mut Client {
        self.open.retain(|(of, client)| *of != target || client.status == Some(b'I'));
        let at = match self.open.iter().position(|(of, _)| *of == target) {
            Some(at) => at,
            None => {
                let (port, dbname) = world.address(target);
                self.open.push((target, Client::login(port, dbname, mode).await));
                self.open.len() - 1
            }
        };
        &mut self.open[at].1
    }

    fn end_blocks(&mut self) {
        self.open.retain(|(_, client)| client.status == Some(b'I'));
    }

    fn end(&mut self) {
        self.open.clear();
    }
}
