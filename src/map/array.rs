//! Arrays for `column = ANY($1)`, in text and in binary format.

use super::convert::{cast_element, is_blank};
use super::key::oid;
use super::{Conversion, KeyType, Source, convert};

/// `pg_type.oid` of an array type and of its elements.
const ARRAYS: [(u32, u32); 6] = [
    (1005, oid::INT2),
    (1007, oid::INT4),
    (1016, oid::INT8),
    (1009, oid::TEXT),
    (1015, oid::VARCHAR),
    (2951, oid::UUID),
];

/// The elements of an array that a key column of this type is compared with, each for itself; `None` when the whole is not
/// understood. A NULL array is one NULL: nothing equals it either. `cast` is the type named by a cast (`bigint[]`).
pub fn convert_array(source: Source<'_>, column: KeyType, cast: Option<&str>) -> Option<Vec<Conversion>> {
    let cast = match cast {
        Some(name) => Some(cast_element(name)?),
        None => None,
    };
    match source {
        Source::Integer { .. } => None,
        Source::String(text) => text_elements(text, column, |element| convert(Source::String(element), column, cast)),
        Source::Param { value: None, .. } => Some(vec![Conversion::Null]),
        Source::Param { value: Some(bytes), binary, type_oid, utf8 } => {
            let declared = match type_oid {
                0 => 0,
                array => ARRAYS.iter().find(|(oid, _)| *oid == array)?.1,
            };
            let element = |value: Option<&[u8]>, binary, type_oid| {
                convert(Source::Param { value, binary, type_oid, utf8 }, column, cast)
            };
            if binary {
                return binary_elements(bytes, declared, |value, oid| element(value, true, oid));
            }
            let text = std::str::from_utf8(bytes).ok()?;
            if !(utf8 || text.is_ascii()) {
                return None;
            }
            text_elements(text, column, |value| element(Some(value.as_bytes()), false, declared))
        }
    }
}

/// The elements of a one-dimensional array in binary format: dimensions, whether any is NULL, the elements' type, the
/// dimension's length and lower bound, then each element behind its length (-1 for NULL).
fn binary_elements(
    bytes: &[u8],
    declared: u32,
    element: impl Fn(Option<&[u8]>, u32) -> Conversion,
) -> Option<Vec<Conversion>> {
    let mut rest = bytes;
    let int = |rest: &mut &[u8]| {
        let (head, tail) = rest.split_first_chunk::<4>()?;
        *rest = tail;
        Some(i32::from_be_bytes(*head))
    };
    let dimensions = int(&mut rest)?;
    let _any_null = int(&mut rest)?;
    let element_oid = int(&mut rest)? as u32;
    if element_oid == 0 || (declared != 0 && declared != element_oid) {
        return None;
    }
    match dimensions {
        0 => return rest.is_empty().then(Vec::new),
        1 => {}
        _ => return None,
    }
    let count = usize::try_from(int(&mut rest)?).ok()?;
    let _lower_bound = int(&mut rest)?;
    // Each element takes at least the four bytes of its length: a count beyond that is a lie, not a reason to allocate.
    if count > rest.len() / 4 {
        return None;
    }
    let mut elements = Vec::with_capacity(count);
    for _ in 0..count {
        let length = int(&mut rest)?;
        elements.push(if length == -1 {
            Conversion::Null
        } else {
            let (value, tail) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            rest = tail;
            element(Some(value), element_oid)
        });
    }
    rest.is_empty().then_some(elements)
}

/// The elements of a one-dimensional array in text format without bounds: `{1, "a \"b\"", NULL}`.
fn text_elements(text: &str, column: KeyType, element: impl Fn(&str) -> Conversion) -> Option<Vec<Conversion>> {
    let inner = text.trim_matches(is_blank).strip_prefix('{')?.strip_suffix('}')?;
    let mut elements = Vec::new();
    let mut rest = inner.trim_start_matches(is_blank);
    if rest.is_empty() {
        return Some(elements);
    }
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (value, tail) = quoted_element(quoted)?;
            elements.push(element(&value));
            rest = tail.trim_start_matches(is_blank);
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            elements.push(bare_element(rest[..end].trim_end_matches(is_blank), column, &element)?);
            rest = &rest[end..];
        }
        if rest.is_empty() {
            return Some(elements);
        }
        rest = rest.strip_prefix(',')?.trim_start_matches(is_blank);
    }
}

/// An element without quotes. One with an escape, a quote or a brace inside is left to PostgreSQL.
fn bare_element(value: &str, column: KeyType, element: impl Fn(&str) -> Conversion) -> Option<Conversion> {
    if value.is_empty() || value.contains(['\\', '"', '{', '}']) {
        return None;
    }
    if !value.eq_ignore_ascii_case("null") {
        return Some(element(value));
    }
    // With array_nulls off it is the text.
    Some(if matches!(column, KeyType::Text { .. }) { Conversion::Opaque } else { Conversion::Null })
}

