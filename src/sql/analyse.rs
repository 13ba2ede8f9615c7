//! From one statement's text to its [`Analysis`](super::Analysis).

/// What a statement's meaning depends on beside its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The schemas in which the session finds unqualified names, `"$user"` resolved, without the implicit `pg_catalog`.
    pub search_path: Vec<String>,
    /// The server's `standard_conforming_strings`.
    pub standard_conforming_strings: bool,
}
