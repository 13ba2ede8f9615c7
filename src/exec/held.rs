//! A server a session has taken, and the replies it still owes.
//!
//! Replies come in the order of requests, so a queue is enough to know which is which. Every reply has a fate before it
//! arrives: relayed, swallowed, or answered by us in its turn.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::map::{NodeId, ShardId};
use crate::pool::{Checkout, ServerConn, StatementId, Verdict};

/// What kind of exchange a reply belongs to; it says which message ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Ends with ParseComplete.
    Parse,
    /// Ends with BindComplete.
    Bind,
    /// Ends with CloseComplete.
    Close,
    /// ParameterDescription, then RowDescription or NoData.
    DescribeStatement,
    /// RowDescription or NoData.
    DescribePortal,
    /// Rows, then CommandComplete, EmptyQueryResponse or PortalSuspended.
    Execute,
    /// Function results, rows of several statements, …, then ReadyForQuery.
    Query,
    /// ReadyForQuery.
    Sync,
}

/// What becomes of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The client asked; it gets the reply.
    Relay,
    /// We asked, to make the server ready; the client sees only a failure.
    SwallowSuccess,
    /// We asked, and know what will come; the client sees nothing of it.
    Swallow,
    /// One of several servers that answer the same statement: rows are relayed; its description and its tag are kept
    /// ([`Held::description`], [`Held::completed`]).
    Part,
}

/// One entry of the queue.
#[derive(Clone, Debug)]
pub enum Expected {
    /// The server will answer.
    Server {
        /// The kind of exchange.
        reply: Reply,
        /// What becomes of it.
        fate: Fate,
        /// The number of the client's message in its unit that caused it.
        seq: u32,
        /// For a Parse: the statement, so that a failed one is not believed to be there.
        statement: Option<StatementId>,
    },
    /// Nobody was asked; the client gets this when its turn comes.
    Answer(Bytes),
}

impl Expected {
    /// An exchange that is no Parse.
    pub fn server(reply: Reply, fate: Fate, seq: u32) -> Expected {
        Expected::Server { reply, fate, seq, statement: None }
    }
}

/// A server that a session has, for a unit of commit or longer.
pub struct Held {
    /// Its shard.
    pub shard: ShardId,
    /// Its node.
    pub node: NodeId,
    /// Whether it was taken as a primary.
    pub primary: bool,
    checkout: Checkout,
    /// What it owes us.
    pub expected: VecDeque<Expected>,
    /// The status of its last ReadyForQuery: `I`, `T` or `E`.
    pub status: u8,
    /// Extended messages were sent since its last Sync.
    pub unsynced: bool,
    /// The client's transaction block was begun on it.
    pub begun: bool,
    /// Something other than a proven read ran on it in this unit.
    pub wrote: bool,
    /// Session state was left on it.
    pub dirty: bool,
    /// Session state was left on it that DISCARD ALL does not undo.
    pub stained: bool,
    /// Entries of the session's log of settings that were run on it.
    pub log_applied: usize,
    /// Bytes of a frame that is passing through without being held whole, and whether they are relayed.
    pub passing: (usize, bool),
    /// An error made it skip what comes before its Sync.
    pub skipping: bool,
    /// Its last exchange ended in an error, and its ReadyForQuery has not come yet.
    pub errored: bool,
    /// The RowDescription or NoData of a part, a whole frame.
    pub description: Option<Bytes>,
    /// The tag with which a part was completed; empty when its portal was suspended.
    pub completed: Option<Bytes>,
}

impl Held {
    /// A server fresh from its pool.
    pub fn new(shard: ShardId, node: NodeId, primary: bool, checkout: Checkout) -> Held {
        Held {
            shard,
            node,
            primary,
            checkout,
            expected: VecDeque::new(),
            status: b'I',
            unsynced: false,
            begun: false,
            wrote: false,
            dirty: false,
            stained: false,
            log_applied: 0,
            passing: (0, false),
            skipping: false,
            errored: false,
            description: None,
            completed: None,
        }
    }

    /// The connection.
    pub fn conn(&mut self) -> &mut ServerConn {
        self.checkout.conn()
    }

    /// The connection, to look at.
    pub fn peek(&self) -> &ServerConn {
        self.checkout.peek()
    }

    /// The pool it came from.
    pub fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    /// Whether nothing is under way on it: all replies came, nothing waits to be sent or looked at.
    pub fn is_quiet(&self) -> bool {
        let conn = self.checkout.peek();
        self.expected.is_empty()
            && !self.unsynced
            && self.passing.0 == 0
            && conn.inbuf.is_empty()
            && conn.outbuf.is_empty()
    }

    /// Whether it has failed and owes nothing but ReadyForQuery.
    pub fn skipping_to_ready(&self) -> bool {
        self.errored && self.expected.len() == 1
    }

    /// Gives the server back with the verdict its state deserves: only one that is provably idle and in sync lives on.
    pub fn release(self) {
        let verdict = match (self.is_quiet() && self.status == b'I', self.stained, self.dirty) {
            (true, false, false) => Verdict::Clean,
            (true, false, true) => Verdict::NeedsReset,
            _ => Verdict::Broken,
        };
        self.checkout.finish(verdict);
    }

    /// The checkout alone, for who only asks a question of its own.
    pub fn into_checkout(self) -> Checkout {
        self.checkout
    }

    /// Closes the server.
    pub fn close(self) {
        self.checkout.finish(Verdict::Broken);
    }
}
