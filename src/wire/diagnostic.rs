//! The fields of ErrorResponse and NoticeResponse.
//!
//! PostgreSQL manual, "Error and Notice Message Fields". A [`Diagnostic`] is what a client reads; how a failure is
//! logged is the business of the error type that made it.

use super::SqlState;

/// How bad it is, in the words of PostgreSQL's `S` and `V` fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed; the connection goes on.
    Error,
    /// The connection is closed after this message.
    Fatal,
    /// A notice that something is off.
    Warning,
    /// A notice.
    Notice,
}

impl Severity {
    /// The word on the wire (never localised by us).
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
            Severity::Warning => "WARNING",
            Severity::Notice => "NOTICE",
        }
    }
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client asked for something wrong or unsupported.
    Client,
    /// A PostgreSQL server failed or went away.
    Server,
    /// pgweave itself.
    Proxy,
    /// The configuration or the operator.
    Operator,
}

/// Whether the same thing may be tried again without doing it twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It would fail again, or might have happened.
    Never,
    /// Nothing was sent to a server yet.
    BeforeSend,
    /// A new server connection may be used.
    FreshConnection,
}

/// What becomes of the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on after the error.
    Continue,
    /// It is closed after the error.
    CloseClient,
}

/// What every error that can reach a client says of itself.
pub trait Report {
    /// What the client reads. Never the log's view: no addresses or causes beyond what helps the client.
    fn diagnostic(&self) -> Diagnostic;
    /// Whose fault it is.
    fn fault(&self) -> Fault;
    /// Whether a retry is safe.
    fn retry(&self) -> Retry {
        Retry::Never
    }
    /// Whether the client's connection survives.
    fn fate(&self) -> Fate {
        Fate::Continue
    }
}

/// One error or notice as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// `S` and `V`.
    pub severity: Severity,
    /// `C`.
    pub code: SqlState,
    /// `M`: lower-case, no full stop, PostgreSQL style.
    pub message: String,
    /// `D`: whole sentences.
    pub detail: Option<String>,
    /// `H`: whole sentences; what would work instead.
    pub hint: Option<String>,
    /// `P`: 1-based position in characters of the client's text.
    pub position: Option<u32>,
}

impl Diagnostic {
    /// An ERROR with nothing but its primary message.
    pub fn error(code: SqlState, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
        }
    }

    /// A FATAL with nothing but its primary message.
    pub fn fatal(code: SqlState, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Fatal, ..Diagnostic::error(code, message) }
    }

    /// The same with a detail.
    pub fn detail(mut self, detail: impl Into<String>) -> Diagnostic {
        self.detail = Some(detail.into());
        self
    }

    /// The same with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hint = Some(hint.into());
        self
    }
}

/// A view over the body of an ErrorResponse or NoticeResponse as a server sent it.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    body: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Views `body` (the frame without its tag and length). Never fails: a field that is not there is `None`.
    pub fn new(body: &'a [u8]) -> Fields<'a> {
        Fields { body }
    }

    /// The value of one field by its type byte (`b'C'` for the SQLSTATE), or `None`.
    pub fn field(&self, kind: u8) -> Option<&'a [u8]> {
        let mut rest = self.body;
        while let [found, tail @ ..] = rest {
            if *found == 0 {
                return None;
            }
            let end = tail.iter().position(|b| *b == 0)?;
            if *found == kind {
                return Some(&tail[..end]);
            }
            rest = &tail[end + 1..];
        }
        None
    }

    /// The SQLSTATE, if it is well formed.
    pub fn code(&self) -> Option<SqlState> {
        SqlState::parse(self.field(b'C')?)
    }

    /// The primary message, lossily as text.
    pub fn message(&self) -> String {
        String::from_utf8_lossy(self.field(b'M').unwrap_or_default()).into_owned()
    }

    /// Whether the server closes the connection after this message (`V` is never localised; servers before 9.6 lack it).
    pub fn is_fatal(&self) -> bool {
        matches!(self.field(b'V').or_else(|| self.field(b'S')), Some(b"FATAL" | b"PANIC"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_type() {
        let body = b"SERROR\0VERROR\0C42P01\0Mrelation \"x\" does not exist\0P15\0\0";
        let fields = Fields::new(body);
        assert_eq!(fields.code(), Some(SqlState::UNDEFINED_TABLE));
        assert_eq!(fields.message(), "relation \"x\" does not exist");
        assert_eq!(fields.field(b'P'), Some(&b"15"[..]));
        assert_eq!(fields.field(b'H'), None);
        assert!(!fields.is_fatal());
        assert!(Fields::new(b"SFATAL\0\0").is_fatal());
    }

    #[test]
    fn a_torn_body_has_no_field() {
        assert_eq!(Fields::new(b"C42").field(b'C'), None);
        assert_eq!(Fields::new(b"").code(), None);
    }

    mod properties {
        use bytes::BytesMut;
        use proptest::prelude::*;

        use super::super::*;
        use crate::wire::{backend, frame};

        proptest! {
            #[test]
            fn any_body_has_fields_or_none(
                body in prop::collection::vec(prop_oneof![Just(0), Just(b'C'), Just(b'V'), any::<u8>()], 0..30),
            ) {
                let fields = Fields::new(&body);
                for kind in [b'C', b'V', b'M', 0] {
                    if let Some(value) = fields.field(kind) {
                        prop_assert!(value.len() + 2 <= body.len() && !value.contains(&0));
                    }
                }
                let _ = (fields.code(), fields.message(), fields.is_fatal());
            }

            #[test]
            fn what_is_written_is_read(message in "[^\\x00]{0,20}", detail in prop::option::of("[^\\x00]{0,20}")) {
                let mut out = BytesMut::new();
                let mut written = Diagnostic::fatal(SqlState::PROTOCOL_VIOLATION, message.clone());
                written.detail = detail.clone();
                backend::diagnostic(&mut out, &written);
                let fields = Fields::new(&out[frame::HEADER_BYTES..]);
                prop_assert_eq!(fields.code(), Some(SqlState::PROTOCOL_VIOLATION));
                prop_assert_eq!(fields.message(), message);
                prop_assert_eq!(fields.field(b'D'), detail.as_deref().map(str::as_bytes));
                prop_assert!(fields.is_fatal());
            }
        }
    }
}
