//! Where a client's transaction block stands.
//!
//! BEGIN is deferred: we answer it ourselves and open the block on a server with the first statement, because only then is
//! the shard known. What a block has seen so far that a later server must see, too (BEGIN with its modes, savepoints, SET
//! LOCAL) is kept as its prelude, in order, as the client wrote it.

use std::sync::Arc;

use crate::sql::analysis::{Isolation, TxModes};

/// The most statements a prelude may hold.
pub const PRELUDE: usize = 1000;

/// An open transaction block.
#[derive(Clone, Debug)]
pub struct Tx {
    /// Its modes as far as they were said.
    pub modes: TxModes,
    /// What each server that joins must run first.
    pub prelude: Vec<Arc<str>>,
    /// The block failed: everything but its end is refused with 25P02.
    pub failed: bool,
    /// A server of the block is gone: not even ROLLBACK TO helps.
    pub lost: bool,
    /// The client has not been told yet that a server is gone.
    pub untold: bool,
    /// It was opened within a string of several statements, so its prelude is not known: no second shard may join.
    pub opaque: bool,
    /// Some server of it may have written.
    pub wrote: bool,
    /// The savepoints that stand, innermost last, folded.
    savepoints: Vec<String>,
}

impl Tx {
    /// A block opened by `begin`, the client's own text.
    pub fn begin(begin: &str, modes: TxModes) -> Tx {
        Tx {
            modes,
            prelude: vec![begin.into()],
            failed: false,
            lost: false,
            untold: false,
            opaque: false,
            wrote: false,
            savepoints: Vec::new(),
        }
    }

    /// A block that a string of several statements opened on one server.
    pub fn opaque(failed: bool) -> Tx {
        Tx {
            modes: TxModes::default(),
            prelude: Vec::new(),
            failed,
            lost: false,
            untold: false,
            opaque: true,
            wrote: true,
            savepoints: Vec::new(),
        }
    }

    /// What ReadyForQuery says of it.
    pub fn status(&self) -> u8 {
        if self.failed { b'E' } else { b'T' }
    }

    /// Whether all of it may run on replicas. A standby refuses SERIALIZABLE.
    pub fn on_replica(&self) -> bool {
        self.modes.read_only == Some(true) && self.modes.isolation != Some(Isolation::Serializable)
    }

    /// Whether it promises one snapshot for all its statements, which no second shard can keep.
    pub fn one_snapshot(&self) -> bool {
        matches!(self.modes.isolation, Some(Isolation::RepeatableRead | Isolation::Serializable))
    }

    /// SAVEPOINT.
    pub fn savepoint(&mut self, name: &str) {
        self.savepoints.push(name.to_owned());
    }

    /// RELEASE; whether there is such a savepoint.
    #[must_use]
    pub fn release(&mut self, name: &str) -> bool {
        let at = self.savepoints.iter().rposition(|known| known == name);
        at.inspect(|at| self.savepoints.truncate(*at)).is_some()
    }

    /// ROLLBACK TO; whether there is such a savepoint. It stays.
    #[must_use]
    pub fn roll_back_to(&mut self, name: &str) -> bool {
        let at = self.savepoints.iter().rposition(|known| known == name);
        at.inspect(|at| self.savepoints.truncate(*at + 1)).is_some()
    }

    /// The same block begun anew (AND CHAIN): its modes stay.
    pub fn chain(&self) -> Tx {
        let prelude = self.prelude.iter().take(1).cloned().collect();
        Tx { prelude, failed: false, lost: false, untold: false, wrote: false, savepoints: Vec::new(), ..self.clone() }
    }

    /// Adds a statement that later servers must run, too. `false` when there are too many.
    #[must_use]
    pub fn remember(&mut self, text: &str) -> bool {
        if self.prelude.len() >= PRELUDE {
            return false;
        }
        self.prelude.push(text.into());
        true
    }

    /// Takes in the modes of SET TRANSACTION, later words winning.
    pub fn set_modes(&mut self, text: &str) {
        let folded = text.to_ascii_lowercase();
        let words: Vec<&str> =
            folded.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            match pair {
                ["read", "only"] => self.modes.read_only = Some(true),
                ["read", "write"] => self.modes.read_only = Some(false),
                ["repeatable", "read"] => self.modes.isolation = Some(Isolation::RepeatableRead),
                ["read", "committed" | "uncommitted"] => self.modes.isolation = Some(Isolation::ReadCommitted),
                ["level", "serializable"] => self.modes.isolation = Some(Isolation::Serializable),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_of_set_transaction() {
        let mut tx = Tx::begin("BEGIN", TxModes::default());
        assert!(!tx.on_replica());
        tx.set_modes("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
        assert_eq!(tx.modes, TxModes { read_only: Some(true), isolation: Some(Isolation::RepeatableRead) });
        assert!(tx.on_replica() && tx.one_snapshot());
        tx.set_modes("set transaction isolation level serializable");
        assert!(!tx.on_replica());
    }

    #[test]
    fn savepoints_nest() {
        let mut tx = Tx::begin("BEGIN", TxModes::default());
        ["a", "b", "a", "c"].iter().for_each(|name| tx.savepoint(name));
        assert!(tx.roll_back_to("a"));
        assert!(!tx.roll_back_to("c"));
        assert!(tx.release("a"));
        assert!(tx.release("b"));
        assert!(tx.release("a"));
        assert!(!tx.release("a"));
    }

    #[test]
    fn a_prelude_is_bounded() {
        let mut tx = Tx::begin("BEGIN", TxModes::default());
        assert!((1..PRELUDE).all(|n| tx.remember(&format!("SAVEPOINT s{n}"))));
        assert!(!tx.remember("SAVEPOINT one_too_many"));
    }
}
