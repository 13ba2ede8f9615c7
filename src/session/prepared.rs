//! The names a client gave: prepared statements and portals.
//!
//! Names are the client's own; servers know statements by names of ours. A name is recorded when its message is read,
//! because messages behind it in the pipeline use it, and taken back when the server says that the message failed or was
//! skipped.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::map::ShardId;
use crate::pool::StatementId;
use crate::sql::Analysis;
use crate::sql::analysis::Literal;

/// A prepared statement of a client.
#[derive(Debug)]
pub struct Prepared {
    /// The text in the client's encoding.
    pub text: Box<[u8]>,
    /// The parameter types the client fixed, four big-endian bytes each.
    pub type_oids: Box<[u8]>,
    /// What it asks.
    pub analysis: Arc<Analysis>,
    /// The literals of its text.
    pub literals: Box<[Literal]>,
    /// What servers know it by.
    pub id: StatementId,
    /// The context the analysis was made in; another one makes it stale.
    pub context: u64,
}

impl Prepared {
    /// The text, if it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.text).ok()
    }
}

/// Where a portal is.
#[derive(Clone, Debug)]
pub enum Portal {
    /// On one server.
    Direct {
        /// The shard, and whether its primary, whose held server has it.
        place: (ShardId, bool),
        /// Its statement.
        statement: Arc<Prepared>,
        /// The statement with its parameters written into it, when it changes settings that other shards may need.
        replay: Option<Arc<str>>,
    },
    /// On several servers.
    Scatter {
        /// The servers, in shard order.
        places: Vec<(ShardId, bool)>,
        /// The RowDescription (or NoData) that all of them gave.
        description: Bytes,
        /// The server whose rows are next; those before it are done.
        next: usize,
    },
    /// Nowhere: the statement is answered by us.
    Here {
        /// Its statement.
        statement: Arc<Prepared>,
        /// It ran already.
        done: bool,
    },
}

/// One change of a name, to be taken back when its message failed.
#[derive(Debug)]
struct Undo {
    seq: u32,
    name: Box<[u8]>,
    before: Option<Arc<Prepared>>,
}

/// All names of one client.
#[derive(Debug, Default)]
pub struct Names {
    statements: HashMap<Box<[u8]>, Arc<Prepared>>,
    undo: Vec<Undo>,
    portals: Vec<(Box<[u8]>, Portal)>,
}

impl Names {
    /// The statement of this name.
    pub fn statement(&self, name: &[u8]) -> Option<&Arc<Prepared>> {
        self.statements.get(name)
    }

    /// How many statements there are.
    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// Records a statement by the message `seq` of the unit.
    pub fn set(&mut self, seq: u32, name: &[u8], statement: Arc<Prepared>) {
        let before = self.statements.insert(name.into(), statement);
        self.undo.push(Undo { seq, name: name.into(), before });
    }

    /// Replaces a statement by the same one, analysed anew. Nothing to take back.
    pub fn refresh(&mut self, name: &[u8], statement: Arc<Prepared>) {
        if let Some(known) = self.statements.get_mut(name) {
            *known = statement;
        }
    }

    /// Removes a statement by the message `seq`. Whether it was there.
    pub fn remove(&mut self, seq: u32, name: &[u8]) -> bool {
        let Some(before) = self.statements.remove(name) else { return false };
        self.undo.push(Undo { seq, name: name.into(), before: Some(before) });
        true
    }

    /// Forgets all statements (DEALLOCATE ALL, DISCARD ALL).
    pub fn clear(&mut self) {
        self.statements.clear();
        self.undo.clear();
    }

    /// The message `seq` failed: what it and those behind it changed is taken back.
    pub fn roll_back(&mut self, seq: u32) {
        while self.undo.last().is_some_and(|undo| undo.seq >= seq) {
            let Some(undo) = self.undo.pop() else { return };
            // "An unnamed prepared statement lasts only until the next Parse statement specifying the unnamed statement as
            // destination is issued", whether that one succeeds or not.
            let replaced = undo.seq == seq && undo.name.is_empty();
            match undo.before.filter(|_| !replaced) {
                Some(statement) => self.statements.insert(undo.name, statement),
                None => self.statements.remove(&undo.name),
            };
        }
    }

    /// The unit is over: its changes stand.
    pub fn settle(&mut self) {
        self.undo.clear();
    }

    /// The portal of this name.
    pub fn portal(&self, name: &[u8]) -> Option<&Portal> {
        self.portals.iter().find(|(known, _)| **known == *name).map(|(_, portal)| portal)
    }

    /// The portal of this name, to change.
    pub fn portal_mut(&mut self, name: &[u8]) -> Option<&mut Portal> {
        self.portals.iter_mut().find(|(known, _)| **known == *name).map(|(_, portal)| portal)
    }

    /// Records a portal; one of the same name is replaced.
    pub fn set_portal(&mut self, name: &[u8], portal: Portal) {
        match self.portal_mut(name) {
            Some(known) => *known = portal,
            None => self.portals.push((name.into(), portal)),
        }
    }

    /// Forgets a portal.
    pub fn remove_portal(&mut self, name: &[u8]) -> Option<Portal> {
        let at = self.portals.iter().position(|(known, _)| **known == *name)?;
        Some(self.portals.swap_remove(at).1)
    }

    /// Forgets all portals: they live no longer than their transaction.
    pub fn clear_portals(&mut self) {
        self.portals.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::analysis::{Analysis, Body, Hints, Kind};

    fn statement(id: u128) -> Arc<Prepared> {
        let analysis = Analysis {
            kind: Kind::Empty,
            hints: Hints::default(),
            functions: Vec::new(),
            pin: None,
            may_write: false,
            body: Body::Tokens { names: Vec::new(), reason: String::new() },
        };
        Arc::new(Prepared {
            text: Box::default(),
            type_oids: Box::default(),
            analysis: Arc::new(analysis),
            literals: Box::default(),
            id: StatementId(id),
            context: 0,
        })
    }

    #[test]
    fn a_failed_parse_leaves_no_unnamed_statement() {
        let mut names = Names::default();
        names.set(1, b"", statement(1));
        names.settle();
        names.set(1, b"", statement(2));
        names.roll_back(1);
        assert!(names.statement(b"").is_none());
        names.set(1, b"", statement(3));
        names.settle();
        names.set(2, b"", statement(4));
        names.roll_back(1);
        assert_eq!(names.statement(b"").map(|s| s.id), Some(StatementId(3)), "one that was skipped replaced nothing");
    }

    #[test]
    fn what_a_failed_message_changed_is_taken_back() {
        let mut names = Names::default();
        names.set(1, b"a", statement(1));
        names.settle();
        names.set(1, b"b", statement(2));
        assert!(names.remove(2, b"a"));
        names.set(3, b"a", statement(3));
        names.roll_back(2);
        assert_eq!(names.statement(b"a").map(|s| s.id), Some(StatementId(1)));
        assert_eq!(names.statement(b"b").map(|s| s.id), Some(StatementId(2)));
        assert!(!names.remove(4, b"c"));
    }
}
