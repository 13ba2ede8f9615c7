//! The wrapper around `sqlparser`. What comes out of it is only what both our lexer and the parser agree on and what uses
//! no word in a way PostgreSQL's grammar does not; everything else is "not understood", with the reason.
//!
//! `sqlparser` reads more than PostgreSQL's language, some of it with another meaning, and does not say when it stopped
//! early. Each check here closes a way in which it was seen to read a statement as another one; the oracle in
//! `tests/tables` shows that with the check switched off that way is open. The tree is never cloned, compared or
//! printed: those recurse without limit, and its printed form is not the text. It is dropped on the stack it was made on.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sqlparser::ast::{Ident, Statement, Visit, Visitor};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserOptions};
use sqlparser::tokenizer::{Token as Theirs, TokenWithSpan, Tokenizer};

use super::analysis::LiteralKind;
use super::lexer::{Token, TokenKind};
use super::names::{self, Keyword};
use super::positions::Positions;

/// More tokens than this are not parsed. A chain of operators makes a tree as deep as it is long.
pub const MOST_TOKENS: usize = 20_000;
/// Longer texts are not parsed.
pub const MOST_BYTES: usize = 1 << 20;
/// How deep parentheses and subqueries may nest.
const DEEPEST: usize = 200;
/// Above this many tokens the work is done on a stack of its own.
const SMALL: usize = 256;
/// Stack for each token of such a statement: a debug build needs about a kilobyte per level to drop a tree.
const STACK_PER_TOKEN: usize = 4096;

/// Parses one statement and gives its tree to `read`; the tree does not outlive the call.
///
/// `tokens` are those of the statement in `text` (without its semicolon). An error says why it is not understood.
pub fn parse<T>(
    text: &str,
    tokens: &[Token],
    read: impl FnOnce(&Statement, &Positions) -> Result<T, String>,
) -> Result<T, String> {
    let Some(last) = tokens.last() else { return Err("there is no statement".to_owned()) };
    let text = &text[..last.end as usize];
    if tokens.len() > MOST_TOKENS || text.len() > MOST_BYTES {
        return Err(format!("it is longer than {MOST_TOKENS} words or {MOST_BYTES} bytes"));
    }
    let work = || {
        catch_unwind(AssertUnwindSafe(|| parse_here(text, tokens, read)))
            .unwrap_or_else(|_| Err("the parser failed on it".to_owned()))
    };
    if tokens.len() <= SMALL {
        // The nesting limit bounds what the parser and the tree need here.
        stacker::maybe_grow(SMALL * STACK_PER_TOKEN, 2 * SMALL * STACK_PER_TOKEN, work)
    } else {
        stacker::grow(tokens.len() * STACK_PER_TOKEN + (4 << 20), work)
    }
}

fn parse_here<T>(
    text: &str,
    tokens: &[Token],
    read: impl FnOnce(&Statement, &Positions) -> Result<T, String>,
) -> Result<T, String> {
    let dialect = PostgreSqlDialect {};
    let theirs = Tokenizer::new(&dialect, text)
        .with_unescape(false)
        .tokenize_with_location()
        .map_err(|error| cannot_read(&error.to_string()))?;
    let positions = Positions::new(text);
    agree(text, tokens, &theirs, &positions)?;
    let mut parser = Parser::new(&dialect)
        .with_options(ParserOptions::new().with_unescape(false))
        .with_recursion_limit(DEEPEST)
        .with_tokens_with_locations(simplify(text, tokens, theirs));
    let statement = parser.parse_statement().map_err(|error| cannot_read(&error.to_string()))?;
    // It stops silently at words like END that may also be a label.
    let next = parser.peek_token_ref();
    if next.token != Theirs::EOF {
        return Err(format!("the parser stopped at {}", shown(&next.token)));
    }
    veto(text, tokens, &statement, &positions)?;
    read(&statement, &positions)
}

/// A reason is kept with the analysis and told for texts with other values and lengths: it must name neither.
fn cannot_read(error: &str) -> String {
    let error = error.split(" at Line").next().unwrap_or_default().trim_start_matches("sql parser error: ");
    let error = match error.split_once("found: ") {
        Some((expected, found)) if !found.starts_with(|c: char| c.is_alphabetic() || "(),.;*".contains(c)) => {
            format!("{expected}found: a constant or operator")
        }
        Some((expected, found)) if found.contains('\'') => format!("{expected}found: a constant"),
        _ => error.to_owned(),
    };
    format!("the parser cannot read it: {error}")
}

