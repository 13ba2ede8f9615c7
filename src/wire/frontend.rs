//! Views over the bodies of a client's messages.
//!
//! A view borrows the frame's body and checks it while it is made; bytes behind the last field are an error, as they are
//! in PostgreSQL (`pq_getmsgend`).

use super::frame::{Malformed, take, take_cstr, take_i16, take_i32};

/// Parse: a text under a name, with the parameter types the client fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parse<'a> {
    /// The statement's name; empty for the unnamed one.
    pub name: &'a [u8],
    /// The statement's text in the client's encoding.
    pub query: &'a [u8],
    /// The type OIDs as they came, four bytes each, big-endian; 0 leaves a type open.
    pub type_oids: &'a [u8],
}

impl<'a> Parse<'a> {
    /// Reads the body of a `P` frame.
    ///
    /// # Errors
    /// [`Malformed::Body`] when the fields do not add up to the body.
    pub fn read(mut body: &'a [u8]) -> Result<Parse<'a>, Malformed> {
        let wrong = Malformed::Body { message: "Parse" };
        let name = take_cstr(&mut body).ok_or(wrong)?;
        let query = take_cstr(&mut body).ok_or(wrong)?;
        let count = take_i16(&mut body).ok_or(wrong)? as u16;
        let type_oids = take(&mut body, usize::from(count) * 4).ok_or(wrong)?;
        if body.is_empty() { Ok(Parse { name, query, type_oids }) } else { Err(wrong) }
    }
}

/// Bind: a portal from a statement and its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind<'a> {
    /// The portal's name; empty for the unnamed one.
    pub portal: &'a [u8],
    /// The statement's name.
    pub statement: &'a [u8],
    /// Everything behind the two names, as it came.
    pub rest: &'a [u8],
    /// The parameters.
    pub params: Params<'a>,
}

/// The parameters of a Bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params<'a> {
    /// Format codes, two bytes each: none (all text), one (for all) or one a parameter.
    formats: &'a [u8],
    /// How many parameters there are.
    count: u16,
    /// Length and bytes of each.
    values: &'a [u8],
}

/// One parameter's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// `None` is NULL.
    pub value: Option<&'a [u8]>,
    /// Whether the value is in binary format (else text in the client's encoding).
    pub binary: bool,
}

impl<'a> Params<'a> {
    /// No parameters at all.
    pub const NONE: Params<'static> = Params { formats: &[], count: 0, values: &[] };

    /// How many there are.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The parameter `$number` (1-based), or `None` when there is none of that number.
    pub fn param(&self, number: usize) -> Option<Param<'a>> {
        if number == 0 || number > self.len() {
            return None;
        }
        let mut rest = self.values;
        for _ in 1..number {
            take_value(&mut rest)?;
        }
        let value = take_value(&mut rest)?;
        Some(Param { value, binary: self.is_binary(number) })
    }

    fn is_binary(&self, number: usize) -> bool {
        let index = if self.formats.len() == 2 { 0 } else { (number - 1) * 2 };
        self.formats.get(index..index + 2).is_some_and(|code| code == [0, 1])
    }
}

/// A length-prefixed value; the outer `None` is a body that is too short, the inner one NULL.
fn take_value<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match take_i32(rest)? {
        -1 => Some(None),
        length => take(rest, usize::try_from(length).ok()?).map(Some),
    }
}

