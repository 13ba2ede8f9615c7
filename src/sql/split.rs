//! Cutting a simple Query's string into its statements.

use std::ops::Range;

use super::lexer::{LexError, Lexer, Token, TokenKind};

/// The one statement of a string, if that can be told without cutting it into tokens: there is no semicolon but perhaps
/// the last byte. `None` says nothing.
pub fn single(text: &str) -> Option<Range<usize>> {
    let start = text.len() - text.trim_start_matches(is_blank).len();
    let body = text[start..].trim_end_matches(is_blank);
    // A last semicolon that belongs to a comment or to a string without end makes no difference to the statement.
    let body = body.strip_suffix(';').map_or(body, |body| body.trim_end_matches(is_blank));
    // What begins with a comment may be nothing but comments.
    let plain = !body.is_empty() && !body.starts_with(['-', '/']) && !body.bytes().any(|byte| byte == b';');
    plain.then(|| start..start + body.len())
}

/// What the scanner takes for a blank: the vertical tab, too.
fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{b}'
}

/// The bytes of each statement of a string, without semicolons and the blanks around them; comments before a statement
/// belong to it, because they may be hints. Statements without any token are left out.
///
/// PostgreSQL parses the whole string before it runs anything, so an error in the last piece stops the first. Semicolons
/// inside parentheses do not count (they are only legal in CREATE RULE). From a CREATE with a body that begins with BEGIN
/// ATOMIC on, the rest of the string is one piece: where the body ends cannot be told from tokens alone.
pub fn split(text: &str, standard_strings: bool) -> Result<Vec<Range<usize>>, LexError> {
    match single(text) {
        Some(range) => Ok(vec![range]),
        None => cut(text, standard_strings),
    }
}

fn cut(text: &str, standard_strings: bool) -> Result<Vec<Range<usize>>, LexError> {
    let mut pieces = Vec::new();
    let mut lexer = Lexer::new(text, standard_strings)?;
    let mut piece = Piece::default();
    while let Some(token) = lexer.next_token()? {
        match text.as_bytes()[token.start as usize] {
            b'(' => piece.depth += 1,
            b')' => piece.depth = piece.depth.saturating_sub(1),
            b';' if token.kind == TokenKind::Punct && piece.depth == 0 && !piece.atomic => {
                pieces.extend(piece.range(text));
                piece = Piece { start: token.end as usize, ..Piece::default() };
                continue;
            }
            _ => {}
        }
        piece.take(text, &token);
    }
    pieces.extend(piece.range(text));
    Ok(pieces)
}

/// The statement being read.
#[derive(Default)]
struct Piece {
    start: usize,
    end: Option<usize>,
    depth: usize,
    create: bool,
    begin: bool,
    atomic: bool,
}

impl Piece {
    fn take(&mut self, text: &str, token: &Token) {
        if self.end.is_none() {
            self.create = token.is_word(text, "create");
        }
        if self.create && !self.atomic {
            self.atomic = self.begin && token.is_word(text, "atomic");
            self.begin = token.is_word(text, "begin");
        }
        // A semicolon that ends a piece whose parentheses were not closed is no part of it either: `single` leaves it out.
        if !token.is_symbol(text, ";") {
            self.end = Some(token.end as usize);
        }
    }

    /// From the first comment or token to the last token, hints behind it included.
    fn range(&self, text: &str) -> Option<Range<usize>> {
        let end = self.end?;
        let start = self.start + text[self.start..end].len() - text[self.start..end].trim_start_matches(is_blank).len();
        Some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lex;
    use crate::sql::lexer::tests::sqlish;
    use proptest::prelude::*;

    fn check(text: &str, expect: &[&str]) {
        let got = split(text, true).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let got: Vec<&str> = got.into_iter().map(|range| &text[range]).collect();
        assert_eq!(got, expect, "{text:?}");
    }

    #[test]
    fn statements_are_cut_at_semicolons() {
        check("SELECT 1", &["SELECT 1"]);
        check("  SELECT 1 ; ", &["SELECT 1"]);
        check("", &[]);
        check(" ; ;; ", &[]);
        check("-- nothing", &[]);
        check("/* a; b */", &[]);
        check("BEGIN; SELECT ';'; COMMIT", &["BEGIN", "SELECT ';'", "COMMIT"]);
        check("SELECT 1 END; DELETE FROM t", &["SELECT 1 END", "DELETE FROM t"]);
        check(
            "SELECT $a$;$a$;/* pgweave: shard=s1 */ SELECT 2;",
            &["SELECT $a$;$a$", "/* pgweave: shard=s1 */ SELECT 2"],
        );
        check("SELECT 1 -- a;\n, 2; SELECT 3", &["SELECT 1 -- a;\n, 2", "SELECT 3"]);
        check(
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
            &["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"],
        );
        check(
            "SELECT 0; CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3",
            &["SELECT 0", "CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3"],
        );
        check("(;", &["("]);
        check("SELECT (1; SELECT 2;", &["SELECT (1; SELECT 2"]);
        check("BEGIN; SELECT atomic; END", &["BEGIN", "SELECT atomic", "END"]);
        assert_eq!(split("SELECT 1; SELECT 'a", true), Err(LexError::UnterminatedQuote(17)));
    }

    proptest! {
        /// The short way and the long way agree, and no token is lost but semicolons.
        #[test]
        fn every_token_is_in_one_piece(text in sqlish()) {
            if let Ok(tokens) = lex(&text, true) {
                let pieces = split(&text, true).expect("lexes");
                let long: Vec<Vec<Token>> = cut(&text, true).expect("lexes").into_iter().map(|range| within(&tokens, range)).collect();
                let short: Vec<Vec<Token>> = pieces.into_iter().map(|range| within(&tokens, range)).collect();
                prop_assert_eq!(&long, &short);
                let kept: Vec<Token> = short.concat();
                let lost = tokens.iter().filter(|token| !kept.contains(token)).all(|token| token.is_symbol(&text, ";"));
                prop_assert!(lost);
            }
        }
    }

    fn within(tokens: &[Token], range: Range<usize>) -> Vec<Token> {
        tokens.iter().filter(|token| range.contains(&(token.start as usize))).copied().collect()
    }
}