/// A token in a reason.
fn shown(token: &Theirs) -> String {
    match token {
        Theirs::Word(word) => format!("\"{}\"", word.value),
        _ => "a constant or operator".to_owned(),
    }
}

/// Brings what applications use and the parser does not know to it, by leaving out words that make no difference to
/// anything in the model. The words stay in the text that servers get, and both readings were compared before.
fn simplify(text: &str, ours: &[Token], theirs: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut left_out = vec![false; ours.len()];
    let word = |at: usize, word: &str| ours.get(at).is_some_and(|token| token.is_word(text, word));
    let insert = word(0, "insert");
    for at in 0..ours.len() {
        // The strength of a row lock: to us a lock is a lock.
        if word(at, "for") && word(at + 1, "no") && word(at + 2, "key") && word(at + 3, "update") {
            left_out[at + 1..at + 3].fill(true);
        } else if word(at, "for") && word(at + 1, "key") && word(at + 2, "share") {
            left_out[at + 1] = true;
        } else if word(at, "variadic") && at > 0 && ["(", ","].iter().any(|symbol| ours[at - 1].is_symbol(text, symbol))
        {
            // How an argument is passed.
            left_out[at] = true;
        } else if insert && word(at, "overriding") && word(at + 1, "system") && word(at + 2, "value") {
            // The values given are those stored, as they are without it. (OVERRIDING USER VALUE throws them away.)
            left_out[at..at + 3].fill(true);
        } else if insert && word(at, "on") && word(at + 1, "conflict") {
            conflict_target(text, ours, at + 2, &mut left_out);
        }
    }
    if !left_out.contains(&true) {
        return theirs;
    }
    let mut left_out = left_out.into_iter();
    theirs
        .into_iter()
        .filter(|token| {
            matches!(token.token, Theirs::Whitespace(_) | Theirs::EOF) || !left_out.next().unwrap_or_default()
        })
        .collect()
}

/// `ON CONFLICT (lower(a)) WHERE b DO`: the target at `open` is left out when it is not a list of plain columns, which the
/// model then takes for any constraint; the predicate, which only picks a partial index, always.
fn conflict_target(text: &str, ours: &[Token], open: usize, left_out: &mut [bool]) {
    if !ours.get(open).is_some_and(|token| token.is_symbol(text, "(")) {
        return;
    }
    let Some(close) = super::cursor::closing(text, ours, open) else { return };
    let Some(action) = (close + 1..ours.len()).find(|at| ours[*at].is_word(text, "do")) else { return };
    if action > close + 1 && !ours[close + 1].is_word(text, "where") {
        return;
    }
    let plain = ours[open + 1..close].iter().enumerate().all(|(at, token)| match at % 2 {
        0 => matches!(token.kind, TokenKind::Word | TokenKind::Quoted),
        _ => token.is_symbol(text, ","),
    });
    left_out[close + 1..action].fill(true);
    if !plain {
        left_out[open..=close].fill(true);
    }
}

/// Our tokens and the parser's must be the same pieces of text of the same kinds.
fn agree(text: &str, ours: &[Token], theirs: &[TokenWithSpan], positions: &Positions) -> Result<(), String> {
    let mut ours = ours.iter();
    for their in theirs.iter().filter(|their| !matches!(their.token, Theirs::Whitespace(_) | Theirs::EOF)) {
        let differs = || format!("the parser reads {} as other words than PostgreSQL does", shown(&their.token));
        let our = ours.next().ok_or_else(differs)?;
        if positions.range(their.span) != Some(our.range()) || !same_kind(our, text, &their.token) {
            return Err(differs());
        }
    }
    match ours.next() {
        None => Ok(()),
        Some(_) => Err("the parser does not see its last words".to_owned()),
    }
}

