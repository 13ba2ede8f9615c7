//! The cases: what `tests/same/*.sql` says.
//!
//! A file is a kind of statement. In it, a line `-- NAME` begins a case, `--- TEXT` is a comment, and every other line is a
//! step of the case: a statement, sent in one session after the step before. A line that begins with a blank goes on with
//! the line before. `[simple]` or `[extended]` behind the name: only in that protocol.
//!
//! Behind a statement may stand, each after a blank and a backslash:
//! - `\p VALUE`: a parameter; `NULL` is NULL. In the simple protocol it is written into the text as a quoted literal.
//! - `\e CODE`: PostgreSQL answers with this SQLSTATE. An error that is not foretold fails the case, and so does a foretold
//!   one that does not come: a mistake in a case must not make it say nothing.
//! - `\refused`, `\refused-hash`, `\refused-range`: pgweave over several shards (of that method) answers `0A000`, or the
//!   foretold error. There the case ends unless it only reads, and the refused statement must have changed nothing.
//! - `\max N`: as a portal executed N rows at a time; `\once N`: executed once, for N rows.
//! - `\d LINE`: a line of COPY data, `\t` for a tab; `\fail`: CopyFail in place of CopyDone.
//!
//! A step that begins with `>` is messages of the extended protocol, sent together, parted by `;;`: `parse NAME: SQL`,
//! `bind PORTAL STATEMENT VALUE | VALUE`, `describe S NAME`, `describe P NAME`, `execute PORTAL ROWS`, `close S NAME`,
//! `flush`, `sync`; `-` is the name that is empty. The last must be `sync`.

use std::path::{Path, PathBuf};

/// How statements are sent and results asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Query messages.
    Simple,
    /// Parse to Sync in one go, everything as text.
    Text,
    /// Parse and Describe, then Bind with binary parameters (of the types that have an easy form) and binary results.
    Binary,
}

impl Mode {
    /// All of them.
    pub const ALL: [Mode; 3] = [Mode::Simple, Mode::Text, Mode::Binary];
}

/// What a case expects where the map has several shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// With hash distributions.
    pub hash: bool,
    /// With range distributions.
    pub range: bool,
}

/// One statement, or one batch of messages.
#[derive(Clone, Debug)]
pub struct Step {
    /// The statement, or `> ...`.
    pub sql: String,
    /// Values of its parameters.
    pub params: Vec<Option<String>>,
    /// The SQLSTATE PostgreSQL answers with.
    pub error: Option<String>,
    /// Where it is refused.
    pub refused: Refused,
    /// Rows per Execute, and whether to go on until all are there.
    pub rows: Option<(i32, bool)>,
    /// COPY data, lines without their ends.
    pub data: Vec<String>,
    /// Whether the COPY fails.
    pub fail: bool,
}

/// Steps of one session, on the data of the seed.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name in the file.
    pub name: String,
    /// What it does.
    pub steps: Vec<Step>,
    simple: bool,
    extended: bool,
}

/// A file of cases.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Its name without `.sql`.
    pub name: String,
    /// Its cases.
    pub cases: Vec<Case>,
}

impl Case {
    /// Whether it is run in this mode.
    pub fn runs(&self, mode: Mode) -> bool {
        let wire = self.steps.iter().any(|step| step.sql.starts_with('>'));
        match mode {
            Mode::Simple => self.simple && !wire,
            Mode::Text | Mode::Binary => self.extended,
        }
    }

    /// Whether nothing in it can change rows.
    pub fn only_reads(&self) -> bool {
        let writes = ["nextval", "setval", "into", "insert ", "update ", "delete ", "lo_"];
        self.steps.iter().all(|step| {
            let lower = step.sql.to_ascii_lowercase();
            step.begins_with(&["select", "values", "with", "table"]) && !writes.iter().any(|word| lower.contains(word))
        })
    }

    /// Whether it leaves nothing behind in its session, so that the next case may have it.
    pub fn leaves_no_state(&self) -> bool {
        let plain = [
            "select",
            "values",
            "with",
            "table",
            "insert",
            "update",
            "delete",
            "begin",
            "start",
            "commit",
            "rollback",
            "end",
            "abort",
            "savepoint",
            "release",
        ];
        let stateful = ["set ", "set_config", "seed", "advisory", "val(", "lo_", "into fresh"];
        self.steps.iter().all(|step| {
            let lower = step.sql.to_ascii_lowercase();
            let sets = stateful.iter().any(|word| lower.contains(word));
            step.begins_with(&plain) && (!sets || step.begins_with(&["update", "insert"]))
        })
    }

    /// Whether it may have moved a sequence, which rows do not show.
    pub fn moves_sequences(&self) -> bool {
        self.steps.iter().any(|step| ["numbers", "ticket", "audit"].iter().any(|word| step.sql.contains(word)))
    }
}

