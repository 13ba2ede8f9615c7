//! The 128-bit keyed fingerprint under which analyses are cached, in one pass over the text.
//!
//! Two kinds: of the exact text, and of the text with its literals lifted out. The second hashes every byte between the
//! first and the last token as it stands, but for literals in places of a positive list: there only the kind counts.
//! A literal is lifted only where an [`Analysis`](super::Analysis) can hold a slot for it and nothing else depends on it:
//! - the statement begins with SELECT, INSERT, UPDATE or DELETE;
//! - it is a number, or `'…'` or `E'…'` in one piece;
//! - it stands behind a comparison (`= <> != < <= > >=`), BETWEEN or BETWEEN's AND, LIKE or ILIKE; in the list of an IN, ANY
//!   or a comparison with a row; in a row of VALUES; or is a number behind `+ - * /` with an operand before it; with at
//!   most one sign in front, which stays;
//! - and no LIMIT, OFFSET, FETCH, ORDER, GROUP, OVER, WINDOW or TABLESAMPLE has come before.
//!
//! So never an ordinal, a count of rows, a type's modifier, a typed literal or an argument of a function.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

use super::analysis::{Literal, LiteralKind};
use super::hints;
use super::lexer::{LexError, Lexer, Token, TokenKind};

/// The key of a process's fingerprints: random, so that no client can aim for a collision.
#[derive(Clone, Copy, Debug)]
pub struct FingerprintKey(pub [u8; 16]);

/// The fingerprint of an exact text under a context (a hash of all else that its meaning depends on).
pub fn exact(key: FingerprintKey, context: u64, text: &str) -> u128 {
    let mut hasher = start(key, context, 0);
    hasher.write(text.as_bytes());
    hasher.finish128().as_u128()
}

/// The fingerprint of a text with its literals lifted out. All its literals, lifted or not, are put into `literals` in order.
/// Also told: the byte at which the first token begins.
pub fn lifted(
    key: FingerprintKey,
    context: u64,
    text: &str,
    standard_strings: bool,
    literals: &mut Vec<Literal>,
) -> Result<(u128, u32), LexError> {
    literals.clear();
    let mut hasher = Buffered::new(start(key, context, 1));
    let mut lexer = Lexer::new(text, standard_strings)?;
    let mut places = Places::default();
    let mut hashed = 0;
    let mut first = None;
    let mut end = 0;
    while let Some(token) = lexer.next_token()? {
        if first.is_none() {
            first = Some(token.start);
            hashed = token.start as usize;
            gap(&mut hasher, &text[..hashed]);
        }
        let lift = places.next(text, &token);
        if let TokenKind::Literal(kind) = token.kind {
            literals.push(Literal { span: token.start..token.end, kind });
            if lift && is_plain(text, &token, kind, &lexer, standard_strings) {
                // No text holds a NUL (the lexer refuses it), so the tag cannot be mistaken for text.
                hasher.write(&text.as_bytes()[hashed..token.start as usize]);
                hasher.write(&[0, 1 + kind as u8]);
                hashed = token.end as usize;
            }
        }
        end = token.end as usize;
    }
    hasher.write(&text.as_bytes()[hashed..end.max(hashed)]);
    gap(&mut hasher, &text[end.max(hashed)..]);
    Ok((hasher.finish(), first.unwrap_or(0)))
}

fn start(key: FingerprintKey, context: u64, mode: u8) -> SipHasher13 {
    let mut hasher = SipHasher13::new_with_key(&key.0);
    let mut head = [mode; 9];
    head[..8].copy_from_slice(&context.to_le_bytes());
    hasher.write(&head);
    hasher
}

/// Collects short pieces, because the hasher takes a piece of any length in about the same time as one of 16 bytes.
struct Buffered {
    hasher: SipHasher13,
    buffer: [u8; 256],
    used: usize,
}

