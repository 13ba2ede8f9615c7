//! The SQLSTATE codes pgweave itself reports.
//!
//! Only standard five-character codes (PostgreSQL manual, appendix "PostgreSQL Error Codes"), so that drivers classify
//! our errors as they classify the server's.

use std::fmt;

/// A five-character SQLSTATE.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// `00000`.
    pub const SUCCESSFUL_COMPLETION: SqlState = SqlState(*b"00000");
    /// `01000`.
    pub const WARNING: SqlState = SqlState(*b"01000");
    /// `08006`: the server was lost and nothing can have been committed.
    pub const CONNECTION_FAILURE: SqlState = SqlState(*b"08006");
    /// `08007`: the server was lost after a write or COMMIT was sent.
    pub const TRANSACTION_RESOLUTION_UNKNOWN: SqlState = SqlState(*b"08007");
    /// `08P01`: malformed message, or messages in the wrong order.
    pub const PROTOCOL_VIOLATION: SqlState = SqlState(*b"08P01");
    /// `0A000`: what cannot be proven right is refused.
    pub const FEATURE_NOT_SUPPORTED: SqlState = SqlState(*b"0A000");
    /// `22023`.
    pub const INVALID_PARAMETER_VALUE: SqlState = SqlState(*b"22023");
    /// `23502`.
    pub const NOT_NULL_VIOLATION: SqlState = SqlState(*b"23502");
    /// `23514`: a row whose key has no owner.
    pub const CHECK_VIOLATION: SqlState = SqlState(*b"23514");
    /// `25001`.
    pub const ACTIVE_SQL_TRANSACTION: SqlState = SqlState(*b"25001");
    /// `25006`.
    pub const READ_ONLY_SQL_TRANSACTION: SqlState = SqlState(*b"25006");
    /// `25P01`.
    pub const NO_ACTIVE_SQL_TRANSACTION: SqlState = SqlState(*b"25P01");
    /// `25P02`.
    pub const IN_FAILED_SQL_TRANSACTION: SqlState = SqlState(*b"25P02");
    /// `26000`.
    pub const INVALID_SQL_STATEMENT_NAME: SqlState = SqlState(*b"26000");
    /// `28000`.
    pub const INVALID_AUTHORIZATION: SqlState = SqlState(*b"28000");
    /// `28P01`.
    pub const INVALID_PASSWORD: SqlState = SqlState(*b"28P01");
    /// `34000`.
    pub const INVALID_CURSOR_NAME: SqlState = SqlState(*b"34000");
    /// `3B001`.
    pub const INVALID_SAVEPOINT: SqlState = SqlState(*b"3B001");
    /// `3D000`.
    pub const INVALID_CATALOG_NAME: SqlState = SqlState(*b"3D000");
    /// `40001`.
    pub const SERIALIZATION_FAILURE: SqlState = SqlState(*b"40001");
    /// `42501`.
    pub const INSUFFICIENT_PRIVILEGE: SqlState = SqlState(*b"42501");
    /// `42601`.
    pub const SYNTAX_ERROR: SqlState = SqlState(*b"42601");
    /// `42704`.
    pub const UNDEFINED_OBJECT: SqlState = SqlState(*b"42704");
    /// `42P01`.
    pub const UNDEFINED_TABLE: SqlState = SqlState(*b"42P01");
    /// `42P03`.
    pub const DUPLICATE_CURSOR: SqlState = SqlState(*b"42P03");
    /// `42P05`.
    pub const DUPLICATE_PREPARED_STATEMENT: SqlState = SqlState(*b"42P05");
    /// `53200`.
    pub const OUT_OF_MEMORY: SqlState = SqlState(*b"53200");
    /// `53300`.
    pub const TOO_MANY_CONNECTIONS: SqlState = SqlState(*b"53300");
    /// `54000`.
    pub const PROGRAM_LIMIT_EXCEEDED: SqlState = SqlState(*b"54000");
    /// `57014`.
    pub const QUERY_CANCELED: SqlState = SqlState(*b"57014");
    /// `57P01`.
    pub const ADMIN_SHUTDOWN: SqlState = SqlState(*b"57P01");
    /// `57P02`.
    pub const CRASH_SHUTDOWN: SqlState = SqlState(*b"57P02");
    /// `57P03`.
    pub const CANNOT_CONNECT_NOW: SqlState = SqlState(*b"57P03");
    /// `XX000`: a bug of ours.
    pub const INTERNAL_ERROR: SqlState = SqlState(*b"XX000");

    /// The code from its text, as a server sent it. `None` unless it is five bytes of upper-case ASCII or digits.
    pub fn parse(text: &[u8]) -> Option<SqlState> {
        let code: [u8; 5] = text.try_into().ok()?;
        code.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()).then_some(SqlState(code))
    }

    /// The five characters.
    pub fn as_str(&self) -> &str {
        // Both constructors admit ASCII only.
        std::str::from_utf8(&self.0).expect("a SQLSTATE is ASCII")
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
