//! Which spellings of a value are provably the value that PostgreSQL stores or compares.
//!
//! A positive list: source, type and cast must all be on it, else the answer is [`Conversion::Opaque`] and the statement is
//! not routed by this value. What is on the list means the same on PostgreSQL 14 to 18.

use super::key::oid;
use super::{KeyType, KeyValue};

/// What is known of a value that a statement gives for a key column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// Exactly this value.
    Value(KeyValue),
    /// NULL: a comparison with it is never true, an insert of it is refused.
    Null,
    /// No value of the column can equal it: an equality is never true (or PostgreSQL reports an error, on whatever shard it
    /// runs), an insert fails. It says nothing about inequalities.
    Never,
    /// Anything.
    Opaque,
}

/// A value as a statement gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// A literal of digits.
    Integer {
        /// The digits.
        digits: &'a str,
        /// Whether a unary minus stands before it.
        negative: bool,
    },
    /// The value of a string literal, its escapes undone. The caller knows that it is what PostgreSQL reads: the client's
    /// encoding is UTF8, or the text is ASCII.
    String(&'a str),
    /// A bound parameter.
    Param {
        /// Its bytes; `None` is NULL.
        value: Option<&'a [u8]>,
        /// Whether it is in binary format.
        binary: bool,
        /// The type that Parse declared; 0 when PostgreSQL infers it. Then the caller knows that it is inferred from this
        /// very place: another use of the same parameter can make it a float, whose bytes mean another value.
        type_oid: u32,
        /// Whether the client's encoding is UTF8.
        utf8: bool,
    },
}

/// The types on the list, without modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// An integer type.
    Int(KeyType),
    Text,
    Uuid,
    /// Not declared: takes on the type of what it meets.
    Unknown,
}

impl Family {
    fn of_oid(oid: u32) -> Option<Family> {
        Some(match oid {
            oid::INT2 => Family::Int(KeyType::Int2),
            oid::INT4 => Family::Int(KeyType::Int4),
            oid::INT8 => Family::Int(KeyType::Int8),
            oid::TEXT | oid::VARCHAR => Family::Text,
            oid::UUID => Family::Uuid,
            0 | oid::UNKNOWN => Family::Unknown,
            _ => return None,
        })
    }

    fn of_key(key_type: KeyType) -> Family {
        match key_type {
            KeyType::Int2 | KeyType::Int4 | KeyType::Int8 => Family::Int(key_type),
            KeyType::Text { .. } => Family::Text,
            KeyType::Uuid => Family::Uuid,
        }
    }

    /// Whether a value of this type is compared with, or assigned to, a column of that type as the value it is.
    fn suits(self, column: KeyType) -> bool {
        match self {
            Family::Int(_) => column.is_int(),
            Family::Text => matches!(column, KeyType::Text { .. }),
            Family::Uuid => column == KeyType::Uuid,
            Family::Unknown => true,
        }
    }
}

/// What a value in a statement is for a key column of this type. `cast` is the type named by a cast around the value,
/// folded, with its modifiers (`varchar(3)`); type names are taken for PostgreSQL's own.
pub fn convert(source: Source<'_>, column: KeyType, cast: Option<&str>) -> Conversion {
    let Some(cast) = cast.map_or(Some(None), |name| cast_type(name).map(Some)) else { return Conversion::Opaque };
    if cast.is_some_and(|cast| !Family::of_key(cast).suits(column)) {
        return Conversion::Opaque;
    }
    let converted = match source {
        Source::Integer { digits, negative } => integer(digits, negative, column),
        Source::String(text) => convert_text(text, cast.unwrap_or(column)),
        Source::Param { value: None, .. } => return Conversion::Null,
        Source::Param { value: Some(bytes), binary, type_oid, utf8 } => {
            let Some(declared) = Family::of_oid(type_oid) else { return Conversion::Opaque };
            param(bytes, Form { binary, utf8 }, declared, column, cast)
        }
    };
    // The value must pass through the cast and into the column unchanged.
    [cast, Some(column)].into_iter().flatten().fold(converted, fit)
}

/// A value of text, as in an untyped string literal for a column of this type.
pub(super) fn convert_text(text: &str, column: KeyType) -> Conversion {
    let value = match column {
        KeyType::Int2 | KeyType::Int4 | KeyType::Int8 => return int_input(text, column),
        KeyType::Text { .. } => Some(KeyValue::Text(text.to_owned())),
        KeyType::Uuid => uuid_input(text).map(KeyValue::Uuid),
    };
    value.map_or(Conversion::Opaque, |value| fit(Conversion::Value(value), column))
}

#[derive(Clone, Copy)]
struct Form {
    binary: bool,
    utf8: bool,
}

