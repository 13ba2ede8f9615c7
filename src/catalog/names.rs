//! The words by which the catalog calls what the configuration knows as enums.

use crate::config::{
    Balancing, Consistency, FunctionDeclaration, Method, NodeRole, PoolMode, ReadFromPrimary, SslMode,
};

/// An enum with a word for each value.
pub(super) trait Named: Copy + PartialEq + 'static {
    /// What a value of it is, for errors.
    const WHAT: &'static str;
    /// Every value and its word.
    const WORDS: &'static [(Self, &'static str)];

    /// The word of this value.
    fn word(self) -> &'static str {
        let found = Self::WORDS.iter().find(|(value, _)| *value == self);
        found.map(|(_, word)| *word).expect("every value has a word")
    }

    /// The value of a word.
    fn of_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(value, _)| *value)
    }
}

impl Named for Consistency {
    const WHAT: &'static str = "consistency";
    const WORDS: &'static [(Self, &'static str)] =
        &[(Consistency::Eventual, "eventual"), (Consistency::Session, "session"), (Consistency::Primary, "primary")];
}

impl Named for PoolMode {
    const WHAT: &'static str = "pool_mode";
    const WORDS: &'static [(Self, &'static str)] =
        &[(PoolMode::Transaction, "transaction"), (PoolMode::Session, "session")];
}

impl Named for Balancing {
    const WHAT: &'static str = "balancing";
    const WORDS: &'static [(Self, &'static str)] = &[
        (Balancing::LeastConnections, "least_connections"),
        (Balancing::RoundRobin, "round_robin"),
        (Balancing::Weighted, "weighted"),
    ];
}

impl Named for ReadFromPrimary {
    const WHAT: &'static str = "read_from_primary";
    const WORDS: &'static [(Self, &'static str)] =
        &[(ReadFromPrimary::Fallback, "fallback"), (ReadFromPrimary::Always, "always")];
}

impl Named for FunctionDeclaration {
    const WHAT: &'static str = "declaration";
    const WORDS: &'static [(Self, &'static str)] = &[
        (FunctionDeclaration::ShardLocal, "shard_local"),
        (FunctionDeclaration::Home, "home"),
        (FunctionDeclaration::Any, "any"),
    ];
}

impl Named for Method {
    const WHAT: &'static str = "method";
    const WORDS: &'static [(Self, &'static str)] = &[(Method::Hash, "hash"), (Method::Range, "range")];
}

impl Named for NodeRole {
    const WHAT: &'static str = "role";
    const WORDS: &'static [(Self, &'static str)] = &[(NodeRole::Primary, "primary"), (NodeRole::Replica, "replica")];
}

impl Named for SslMode {
    const WHAT: &'static str = "sslmode";
    const WORDS: &'static [(Self, &'static str)] = &[
        (SslMode::Disable, "disable"),
        (SslMode::Prefer, "prefer"),
        (SslMode::Require, "require"),
        (SslMode::VerifyCa, "verify-ca"),
        (SslMode::VerifyFull, "verify-full"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_are_one_to_one<T: Named + std::fmt::Debug>(values: &[T]) {
        assert_eq!(values.len(), T::WORDS.len());
        for value in values {
            assert_eq!(T::of_word(value.word()), Some(*value));
        }
        assert_eq!(T::of_word("nonsense"), None);
    }

    #[test]
    fn every_value_has_its_word() {
        words_are_one_to_one(&[Consistency::Eventual, Consistency::Session, Consistency::Primary]);
        words_are_one_to_one(&[PoolMode::Transaction, PoolMode::Session]);
        words_are_one_to_one(&[Balancing::LeastConnections, Balancing::RoundRobin, Balancing::Weighted]);
        words_are_one_to_one(&[ReadFromPrimary::Fallback, ReadFromPrimary::Always]);
        words_are_one_to_one(&[FunctionDeclaration::ShardLocal, FunctionDeclaration::Home, FunctionDeclaration::Any]);
        words_are_one_to_one(&[Method::Hash, Method::Range]);
        words_are_one_to_one(&[NodeRole::Primary, NodeRole::Replica]);
        words_are_one_to_one(&[
            SslMode::Disable,
            SslMode::Prefer,
            SslMode::Require,
            SslMode::VerifyCa,
            SslMode::VerifyFull,
        ]);
    }
}