fn same_kind(our: &Token, text: &str, their: &Theirs) -> bool {
    match (our.kind, their) {
        (TokenKind::Word, Theirs::Word(word)) => word.quote_style.is_none(),
        (TokenKind::Quoted, Theirs::Word(word)) => word.quote_style == Some('"'),
        (TokenKind::Param, Theirs::Placeholder(_)) => true,
        (TokenKind::Literal(kind), their) => match kind {
            LiteralKind::Integer | LiteralKind::Number => matches!(their, Theirs::Number(_, false)),
            LiteralKind::String => matches!(their, Theirs::SingleQuotedString(_)),
            LiteralKind::EscapeString => matches!(their, Theirs::EscapedStringLiteral(_)),
            LiteralKind::DollarString => matches!(their, Theirs::DollarQuotedString(_)),
            LiteralKind::UnicodeString => matches!(their, Theirs::UnicodeStringLiteral(_)),
            LiteralKind::NationalString => matches!(their, Theirs::NationalStringLiteral(_)),
            LiteralKind::BitString => match their {
                Theirs::HexStringLiteral(_) => text.as_bytes()[our.start as usize].eq_ignore_ascii_case(&b'x'),
                Theirs::SingleQuotedByteStringLiteral(_) => {
                    text.as_bytes()[our.start as usize].eq_ignore_ascii_case(&b'b')
                }
                _ => false,
            },
        },
        // An operator or a character: the bytes are the same, so it is enough that the parser has no word, constant or
        // parameter there.
        (TokenKind::Operator | TokenKind::Punct, their) => !matches!(
            their,
            Theirs::Word(_)
                | Theirs::Placeholder(_)
                | Theirs::Number(..)
                | Theirs::SingleQuotedString(_)
                | Theirs::DoubleQuotedString(_)
                | Theirs::Char(_)
                // `==` is an operator like any other to PostgreSQL; the parser takes it for equality.
                | Theirs::DoubleEq
                | Theirs::Spaceship
        ),
        _ => false,
    }
}

/// Words that PostgreSQL reserves and that stand for values, which the parser has as identifiers.
const VALUE_WORDS: &[&str] = &[
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "user",
];

/// Rejects every tree that has an identifier which cannot be one in PostgreSQL: the parser took a keyword for a name, so
/// the shape of the tree is wrong (`FROM ONLY t`, `SELECT a LIKE FROM t`, `SELECT INTO x FROM t`).
fn veto(text: &str, tokens: &[Token], statement: &Statement, positions: &Positions) -> Result<(), String> {
    match statement.visit(&mut Veto { text, tokens, positions }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(reason) => Err(reason),
    }
}

struct Veto<'a> {
    text: &'a str,
    tokens: &'a [Token],
    positions: &'a Positions,
}

impl Visitor for Veto<'_> {
    type Break = String;

    fn pre_visit_ident(&mut self, ident: &Ident) -> ControlFlow<String> {
        if self.admits(ident) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(format!("the parser takes \"{}\" for a name", ident.value))
        }
    }
}