/// A parameter's value. Its type is the declared one, else that of the cast around it, else the column's.
fn param(bytes: &[u8], form: Form, declared: Family, column: KeyType, cast: Option<KeyType>) -> Conversion {
    let target = cast.unwrap_or(column);
    let family = match declared {
        Family::Unknown => Family::of_key(target),
        known => known,
    };
    // A declared text under a cast is read by the input function of the cast's type, as a string literal is.
    let readable = family.suits(target) || (family == Family::Text && cast.is_some());
    if !readable {
        return Conversion::Opaque;
    }
    if form.binary && family != Family::Text {
        return binary_value(bytes, family, column);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Conversion::Opaque };
    if !(form.utf8 || text.is_ascii()) {
        return Conversion::Opaque;
    }
    match family {
        // The text is read as the declared type; whether the value fits what it goes into is asked after.
        Family::Int(declared) => int_input(text, declared),
        _ => convert_text(text, target),
    }
}

/// A value in binary format of one of the types that have a format of their own.
fn binary_value(bytes: &[u8], family: Family, column: KeyType) -> Conversion {
    let value = match (family, bytes.len()) {
        (Family::Int(_), _) => int_bytes(bytes).map(KeyValue::Int),
        (Family::Uuid, 16) => bytes.try_into().ok().map(KeyValue::Uuid),
        _ => None,
    };
    value.map_or(Conversion::Opaque, |value| fit(Conversion::Value(value), column))
}

/// An integer of two, four or eight big-endian bytes: the width tells its type.
fn int_bytes(bytes: &[u8]) -> Option<i64> {
    match *bytes {
        [a, b] => Some(i16::from_be_bytes([a, b]).into()),
        [a, b, c, d] => Some(i32::from_be_bytes([a, b, c, d]).into()),
        _ => Some(i64::from_be_bytes(bytes.try_into().ok()?)),
    }
}

/// What becomes of a value that goes into `target`. An integer out of range equals nothing there; a text that is too long
/// might be truncated (blanks behind, or by a cast) or not, so nothing is known.
fn fit(conversion: Conversion, target: KeyType) -> Conversion {
    match (&conversion, target) {
        (Conversion::Value(KeyValue::Int(value)), _) => match target.int_range() {
            Some((least, greatest)) if !(least..=greatest).contains(value) => Conversion::Never,
            Some(_) => conversion,
            None => Conversion::Opaque,
        },
        (Conversion::Value(KeyValue::Text(text)), KeyType::Text { max_chars: Some(max) }) => {
            // No text has more characters than bytes.
            let max = max as usize;
            if text.len() <= max || text.chars().count() <= max { conversion } else { Conversion::Opaque }
        }
        _ => conversion,
    }
}

/// An integer literal. PostgreSQL gives it the narrowest of integer, bigint and numeric; all compare by value with integers.
fn integer(digits: &str, negative: bool, column: KeyType) -> Conversion {
    if !column.is_int() || digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Conversion::Opaque;
    }
    signed(digits, negative)
}

/// The value of digits; `Never` beyond bigint.
fn signed(digits: &str, negative: bool) -> Conversion {
    let mut value: i64 = 0;
    for digit in digits.bytes().map(|byte| i64::from(byte - b'0')) {
        // Downwards for negative numbers, which reach one further than positive ones.
        let next = value.checked_mul(10).and_then(|value| value.checked_add(if negative { -digit } else { digit }));
        let Some(next) = next else { return Conversion::Never };
        value = next;
    }
    Conversion::Value(KeyValue::Int(value))
}

/// PostgreSQL's integer input as all versions have it: blanks, a sign, digits, blanks. (Since 16 also `0x1f` and `1_000`.)
fn int_input(text: &str, column: KeyType) -> Conversion {
    let text = text.trim_matches(is_blank);
    let (digits, negative) = match text.as_bytes() {
        [b'-', ..] => (&text[1..], true),
        [b'+', ..] => (&text[1..], false),
        _ => (text, false),
    };
    fit(integer(digits, negative, column), column)
}

