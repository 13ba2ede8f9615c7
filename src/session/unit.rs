//! The unit of commit that is under way: a Query, or everything up to Sync.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::prepared::Prepared;
use crate::map::ShardId;
use crate::wire::Diagnostic;

/// Frames of a unit are kept for another try up to this many bytes; a longer unit is not tried again.
pub const REPLAY_BYTES: usize = 64 << 10;

/// How often a unit of reads is tried when its servers are lost.
pub const TRIES: u32 = 5;

/// Why a session's loop leaves what it was doing.
#[derive(Debug)]
pub enum Break {
    /// The client is gone, or said goodbye, or can only be dropped.
    Gone,
    /// The client is told, then closed.
    Fatal(Box<Diagnostic>),
    /// Nothing of the unit reached the client and all of it are reads: it runs again from its first frame.
    Rerun,
}

/// The outcome of everything that may break off.
pub type Flow<T = ()> = Result<T, Break>;

/// A message that waits for its server to be known.
#[derive(Clone, Debug)]
pub enum Deferred {
    /// A Parse of the client.
    Parse {
        /// Its number in the unit.
        seq: u32,
        /// Whether it is the unnamed statement.
        unnamed: bool,
        /// The statement.
        statement: Arc<Prepared>,
    },
    /// An answer of ours that must come behind the replies of what waits before it.
    Answer(Bytes),
}

/// What happens when the unit has succeeded.
#[derive(Clone, Debug)]
pub enum Effect {
    /// A statement that changed settings: servers that join later run it, too.
    Setting(Arc<str>),
    /// RESET of one name, or of all.
    Reset(Option<String>),
    /// DISCARD ALL: nothing of the session is left.
    DiscardAll,
    /// All prepared statements are gone from the servers.
    DeallocateAll,
    /// The schema may have changed.
    SchemaChanged,
}

/// The unit of commit that is under way.
#[derive(Debug, Default)]
pub struct Unit {
    /// The client's frames so far, for another try.
    pub raw: BytesMut,
    /// A frame of it was taken.
    pub open: bool,
    /// Number of the client's message.
    pub seq: u32,
    /// Something other than a proven read outside a transaction block is in it, or it is too long to be kept.
    pub once: bool,
    /// The reply to COMMIT, to an autocommit write or to the Sync behind one may be lost: nobody can say what happened.
    pub committing: bool,
    /// An Execute is in it.
    pub executed: bool,
    /// Messages are discarded until Sync.
    pub skip: bool,
    /// An error was reported.
    pub failed: bool,
    /// Sync was read, or it is a Query: when all replies are there the unit ends.
    pub ending: bool,
    /// Messages that wait for their server.
    pub deferred: Vec<Deferred>,
    /// The shard (and whether its primary) whose replies come now.
    pub active: Option<(ShardId, bool)>,
    /// What follows from its success.
    pub effects: Vec<Effect>,
    /// Says that this unit is under way ([`crate::exec::Database::generation`]).
    pub generation: Option<Arc<()>>,
    /// How often it was begun again.
    pub tries: u32,
    /// Reads go to the primary: a replica said that it cannot run them.
    pub on_primary: bool,
    /// It made the session keep its servers, by nothing that outlives its failure.
    pub pinned: bool,
    /// The hash of the text of its last statement, for what replicas refuse.
    pub text_hash: u64,
    /// How many statements of it were refused or run by us alone.
    pub members_end: Option<&'static str>,
}

impl Unit {
    /// A new unit in place of this one; buffers that grew are given back.
    pub fn reset(&mut self) {
        let raw = std::mem::take(&mut self.raw);
        let mut deferred = std::mem::take(&mut self.deferred);
        let mut effects = std::mem::take(&mut self.effects);
        deferred.clear();
        effects.clear();
        *self = Unit { raw, deferred, effects, ..Unit::default() };
        if self.raw.capacity() > 4096 {
            self.raw = BytesMut::new();
        }
        self.raw.clear();
    }

    /// Keeps a frame for another try, while that may come.
    pub fn keep(&mut self, frame: &[u8]) {
        if self.once {
            return;
        }
        if self.raw.len() + frame.len() > REPLAY_BYTES {
            self.once = true;
            self.raw = BytesMut::new();
            return;
        }
        self.raw.extend_from_slice(frame);
    }
}
