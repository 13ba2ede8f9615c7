//! Hints in comments: `/* pgweave: shard=s1, key=42 */` and `-- pgweave: role=primary`.

use super::analysis::{Hints, RoleHint};
use super::lexer::Token;

const MARK: &str = "pgweave:";

/// Whether a text may hold hints at all; far cheaper than looking for them.
pub fn possible(text: &str) -> bool {
    text.contains(MARK)
}

/// The hints in the comments of a text, which lie between its tokens. A hint given twice with another value, or one that
/// does not exist, is told in [`Hints::unknown`].
pub fn read(text: &str, tokens: &[Token]) -> Hints {
    let mut hints = Hints::default();
    if !possible(text) {
        return hints;
    }
    let mut at = 0;
    for token in tokens {
        read_gap(&text[at..token.start as usize], &mut hints);
        at = token.end as usize;
    }
    read_gap(&text[at..], &mut hints);
    hints
}

/// Reads the comments of a gap: it holds nothing but blanks and whole comments.
fn read_gap(gap: &str, hints: &mut Hints) {
    let mut rest = gap;
    while let Some(start) = rest.find(['-', '/']) {
        rest = &rest[start..];
        let length = if rest.starts_with("--") { rest.find(['\n', '\r']).unwrap_or(rest.len()) } else { block(rest) };
        let comment = &rest[..length];
        let body = comment.get(2..).unwrap_or_default();
        let body = if comment.starts_with("/*") { body.strip_suffix("*/").unwrap_or(body) } else { body };
        if let Some(list) = body.trim().strip_prefix(MARK) {
            read_list(list, hints);
        }
        rest = &rest[length..];
    }
}

/// The length of the nested comment that a text begins with.
fn block(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (2, 1);
    while depth > 0 && at < bytes.len() {
        match &bytes[at..bytes.len().min(at + 2)] {
            b"/*" => (at, depth) = (at + 2, depth + 1),
            b"*/" => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    at.min(bytes.len())
}

/// `name=value` separated by commas or blanks; a value may stand in single quotes, doubled inside.
fn read_list(list: &str, hints: &mut Hints) {
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches(|character: char| character == ',' || character.is_ascii_whitespace());
        if rest.is_empty() {
            return;
        }
        let end = rest.find(|character: char| matches!(character, '=' | ',') || character.is_ascii_whitespace());
        let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
        let Some(after) = after.strip_prefix('=') else {
            note_unknown(hints, name);
            rest = after;
            continue;
        };
        let Some((value, after)) = value(after) else {
            note_unknown(hints, rest);
            return;
        };
        set(hints, name, value);
        rest = after;
    }
}

fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let end =
            text.find(|character: char| character == ',' || character.is_ascii_whitespace()).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut from = 0;
    loop {
        let quote = from + quoted[from..].find('\'')?;
        if !quoted[quote + 1..].starts_with('\'') {
            return Some((quoted[..quote].replace("''", "'"), &quoted[quote + 1..]));
        }
        from = quote + 2;
    }
}

fn set(hints: &mut Hints, name: &str, value: String) {
    let slot = match name.to_ascii_lowercase().as_str() {
        "shard" => &mut hints.shard,
        "key" => &mut hints.key,
        "distribution" => &mut hints.distribution,
        "role" => {
            let role = match value.to_ascii_lowercase().as_str() {
                "primary" => RoleHint::Primary,
                "replica" => RoleHint::Replica,
                _ => return note_unknown(hints, &format!("role={value}")),
            };
            match hints.role {
                Some(other) if other != role => note_unknown(hints, &format!("role={value}")),
                _ => hints.role = Some(role),
            }
            return;
        }
        _ => return note_unknown(hints, name),
    };
    match slot {
        Some(other) if *other != value => note_unknown(hints, &format!("{name}={value}")),
        _ => *slot = Some(value),
    }
}

/// The first one is told.
fn note_unknown(hints: &mut Hints, word: &str) {
    hints.unknown.get_or_insert_with(|| word.trim().to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lex;

    fn check(text: &str, expect: Hints) {
        assert_eq!(read(text, &lex(text, true).expect("lexes")), expect, "{text}");
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn hints_are_read_from_comments_alone() {
        check(
            "/* pgweave: shard=s1, key=42, role=primary, distribution=customers */ SELECT 1",
            Hints {
                shard: some("s1"),
                key: some("42"),
                distribution: some("customers"),
                role: Some(RoleHint::Primary),
                unknown: None,
            },
        );
        check("SELECT 1 -- pgweave: role=replica\n + 2", Hints { role: Some(RoleHint::Replica), ..Hints::default() });
        check(
            "SELECT /* a */ 1 /*pgweave: KEY='it''s, me' shard=s2*/",
            Hints { key: some("it's, me"), shard: some("s2"), ..Hints::default() },
        );
        check("SELECT '/* pgweave: shard=s1 */', \"-- pgweave: shard=s1\"", Hints::default());
        check("SELECT 1 /* not pgweave: shard=s1 */ /* /* pgweave: shard=s1 */ */", Hints::default());
    }

    #[test]
    fn what_is_no_hint_is_told() {
        let unknown = |word| Hints { unknown: some(word), ..Hints::default() };
        check("/* pgweave: shrad=s1 */ SELECT 1", unknown("shrad"));
        check("/* pgweave: fast */ SELECT 1", unknown("fast"));
        check("/* pgweave: role=leader */ SELECT 1", unknown("role=leader"));
        check("/* pgweave: key='a */ SELECT 1", unknown("key='a"));
        check(
            "/* pgweave: shard=a */ SELECT 1 -- pgweave: shard=b",
            Hints { shard: some("a"), unknown: some("shard=b"), ..Hints::default() },
        );
    }
}
