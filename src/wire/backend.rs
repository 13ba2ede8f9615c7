//! Messages in the backend's direction, as pgweave writes them to a client.
//!
//! Each function appends one whole frame to `out`. Rows of a server are never re-encoded: these are only for what
//! pgweave answers itself.

use bytes::{BufMut, BytesMut};

use super::Diagnostic;

/// A column of a row description written by us (the console, `EXPLAIN (ROUTE)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The column's name.
    pub name: String,
    /// The type's OID in `pg_type` (25 is text, 20 int8, 23 int4, 701 float8).
    pub type_oid: u32,
}

impl Column {
    /// A column of type text.
    pub fn text(name: impl Into<String>) -> Column {
        Column { name: name.into(), type_oid: 25 }
    }

    /// A column of type int8.
    pub fn int8(name: impl Into<String>) -> Column {
        Column { name: name.into(), type_oid: 20 }
    }

    /// A column of type float8.
    pub fn float8(name: impl Into<String>) -> Column {
        Column { name: name.into(), type_oid: 701 }
    }
}

/// Appends a frame whose body `body` writes; the length is filled in afterwards.
pub fn frame(out: &mut BytesMut, tag: u8, body: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    let at = out.len();
    out.put_i32(0);
    body(out);
    let length = (out.len() - at) as i32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

fn put_cstr(out: &mut BytesMut, text: &str) {
    // A NUL inside would end the string early and shift everything behind it.
    out.extend(text.bytes().filter(|b| *b != 0));
    out.put_u8(0);
}

/// AuthenticationOk.
pub fn authentication_ok(out: &mut BytesMut) {
    frame(out, b'R', |out| out.put_i32(0));
}

/// AuthenticationSASL offering `mechanisms`.
pub fn authentication_sasl(out: &mut BytesMut, mechanisms: &[&str]) {
    frame(out, b'R', |out| {
        out.put_i32(10);
        for mechanism in mechanisms {
            put_cstr(out, mechanism);
        }
        out.put_u8(0);
    });
}

/// AuthenticationSASLContinue.
pub fn authentication_sasl_continue(out: &mut BytesMut, data: &[u8]) {
    frame(out, b'R', |out| {
        out.put_i32(11);
        out.put_slice(data);
    });
}

/// AuthenticationSASLFinal.
pub fn authentication_sasl_final(out: &mut BytesMut, data: &[u8]) {
    frame(out, b'R', |out| {
        out.put_i32(12);
        out.put_slice(data);
    });
}

/// BackendKeyData.
pub fn backend_key_data(out: &mut BytesMut, process_id: u32, secret: u32) {
    frame(out, b'K', |out| {
        out.put_u32(process_id);
        out.put_u32(secret);
    });
}

/// ParameterStatus.
pub fn parameter_status(out: &mut BytesMut, name: &str, value: &str) {
    frame(out, b'S', |out| {
        put_cstr(out, name);
        put_cstr(out, value);
    });
}

/// NegotiateProtocolVersion: the newest minor version we speak and the options we do not know.
pub fn negotiate_protocol_version(out: &mut BytesMut, newest_minor: i32, unknown: &[&str]) {
    frame(out, b'v', |out| {
        out.put_i32(newest_minor);
        out.put_i32(unknown.len() as i32);
        for name in unknown {
            put_cstr(out, name);
        }
    });
}

/// ReadyForQuery with `status` one of `I`, `T`, `E`.
pub fn ready_for_query(out: &mut BytesMut, status: u8) {
    frame(out, b'Z', |out| out.put_u8(status));
}

/// ParseComplete.
pub fn parse_complete(out: &mut BytesMut) {
    frame(out, b'1', |_| ());
}

/// BindComplete.
pub fn bind_complete(out: &mut BytesMut) {
    frame(out, b'2', |_| ());
}

/// CloseComplete.
pub fn close_complete(out: &mut BytesMut) {
    frame(out, b'3', |_| ());
}

/// NoData.
pub fn no_data(out: &mut BytesMut) {
    frame(out, b'n', |_| ());
}

/// EmptyQueryResponse.
pub fn empty_query_response(out: &mut BytesMut) {
    frame(out, b'I', |_| ());
}

/// PortalSuspended.
pub fn portal_suspended(out: &mut BytesMut) {
    frame(out, b's', |_| ());
}

/// ParameterDescription.
pub fn parameter_description(out: &mut BytesMut, type_oids: &[u32]) {
    frame(out, b't', |out| {
        out.put_i16(type_oids.len() as i16);
        for oid in type_oids {
            out.put_u32(*oid);
        }
    });
}

/// CommandComplete.
pub fn command_complete(out: &mut BytesMut, tag: &str) {
    frame(out, b'C', |out| put_cstr(out, tag));
}

/// RowDescription of columns in text format (`format` 0) that belong to no table.
pub fn row_description(out: &mut BytesMut, columns: &[Column]) {
    frame(out, b'T', |out| {
        out.put_i16(columns.len() as i16);
        for column in columns {
            put_cstr(out, &column.name);
            out.put_u32(0);
            out.put_i16(0);
            out.put_u32(column.type_oid);
            let size = match column.type_oid {
                20 | 701 => 8,
                23 => 4,
                16 => 1,
                _ => -1,
            };
            out.put_i16(size);
            out.put_i32(-1);
            out.put_i16(0);
        }
    });
}

/// DataRow of text values; `None` is NULL.
pub fn data_row<S: AsRef<str>>(out: &mut BytesMut, values: &[Option<S>]) {
    frame(out, b'D', |out| {
        out.put_i16(values.len() as i16);
        for value in values {
            match value {
                None => out.put_i32(-1),
                Some(text) => {
                    let text = text.as_ref().as_bytes();
                    out.put_i32(text.len() as i32);
                    out.put_slice(text);
                }
            }
        }
    });
}

/// ErrorResponse, or NoticeResponse for the severities of notices.
pub fn diagnostic(out: &mut BytesMut, diagnostic: &Diagnostic) {
    use super::Severity::{Error, Fatal, Notice, Warning};
    let tag = match diagnostic.severity {
        Error | Fatal => b'E',
        Warning | Notice => b'N',
    };
    frame(out, tag, |out| {
        let mut field = |kind: u8, text: &str| {
            out.put_u8(kind);
            put_cstr(out, text);
        };
        field(b'S', diagnostic.severity.as_str());
        field(b'V', diagnostic.severity.as_str());
        field(b'C', diagnostic.code.as_str());
        field(b'M', &diagnostic.message);
        if let Some(detail) = &diagnostic.detail {
            field(b'D', detail);
        }
        if let Some(hint) = &diagnostic.hint {
            field(b'H', hint);
        }
        if let Some(position) = diagnostic.position {
            field(b'P', &position.to_string());
        }
        out.put_u8(0);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::SqlState;

    #[test]
    fn bytes_of_small_messages() {
        let mut out = BytesMut::new();
        ready_for_query(&mut out, b'I');
        parse_complete(&mut out);
        command_complete(&mut out, "SELECT 1");
        assert_eq!(&out[..], b"Z\0\0\0\x05I1\0\0\0\x04C\0\0\0\x0dSELECT 1\0");
    }

    #[test]
    fn a_nul_in_a_text_cannot_shift_the_fields() {
        let mut out = BytesMut::new();
        diagnostic(&mut out, &Diagnostic::error(SqlState::SYNTAX_ERROR, "a\0b"));
        assert_eq!(&out[5..], b"SERROR\0VERROR\0C42601\0Mab\0\0");
    }

    #[test]
    fn rows() {
        let mut out = BytesMut::new();
        data_row(&mut out, &[Some("ab"), None]);
        assert_eq!(&out[..], b"D\0\0\0\x10\0\x02\0\0\0\x02ab\xff\xff\xff\xff");
    }
}
