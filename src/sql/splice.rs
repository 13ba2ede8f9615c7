//! Changing a client's text without printing it anew: byte ranges are replaced, and the result is lexed again to see that
//! nothing outside them has changed its meaning.

use std::ops::Range;

use super::lexer::{LexError, Token, lex};

/// Replaces these bytes by this text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Bytes of the client's text; empty to insert.
    pub range: Range<usize>,
    /// What stands there afterwards; whole tokens.
    pub text: String,
}

/// Why a text was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpliceError {
    /// The client's text or the result has no tokens.
    #[error(transparent)]
    Lex(#[from] LexError),
    /// Edits overlap, are out of order, outside the text, or cut a token.
    #[error("edit at byte {0} does not lie between tokens")]
    Misplaced(usize),
    /// A token outside the edits is another one in the result, or one inside reaches beyond its edit.
    #[error("the rewritten text reads differently outside its edit near byte {0}")]
    Disagrees(usize),
}

/// The text with the edits made, in order. Every token outside the edits is proven to be the same as before.
pub fn splice(text: &str, edits: &[Edit], standard_strings: bool) -> Result<String, SpliceError> {
    let before = lex(text, standard_strings)?;
    let mut out = String::with_capacity(text.len() + edits.iter().map(|edit| edit.text.len()).sum::<usize>());
    let mut at = 0;
    for edit in edits {
        if edit.range.start < at || edit.range.end < edit.range.start || edit.range.end > text.len() {
            return Err(SpliceError::Misplaced(edit.range.start));
        }
        if [edit.range.start, edit.range.end].into_iter().any(|byte| cuts(&before, byte)) {
            return Err(SpliceError::Misplaced(edit.range.start));
        }
        // Both ends lie between tokens, and what lies there may be a comment with letters beyond ASCII.
        out.push_str(text.get(at..edit.range.start).ok_or(SpliceError::Misplaced(edit.range.start))?);
        out.push_str(&edit.text);
        at = edit.range.end;
    }
    out.push_str(text.get(at..).ok_or(SpliceError::Misplaced(at))?);
    verify(text, &before, edits, &out, standard_strings)?;
    Ok(out)
}

/// Whether a byte lies inside a token.
fn cuts(tokens: &[Token], byte: usize) -> bool {
    let next = tokens.partition_point(|token| (token.end as usize) <= byte);
    tokens.get(next).is_some_and(|token| (token.start as usize) < byte)
}

/// Checks that `out` has, in order, the tokens of `text` outside the edits at their shifted places, and within each edit's
/// place exactly the tokens that the edit has when it is read alone.
fn verify(text: &str, before: &[Token], edits: &[Edit], out: &str, standard_strings: bool) -> Result<(), SpliceError> {
    let after = lex(out, standard_strings)?;
    let mut expect = Vec::with_capacity(after.len());
    let mut next = 0;
    let mut shift = 0isize;
    let moved = |token: &Token, shift: isize| Token {
        kind: token.kind,
        start: (token.start as isize + shift) as u32,
        end: (token.end as isize + shift) as u32,
    };
    for edit in edits {
        while next < before.len() && before[next].end as usize <= edit.range.start {
            expect.push(moved(&before[next], shift));
            next += 1;
        }
        while next < before.len() && before[next].end as usize <= edit.range.end {
            next += 1;
        }
        let place = edit.range.start as isize + shift;
        expect.extend(lex(&edit.text, standard_strings)?.iter().map(|token| moved(token, place)));
        shift += edit.text.len() as isize - (edit.range.end - edit.range.start) as isize;
    }
    expect.extend(before[next..].iter().map(|token| moved(token, shift)));
    let differs = expect.iter().zip(&after).find(|(expect, after)| expect != after);
    match differs {
        Some((_, token)) => Err(SpliceError::Disagrees(token.start as usize)),
        None if expect.len() != after.len() => Err(SpliceError::Disagrees(text.len().min(out.len()))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::tests::sqlish;
    use proptest::prelude::*;

    fn check(text: &str, edits: &[(Range<usize>, &str)], expect: Result<&str, SpliceError>) {
        let edits: Vec<Edit> =
            edits.iter().map(|(range, text)| Edit { range: range.clone(), text: (*text).to_owned() }).collect();
        assert_eq!(splice(text, &edits, true), expect.map(str::to_owned), "{text} {edits:?}");
    }

    #[test]
    fn edits_between_tokens_are_made() {
        check("INSERT INTO t VALUES (1)", &[(13..13, " (a)")], Ok("INSERT INTO t (a) VALUES (1)"));
        check("SELECT * FROM a, b", &[(14..15, "(SELECT 1) a"), (17..18, "c")], Ok("SELECT * FROM (SELECT 1) a, c"));
        check("SELECT 1", &[], Ok("SELECT 1"));
        check("SELECT /* ä */ 1", &[(16..17, "2")], Ok("SELECT /* ä */ 2"));
    }

    #[test]
    fn edits_that_touch_other_tokens_are_refused() {
        check("SELECT abc", &[(8..9, "x")], Err(SpliceError::Misplaced(8)));
        check("SELECT 1", &[(6..99, "")], Err(SpliceError::Misplaced(6)));
        check("SELECT a b", &[(9..10, "c"), (7..8, "d")], Err(SpliceError::Misplaced(7)));
        // The faults that the second reading is there to find.
        check("SELECT a-b", &[(8..8, "-")], Err(SpliceError::Disagrees(10)));
        check("SELECT a, b", &[(8..8, "x")], Err(SpliceError::Disagrees(7)));
        check("SELECT a, b", &[(8..8, " /*")], Err(SpliceError::Lex(LexError::UnterminatedComment(9))));
        check("SELECT a, b", &[(8..8, " --")], Err(SpliceError::Disagrees(11)));
        check("SELECT 1, 'b'", &[(10..10, "E")], Err(SpliceError::Disagrees(10)));
        check("SELECT 'a'\n, 'b'", &[(11..12, "")], Err(SpliceError::Disagrees(7)));
        check("SELECT 1, 'b'", &[(8..9, " 'x")], Err(SpliceError::Lex(LexError::UnterminatedQuote(13))));
    }

    proptest! {
        /// Whatever is spliced in anywhere: if it is accepted, the tokens before and behind are those of the text.
        #[test]
        fn accepted_edits_leave_the_rest_alone(text in sqlish(), insert in sqlish(), at in 0usize..64) {
            let at = at.min(text.len());
            let edits = [Edit { range: at..at, text: insert.clone() }];
            if let Ok(out) = splice(&text, &edits, true) {
                let all = lex(&out, true).expect("verified");
                let inner = lex(&insert, true).expect("verified").len();
                let texts = |text: &str, tokens: &[Token]| {
                    tokens.iter().map(|token| (token.kind, token.text(text).to_owned())).collect::<Vec<_>>()
                };
                let before = texts(&text, &lex(&text, true).expect("verified"));
                let mut got = texts(&out, &all);
                let first = all.iter().position(|token| token.start as usize >= at).unwrap_or(all.len());
                got.drain(first..first + inner);
                prop_assert_eq!(got, before);
            }
        }
    }
}