impl Veto<'_> {
    fn admits(&self, ident: &Ident) -> bool {
        match ident.quote_style {
            Some('"') => return true,
            // An alias in single quotes, and other dialects' quotes.
            Some(_) => return false,
            None => {}
        }
        let Some(keyword) = names::keyword(&ident.value) else { return true };
        if matches!(keyword, Keyword::Unreserved | Keyword::Column) {
            return true;
        }
        let Some(at) = self.positions.byte(ident.span.start) else { return false };
        let index = self.tokens.partition_point(|token| (token.start as usize) < at);
        let Some(token) = self.tokens.get(index).filter(|token| token.start as usize == at) else { return false };
        let before = index.checked_sub(1).map(|index| &self.tokens[index]);
        let next = self.tokens.get(index + 1);
        let before_is =
            |words: &[&str]| before.is_some_and(|before| words.iter().any(|word| before.is_word(self.text, word)));
        let symbol = |token: Option<&Token>, symbols: &[&str]| {
            token.is_some_and(|token| symbols.iter().any(|symbol| token.is_symbol(self.text, symbol)))
        };
        let is = |words: &[&str]| words.iter().any(|word| token.is_word(self.text, word));
        // Any word may be a label behind AS, or a field behind a dot.
        if before_is(&["as"]) || symbol(before, &["."]) {
            return true;
        }
        // `left(a, 1)`; as the name of a type or a column these words cannot stand.
        if keyword == Keyword::TypeOrFunction && symbol(next, &["("]) {
            return true;
        }
        if is(VALUE_WORDS) {
            // As a source of rows they would be functions, while the parser has a table.
            return !before_is(&["from", "join", "into", "update", "only", "using", "lateral"]);
        }
        // DEFAULT as a value in VALUES and SET.
        is(&["default"])
            && symbol(before, &["(", ",", "="])
            && (next.is_none() || symbol(next, &[",", ")"]) || next.is_some_and(|next| next.kind == TokenKind::Word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lex;

    fn guarded(text: &str) -> Result<(), String> {
        parse(text, &lex(text, true).expect("lexes"), |_, _| Ok(()))
    }

    #[test]
    fn ordinary_statements_pass() {
        for text in [
            "SELECT 1",
            "SELECT a, b AS end, t.select FROM s.t WHERE id = 5 AND left(a, 1) = 'x' -- c",
            "SELECT current_date, user, CURRENT_TIMESTAMP, ARRAY[1, 2], a::text FROM t",
            "INSERT INTO t (a, b) VALUES (1, DEFAULT), (DEFAULT, $1) RETURNING id",
            "UPDATE t SET a = DEFAULT, b = b + -1 WHERE id IN (1, 2) AND c > - 5",
            "DELETE FROM t USING u WHERE t.id = u.id",
            "SELECT E'a\\'b', $$c$$, x'1F', b'01', N'n', 1.5e3, \"Quoted\"\"Name\" FROM \"Täble\" t",
            "SELECT a FROM t WHERE id = 1 FOR NO KEY UPDATE OF t NOWAIT",
            "SELECT a FROM t WHERE id = 1 FOR KEY SHARE SKIP LOCKED",
            "SELECT f(a, VARIADIC b), g(VARIADIC ARRAY[1]) FROM t",
            "INSERT INTO t (a) OVERRIDING SYSTEM VALUE VALUES (1)",
            "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) WHERE b > 5 DO UPDATE SET c = 1 WHERE t.c = 2 RETURNING a",
            "INSERT INTO t (a) VALUES (1) ON CONFLICT (lower(a), b) WHERE b IS NULL DO NOTHING",
            "WITH x AS (SELECT 1) SELECT * FROM x JOIN y USING (id) ORDER BY 1 LIMIT 5 FOR UPDATE OF y SKIP LOCKED",
        ] {
            assert_eq!(guarded(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_the_parser_misreads_is_not_understood() {
        for text in [
            // M1 to M9 and M12 of the ways seen; M10 and M11 concern printing, which is never done.
            "SELECT a END FROM t WHERE id = 5",
            "SELECT 1 END",
            "SELECT * FROM ONLY t WHERE id = 5",
            "SELECT * FROM ONLY (t)",
            "UPDATE ONLY t SET a = 1",
            "DELETE FROM ONLY t",
            "SELECT id, interval FROM t WHERE id = 5",
            "SELECT x LIKE FROM t",
            "SELECT a AND FROM t",
            "SELECT * FROM t WHERE id = 0x1F",
            "SELECT 0b1",
            "SELECT 0o7",
            "SELECT * FROM t WHERE U&\"d\\0061t\" = 1",
            "SELECT * FROM t WHERE id>-1",
            "SELECT * FROM t WHERE id>=-1",
            "SELECT * FROM t WHERE id<>-1",
            "SELECT a @@@ b FROM t",
            "SELECT pg_lsn '0/1'",
            "SELECT 'a'\n'b'",
            "SELECT a ISNULL",
            "SELECT INTO x FROM t",
            "SELECT 1; DELETE FROM t",
            "SELECT * FROM user",
            "SELECT DEFAULT FROM t",
            "INSERT INTO t (a) OVERRIDING USER VALUE VALUES (1)",
            "SELECT * FROM t WHERE a == 1",
        ] {
            assert!(guarded(text).is_err(), "{text}");
        }
    }

    #[test]
    fn long_and_deep_statements_neither_panic_nor_overflow() {
        let chain = |joint: &str, n: usize| format!("SELECT 1 WHERE {}", vec!["a = 1"; n].join(joint));
        assert_eq!(guarded(&chain(" AND ", 4_000)), Ok(()));
        assert_eq!(guarded(&chain(" OR ", 4_000)), Ok(()));
        assert_eq!(guarded(&vec!["SELECT 1"; 5_000].join(" UNION ALL ")), Ok(()));
        assert_eq!(guarded(&format!("SELECT 1{}", "::int".repeat(9_000))), Ok(()));
        assert!(guarded(&chain(" AND ", 6_000)).is_err());
        for (open, close) in [("(", ")"), ("(SELECT ", ")"), ("f(", ")"), ("ARRAY[", "]"), ("NOT ", ""), ("- ", "")] {
            let text = format!("SELECT {}1{}", open.repeat(8_000), close.repeat(8_000));
            assert!(guarded(&text).is_err(), "{open}");
        }
    }

    #[test]
    fn a_panic_while_reading_is_not_understood() {
        let text = "SELECT 1";
        let read = |_: &Statement, _: &Positions| -> Result<(), String> { panic!("a bug in reading") };
        assert_eq!(parse(text, &lex(text, true).expect("lexes"), read), Err("the parser failed on it".to_owned()));
    }
}