impl Buffered {
    fn new(hasher: SipHasher13) -> Buffered {
        Buffered { hasher, buffer: [0; 256], used: 0 }
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        if self.used + bytes.len() > self.buffer.len() {
            self.hasher.write(&self.buffer[..self.used]);
            self.used = 0;
        }
        match self.buffer.get_mut(self.used..self.used + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.used += bytes.len();
            }
            None => self.hasher.write(bytes),
        }
    }

    fn finish(&mut self) -> u128 {
        self.hasher.write(&self.buffer[..self.used]);
        self.hasher.finish128().as_u128()
    }
}

/// Comments before and behind a statement count only when they may be hints: drivers put trace ids there.
fn gap(hasher: &mut Buffered, blanks: &str) {
    if blanks.len() > 8 && hints::possible(blanks) {
        hasher.write(&[0, 0xff]);
        hasher.write(blanks.as_bytes());
        hasher.write(&[0, 0xfe]);
    }
}

/// Whether a literal is one of those whose analysis is the same whatever it holds. A string over several lines is none to
/// the parser; a backslash in `'…'` with standard_conforming_strings off
/// makes it another kind.
fn is_plain(text: &str, token: &Token, kind: LiteralKind, lexer: &Lexer<'_>, standard_strings: bool) -> bool {
    match kind {
        LiteralKind::Integer | LiteralKind::Number => true,
        LiteralKind::EscapeString => !lexer.continued(),
        LiteralKind::String => !lexer.continued() && (standard_strings || !token.text(text).contains('\\')),
        _ => false,
    }
}

/// What came just before, as far as lifting a literal depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Before {
    /// Nothing that admits one.
    #[default]
    Other,
    /// A comparison, BETWEEN, LIKE, or an opening or separating token of a list: a literal or a sign may follow.
    Open,
    /// The sign behind that.
    Signed,
    /// BETWEEN: like `Open`.
    Between,
    /// The sign behind BETWEEN.
    BetweenSigned,
    /// The literal behind BETWEEN: AND may follow.
    BetweenLow,
    /// An operand: an arithmetic operator may follow.
    Operand,
    /// An arithmetic operator behind an operand: a number may follow.
    Arithmetic,
    /// IN, ANY, or a comparison: a parenthesis opens a list. (For a comparison `Open` says the same.)
    List,
    /// VALUES: a parenthesis opens a row.
    Values,
    /// The end of a row of VALUES: a comma may follow.
    RowEnd,
    /// The comma between rows.
    RowComma,
}

/// Follows the tokens of a statement and tells of each literal whether it stands where it may be lifted.
#[derive(Debug, Default)]
struct Places {
    /// The statement's first keyword admits lifting and nothing has come that forbids it.
    open: bool,
    started: bool,
    before: Before,
    depth: u32,
    /// By depth: the parenthesis is a list whose members may be lifted.
    lists: u64,
    /// By depth: it is a row of VALUES.
    rows: u64,
}

impl Places {
    /// Takes in a token; true when it is a literal in a place of the list.
    #[inline(always)]
    fn next(&mut self, text: &str, token: &Token) -> bool {
        if !self.started {
            self.started = true;
            let word = &text.as_bytes()[token.range()];
            // All four have six letters.
            self.open = token.kind == TokenKind::Word
                && word.len() == 6
                && [b"select", b"insert", b"update", b"delete"].iter().any(|known| word.eq_ignore_ascii_case(*known));
            return false;
        }
        if !self.open {
            return false;
        }
        let before = std::mem::take(&mut self.before);
        match token.kind {
            TokenKind::Word => self.word(&text.as_bytes()[token.range()], before),
            TokenKind::Literal(kind) => return self.literal(kind, before),
            TokenKind::Quoted | TokenKind::UnicodeQuoted | TokenKind::Param => self.before = Before::Operand,
            TokenKind::Operator => self.operator(&text.as_bytes()[token.range()], before),
            TokenKind::Punct => self.punct(text.as_bytes()[token.start as usize], before),
        }
        false
    }

    fn bit(&self) -> u64 {
        1u64.checked_shl(self.depth).unwrap_or(0)
    }

