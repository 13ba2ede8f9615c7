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
    /// Bytes were written since this was last cleared.
    pub wrote: bool,
    /// Bytes read and written since they were last counted.
    pub traffic: (u64, u64),
}

impl Client {
    /// An authenticated client; `leftover` came behind its log-in.
    pub fn new(stream: Stream, leftover: BytesMut) -> Client {
        Client { stream, inbuf: leftover, outbuf: BytesMut::new(), wrote: false, traffic: (0, 0) }
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
            self.wrote |= *count > 0;
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
