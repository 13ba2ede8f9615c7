//! Which functions a statement may call, and what those that touch the session leave behind; both from tokens.

use std::collections::HashSet;

use super::analysis::Pin;
use super::cursor::{Cursor, closing, plain_string};
use super::lexer::{Token, TokenKind};
use super::names::{self, Keyword};

/// More calls of set_config than this are not looked at one by one: each costs a walk over its arguments.
const MOST_CALLS: usize = 16;

/// The names called like functions, folded, without schema, each once. An over-approximation: what looks like a call and
/// cannot be told from one is listed (`, x (a)` in a WITH list deeper inside, a type's modifiers in a cast by name).
pub fn called(text: &str, tokens: &[Token]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    for open in call_parens(text, tokens) {
        let name = name_before(text, tokens, open);
        if seen.insert(name.clone()) {
            found.push(name);
        }
    }
    found
}

/// The indexes of the parentheses that open an argument list.
fn call_parens<'a>(text: &'a str, tokens: &'a [Token]) -> impl Iterator<Item = usize> + 'a {
    (1..tokens.len()).filter(move |&open| tokens[open].is_symbol(text, "(") && is_call(text, tokens, open))
}

fn name_before(text: &str, tokens: &[Token], open: usize) -> String {
    // An escape that we cannot read could be any function; a name that nobody knows stands for it.
    names::identifier(text, &tokens[open - 1], '\\').unwrap_or_else(|| "?".to_owned())
}

/// Whether the parenthesis at `open` opens arguments of the name before it.
fn is_call(text: &str, tokens: &[Token], open: usize) -> bool {
    let name = &tokens[open - 1];
    match name.kind {
        TokenKind::Word => {
            // Reserved words and those that name columns only cannot name a function; `left (` and its kin can.
            let dotted = open >= 2 && tokens[open - 2].is_symbol(text, ".");
            if !dotted && matches!(names::keyword(name.text(text)), Some(Keyword::Reserved | Keyword::Column)) {
                return false;
            }
        }
        TokenKind::Quoted | TokenKind::UnicodeQuoted => {}
        _ => return false,
    }
    // Back to the start of `a.b.c`, then one more.
    let mut first = open - 1;
    while first >= 2 && tokens[first - 1].is_symbol(text, ".") {
        first -= 2;
    }
    let Some(before) = first.checked_sub(1).map(|at| &tokens[at]) else { return true };
    let word = name.kind == TokenKind::Word && first == open - 1;
    match before.kind {
        // `INSERT INTO t (…)`, `… AS alias (…)`, `AS type(…)`, `ORDER BY (`, `ON CONFLICT (`: names that are not called.
        TokenKind::Word => {
            let (before, name) = (before.text(text), name.text(text));
            let is = |text: &str, word: &str| text.eq_ignore_ascii_case(word);
            if is(before, "into") || is(before, "as") || (is(before, "on") && word && is(name, "conflict")) {
                return false;
            }
            if word && is(name, "by") && ["order", "group", "partition"].iter().any(|word| is(before, word)) {
                return false;
            }
            // `WITH a AS NOT MATERIALIZED (`
            if word && is(name, "materialized") && first >= 2 && tokens[first - 2].is_word(text, "as") {
                return false;
            }
            // Behind a plain identifier no expression begins: it is an alias with columns.
            names::keyword(before).is_some()
        }
        TokenKind::Quoted | TokenKind::UnicodeQuoted => false,
        // `count(*) FILTER (…)`, `rank() OVER (…)`; the words may name functions elsewhere.
        TokenKind::Punct if before.text(text) == ")" && word => {
            !["filter", "over"].iter().any(|word| name.text(text).eq_ignore_ascii_case(word))
        }
        // `x::numeric(…)`, of a type that is no keyword.
        TokenKind::Operator => before.text(text) != "::",
        _ => true,
    }
}

/// What calls leave on a session. The first that pins wins, custom settings first because they cost the server.
pub fn pin(text: &str, tokens: &[Token], called: &[String]) -> Option<Pin> {
    let mut pin: Option<Pin> = None;
    for name in called {
        let next = match name.as_str() {
            "set_config" => set_config(text, tokens),
            "pg_advisory_lock" | "pg_advisory_lock_shared" | "pg_try_advisory_lock" | "pg_try_advisory_lock_shared" => {
                Some(Pin::AdvisoryLock)
            }
            // nextval feeds currval and lastval of its session; setval does too.
            "nextval" | "currval" | "lastval" | "setval" => Some(Pin::Other),
            // The seed of random(), connections and slots of the session, a backup under way, all outlive the statement.
            "setseed" | "dblink_connect" | "dblink_connect_u" | "pg_backup_start" | "pg_start_backup" => {
                Some(Pin::Other)
            }
            "pg_create_logical_replication_slot" | "pg_create_physical_replication_slot" => Some(Pin::Other),
            // pg_trgm's old way of setting pg_trgm.similarity_threshold.
            "set_limit" => Some(Pin::Setting { custom: true }),
            // A name that could not be read may be any of these.
            "?" => Some(Pin::Setting { custom: true }),
            _ => None,
        };
        if next == Some(Pin::Setting { custom: true }) || pin.is_none() {
            pin = next.or(pin);
        }
    }
    pin
}

/// Settings without a dot that are treated as those with one: RESET ALL does not undo them.
const RESET_ALL_LEAVES: [&str; 3] = ["role", "session_authorization", "seed"];

/// `set_config(name, value, is_local)` leaves nothing when the third argument is the word TRUE.
fn set_config(text: &str, tokens: &[Token]) -> Option<Pin> {
    let calls: Vec<usize> = call_parens(text, tokens)
        .filter(|&open| name_before(text, tokens, open) == "set_config")
        .take(MOST_CALLS + 1)
        .collect();
    if calls.len() > MOST_CALLS {
        return Some(Pin::Setting { custom: true });
    }
    let mut worst = None;
    for open in calls {
        let Some(arguments) = arguments(text, tokens, open) else { return Some(Pin::Setting { custom: true }) };
        let [name, _, local] = arguments.as_slice() else { return Some(Pin::Setting { custom: true }) };
        if let [word] = local
            && word.is_word(text, "true")
        {
            continue;
        }
        let custom = match name {
            [name] => plain_string(text, name).is_none_or(|name| {
                name.contains('.') || RESET_ALL_LEAVES.iter().any(|left| name.eq_ignore_ascii_case(left))
            }),
            _ => true,
        };
        if worst.is_none() || custom {
            worst = Some(Pin::Setting { custom });
        }
    }
    worst
}

/// The argument lists between the commas of a call.
fn arguments<'a>(text: &str, tokens: &'a [Token], open: usize) -> Option<Vec<&'a [Token]>> {
    let close = closing(text, tokens, open)?;
    let mut found = Vec::new();
    let mut start = open + 1;
    let mut cursor = Cursor::new(text, &tokens[..close]);
    while cursor.index() < start {
        cursor.skip();
    }
    let mut brackets = 0usize;
    while !cursor.done() {
        if cursor.at_symbol("[") {
            brackets += 1;
        } else if cursor.at_symbol("]") {
            brackets = brackets.saturating_sub(1);
        } else if cursor.at_symbol(",") && brackets == 0 {
            found.push(&tokens[start..cursor.index()]);
            start = cursor.index() + 1;
        }
        if !cursor.parenthesis() {
            cursor.skip();
        }
    }
    found.push(&tokens[start..close]);
    Some(found)
}
