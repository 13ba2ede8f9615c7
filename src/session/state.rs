//! What a session has changed for itself: pins, the log of its settings, and what it was told of its parameters.

use std::sync::Arc;

use crate::config::Consistency;
use crate::pool::server::digest_followed;
use crate::sql::Context;
use crate::sql::analysis::Hints;

/// The most entries the log of settings may hold.
pub const LOG: usize = 1000;

/// What a session has changed for itself.
pub struct State {
    /// The session keeps its servers until it ends (or DISCARD ALL).
    pub pinned: bool,
    /// Nothing but settings is why it is pinned, and RESET ALL undoes all of them.
    pub resettable: bool,
    /// Statements that changed settings, in order: a server that joins a pinned session runs them first.
    pub log: Vec<Arc<str>>,
    /// The search path may have changed since it was last asked for.
    pub path_unsure: bool,
    /// The temporary tables it has made, by bare name: they hide others.
    pub temporary: Vec<String>,
    /// Hints by `SET pgweave.…`.
    pub hints: Hints,
    /// `SET pgweave.consistency`.
    pub consistency: Option<Consistency>,
    /// How texts are to be read.
    pub context: Context,
    /// Whether the client's encoding is UTF8.
    pub utf8: bool,
    /// Whether the client's encoding is one in which no byte of a character can be taken for ASCII.
    pub ascii_safe: bool,
    /// The hash of all that an analysis depends on but the text and the schema.
    pub context_key: u64,
    /// What the client was last told of its parameters.
    pub reported: Arc<Vec<(String, String)>>,
    /// The digest of what it was told, as servers have it ([`crate::pool::server::digest_followed`]).
    pub followed: u64,
}

impl State {
    /// The state of a new session that was told `reported` and whose search path resolves to `search_path`.
    pub fn new(reported: Arc<Vec<(String, String)>>, search_path: Vec<String>) -> State {
        let mut state = State {
            pinned: false,
            resettable: false,
            log: Vec::new(),
            path_unsure: false,
            temporary: Vec::new(),
            hints: Hints::default(),
            consistency: None,
            context: Context { search_path, standard_conforming_strings: true },
            utf8: true,
            ascii_safe: true,
            context_key: 0,
            followed: digest_followed(&reported),
            reported,
        };
        state.refresh();
        state
    }

    /// Derives what depends on the parameters; to be called when they or the search path changed.
    pub fn refresh(&mut self) {
        let find = |name: &str| self.reported.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let encoding = find("client_encoding").unwrap_or("UTF8");
        self.utf8 = encoding == "UTF8";
        self.ascii_safe = !matches!(encoding, "SJIS" | "SHIFT_JIS_2004" | "BIG5" | "GBK" | "GB18030" | "UHC" | "JOHAB");
        self.context.standard_conforming_strings = find("standard_conforming_strings") != Some("off");
        use std::hash::{Hash, Hasher};
        // Within one process and per database: who the user is matters only through the search path ("$user").
        let mut hasher = siphasher::sip::SipHasher13::new();
        self.context.search_path.hash(&mut hasher);
        self.context.standard_conforming_strings.hash(&mut hasher);
        encoding.hash(&mut hasher);
        self.context_key = hasher.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_follows_the_parameters() {
        let told = |encoding: &str, strings: &str| {
            State::new(
                Arc::new(vec![
                    ("client_encoding".into(), encoding.into()),
                    ("standard_conforming_strings".into(), strings.into()),
                ]),
                vec!["public".into()],
            )
        };
        let (plain, sjis, off) = (told("UTF8", "on"), told("SJIS", "on"), told("UTF8", "off"));
        assert!(plain.utf8 && plain.ascii_safe && plain.context.standard_conforming_strings);
        assert!(!sjis.utf8 && !sjis.ascii_safe);
        assert!(!off.context.standard_conforming_strings);
        assert_ne!(plain.context_key, sjis.context_key);
        assert_ne!(plain.context_key, off.context_key);
    }
}
