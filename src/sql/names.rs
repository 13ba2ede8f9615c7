//! Names as PostgreSQL reads them: folding, quotes, and which words are keywords of which kind.

use super::lexer::{Token, TokenKind};

/// The length PostgreSQL cuts identifiers to, in bytes (`NAMEDATALEN - 1`).
const LONGEST: usize = 63;

/// What PostgreSQL's grammar lets a keyword be (`kwlist.h`, version 18; a word that an older version does not know is a
/// plain identifier there).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyword {
    /// Only a label after AS, or behind a dot.
    Reserved,
    /// Also the name of a function or type (`left`, `like`, …).
    TypeOrFunction,
    /// Also the name of a column or table, but of no function (`interval`, `values`, …).
    Column,
    /// Any name.
    Unreserved,
}

/// Which keyword a word is, whatever its case; `None` for plain identifiers.
pub fn keyword(word: &str) -> Option<Keyword> {
    let mut folded = [0u8; 20];
    let folded = folded.get_mut(..word.len())?;
    folded.copy_from_slice(word.as_bytes());
    folded.make_ascii_lowercase();
    let folded = &*folded;
    let within = |list: &[&str]| list.binary_search_by(|known| known.as_bytes().cmp(folded)).is_ok();
    [
        (RESERVED, Keyword::Reserved),
        (TYPE_OR_FUNCTION, Keyword::TypeOrFunction),
        (COLUMN, Keyword::Column),
        (UNRESERVED, Keyword::Unreserved),
    ]
    .into_iter()
    .find_map(|(list, kind)| within(list).then_some(kind))
}

/// An unquoted identifier as PostgreSQL stores it: ASCII letters in lower case, cut to 63 bytes.
///
/// Letters beyond ASCII are left alone, as PostgreSQL does in every multi-byte encoding.
pub fn fold(word: &str) -> String {
    truncate(word.to_ascii_lowercase())
}

fn truncate(mut name: String) -> String {
    if name.len() > LONGEST {
        let mut end = LONGEST;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
    }
    name
}

/// The name that a token stands for, or `None` when it is no identifier (or `U&"…"` with an escape that cannot be read).
///
/// `uescape` is the escape character of a `U&"…"` (a backslash unless UESCAPE follows).
pub fn identifier(text: &str, token: &Token, uescape: char) -> Option<String> {
    let raw = token.text(text);
    match token.kind {
        TokenKind::Word => Some(fold(raw)),
        TokenKind::Quoted => Some(truncate(raw[1..raw.len() - 1].replace("\"\"", "\""))),
        TokenKind::UnicodeQuoted => unicode(&raw[3..raw.len() - 1].replace("\"\"", "\""), uescape).map(truncate),
        _ => None,
    }
}

/// Reads `\XXXX` and `\+XXXXXX`, surrogate pairs included.
fn unicode(raw: &str, escape: char) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut high: Option<u32> = None;
    let mut rest = raw.chars();
    while let Some(character) = rest.next() {
        let code = if character != escape {
            u32::from(character)
        } else {
            let mut peek = rest.clone();
            match peek.next()? {
                next if next == escape => {
                    rest = peek;
                    u32::from(escape)
                }
                '+' => {
                    rest = peek;
                    hex(&mut rest, 6)?
                }
                _ => hex(&mut rest, 4)?,
            }
        };
        match (high.take(), code) {
            (None, 0xD800..=0xDBFF) => high = Some(code),
            (Some(high), 0xDC00..=0xDFFF) => {
                out.push(char::from_u32(0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00))?)
            }
            (None, _) => out.push(char::from_u32(code).filter(|character| *character != '\0')?),
            (Some(_), _) => return None,
        }
    }
    high.is_none().then_some(out)
}

fn hex(rest: &mut std::str::Chars<'_>, digits: usize) -> Option<u32> {
    let mut code = 0;
    for _ in 0..digits {
        code = code * 16 + rest.next()?.to_digit(16)?;
    }
    Some(code)
}

#[rustfmt::skip]
static RESERVED: &[&str] = &[
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "both", "case", "cast",
    "check", "collate", "column", "constraint", "create", "current_catalog", "current_date", "current_role",
    "current_time", "current_timestamp", "current_user", "default", "deferrable", "desc", "distinct", "do",
    "else", "end", "except", "false", "fetch", "for", "foreign", "from", "grant", "group", "having", "in",
    "initially", "intersect", "into", "lateral", "leading", "limit", "localtime", "localtimestamp", "not",
    "null", "offset", "on", "only", "or", "order", "placing", "primary", "references", "returning", "select",
    "session_user", "some", "symmetric", "system_user", "table", "then", "to", "trailing", "true", "union",
    "unique", "user", "using", "variadic", "when", "where", "window", "with",
];

#[rustfmt::skip]
static TYPE_OR_FUNCTION: &[&str] = &[
    "authorization", "binary", "collation", "concurrently", "cross", "current_schema", "freeze", "full",
    "ilike", "inner", "is", "isnull", "join", "left", "like", "natural", "notnull", "outer", "overlaps",
    "right", "similar", "tablesample", "verbose",
];

#[rustfmt::skip]
static COLUMN: &[&str] = &[
    "between", "bigint", "bit", "boolean", "char", "character", "coalesce", "dec", "decimal", "exists",
    "extract", "float", "greatest", "grouping", "inout", "int", "integer", "interval", "json", "json_array",
    "json_arrayagg", "json_exists", "json_object", "json_objectagg", "json_query", "json_scalar",
    "json_serialize", "json_table", "json_value", "least", "merge_action", "national", "nchar", "none",
    "normalize", "nullif", "numeric", "out", "overlay", "position", "precision", "real", "row", "setof",
    "smallint", "substring", "time", "timestamp", "treat", "trim", "values", "varchar", "xmlattributes",
    "xmlconcat", "xmlelement", "xmlexists", "xmlforest", "xmlnamespaces", "xmlparse", "xmlpi", "xmlroot",
    "xmlserialize", "xmltable",
];