impl<'a> Bind<'a> {
    /// Reads the body of a `B` frame.
    ///
    /// # Errors
    /// [`Malformed::Body`] when the fields do not add up to the body, or a format code is not 0 or 1.
    pub fn read(mut body: &'a [u8]) -> Result<Bind<'a>, Malformed> {
        let wrong = Malformed::Body { message: "Bind" };
        let portal = take_cstr(&mut body).ok_or(wrong)?;
        let statement = take_cstr(&mut body).ok_or(wrong)?;
        let rest = body;
        let format_count = take_i16(&mut body).ok_or(wrong)? as u16;
        let formats = take(&mut body, usize::from(format_count) * 2).ok_or(wrong)?;
        let count = take_i16(&mut body).ok_or(wrong)? as u16;
        if formats.chunks(2).any(|code| code != [0, 0] && code != [0, 1]) || (format_count > 1 && format_count != count)
        {
            return Err(wrong);
        }
        let values = body;
        for _ in 0..count {
            take_value(&mut body).ok_or(wrong)?;
        }
        let values = &values[..values.len() - body.len()];
        let result_formats = take_i16(&mut body).ok_or(wrong)? as u16;
        take(&mut body, usize::from(result_formats) * 2).ok_or(wrong)?;
        if !body.is_empty() {
            return Err(wrong);
        }
        Ok(Bind { portal, statement, rest, params: Params { formats, count, values } })
    }
}

/// What a Describe or Close names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// `S`: a prepared statement.
    Statement(&'a [u8]),
    /// `P`: a portal.
    Portal(&'a [u8]),
}

impl<'a> Target<'a> {
    /// Reads the body of a `D` or `C` frame.
    ///
    /// # Errors
    /// [`Malformed::Body`] when it is neither.
    pub fn read(mut body: &'a [u8], message: &'static str) -> Result<Target<'a>, Malformed> {
        let wrong = Malformed::Body { message };
        let kind = take(&mut body, 1).ok_or(wrong)?[0];
        let name = take_cstr(&mut body).ok_or(wrong)?;
        match (kind, body.is_empty()) {
            (b'S', true) => Ok(Target::Statement(name)),
            (b'P', true) => Ok(Target::Portal(name)),
            _ => Err(wrong),
        }
    }
}

/// Execute: run a portal, at most `max_rows` rows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execute<'a> {
    /// The portal's name.
    pub portal: &'a [u8],
    /// 0 or below: no limit.
    pub max_rows: i32,
}

