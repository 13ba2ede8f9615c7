//! Moving bytes: one step in every direction that can move.

use std::future::poll_fn;
use std::task::{Context, Poll};

use super::Session;
use super::unit::{Break, Flow};

/// A server's buffer may grow to this while a message that must be looked at whole is on its way (an error).
const SERVER_FULL: usize = 2 << 20;

/// Which servers are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// None.
    Nothing,
    /// The one of this index.
    One(usize),
    /// All of them: the session is at rest and keeps them.
    All,
}

/// What a step brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// A server closed its connection, or it broke.
    pub lost: Option<usize>,
    /// The client closed its connection.
    pub client_closed: bool,
    /// Something moved.
    any: bool,
}

impl Session {
    /// Waits until something moved: bytes to the client, to servers, from those of `reading`, and from the client if
    /// `from_client` (and there is room).
    ///
    /// Cancel safe: bytes are either in a buffer or not read.
    pub(super) async fn io(&mut self, reading: Reading, from_client: bool) -> Flow<Moved> {
        poll_fn(|cx| self.poll_io(cx, reading, from_client)).await
    }

    fn poll_io(&mut self, cx: &mut Context<'_>, reading: Reading, from_client: bool) -> Poll<Flow<Moved>> {
        let mut moved = Moved::default();
        while !self.client.outbuf.is_empty() {
            match self.client.poll_write(cx) {
                Poll::Ready(Ok(_)) => moved.any = true,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Break::Gone)),
                Poll::Pending => break,
            }
        }
        if let Poll::Ready(Err(_)) = self.client.poll_flush(cx) {
            return Poll::Ready(Err(Break::Gone));
        }
        for index in 0..self.held.len() {
            self.poll_server(cx, index, reading, &mut moved);
        }
        // COPY data is put behind what waits for its server at once, so it is there that it piles up.
        let stuck = self.copying.and_then(|place| self.held_at(place));
        let stuck = stuck.is_some_and(|index| self.held[index].peek().outbuf.len() >= self.full);
        if from_client && !stuck && self.client.inbuf.len() < self.full.max(self.need_bytes) {
            match self.client.poll_read(cx) {
                Poll::Ready(Ok(0)) => {
                    moved.client_closed = true;
                    moved.any = true;
                }
                Poll::Ready(Ok(_)) => moved.any = true,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Break::Gone)),
                Poll::Pending => {}
            }
        }
        if moved.any { Poll::Ready(Ok(moved)) } else { Poll::Pending }
    }

    fn poll_server(&mut self, cx: &mut Context<'_>, index: usize, reading: Reading, moved: &mut Moved) {
        let client_full = self.client.outbuf.len() >= self.full;
        let conn = self.held[index].conn();
        while !conn.outbuf.is_empty() {
            match conn.poll_write(cx) {
                Poll::Ready(Ok(_)) => moved.any = true,
                Poll::Ready(Err(_)) => {
                    // What the server said before it closed may still be read; the read will tell.
                    conn.outbuf.clear();
                    moved.any = true;
                }
                Poll::Pending => break,
            }
        }
        let wanted = match reading {
            Reading::Nothing => false,
            Reading::One(one) => one == index,
            Reading::All => true,
        };
        if !wanted || client_full || conn.inbuf.len() >= SERVER_FULL {
            return;
        }
        match conn.poll_read(cx) {
            Poll::Ready(Ok(count)) if count > 0 => moved.any = true,
            Poll::Ready(_) => {
                moved.any = true;
                moved.lost = Some(index);
            }
            Poll::Pending => {}
        }
    }

    /// Writes everything that waits for the client.
    pub(super) async fn flush_client(&mut self) -> Flow {
        while !self.client.outbuf.is_empty() {
            self.io(Reading::Nothing, false).await?;
        }
        poll_fn(|cx| self.client.poll_flush(cx)).await.map_err(|_| Break::Gone)
    }
}