/// The value of an element behind its opening quote, and what follows its closing one.
fn quoted_element(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            c => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::KeyValue;

    const TEXT: KeyType = KeyType::Text { max_chars: None };

    fn ints(values: &[i64]) -> Option<Vec<Conversion>> {
        Some(values.iter().map(|value| Conversion::Value(KeyValue::Int(*value))).collect())
    }

    fn texts(values: &[&str]) -> Option<Vec<Conversion>> {
        Some(values.iter().map(|value| Conversion::Value(KeyValue::Text(value.to_string()))).collect())
    }

    fn literal(text: &str, column: KeyType) -> Option<Vec<Conversion>> {
        convert_array(Source::String(text), column, None)
    }

    fn bound(value: &[u8], binary: bool, type_oid: u32, column: KeyType) -> Option<Vec<Conversion>> {
        convert_array(Source::Param { value: Some(value), binary, type_oid, utf8: true }, column, None)
    }

    /// An array in binary format, `None` for a NULL.
    fn encoded(element_oid: u32, elements: &[Option<&[u8]>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for int in [1, 0, element_oid as i32, elements.len() as i32, 1] {
            bytes.extend(int.to_be_bytes());
        }
        for element in elements {
            bytes.extend(element.map_or(-1, |element| element.len() as i32).to_be_bytes());
            bytes.extend(element.unwrap_or_default());
        }
        bytes
    }

    #[test]
    fn text_arrays_are_read() {
        assert_eq!(literal("{1,2,3}", KeyType::Int4), ints(&[1, 2, 3]));
        assert_eq!(literal(" { -1 , \"2\" } ", KeyType::Int4), ints(&[-1, 2]));
        assert_eq!(literal("{}", KeyType::Int4), ints(&[]));
        assert_eq!(literal("{ }", TEXT), texts(&[]));
        assert_eq!(literal(r#"{a b ,"c, \"d\"", "\\" ,é," e "}"#, TEXT), texts(&["a b", "c, \"d\"", "\\", "é", " e "]));
        assert_eq!(literal("{NULL}", KeyType::Int4), Some(vec![Conversion::Null]));
        assert_eq!(literal("{null}", TEXT), Some(vec![Conversion::Opaque]));
        assert_eq!(literal("{\"null\"}", TEXT), texts(&["null"]));
        assert_eq!(literal("{1,x}", KeyType::Int4).map(|all| all[1].clone()), Some(Conversion::Opaque));
        for refused in [
            "",
            "1",
            "{1",
            "{1,}",
            "{,1}",
            "{1,,2}",
            "{{1},{2}}",
            "[0:1]={1,2}",
            "{a\\b}",
            "{\"a\"b}",
            "{a\"b\"}",
            "{\"a}",
        ] {
            assert_eq!(literal(refused, TEXT), None, "{refused}");
        }
    }

    #[test]
    fn array_parameters_are_read_in_both_formats() {
        assert_eq!(bound(b"{1,2}", false, 1016, KeyType::Int4), ints(&[1, 2]));
        assert_eq!(bound(b"{1,2}", false, 0, KeyType::Int4), ints(&[1, 2]));
        assert_eq!(bound(b"{1,2}", false, 1231, KeyType::Int4), None);
        let two = encoded(oid::INT8, &[Some(&7_i64.to_be_bytes()), Some(&(-8_i64).to_be_bytes())]);
        assert_eq!(bound(&two, true, 1016, KeyType::Int8), ints(&[7, -8]));
        assert_eq!(bound(&two, true, 0, KeyType::Int4), ints(&[7, -8]));
        assert_eq!(bound(&two, true, 1007, KeyType::Int4), None);
        assert_eq!(bound(&two[..two.len() - 1], true, 1016, KeyType::Int8), None);
        assert_eq!(bound(&[&two[..], b"x"].concat(), true, 1016, KeyType::Int8), None);
        let with_null = encoded(oid::TEXT, &[Some(b"a"), None]);
        assert_eq!(
            bound(&with_null, true, 1009, TEXT),
            Some(vec![Conversion::Value(KeyValue::Text("a".into())), Conversion::Null])
        );
        let uuids = encoded(oid::UUID, &[Some(&[3; 16])]);
        assert_eq!(bound(&uuids, true, 2951, KeyType::Uuid), Some(vec![Conversion::Value(KeyValue::Uuid([3; 16]))]));
        let mut empty = [0_u8; 12];
        empty[11] = oid::INT4 as u8;
        assert_eq!(bound(&empty, true, 1007, KeyType::Int4), ints(&[]));
        let floats = encoded(701, &[Some(&7_f64.to_be_bytes())]);
        assert_eq!(bound(&floats, true, 0, KeyType::Int8), Some(vec![Conversion::Opaque]));
        let mut liar = encoded(oid::INT4, &[]);
        liar[12..16].copy_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(bound(&liar, true, 1007, KeyType::Int4), None);
        assert_eq!(
            convert_array(Source::Param { value: None, binary: true, type_oid: 1007, utf8: true }, KeyType::Int4, None),
            Some(vec![Conversion::Null])
        );
    }

    #[test]
    fn casts_of_arrays_name_their_elements() {
        assert_eq!(convert_array(Source::String("{1}"), KeyType::Int4, Some("bigint[]")), ints(&[1]));
        assert_eq!(convert_array(Source::String("{1}"), KeyType::Int4, Some("bigint")), None);
        let opaque = convert_array(Source::String("{1}"), KeyType::Int4, Some("numeric[]"));
        assert_eq!(opaque, Some(vec![Conversion::Opaque]));
    }
}
