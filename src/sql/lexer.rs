//! PostgreSQL's scanner (`scan.l`), in one pass: where each token of a text begins and ends, and of what kind it is.
//!
//! This is the boundary of trust for text. Everything else in this room (splitting, fingerprints, recognisers, the check of
//! what the parser says) stands on these boundaries, so they are PostgreSQL's own, to the byte; `tests/tables/oracle.rs`
//! compares them with the real scanner. Linear in the text, no recursion, no allocation but the caller's one `Vec`.

use std::ops::Range;

use super::analysis::LiteralKind;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A keyword or an unquoted identifier.
    Word,
    /// `"…"`.
    Quoted,
    /// `U&"…"`.
    UnicodeQuoted,
    /// `$n`.
    Param,
    /// A constant.
    Literal(LiteralKind),
    /// A run of operator characters, `::`, `:=`, `=>`, `..`, `<=` and their kin included.
    Operator,
    /// One of `, ( ) [ ] . ; :`, or any character that belongs to nothing (PostgreSQL's parser rejects it).
    Punct,
}

/// A token: its kind and its bytes in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its first byte.
    pub start: u32,
    /// The byte behind its last.
    pub end: u32,
}

impl Token {
    /// Its bytes as a range of the text.
    pub fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Its text; `text` is what was lexed.
    pub fn text<'a>(&self, text: &'a str) -> &'a str {
        &text[self.range()]
    }

    /// Whether it is this keyword (given in lower case), not quoted.
    pub fn is_word(&self, text: &str, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text(text).eq_ignore_ascii_case(word)
    }

    /// Whether it is this one character of punctuation or this operator.
    pub fn is_symbol(&self, text: &str, symbol: &str) -> bool {
        matches!(self.kind, TokenKind::Punct | TokenKind::Operator) && self.text(text) == symbol
    }

    /// Its kind of literal, if it is one.
    pub fn literal(&self) -> Option<LiteralKind> {
        match self.kind {
            TokenKind::Literal(kind) => Some(kind),
            _ => None,
        }
    }
}

/// Why a text cannot be cut into tokens. PostgreSQL rejects every such text too (or, for very old versions, reads a number
/// run into a word as two tokens, which we do not follow).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LexError {
    /// A quote that does not end; the byte where it begins.
    #[error("unterminated quoted string or identifier at byte {0}")]
    UnterminatedQuote(usize),
    /// A comment that does not end; the byte where it begins.
    #[error("unterminated comment at byte {0}")]
    UnterminatedComment(usize),
    /// `""`.
    #[error("zero-length delimited identifier at byte {0}")]
    EmptyIdentifier(usize),
    /// `1a`, `0x`, `1e`, `$1a`.
    #[error("trailing junk after number or parameter at byte {0}")]
    Junk(usize),
    /// `U&'…'` while `standard_conforming_strings` is off: PostgreSQL refuses it.
    #[error("unicode escape string at byte {0} while standard_conforming_strings is off")]
    UnsafeUnicode(usize),
    /// A NUL byte, which no message of the protocol can carry, or a text of 4 GiB.
    #[error("text that no message can carry")]
    Impossible,
}

/// Cuts a text into tokens one by one.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    standard_strings: bool,
    continued: bool,
}

/// The tokens of a text in order, blanks and comments left out. `standard_strings` is the server's
/// `standard_conforming_strings`.
pub fn lex(text: &str, standard_strings: bool) -> Result<Vec<Token>, LexError> {
    let mut tokens = Vec::with_capacity(text.len() / 4 + 4);
    lex_into(text, standard_strings, &mut tokens)?;
    Ok(tokens)
}

/// Like [`lex`], into a vector of the caller's, which is emptied first.
pub fn lex_into(text: &str, standard_strings: bool, tokens: &mut Vec<Token>) -> Result<(), LexError> {
    tokens.clear();
    let mut lexer = Lexer::new(text, standard_strings)?;
    while let Some(token) = lexer.next_token()? {
        tokens.push(token);
    }
    Ok(())
}

/// The literals among tokens, in order: what `Operand::Literal(n)` counts.
pub fn literals(tokens: &[Token]) -> Vec<super::analysis::Literal> {
    tokens
        .iter()
        .filter_map(|token| token.literal().map(|kind| super::analysis::Literal { span: token.start..token.end, kind }))
        .collect()
}

