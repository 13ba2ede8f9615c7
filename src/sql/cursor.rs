//! Walking over the tokens of one statement, for recognisers that are written by hand.

use std::ops::Range;

use super::analysis::LiteralKind;
use super::lexer::{Token, TokenKind};
use super::names;

/// A place among the tokens of a statement. Cheap to copy, so a recogniser can look ahead and come back.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Before the first token.
    pub fn new(text: &'a str, tokens: &'a [Token]) -> Cursor<'a> {
        Cursor { text, tokens, at: 0 }
    }

    /// The text that the tokens are of.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The index of the next token.
    pub fn index(&self) -> usize {
        self.at
    }

    /// Goes on by one token, whatever it is.
    pub fn skip(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len());
    }

    /// The next token.
    pub fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    /// Whether no token is left.
    pub fn done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// The tokens left.
    pub fn rest(&self) -> &'a [Token] {
        &self.tokens[self.at..]
    }

    /// The bytes from the next token to the last; `None` when no token is left.
    pub fn rest_range(&self) -> Option<Range<usize>> {
        Some(self.peek()?.start as usize..self.tokens.last()?.end as usize)
    }

    /// The next token as a lower-case word; empty when it is none.
    pub fn peek_word(&self) -> String {
        match self.peek() {
            Some(token) if token.kind == TokenKind::Word => token.text(self.text).to_ascii_lowercase(),
            _ => String::new(),
        }
    }

    /// Whether the next token is this keyword.
    pub fn at_word(&self, word: &str) -> bool {
        self.peek().is_some_and(|token| token.is_word(self.text, word))
    }

    /// Takes this keyword if it is next.
    pub fn word(&mut self, word: &str) -> bool {
        let here = self.at_word(word);
        self.at += usize::from(here);
        here
    }

    /// Takes these keywords if all are next.
    pub fn words(&mut self, words: &[&str]) -> bool {
        let start = self.at;
        let all = words.iter().all(|word| self.word(word));
        if !all {
            self.at = start;
        }
        all
    }

    /// Takes one of these keywords if it is next.
    pub fn one_of(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.word(word))
    }

    /// Whether the next token is this symbol.
    pub fn at_symbol(&self, symbol: &str) -> bool {
        self.peek().is_some_and(|token| token.is_symbol(self.text, symbol))
    }

    /// Takes this symbol if it is next.
    pub fn symbol(&mut self, symbol: &str) -> bool {
        let here = self.at_symbol(symbol);
        self.at += usize::from(here);
        here
    }

    /// Takes an identifier, quoted or not, that the grammar admits as a name (`ColId`: no reserved word).
    pub fn name(&mut self) -> Option<String> {
        let token = self.peek()?;
        if token.kind == TokenKind::Word
            && matches!(
                names::keyword(token.text(self.text)),
                Some(names::Keyword::Reserved | names::Keyword::TypeOrFunction)
            )
        {
            return None;
        }
        let name = names::identifier(self.text, token, '\\')?;
        // UESCAPE changes what the name means; nobody writes it, and a recogniser that does not know a name says so.
        if token.kind == TokenKind::UnicodeQuoted
            && self.tokens.get(self.at + 1).is_some_and(|token| token.is_word(self.text, "uescape"))
        {
            return None;
        }
        self.at += 1;
        Some(name)
    }

    /// Takes `name` or `schema.name` (a leading catalog is dropped).
    pub fn qualified(&mut self) -> Option<(Option<String>, String)> {
        let mut schema = None;
        let mut name = self.name()?;
        while self.symbol(".") {
            schema = Some(std::mem::replace(&mut name, self.label()?));
        }
        Some((schema, name))
    }

    /// Takes any word or quoted identifier, reserved ones too (as behind a dot).
    pub fn label(&mut self) -> Option<String> {
        let name = names::identifier(self.text, self.peek()?, '\\')?;
        self.at += 1;
        Some(name)
    }

    /// Takes a string whose value is plain: no escapes that need a server to read.
    pub fn string(&mut self) -> Option<String> {
        let value = plain_string(self.text, self.peek()?)?;
        self.at += 1;
        Some(value)
    }

    /// Takes an optional sign and a number, as text.
    pub fn number(&mut self) -> Option<String> {
        let mut ahead = *self;
        let sign = if ahead.symbol("-") {
            "-"
        } else {
            ahead.symbol("+");
            ""
        };
        let token = ahead.peek()?;
        matches!(token.literal()?, LiteralKind::Integer | LiteralKind::Number).then(|| {
            let value = format!("{sign}{}", token.text(self.text));
            ahead.at += 1;
            *self = ahead;
            value
        })
    }

    /// Skips a parenthesis that opens here with all it holds; false (and nothing skipped) when none opens or it never closes.
    pub fn parenthesis(&mut self) -> bool {
        if !self.at_symbol("(") {
            return false;
        }
        match closing(self.text, self.tokens, self.at) {
            Some(close) => {
                self.at = close + 1;
                true
            }
            None => false,
        }
    }
}

/// The index of the parenthesis that closes the one at `open`.
pub fn closing(text: &str, tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        if token.kind != TokenKind::Punct {
            continue;
        }
        match token.text(text) {
            "(" => depth += 1,
            ")" => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

/// The value of `'…'` without a backslash, or of `$tag$…$tag$`.
///
/// A backslash is left to the server, because what it means depends on `standard_conforming_strings`; so is a string that
/// goes on on another line.
pub fn plain_string(text: &str, token: &Token) -> Option<String> {
    let raw = token.text(text);
    match token.literal()? {
        LiteralKind::String => {
            let inner = &raw[1..raw.len() - 1];
            let value = inner.replace("''", "'");
            let quotes = inner.len() - value.len();
            let plain = !inner.contains('\\') && inner.bytes().filter(|byte| *byte == b'\'').count() == 2 * quotes;
            plain.then_some(value)
        }
        LiteralKind::DollarString => {
            let tag = raw[1..].find('$')? + 2;
            Some(raw[tag..raw.len() - tag].to_owned())
        }
        _ => None,
    }
}
