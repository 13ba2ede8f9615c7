//! From the parser's lines and columns to bytes of the text.

use sqlparser::tokenizer::{Location, Span};
use std::ops::Range;

/// Answers where a line and column of `sqlparser` lies in a text: in constant time, whatever the text holds.
#[derive(Debug)]
pub struct Positions {
    /// The character at which each line begins, counted from the start of the text.
    lines: Vec<u32>,
    /// The byte of each character and of the end; `None` for ASCII, where they are the same.
    bytes: Option<Vec<u32>>,
    length: usize,
}

impl Positions {
    /// Reads the text once.
    pub fn new(text: &str) -> Positions {
        let mut lines = vec![0];
        if text.is_ascii() {
            lines.extend(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at as u32 + 1));
            return Positions { lines, bytes: None, length: text.len() };
        }
        let mut bytes = Vec::with_capacity(text.len());
        for (at, character) in text.char_indices() {
            bytes.push(at as u32);
            if character == '\n' {
                lines.push(bytes.len() as u32);
            }
        }
        bytes.push(text.len() as u32);
        Positions { lines, bytes: Some(bytes), length: text.len() }
    }

    /// The byte of a location, or `None` for one the parser made up (line or column 0) or that lies outside the text.
    pub fn byte(&self, location: Location) -> Option<usize> {
        let line = *self.lines.get(usize::try_from(location.line).ok()?.checked_sub(1)?)? as usize;
        let character = line + usize::try_from(location.column).ok()?.checked_sub(1)?;
        match &self.bytes {
            None => (character <= self.length).then_some(character),
            Some(bytes) => bytes.get(character).map(|byte| *byte as usize),
        }
    }

    /// The bytes of a span; `None` when either end has no byte.
    pub fn range(&self, span: Span) -> Option<Range<usize>> {
        let (start, end) = (self.byte(span.start)?, self.byte(span.end)?);
        (start <= end).then_some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, line: u64, column: u64, expect: Option<usize>) {
        assert_eq!(Positions::new(text).byte(Location { line, column }), expect, "{text:?} {line}:{column}");
    }

    #[test]
    fn lines_and_columns_are_bytes() {
        check("abc", 1, 1, Some(0));
        check("abc", 1, 4, Some(3));
        check("abc", 1, 5, None);
        check("a\nbc", 2, 2, Some(3));
        check("a\nbc", 3, 1, None);
        check("äb\nöc", 1, 2, Some(2));
        check("äb\nöc", 2, 2, Some(6));
        check("äb\nöc", 2, 3, Some(7));
        check("", 1, 1, Some(0));
        check("abc", 0, 0, None);
    }
}