fn is_ident_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_ident_part(byte: u8) -> bool {
    CLASS[byte as usize] & IDENT_PART != 0
}

fn is_operator(byte: u8) -> bool {
    CLASS[byte as usize] & OPERATOR != 0
}

fn is_space(byte: u8) -> bool {
    CLASS[byte as usize] & SPACE != 0
}

const IDENT_PART: u8 = 1;
const OPERATOR: u8 = 2;
const SPACE: u8 = 4;

/// The classes of `scan.l` by byte. `\v` is a space since PostgreSQL 16; older ones reject it.
static CLASS: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut byte = 0usize;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || b >= 0x80 {
            table[byte] |= IDENT_PART;
        }
        if matches!(
            b,
            b'~' | b'!'
                | b'@'
                | b'#'
                | b'^'
                | b'&'
                | b'|'
                | b'`'
                | b'?'
                | b'+'
                | b'-'
                | b'*'
                | b'/'
                | b'%'
                | b'<'
                | b'>'
                | b'='
        ) {
            table[byte] |= OPERATOR;
        }
        if matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) {
            table[byte] |= SPACE;
        }
        byte += 1;
    }
    table
};

impl<'a> Lexer<'a> {
    /// A lexer at the start of a text.
    pub fn new(text: &'a str, standard_strings: bool) -> Result<Lexer<'a>, LexError> {
        if text.len() >= u32::MAX as usize {
            return Err(LexError::Impossible);
        }
        Ok(Lexer { bytes: text.as_bytes(), at: 0, standard_strings, continued: false })
    }

    /// The byte it stands at: behind the last token given.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Whether the last string given goes over several lines in several pairs of quotes, so that its value is not what
    /// stands between its first and last byte.
    pub fn continued(&self) -> bool {
        self.continued
    }

    fn peek(&self, ahead: usize) -> u8 {
        // NUL stands for the end: a NUL in the text is an error of its own before it could be mistaken for it.
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn token(&self, kind: TokenKind, start: usize) -> Token {
        Token { kind, start: start as u32, end: self.at as u32 }
    }

    /// The next token, or `None` at the end of the text.
    #[inline(always)]
    pub fn next_token(&mut self) -> Result<Option<Token>, LexError> {
        self.skip_blanks()?;
        let Some(&byte) = self.bytes.get(self.at) else { return Ok(None) };
        let start = self.at;
        let token = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => self.word_or_prefix(byte, start)?,
            b'0'..=b'9' => self.number(start)?,
            b'\'' => self.string(LiteralKind::String, start, start, !self.standard_strings)?,
            b',' | b'(' | b')' | b';' | b'[' | b']' => self.fixed(TokenKind::Punct, start, 1),
            b'"' => self.quoted(TokenKind::Quoted, start, start)?,
            b'$' => self.dollar(start)?,
            b'.' if self.peek(1).is_ascii_digit() => self.number(start)?,
            b'.' if self.peek(1) == b'.' => self.fixed(TokenKind::Operator, start, 2),
            b':' if matches!(self.peek(1), b':' | b'=') => self.fixed(TokenKind::Operator, start, 2),
            0 => return Err(LexError::Impossible),
            _ if is_operator(byte) => self.operator(start),
            _ => self.fixed(TokenKind::Punct, start, 1),
        };
        Ok(Some(token))
    }

    #[inline(always)]
    fn fixed(&mut self, kind: TokenKind, start: usize, length: usize) -> Token {
        self.at = start + length;
        self.token(kind, start)
    }

    /// Skips blanks, `--` comments and nested `/* */` comments.
    #[inline(always)]
    fn skip_blanks(&mut self) -> Result<(), LexError> {
        loop {
            let bytes = self.bytes;
            let mut at = self.at;
            while bytes.get(at).is_some_and(|&byte| is_space(byte)) {
                at += 1;
            }
            self.at = at;
            match bytes.get(at) {
                Some(b'-') if self.peek(1) == b'-' => self.skip_line(),
                Some(b'/') if self.peek(1) == b'*' => self.skip_block()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_line(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            // A NUL stops it too: the next look at the text then refuses it.
            if matches!(byte, b'\n' | b'\r' | 0) {
                return;
            }
            self.at += 1;
        }
    }

    fn skip_block(&mut self) -> Result<(), LexError> {
        let start = self.at;
        self.at += 2;
        let mut depth = 1usize;
        while depth > 0 {
            match self.bytes.get(self.at) {
                None => return Err(LexError::UnterminatedComment(start)),
                Some(0) => return Err(LexError::Impossible),
                Some(b'/') if self.peek(1) == b'*' => {
                    depth += 1;
                    self.at += 2;
                }
                Some(b'*') if self.peek(1) == b'/' => {
                    depth -= 1;
                    self.at += 2;
                }
                Some(_) => self.at += 1,
            }
        }
        Ok(())
    }

    /// An identifier, or one of the quotes that begin with a letter.
    #[inline(always)]
    fn word_or_prefix(&mut self, byte: u8, start: usize) -> Result<Token, LexError> {
        match (byte, self.peek(1)) {
            (b'e' | b'E', b'\'') => return self.string(LiteralKind::EscapeString, start, start + 1, true),
            (b'b' | b'B' | b'x' | b'X', b'\'') => return self.string(LiteralKind::BitString, start, start + 1, false),
            // PostgreSQL gives the token NCHAR and then a plain string, to which standard_conforming_strings applies.
            (b'n' | b'N', b'\'') => {
                return self.string(LiteralKind::NationalString, start, start + 1, !self.standard_strings);
            }
            (b'u' | b'U', b'&') => match self.peek(2) {
                b'\'' if !self.standard_strings => return Err(LexError::UnsafeUnicode(start)),
                b'\'' => return self.string(LiteralKind::UnicodeString, start, start + 2, false),
                b'"' => return self.quoted(TokenKind::UnicodeQuoted, start, start + 2),
                _ => {}
            },
            _ => {}
        }
        self.skip_word();
        Ok(self.token(TokenKind::Word, start))
    }

    #[inline(always)]
    fn skip_word(&mut self) {
        let bytes = self.bytes;
        let mut at = self.at;
        while bytes.get(at).is_some_and(|&byte| is_ident_part(byte)) {
            at += 1;
        }
        self.at = at;
    }

    /// A string whose opening quote stands at `quote`, with its continuations on following lines.
    fn string(&mut self, kind: LiteralKind, start: usize, quote: usize, escapes: bool) -> Result<Token, LexError> {
        self.at = quote + 1;
        self.continued = false;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|&byte| matches!(byte, b'\'' | b'\\' | 0));
            self.at += plain.unwrap_or(rest.len());
            match self.bytes.get(self.at) {
                None => return Err(LexError::UnterminatedQuote(start)),
                Some(0) => return Err(LexError::Impossible),
                Some(b'\\') if escapes => self.at += 2,
                // In B'…' and X'…' a doubled quote is the end of one string and the start of another.
                Some(b'\'') if self.peek(1) == b'\'' && kind != LiteralKind::BitString => self.at += 2,
                Some(b'\'') => {
                    self.at += 1;
                    match self.continuation() {
                        Some(next) => {
                            self.at = next + 1;
                            self.continued = true;
                        }
                        None => return Ok(self.token(TokenKind::Literal(kind), start)),
                    }
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// Where a string that ended just here goes on: SQL joins strings with blanks between them that hold a newline.
    /// `quotecontinue` in `scan.l`.
    fn continuation(&self) -> Option<usize> {
        let mut ahead = self.clone();
        let mut newline = false;
        loop {
            match ahead.bytes.get(ahead.at)? {
                b'\'' => return newline.then_some(ahead.at),
                b'\n' | b'\r' => {
                    newline = true;
                    ahead.at += 1;
                }
                b' ' | b'\t' | 0x0b | 0x0c => ahead.at += 1,
                b'-' if ahead.peek(1) == b'-' => ahead.skip_line(),
                _ => return None,
            }
        }
    }

    fn quoted(&mut self, kind: TokenKind, start: usize, quote: usize) -> Result<Token, LexError> {
        self.at = quote + 1;
        loop {
            match self.bytes.get(self.at) {
                None => return Err(LexError::UnterminatedQuote(start)),
                Some(0) => return Err(LexError::Impossible),
                Some(b'"') if self.peek(1) == b'"' => self.at += 2,
                Some(b'"') => break,
                Some(_) => self.at += 1,
            }
        }
        if self.at == quote + 1 {
            return Err(LexError::EmptyIdentifier(start));
        }
        self.at += 1;
        Ok(self.token(kind, start))
    }

    /// `$n`, a dollar quote, or a lone `$`.
    fn dollar(&mut self, start: usize) -> Result<Token, LexError> {
        if self.peek(1).is_ascii_digit() {
            self.at += 1;
            self.skip_digits(u8::is_ascii_digit, false);
            if is_ident_start(self.peek(0)) {
                return Err(LexError::Junk(start));
            }
            return Ok(self.token(TokenKind::Param, start));
        }
        let mut end = start + 1;
        if self.bytes.get(end).is_some_and(|&byte| is_ident_start(byte)) {
            while self.bytes.get(end).is_some_and(|&byte| is_ident_part(byte) && byte != b'$') {
                end += 1;
            }
        }
        if self.bytes.get(end) != Some(&b'$') {
            return Ok(self.fixed(TokenKind::Punct, start, 1));
        }
        let delimiter = &self.bytes[start..=end];
        self.at = end + 1;
        // A comparison ends at the next `$` at the latest, so the search is linear whatever the delimiter's length.
        loop {
            match self.bytes.get(self.at) {
                None => return Err(LexError::UnterminatedQuote(start)),
                Some(0) => return Err(LexError::Impossible),
                Some(b'$') if self.bytes[self.at..].starts_with(delimiter) => {
                    self.at += delimiter.len();
                    return Ok(self.token(TokenKind::Literal(LiteralKind::DollarString), start));
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// Digits with single underscores between them; `leading` allows one before the first.
    fn skip_digits(&mut self, is_digit: fn(&u8) -> bool, leading: bool) -> bool {
        let start = self.at;
        loop {
            let byte = self.peek(0);
            if is_digit(&byte) {
                self.at += 1;
            } else if byte == b'_' && (leading || self.at > start) && is_digit(&self.peek(1)) {
                self.at += 2;
            } else {
                return self.at > start;
            }
        }
    }

    fn number(&mut self, start: usize) -> Result<Token, LexError> {
        let plain = self.plain_digits(start);
        let kind = if plain { LiteralKind::Integer } else { self.number_kind(start)? };
        // `0x1F$` is junk though `$` begins no word: the longest match is that of `0` with the word `x1F$` behind it.
        let tail = || self.bytes[start..self.at].iter().rev().take_while(|byte| is_ident_part(**byte));
        if is_ident_start(self.peek(0)) || (self.peek(0) == b'$' && tail().any(|byte| is_ident_start(*byte))) {
            return Err(LexError::Junk(start));
        }
        Ok(self.token(TokenKind::Literal(kind), start))
    }

    /// Reads digits, if no other kind of number begins with them; else stays where it is.
    fn plain_digits(&mut self, start: usize) -> bool {
        let bytes = self.bytes;
        let mut at = start;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        let plain = at > start && !bytes.get(at).is_some_and(|&byte| byte == b'.' || is_ident_part(byte));
        if plain {
            self.at = at;
        }
        plain
    }

    fn number_kind(&mut self, start: usize) -> Result<LiteralKind, LexError> {
        if self.peek(0) == b'0' {
            let digits: Option<fn(&u8) -> bool> = match self.peek(1) {
                b'x' | b'X' => Some(u8::is_ascii_hexdigit),
                b'o' | b'O' => Some(|byte| matches!(byte, b'0'..=b'7')),
                b'b' | b'B' => Some(|byte| matches!(byte, b'0' | b'1')),
                _ => None,
            };
            if let Some(is_digit) = digits {
                self.at += 2;
                if !self.skip_digits(is_digit, true) || self.peek(0).is_ascii_digit() {
                    return Err(LexError::Junk(start));
                }
                return Ok(LiteralKind::Number);
            }
        }
        self.skip_digits(u8::is_ascii_digit, false);
        let mut kind = LiteralKind::Integer;
        if self.bytes[start..self.at].contains(&b'_') {
            kind = LiteralKind::Number;
        }
        // `1..10` is an integer and the token `..`.
        if self.peek(0) == b'.' && !(self.at > start && self.peek(1) == b'.') {
            self.at += 1;
            self.skip_digits(u8::is_ascii_digit, false);
            kind = LiteralKind::Number;
        }
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if !self.peek(1 + sign).is_ascii_digit() {
                return Err(LexError::Junk(start));
            }
            self.at += 1 + sign;
            self.skip_digits(u8::is_ascii_digit, false);
            kind = LiteralKind::Number;
        }
        Ok(kind)
    }

    /// A run of operator characters, cut before a comment, and before a trailing `+` or `-` unless it holds a character
    /// that no operator of the SQL standard has.
    fn operator(&mut self, start: usize) -> Token {
        let mut end = start;
        while self.bytes.get(end).is_some_and(|&byte| is_operator(byte)) {
            let pair = &self.bytes[end..self.bytes.len().min(end + 2)];
            if end > start && (pair == b"/*" || pair == b"--") {
                break;
            }
            end += 1;
        }
        let mut length = end - start;
        if length > 1 && matches!(self.bytes[end - 1], b'+' | b'-') {
            // Only characters before the last count, and the last is + or - itself, so the whole run may be looked at once.
            let keeps = self.bytes[start..end]
                .iter()
                .any(|byte| matches!(byte, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%'));
            if !keeps {
                while length > 1 && matches!(self.bytes[start + length - 1], b'+' | b'-') {
                    length -= 1;
                }
            }
        }
        self.fixed(TokenKind::Operator, start, length)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::LiteralKind::*;
    use super::TokenKind::{Literal as L, *};
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expect: &[(TokenKind, &str)]) {
        check_with(text, true, expect);
    }

    fn check_with(text: &str, standard_strings: bool, expect: &[(TokenKind, &str)]) {
        let tokens = lex(text, standard_strings).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let got: Vec<_> = tokens.iter().map(|token| (token.kind, token.text(text))).collect();
        assert_eq!(got, expect, "{text:?}");
    }

    fn check_error(text: &str, expect: LexError) {
        assert_eq!(lex(text, true), Err(expect), "{text:?}");
    }

    #[test]
    fn strings() {
        check("'it''s'", &[(L(String), "'it''s'")]);
        check(r"'a\' b'1'", &[(L(String), r"'a\'"), (L(BitString), "b'1'")]);
        check_with(r"'a\' b'", false, &[(L(String), r"'a\' b'")]);
        check_with(r"n'a\' b'", false, &[(L(NationalString), r"n'a\' b'")]);
        check(
            r"E'a\' b' x'1F' U&'d\0061' N'n'",
            &[
                (L(EscapeString), r"E'a\' b'"),
                (L(BitString), "x'1F'"),
                (L(UnicodeString), r"U&'d\0061'"),
                (L(NationalString), "N'n'"),
            ],
        );
        check("'a'\n 'b'", &[(L(String), "'a'\n 'b'")]);
        check("'a' -- c\n -- d\n 'b'", &[(L(String), "'a' -- c\n -- d\n 'b'")]);
        check("x'1''2'", &[(L(BitString), "x'1'"), (L(String), "'2'")]);
        check("'a' 'b'", &[(L(String), "'a'"), (L(String), "'b'")]);
        check("'a' /*\n*/ 'b'", &[(L(String), "'a'"), (L(String), "'b'")]);
        check_error("'a", LexError::UnterminatedQuote(0));
        check_error("x E'a\\'", LexError::UnterminatedQuote(2));
        assert_eq!(lex("U&'a'", false), Err(LexError::UnsafeUnicode(0)));
    }

    #[test]
    fn dollars() {
        check("$$a$b$$", &[(L(DollarString), "$$a$b$$")]);
        check("$a$ $$ $ab$ $a$;", &[(L(DollarString), "$a$ $$ $ab$ $a$"), (Punct, ";")]);
        check("a$$b$$", &[(Word, "a$$b$$")]);
        check("$1$2", &[(Param, "$1"), (Param, "$2")]);
        check("$a", &[(Punct, "$"), (Word, "a")]);
        check_error("$1a", LexError::Junk(0));
        check_error("$a$ $b$", LexError::UnterminatedQuote(0));
    }

    #[test]
    fn names() {
        check("a._b2$ äö", &[(Word, "a"), (Punct, "."), (Word, "_b2$"), (Word, "äö")]);
        check(
            r#""a""b" U&"d\0061" u & b"#,
            &[(Quoted, r#""a""b""#), (UnicodeQuoted, r#"U&"d\0061""#), (Word, "u"), (Operator, "&"), (Word, "b")],
        );
        check_error(r#""""#, LexError::EmptyIdentifier(0));
        check_error(r#" "a"#, LexError::UnterminatedQuote(1));
    }

    #[test]
    fn numbers() {
        for integer in ["0", "42", "007"] {
            check(integer, &[(L(Integer), integer)]);
        }
        for number in ["1.", ".5", "1.5", "1e5", "1.e-5", "1E+5", "0x1F", "0o17", "0b01", "0x_1", "1_000", "1_0.5_0"] {
            check(number, &[(L(Number), number)]);
        }
        for junk in ["0b1$a", "1_0$1", "1e5$1", "1a", "0x", "0xg", "0b12", "1e", "1e+", "1__0", "1_", "1._5"] {
            check_error(junk, LexError::Junk(0));
        }
        check("1$2 1e+5$3", &[(L(Integer), "1"), (Param, "$2"), (L(Number), "1e+5"), (Param, "$3")]);
        check("1..10", &[(L(Integer), "1"), (Operator, ".."), (L(Integer), "10")]);
        check("a[1:2]", &[(Word, "a"), (Punct, "["), (L(Integer), "1"), (Punct, ":"), (L(Integer), "2"), (Punct, "]")]);
    }

    #[test]
    fn operators() {
        let op = |text| (Operator, text);
        let one = (L(Integer), "1");
        check("1>-1", &[one, op(">"), op("-"), one]);
        check("1<>-1", &[one, op("<>"), op("-"), one]);
        check("1!=-1", &[one, op("!=-"), one]);
        check("1=+-+1", &[one, op("="), op("+"), op("-"), op("+"), one]);
        check("1@-1", &[one, op("@-"), one]);
        check("1+--1\n1", &[one, op("+"), one]);
        check("1*/*c*/1", &[one, op("*"), one]);
        check("1-/**/-1", &[one, op("-"), op("-"), one]);
        check("1::a:=b=>c", &[one, op("::"), (Word, "a"), op(":="), (Word, "b"), op("=>"), (Word, "c")]);
        check("@@@ ->> #>>", &[op("@@@"), op("->>"), op("#>>")]);
    }

    #[test]
    fn comments() {
        check("/* /* */ a */ b -- c\r d", &[(Word, "b"), (Word, "d")]);
        check("/*/*/**/*/*/a", &[(Word, "a")]);
        check_error("a /* /* */", LexError::UnterminatedComment(2));
        check("--", &[]);
    }

    #[test]
    fn many_nested_comments_take_linear_time() {
        let text = format!("{}{}", "/*".repeat(200_000), "*/".repeat(200_000));
        check(&text, &[]);
    }

    /// What lies between tokens must be blanks and comments alone: nothing of the text is lost.
    fn gaps_are_blank(text: &str, tokens: &[Token]) {
        let mut at = 0;
        for token in tokens {
            assert!(token.start as usize >= at && token.end > token.start, "{text:?} {token:?}");
            let gap = &text[at..token.start as usize];
            assert_eq!(lex(gap, true), Ok(vec![]), "gap {gap:?} of {text:?}");
            at = token.end as usize;
        }
        assert_eq!(lex(&text[at..], true), Ok(vec![]), "{text:?}");
    }

    /// Fragments that bring the scanner into every state, so that random texts are not all words.
    pub(crate) fn sqlish() -> impl Strategy<Value = std::string::String> {
        let fragment = prop_oneof![
            3 => proptest::sample::select(vec![
                "'", "''", "\\", "E'", "U&'", "U&\"", "N'", "b'", "x'", "$$", "$a$", "$1", "\"", "/*", "*/", "--", "\n", "\r",
                " ", "+", "-", "*", "/", "<", ">", "=", "!", "@", "|", "?", "::", ":=", "..", ".", ",", ";", "(", ")", "[", "]",
                "0x1F", "1_000", "1e5", "42", "a", "SELECT", "FROM", "é", "BEGIN ATOMIC", "END", "/* pgweave: shard=s1 */",
            ]).prop_map(str::to_owned),
            1 => ".{0,6}",
        ];
        proptest::collection::vec(fragment, 0..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn any_text_is_tiled_or_refused(text in sqlish(), standard in any::<bool>()) {
            if let Ok(tokens) = lex(&text, standard) {
                gaps_are_blank(&text, &tokens);
            }
        }

        #[test]
        fn any_bytes_are_tiled_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let text = std::string::String::from_utf8_lossy(&bytes).into_owned();
            if let Ok(tokens) = lex(&text, true) {
                gaps_are_blank(&text, &tokens);
            }
        }
    }
}