#[rustfmt::skip]
static UNRESERVED: &[&str] = &[
    "abort", "absent", "absolute", "access", "action", "add", "admin", "after", "aggregate", "also", "alter",
    "always", "asensitive", "assertion", "assignment", "at", "atomic", "attach", "attribute", "backward",
    "before", "begin", "breadth", "by", "cache", "call", "called", "cascade", "cascaded", "catalog", "chain",
    "characteristics", "checkpoint", "class", "close", "cluster", "columns", "comment", "comments", "commit",
    "committed", "compression", "conditional", "configuration", "conflict", "connection", "constraints",
    "content", "continue", "conversion", "copy", "cost", "csv", "cube", "current", "cursor", "cycle", "data",
    "database", "day", "deallocate", "declare", "defaults", "deferred", "definer", "delete", "delimiter",
    "delimiters", "depends", "depth", "detach", "dictionary", "disable", "discard", "document", "domain",
    "double", "drop", "each", "empty", "enable", "encoding", "encrypted", "enforced", "enum", "error",
    "escape", "event", "exclude", "excluding", "exclusive", "execute", "explain", "expression", "extension",
    "external", "family", "filter", "finalize", "first", "following", "force", "format", "forward",
    "function", "functions", "generated", "global", "granted", "groups", "handler", "header", "hold", "hour",
    "identity", "if", "immediate", "immutable", "implicit", "import", "include", "including", "increment",
    "indent", "index", "indexes", "inherit", "inherits", "inline", "input", "insensitive", "insert",
    "instead", "invoker", "isolation", "keep", "key", "keys", "label", "language", "large", "last",
    "leakproof", "level", "listen", "load", "local", "location", "lock", "locked", "logged", "mapping",
    "match", "matched", "materialized", "maxvalue", "merge", "method", "minute", "minvalue", "mode", "month",
    "move", "name", "names", "nested", "new", "next", "nfc", "nfd", "nfkc", "nfkd", "no", "normalized",
    "nothing", "notify", "nowait", "nulls", "object", "objects", "of", "off", "oids", "old", "omit",
    "operator", "option", "options", "ordinality", "others", "over", "overriding", "owned", "owner",
    "parallel", "parameter", "parser", "partial", "partition", "passing", "password", "path", "period",
    "plan", "plans", "policy", "preceding", "prepare", "prepared", "preserve", "prior", "privileges",
    "procedural", "procedure", "procedures", "program", "publication", "quote", "quotes", "range", "read",
    "reassign", "recursive", "ref", "referencing", "refresh", "reindex", "relative", "release", "rename",
    "repeatable", "replace", "replica", "reset", "restart", "restrict", "return", "returns", "revoke", "role",
    "rollback", "rollup", "routine", "routines", "rows", "rule", "savepoint", "scalar", "schema", "schemas",
    "scroll", "search", "second", "security", "sequence", "sequences", "serializable", "server", "session",
    "set", "sets", "share", "show", "simple", "skip", "snapshot", "source", "sql", "stable", "standalone",
    "start", "statement", "statistics", "stdin", "stdout", "storage", "stored", "strict", "string", "strip",
    "subscription", "support", "sysid", "system", "tables", "tablespace", "target", "temp", "template",
    "temporary", "text", "ties", "transaction", "transform", "trigger", "truncate", "trusted", "type",
    "types", "uescape", "unbounded", "uncommitted", "unconditional", "unencrypted", "unknown", "unlisten",
    "unlogged", "until", "update", "vacuum", "valid", "validate", "validator", "value", "varying", "version",
    "view", "views", "virtual", "volatile", "whitespace", "within", "without", "work", "wrapper", "write",
    "xml", "year", "yes", "zone",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lex;

    fn check(text: &str, expect: Option<&str>) {
        let token = lex(text, true).expect("lexes")[0];
        assert_eq!(identifier(text, &token, '\\').as_deref(), expect, "{text}");
    }

    #[test]
    fn identifiers_are_folded_unquoted_and_cut() {
        check("FooBar", Some("foobar"));
        check("ÄB", Some("Äb"));
        check(r#""Foo""Bar""#, Some("Foo\"Bar"));
        check(r#"U&"d\0061t\+000061""#, Some("data"));
        check(r#"U&"\D83D\DE00""#, Some("\u{1F600}"));
        check(r#"U&"\D83D""#, None);
        check(r#"U&"a\\b""#, Some("a\\b"));
        check(r#"U&"\00G1""#, None);
        check("42", None);
        let long = "x".repeat(70);
        check(&long, Some(&long[..63]));
        let wide = format!("{}é", "x".repeat(62));
        check(&wide, Some(&wide[..62]));
    }

    #[test]
    fn keywords_are_known_by_kind() {
        for (word, expect) in [
            ("SELECT", Some(Keyword::Reserved)),
            ("system_user", Some(Keyword::Reserved)),
            ("Left", Some(Keyword::TypeOrFunction)),
            ("interval", Some(Keyword::Column)),
            ("json_objectagg", Some(Keyword::Column)),
            ("recursive", Some(Keyword::Unreserved)),
            ("customers", None),
            ("a_name_longer_than_every_keyword", None),
        ] {
            assert_eq!(keyword(word), expect, "{word}");
        }
        for list in [RESERVED, TYPE_OR_FUNCTION, COLUMN, UNRESERVED] {
            assert!(list.is_sorted());
        }
    }
}