impl Step {
    fn begins_with(&self, words: &[&str]) -> bool {
        let lower = self.sql.to_ascii_lowercase();
        let first = lower.split(|char: char| !char.is_ascii_alphabetic()).find(|word| !word.is_empty());
        first.is_some_and(|first| words.contains(&first)) && !self.sql.starts_with('>')
    }

    /// Whether the rows come in an order: an ORDER BY stands outside all parentheses.
    pub fn ordered(&self) -> bool {
        let mut depth = 0;
        let lower = self.sql.to_ascii_lowercase();
        lower.char_indices().any(|(at, char)| {
            depth += match char {
                '(' => 1,
                ')' => -1,
                _ => 0,
            };
            depth == 0 && lower[at..].starts_with("order by")
        })
    }

    /// The text with its parameters as literals.
    pub fn inlined(&self) -> String {
        let mut sql = self.sql.clone();
        for (at, param) in self.params.iter().enumerate().rev() {
            let literal = param.as_ref().map_or("NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")));
            sql = sql.replace(&format!("${}", at + 1), &literal);
        }
        sql
    }
}

/// All files of a directory, in the order of their names.
pub fn kinds(dir: &Path) -> Vec<Kind> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir)
        .expect("reads the directory of cases")
        .map(|entry| entry.expect("reads the directory of cases").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    paths.sort();
    paths.iter().map(|path| kind(path)).collect()
}

fn kind(path: &Path) -> Kind {
    let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).expect("reads a file of cases");
    Kind { cases: parse(&name, &text), name }
}

/// Reads the text of a file.
pub fn parse(file: &str, text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("---")) {
        match (line.strip_prefix(' '), lines.last_mut()) {
            (Some(more), Some(last)) => {
                last.push('\n');
                last.push_str(more);
            }
            _ => lines.push(line.to_owned()),
        }
    }
    for line in lines {
        if let Some(name) = line.strip_prefix("-- ") {
            let (name, only) = match name.strip_suffix(']').and_then(|name| name.rsplit_once(" [")) {
                Some((name, only)) => (name, only),
                None => (name, ""),
            };
            assert!(matches!(only, "" | "simple" | "extended"), "{file}: {name}: [{only}] is not known");
            assert!(cases.iter().all(|case| case.name != name), "{file}: two cases are named {name:?}");
            let (simple, extended) = (only != "extended", only != "simple");
            cases.push(Case { name: name.to_owned(), steps: Vec::new(), simple, extended });
        } else {
            let case = cases.last_mut().unwrap_or_else(|| panic!("{file}: a statement before the first case"));
            case.steps.push(step(file, &line));
        }
    }
    assert!(!cases.is_empty(), "{file}: no cases");
    for case in &cases {
        assert!(!case.steps.is_empty(), "{file}: case {:?} has no steps", case.name);
    }
    cases
}

/// The statement, and each thing behind it without its backslash.
fn directives(line: &str) -> Vec<&str> {
    let begins = |rest: &str| {
        let word = rest.split_whitespace().next().unwrap_or_default();
        rest.starts_with(word) && DIRECTIVES.contains(&word)
    };
    let cuts = line.match_indices(" \\").map(|(at, _)| at).filter(|at| begins(&line[at + 2..]));
    let ends: Vec<usize> = cuts.chain([line.len()]).collect();
    let first = &line[..ends[0]];
    std::iter::once(first).chain(ends.windows(2).map(|pair| &line[pair[0] + 2..pair[1]])).collect()
}

const DIRECTIVES: [&str; 9] = ["p", "e", "refused", "refused-hash", "refused-range", "max", "once", "d", "fail"];

fn step(file: &str, line: &str) -> Step {
    let mut parts = directives(line);
    let sql = parts.remove(0).trim_end().to_owned();
    let mut step = Step {
        sql: if sql == ";" || sql == "''" { String::new() } else { sql },
        params: Vec::new(),
        error: None,
        refused: Refused { hash: false, range: false },
        rows: None,
        data: Vec::new(),
        fail: false,
    };
    for part in parts {
        let (word, value) = part.split_once(' ').unwrap_or((part, ""));
        let count = || value.trim().parse().unwrap_or_else(|_| panic!("{file}: {line}: {value:?} is no number"));
        match word {
            "p" => step.params.push((value != "NULL").then(|| value.to_owned())),
            "e" => step.error = Some(value.trim().to_owned()),
            "refused" => step.refused = Refused { hash: true, range: true },
            "refused-hash" => step.refused.hash = true,
            "refused-range" => step.refused.range = true,
            "max" => step.rows = Some((count(), true)),
            "once" => step.rows = Some((count(), false)),
            "d" => step.data.push(value.replace("\\t", "\t")),
            "fail" => step.fail = true,
            other => panic!("{file}: {line}: \\{other} is not known"),
        }
    }
    step
}
