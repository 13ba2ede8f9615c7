//! The client's end of a session: its socket and what waits in either direction.

use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use crate::net::Stream;
use crate::pool::server::{poll_read, poll_write};
use crate::wire::{Diagnostic, backend};

/// The client's socket and buffers. At rest it holds no buffer at all.
pub struct Client {
    stream: Stream,
    /// Bytes that came and were not looked at yet.
    pub inbuf: BytesMut,
    /// Bytes that are to be sent.
    pub outbuf: BytesMut,
    /// Bytes written since the session began.
    written: u64,
    /// As `written` was, or will be, when everything before the unit has been written.
    mark: u64,
    /// Bytes read and written since they were last counted.
    pub traffic: (u64, u64),
}

impl Client {
    /// An authenticated client; `leftover` came behind its log-in.
    pub fn new(stream: Stream, leftover: BytesMut) -> Client {
        Client { stream, inbuf: leftover, outbuf: BytesMut::new(), written: 0, mark: 0, traffic: (0, 0) }
    }

    /// A unit begins: what waits now belongs to those before it.
    pub fn begin_unit(&mut self) {
        self.mark = self.written + self.outbuf.len() as u64;
    }

    /// Whether the client has got a byte of the unit.
    pub fn was_answered(&self) -> bool {
        self.written > self.mark
    }

    /// Takes back what waits of the unit, of which nothing was written.
    pub fn take_back(&mut self) {
        self.outbuf.truncate(self.mark.saturating_sub(self.written) as usize);
    }

    /// Sends what waits, and takes in up to `room` bytes, until the client is gone.
    ///
    /// Cancel safe: bytes are either in a buffer or not read.
    pub async fn until_gone(&mut self, room: usize) {
        std::future::poll_fn(|cx| self.poll_gone(cx, room)).await;
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<()> {
        while !self.outbuf.is_empty() {
            match self.poll_write(cx) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        if let Poll::Ready(Err(_)) = self.poll_flush(cx) {
            return Poll::Ready(());
        }
        while self.inbuf.len() < room {
            match self.poll_read(cx) {
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        Poll::Pending
    }

    /// Reads once. `Ready(Ok(0))` is the end of the stream.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let read = poll_read(&mut self.stream, cx, &mut self.inbuf);
        if let Poll::Ready(Ok(count)) = &read {
            self.traffic.0 += *count as u64;
        }
        read
    }

    /// Writes once.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let written = poll_write(&mut self.stream, cx, &mut self.outbuf);
        if let Poll::Ready(Ok(count)) = &written {
            self.written += *count as u64;
            self.traffic.1 += *count as u64;
        }
        written
    }

    /// Pushes what TLS may still hold onto the socket.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        use tokio::io::AsyncWrite;
        match &self.stream {
            Stream::Tls(_) => std::pin::Pin::new(&mut self.stream).poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Gives buffers back that hold nothing.
    pub fn rest(&mut self) {
        if self.inbuf.is_empty() {
            self.inbuf = BytesMut::new();
        }
        if self.outbuf.is_empty() {
            self.outbuf = BytesMut::new();
        }
    }
}

/// An ErrorResponse (or notice) as bytes, to wait in a queue.
pub fn diagnostic(diagnostic: &Diagnostic) -> Bytes {
    let mut bytes = BytesMut::new();
    backend::diagnostic(&mut bytes, diagnostic);
    bytes.freeze()
}