/// C's `isspace`, as PostgreSQL's input functions use it.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// PostgreSQL's uuid input: 32 hexadecimal digits of either case, a hyphen allowed behind every group of four, the whole in
/// braces or not. No blanks.
fn uuid_input(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    let mut rest = match bytes {
        [b'{', inner @ .., b'}'] => inner,
        _ => bytes,
    };
    let mut uuid = [0; 16];
    for (index, byte) in uuid.iter_mut().enumerate() {
        let [high, low, tail @ ..] = rest else { return None };
        *byte = hex(*high)? << 4 | hex(*low)?;
        rest = match tail {
            [b'-', behind @ ..] if index % 2 == 1 && index < 15 => behind,
            _ => tail,
        };
    }
    rest.is_empty().then_some(uuid)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// The key type that a cast names.
fn cast_type(name: &str) -> Option<KeyType> {
    let name = name.trim();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
    let (base, modifier) = match name.split_once('(') {
        Some((base, modifier)) => (base.trim_end(), Some(modifier.strip_suffix(')')?.trim())),
        None => (name, None),
    };
    let plain = match base {
        "smallint" | "int2" => KeyType::Int2,
        "integer" | "int" | "int4" => KeyType::Int4,
        "bigint" | "int8" => KeyType::Int8,
        "text" => KeyType::Text { max_chars: None },
        "uuid" => KeyType::Uuid,
        "varchar" | "character varying" | "char varying" => {
            let max_chars = modifier.map(str::parse).transpose().ok()?;
            return Some(KeyType::Text { max_chars });
        }
        _ => return None,
    };
    modifier.is_none().then_some(plain)
}

/// The key type of the elements that a cast to an array names (`bigint[]`).
pub(super) fn cast_element(name: &str) -> Option<&str> {
    name.trim_end().strip_suffix("[]")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: KeyType = KeyType::Text { max_chars: None };
    const VARCHAR3: KeyType = KeyType::Text { max_chars: Some(3) };

    fn int(value: i64) -> Conversion {
        Conversion::Value(KeyValue::Int(value))
    }

    fn text(value: &str) -> Conversion {
        Conversion::Value(KeyValue::Text(value.into()))
    }

    fn literal(digits: &str, column: KeyType) -> Conversion {
        let (negative, digits) = digits.strip_prefix('-').map_or((false, digits), |digits| (true, digits));
        convert(Source::Integer { digits, negative }, column, None)
    }

    fn string(value: &str, column: KeyType) -> Conversion {
        convert(Source::String(value), column, None)
    }

    fn bound(value: &[u8], binary: bool, type_oid: u32, column: KeyType, cast: Option<&str>) -> Conversion {
        convert(Source::Param { value: Some(value), binary, type_oid, utf8: true }, column, cast)
    }

    #[test]
    fn integer_literals_are_values_within_the_column() {
        assert_eq!(literal("42", KeyType::Int2), int(42));
        assert_eq!(literal("007", KeyType::Int4), int(7));
        assert_eq!(literal("-0", KeyType::Int4), int(0));
        assert_eq!(literal("-32768", KeyType::Int2), int(-32768));
        assert_eq!(literal("32768", KeyType::Int2), Conversion::Never);
        assert_eq!(literal("2147483648", KeyType::Int4), Conversion::Never);
        assert_eq!(literal("9223372036854775807", KeyType::Int8), int(i64::MAX));
        assert_eq!(literal("-9223372036854775808", KeyType::Int8), int(i64::MIN));
        assert_eq!(literal("9223372036854775808", KeyType::Int8), Conversion::Never);
        assert_eq!(literal("99999999999999999999999999999999999999999", KeyType::Int8), Conversion::Never);
        assert_eq!(literal("42", TEXT), Conversion::Opaque);
        assert_eq!(literal("0x10", KeyType::Int4), Conversion::Opaque);
        assert_eq!(literal("1_000", KeyType::Int4), Conversion::Opaque);
    }

    #[test]
    fn strings_are_read_as_every_version_reads_them() {
        for same in ["42", " 42", "42 ", "\t+42\n", "0042", "\x0b42\x0c"] {
            assert_eq!(string(same, KeyType::Int4), int(42), "{same:?}");
        }
        for opaque in ["", " ", "4 2", "0x2a", "4_2", "42.0", "4e1", "+ 42", "--42", "+-42", "٤٢", "42\u{a0}", "42\0"]
        {
            assert_eq!(string(opaque, KeyType::Int4), Conversion::Opaque, "{opaque:?}");
        }
        assert_eq!(string("-2147483649", KeyType::Int4), Conversion::Never);
        assert_eq!(string(" a ", TEXT), text(" a "));
        assert_eq!(string("äöü", VARCHAR3), text("äöü"));
        assert_eq!(string("abc ", VARCHAR3), Conversion::Opaque);
    }

    #[test]
    fn uuids_are_read_in_every_spelling() {
        let uuid = [0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11];
        for same in [
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
        ] {
            assert_eq!(string(same, KeyType::Uuid), Conversion::Value(KeyValue::Uuid(uuid)), "{same}");
        }
        for opaque in [
            " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0-eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc999c0b4ef8bb6d6bb9bd380a1",
            "g0eebc999c0b4ef8bb6d6bb9bd380a11",
        ] {
            assert_eq!(string(opaque, KeyType::Uuid), Conversion::Opaque, "{opaque}");
        }
    }

    #[test]
    fn parameters_are_read_by_type_and_format() {
        for (bytes, oid) in [
            (&[0, 42][..], oid::INT2),
            (&[0, 0, 0, 42], oid::INT4),
            (&[0, 0, 0, 0, 0, 0, 0, 42], oid::INT8),
            (&[0, 0, 0, 42], 0),
        ] {
            assert_eq!(bound(bytes, true, oid, KeyType::Int4, None), int(42), "{oid}");
        }
        assert_eq!(bound(&i64::MIN.to_be_bytes(), true, oid::INT8, KeyType::Int4, None), Conversion::Never);
        assert_eq!(bound(&[1, 2, 3], true, 0, KeyType::Int4, None), Conversion::Opaque);
        assert_eq!(bound(&42_f64.to_be_bytes(), true, 701, KeyType::Int8, None), Conversion::Opaque);
        assert_eq!(bound(b"42", false, 0, KeyType::Int8, None), int(42));
        assert_eq!(bound(b" 42", false, oid::INT4, KeyType::Int8, None), int(42));
        // A declared integer is out of range by its own type, whatever the column could hold.
        assert_eq!(bound(b"2147483648", false, oid::INT4, KeyType::Int8, None), Conversion::Never);
        assert_eq!(bound(b"42", false, 1700, KeyType::Int8, None), Conversion::Opaque);
        assert_eq!(bound(b"42", false, oid::TEXT, KeyType::Int8, None), Conversion::Opaque);
        assert_eq!(bound(b"42", false, oid::INT4, TEXT, None), Conversion::Opaque);
        for oid in [0, oid::TEXT, oid::VARCHAR, oid::UNKNOWN] {
            for binary in [false, true] {
                assert_eq!(bound("é ".as_bytes(), binary, oid, TEXT, None), text("é "), "{oid} {binary}");
            }
        }
        assert_eq!(bound(b"a", false, 1042, TEXT, None), Conversion::Opaque);
        assert_eq!(bound(b"abcd", false, 0, VARCHAR3, None), Conversion::Opaque);
        assert_eq!(bound(&[0xff], false, 0, TEXT, None), Conversion::Opaque);
        assert_eq!(bound(&[7; 16], true, oid::UUID, KeyType::Uuid, None), Conversion::Value(KeyValue::Uuid([7; 16])));
        assert_eq!(bound(&[7; 15], true, oid::UUID, KeyType::Uuid, None), Conversion::Opaque);
    }

    #[test]
    fn other_encodings_count_only_where_they_are_ascii() {
        let latin = |value| convert(Source::Param { value, binary: false, type_oid: 0, utf8: false }, TEXT, None);
        assert_eq!(latin(Some(b"abc")), text("abc"));
        assert_eq!(latin(Some("é".as_bytes())), Conversion::Opaque);
        assert_eq!(latin(None), Conversion::Null);
    }

    #[test]
    fn casts_must_leave_the_value_as_it_is() {
        let digits = Source::Integer { digits: "42", negative: false };
        for cast in ["int8", "bigint", "int", "integer", "smallint", "pg_catalog.int4"] {
            assert_eq!(convert(digits, KeyType::Int4, Some(cast)), int(42), "{cast}");
        }
        for cast in ["numeric", "text", "float8", "int4(3)", "int4[]", "mytype", "uuid"] {
            assert_eq!(convert(digits, KeyType::Int4, Some(cast)), Conversion::Opaque, "{cast}");
        }
        let wide = Source::Integer { digits: "40000", negative: false };
        assert_eq!(convert(wide, KeyType::Int4, Some("int2")), Conversion::Never);
        let abc = Source::String("abc");
        assert_eq!(convert(abc, TEXT, Some("varchar(3)")), text("abc"));
        assert_eq!(convert(abc, TEXT, Some("character varying")), text("abc"));
        assert_eq!(convert(abc, TEXT, Some("varchar(2)")), Conversion::Opaque);
        assert_eq!(convert(abc, TEXT, Some("char(3)")), Conversion::Opaque);
        assert_eq!(convert(Source::String("42"), KeyType::Int4, Some("bigint")), int(42));
        assert_eq!(convert(Source::String("42"), KeyType::Int4, Some("text")), Conversion::Opaque);
        assert_eq!(bound(b"42", false, 0, KeyType::Int4, Some("bigint")), int(42));
        assert_eq!(bound(b"42", true, oid::TEXT, KeyType::Int4, Some("bigint")), int(42));
        assert_eq!(bound(&[0, 0, 0, 42], true, oid::INT4, KeyType::Int8, Some("bigint")), int(42));
        assert_eq!(bound(&[0, 0, 0, 42], true, oid::INT4, TEXT, Some("text")), Conversion::Opaque);
        assert_eq!(bound(b"3000000000", false, 0, KeyType::Int4, Some("bigint")), Conversion::Never);
    }
}