    fn word(&mut self, word: &[u8], before: Before) {
        let is = |known: &str| word.eq_ignore_ascii_case(known.as_bytes());
        // Length and first letter leave at most one or two words to compare with.
        self.before = match (word.len(), word[0] | 0x20) {
            (2, b'i') if is("in") => Before::List,
            (3, b'a') if is("any") => Before::List,
            (3, b'a') if is("and") && before == Before::BetweenLow => Before::Open,
            (3, b'a') if is("and") => Before::Other,
            (4, b'l') if is("like") => Before::Open,
            (5, b'i') if is("ilike") => Before::Open,
            (7, b'b') if is("between") => Before::Between,
            (6, b'v') if is("values") => {
                self.no_list();
                Before::Values
            }
            (4, b'w') if is("with") => self.no_list(),
            (5, b't') if is("table") => self.no_list(),
            (6, b's') if is("select") => self.no_list(),
            (5, b'l') if is("limit") => self.forbid(),
            (5, b'o') if is("order") => self.forbid(),
            (5, b'g') if is("group") => self.forbid(),
            (5, b'f') if is("fetch") => self.forbid(),
            (4, b'o') if is("over") => self.forbid(),
            (6, b'o') if is("offset") => self.forbid(),
            (6, b'w') if is("window") => self.forbid(),
            (11, b't') if is("tablesample") => self.forbid(),
            _ => Before::Operand,
        };
    }

    /// What is in this parenthesis is a query, not a list.
    fn no_list(&mut self) -> Before {
        let bit = self.bit();
        self.lists &= !bit;
        self.rows &= !bit;
        Before::Other
    }

    fn forbid(&mut self) -> Before {
        self.open = false;
        Before::Other
    }

    fn literal(&mut self, kind: LiteralKind, before: Before) -> bool {
        self.before = match before {
            Before::Between | Before::BetweenSigned => Before::BetweenLow,
            _ => Before::Operand,
        };
        match before {
            Before::Open | Before::Signed | Before::Between | Before::BetweenSigned => true,
            Before::Arithmetic => matches!(kind, LiteralKind::Integer | LiteralKind::Number),
            _ => false,
        }
    }

    fn operator(&mut self, operator: &[u8], before: Before) {
        self.before = match operator {
            b"=" | b"<>" | b"!=" | b"<" | b"<=" | b">" | b">=" => Before::Open,
            b"+" | b"-" => match before {
                Before::Open => Before::Signed,
                Before::Between => Before::BetweenSigned,
                Before::Operand | Before::RowEnd | Before::BetweenLow => Before::Arithmetic,
                // `a + -5`
                Before::Arithmetic => Before::Arithmetic,
                _ => Before::Other,
            },
            b"*" | b"/" if before == Before::Operand => Before::Arithmetic,
            _ => Before::Other,
        };
    }

    fn punct(&mut self, byte: u8, before: Before) {
        match byte {
            b'(' => {
                let row = matches!(before, Before::Values | Before::RowComma);
                let list = row || matches!(before, Before::List | Before::Open);
                self.depth += 1;
                let bit = self.bit();
                self.lists = if list { self.lists | bit } else { self.lists & !bit };
                self.rows = if row { self.rows | bit } else { self.rows & !bit };
                self.before = if list && bit != 0 { Before::Open } else { Before::Other };
            }
            b')' => {
                self.before = if self.rows & self.bit() != 0 { Before::RowEnd } else { Before::Operand };
                self.depth = self.depth.saturating_sub(1);
            }
            b',' if before == Before::RowEnd => self.before = Before::RowComma,
            b',' if self.in_list() => self.before = Before::Open,
            b']' => self.before = Before::Operand,
            _ => {}
        }
    }