impl<'a> Execute<'a> {
    /// Reads the body of an `E` frame.
    ///
    /// # Errors
    /// [`Malformed::Body`] when the fields do not add up to the body.
    pub fn read(mut body: &'a [u8]) -> Result<Execute<'a>, Malformed> {
        let wrong = Malformed::Body { message: "Execute" };
        let portal = take_cstr(&mut body).ok_or(wrong)?;
        let max_rows = take_i32(&mut body).ok_or(wrong)?;
        if body.is_empty() { Ok(Execute { portal, max_rows }) } else { Err(wrong) }
    }
}

/// The text of a Query frame's body.
///
/// # Errors
/// [`Malformed::Body`] unless the body is one NUL-terminated string.
pub fn read_query(mut body: &[u8]) -> Result<&[u8], Malformed> {
    let wrong = Malformed::Body { message: "Query" };
    let text = take_cstr(&mut body).ok_or(wrong)?;
    if body.is_empty() { Ok(text) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_and_its_types() {
        let parse = Parse::read(b"s1\0SELECT $1\0\0\x01\0\0\0\x17").unwrap();
        assert_eq!((parse.name, parse.query), (&b"s1"[..], &b"SELECT $1"[..]));
        assert_eq!(parse.type_oids, [0, 0, 0, 23]);
        assert!(Parse::read(b"s1\0SELECT $1\0\0\x02\0\0\0\x17").is_err());
        assert!(Parse::read(b"s1\0SELECT $1\0\0\0x").is_err());
    }

    #[test]
    fn parameters_by_number() {
        let bind = Bind::read(b"\0s\0\0\x02\0\0\0\x01\0\x02\0\0\0\x0142\xff\xff\xff\xff\0\0").unwrap_err();
        assert_eq!(bind, Malformed::Body { message: "Bind" });
        let bind = Bind::read(b"\0s\0\0\x02\0\0\0\x01\0\x02\0\0\0\x0242\xff\xff\xff\xff\0\0").unwrap();
        assert_eq!(bind.params.param(1), Some(Param { value: Some(b"42"), binary: false }));
        assert_eq!(bind.params.param(2), Some(Param { value: None, binary: true }));
        assert_eq!(bind.params.param(3), None);
        assert_eq!(bind.params.param(0), None);
    }

    #[test]
    fn one_format_serves_all_parameters() {
        let bind = Bind::read(b"\0\0\0\x01\0\x01\0\x02\0\0\0\x01a\0\0\0\x01b\0\0").unwrap();
        assert!(bind.params.param(1).unwrap().binary && bind.params.param(2).unwrap().binary);
    }

    #[test]
    fn targets_and_executes() {
        assert_eq!(Target::read(b"Sx\0", "Describe"), Ok(Target::Statement(b"x")));
        assert_eq!(Target::read(b"P\0", "Describe"), Ok(Target::Portal(b"")));
        assert!(Target::read(b"Xx\0", "Describe").is_err());
        assert_eq!(Execute::read(b"\0\0\0\0\x05"), Ok(Execute { portal: b"", max_rows: 5 }));
        assert_eq!(read_query(b"SELECT 1\0"), Ok(&b"SELECT 1"[..]));
        assert!(read_query(b"SELECT 1").is_err());
        assert!(read_query(b"SELECT\0 1\0").is_err());
    }

    mod properties {
        use bytes::BytesMut;
        use postgres_protocol::IsNull;
        use postgres_protocol::message::frontend;
        use proptest::prelude::*;

        use super::super::*;
        use crate::wire::frame::HEADER_BYTES;

        /// Bytes in which counts, lengths and ends of strings are often small enough to be there.
        fn bodies() -> impl Strategy<Value = Vec<u8>> {
            prop::collection::vec(prop_oneof![3 => Just(0), 2 => 0u8..4, 1 => Just(0xff), 1 => any::<u8>()], 0..48)
        }

        fn within(part: &[u8], body: &[u8]) -> bool {
            let (part, body) = (part.as_ptr_range(), body.as_ptr_range());
            body.start <= part.start && part.end <= body.end
        }

        proptest! {
            #[test]
            fn any_body_is_read_within_its_bounds_or_refused(body in bodies()) {
                if let Ok(parse) = Parse::read(&body) {
                    prop_assert_eq!(parse.name.len() + parse.query.len() + parse.type_oids.len() + 4, body.len());
                }
                if let Ok(bind) = Bind::read(&body) {
                    prop_assert_eq!(bind.portal.len() + bind.statement.len() + bind.rest.len() + 2, body.len());
                    for number in 1..=bind.params.len() {
                        let param = bind.params.param(number).unwrap();
                        prop_assert!(param.value.is_none_or(|value| within(value, &body)));
                    }
                    prop_assert_eq!(bind.params.param(bind.params.len() + 1), None);
                }
                if let Ok(Target::Statement(name) | Target::Portal(name)) = Target::read(&body, "Close") {
                    prop_assert_eq!(name.len() + 2, body.len());
                }
                if let Ok(execute) = Execute::read(&body) {
                    prop_assert_eq!(execute.portal.len() + 5, body.len());
                }
                if let Ok(query) = read_query(&body) {
                    prop_assert_eq!(query.len() + 1, body.len());
                }
            }

            #[test]
            fn a_bind_reads_back(
                names in ("[a-z]{0,5}", "[a-z]{0,5}"),
                values in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..10)), 0..6),
                binary in any::<bool>(),
                results in prop::collection::vec(0i16..2, 0..3),
            ) {
                let mut frame = BytesMut::new();
                let bound = frontend::bind(
                    &names.0,
                    &names.1,
                    [i16::from(binary)],
                    &values,
                    |value, out| {
                        Ok(match value {
                            Some(bytes) => {
                                out.extend_from_slice(bytes);
                                IsNull::No
                            }
                            None => IsNull::Yes,
                        })
                    },
                    results,
                    &mut frame,
                );
                prop_assert!(bound.is_ok());
                let bind = Bind::read(&frame[HEADER_BYTES..]).unwrap();
                prop_assert_eq!((bind.portal, bind.statement), (names.0.as_bytes(), names.1.as_bytes()));
                prop_assert_eq!(bind.params.len(), values.len());
                for (number, value) in values.iter().enumerate() {
                    let expected = Param { value: value.as_deref(), binary };
                    prop_assert_eq!(bind.params.param(number + 1), Some(expected));
                }
            }

            #[test]
            fn a_body_that_is_cut_or_longer_is_refused(names in ("[a-z]{0,5}", "[a-z]{1,9}"), oids in 0usize..4) {
                let mut frame = BytesMut::new();
                frontend::parse(&names.0, &names.1, (0..oids as u32).map(|oid| oid + 16), &mut frame).unwrap();
                let body = &frame[HEADER_BYTES..];
                let parse = Parse::read(body).unwrap();
                prop_assert_eq!((parse.name, parse.query), (names.0.as_bytes(), names.1.as_bytes()));
                for end in 0..body.len() {
                    prop_assert!(Parse::read(&body[..end]).is_err());
                }
                prop_assert!(Parse::read(&[body, b"x"].concat()).is_err());
            }
        }
    }
}