    fn in_list(&self) -> bool {
        self.lists & self.bit() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::tests::sqlish;
    use proptest::prelude::*;

    const KEY: FingerprintKey = FingerprintKey([7; 16]);

    fn of(text: &str) -> u128 {
        lifted(KEY, 1, text, true, &mut Vec::new()).unwrap_or_else(|error| panic!("{text:?}: {error}")).0
    }

    /// Puts two values of one kind into each `?` of a statement in turn: lifted ones share a fingerprint.
    fn check(pattern: &str, values: [&str; 2], expect_lifted: bool) {
        let [one, two] = values.map(|value| pattern.replacen('?', value, 1));
        assert_eq!(of(&one) == of(&two), expect_lifted, "{one} / {two}");
    }

    #[test]
    fn values_in_places_of_the_list_are_lifted() {
        for pattern in [
            "SELECT * FROM t WHERE id = ?",
            "SELECT * FROM t WHERE id=-? AND b",
            "SELECT * FROM t WHERE id <> ?",
            "SELECT * FROM t WHERE id IN (?, 2)",
            "SELECT * FROM t WHERE id IN (2, -?)",
            "SELECT * FROM t WHERE (a, b) IN ((1, ?), (3, 4))",
            "SELECT * FROM t WHERE (a, b) = (1, ?)",
            "SELECT * FROM t WHERE id BETWEEN ? AND 9",
            "SELECT * FROM t WHERE id BETWEEN 1 AND ?",
            "INSERT INTO t VALUES (?, 2)",
            "INSERT INTO t (a) VALUES (1), (2, ?) ON CONFLICT DO NOTHING",
            "INSERT INTO t VALUES (f(1), now(), -?)",
            "UPDATE t SET a = a + ?, b = 1 WHERE c = 2",
            "UPDATE t SET a = a + -? WHERE c = 2",
            "UPDATE t SET a = 1 WHERE c >= ?",
            "DELETE FROM t WHERE id = ?::int",
            "SELECT * FROM t WHERE id = ? ORDER BY 1 LIMIT 5",
        ] {
            check(pattern, ["41", "4242"], true);
        }
        for pattern in ["SELECT * FROM t WHERE a = ?", "INSERT INTO t VALUES (1, ?)", "SELECT * FROM t WHERE a LIKE ?"]
        {
            check(pattern, ["'x'", "'it''s'"], true);
            check(pattern, ["E'x'", "E'\\''"], true);
        }
    }

    #[test]
    fn all_other_values_stay() {
        for pattern in [
            "SELECT ?",
            "SELECT * FROM t LIMIT ?",
            "SELECT * FROM t LIMIT - ?",
            "SELECT * FROM t OFFSET ?",
            "SELECT * FROM t WHERE a = 1 LIMIT 5 + ?",
            "SELECT * FROM t WHERE a = 1 FETCH FIRST ? ROWS ONLY",
            "SELECT a FROM t ORDER BY ?",
            "SELECT a FROM t ORDER BY a, ?",
            "SELECT a FROM t GROUP BY ?",
            "SELECT a FROM t WHERE a IN (SELECT 1, ?)",
            "SELECT a FROM t WHERE a IN (SELECT a FROM u ORDER BY 1, ?)",
            "SELECT a FROM t WHERE a IN ((SELECT 1, ?))",
            "SELECT a FROM t WHERE a = (SELECT b, ?)",
            "SELECT DISTINCT ON (?) a FROM t",
            "SELECT a::varchar(?) FROM t",
            "SELECT a::numeric(?, 2) FROM t WHERE b IN (1::numeric(3, 2))",
            "SELECT a FROM t WHERE b IN (1::numeric(?, 2))",
            "SELECT a FROM t WHERE b = CAST(c AS numeric(3, ?))",
            "SELECT sum(a) OVER (ROWS ? PRECEDING) FROM t",
            "SELECT a FROM t TABLESAMPLE bernoulli (?)",
            "SELECT f(?)",
            "SELECT f(a, ?)",
            "SELECT a FROM t WHERE b = f(?)",
            "SELECT a[?] FROM t",
            "WITH x AS (SELECT 1) SELECT * FROM x WHERE a = ?",
            "VALUES (?)",
            "SET x = ?",
            "EXPLAIN SELECT * FROM t WHERE a = ?",
            "CREATE TABLE t (a int DEFAULT ?)",
            "COPY t TO STDOUT (DELIMITER = ?)",
            "SELECT VALUES, (?)",
        ] {
            check(pattern, ["1", "22"], false);
        }
        for pattern in [
            "SELECT * FROM t WHERE a = interval ?",
            "SELECT * FROM t WHERE a = date ?",
            "INSERT INTO t VALUES (date ?)",
            "SELECT * FROM t WHERE a = timestamp(3) ?",
            "SELECT * FROM t WHERE a LIKE 'x' ESCAPE ?",
            "SELECT set_config(?, 'b', false)",
            "SELECT set_config('a', ?, true)",
            "SELECT * FROM t WHERE a -> ? = 1",
        ] {
            check(pattern, ["'1 d'", "'22 h'"], false);
        }
        for values in [["$$a$$", "$$b$$"], ["B'1'", "B'0'"], ["U&'a'", "U&'b'"]] {
            check("SELECT * FROM t WHERE a = ?", values, false);
        }
        for values in [["'a'", "'a'\n'b'"], ["E'a'", "E'a' -- c\n'b'"]] {
            check("SELECT * FROM t WHERE a = ?", values, false);
        }
    }

    #[test]
    fn all_that_means_something_else_has_another_fingerprint() {
        let statements = [
            "SELECT * FROM t WHERE id = 5",
            "SELECT * FROM t WHERE id = -5",
            "SELECT * FROM t WHERE id = - 5",
            "SELECT * FROM t WHERE id = 5.0",
            "SELECT * FROM t WHERE id = '5'",
            "SELECT * FROM t WHERE id = E'5'",
            "SELECT * FROM t WHERE id = $1",
            "SELECT * FROM t WHERE id = 5 ",
            "SELECT * FROM t WHERE id = 5 -- pgweave: shard=s1",
            "SELECT * FROM t WHERE id = 5 -- pgweave: shard=s2",
            "/* pgweave: shard=s1 */ SELECT * FROM t WHERE id = 5",
            "SELECT * FROM t WHERE id IN (5)",
            "SELECT * FROM t WHERE id IN (5, 6)",
            "SELECT * FROM \"T\" WHERE id = 5",
            "SELECT * FROM t WHERE id = 5 OR true",
        ];
        for (at, one) in statements.iter().enumerate() {
            for two in &statements[at + 1..] {
                assert_eq!(of(one) == of(two), one.trim_end() == two.trim_end(), "{one} / {two}");
            }
        }
        // Trace ids before and behind do not matter; the context, the key and standard_conforming_strings do.
        assert_eq!(of("/* id=1 */ SELECT 1 -- x"), of("SELECT 1/* id=2 */"));
        let get = |key, context, standard| {
            lifted(key, context, "SELECT * FROM t WHERE a = 'x\\y'", standard, &mut Vec::new()).expect("lexes").0
        };
        assert_ne!(get(KEY, 1, true), get(KEY, 2, true));
        assert_ne!(get(KEY, 1, true), get(FingerprintKey([8; 16]), 1, true));
        assert_ne!(get(KEY, 1, true), get(KEY, 1, false));
        assert_ne!(exact(KEY, 1, "SELECT 1"), of("SELECT 1"));
    }

    proptest! {
        /// The literals told are the lexer's, and a text that begins as no query is hashed whole.
        #[test]
        fn literals_are_the_lexers(text in sqlish()) {
            let mut literals = Vec::new();
            match crate::sql::lex(&text, true) {
                Ok(tokens) => {
                    let (_, start) = lifted(KEY, 0, &text, true, &mut literals).expect("lexes");
                    prop_assert_eq!(literals, crate::sql::lexer::literals(&tokens));
                    prop_assert_eq!(start, tokens.first().map_or(0, |token| token.start));
                }
                Err(error) => prop_assert_eq!(lifted(KEY, 0, &text, true, &mut literals), Err(error)),
            }
        }
    }
}
