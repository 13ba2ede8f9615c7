//! Reading whole messages while little is expected: log-ins and hand-shakes.
//!
//! The session's pumps do not use this: they stream frames larger than their buffer. Here a frame that is larger than a
//! bound is an error.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::wire::frame::{self, HEADER_BYTES, Malformed};

/// How much room a read gets.
const READ_BYTES: usize = 1024;

/// One whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The message type.
    pub tag: u8,
    /// Its body.
    pub body: Bytes,
}

/// Why no whole message came.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side closed the connection.
    #[error("connection closed by the other side")]
    Closed,
    /// The socket failed.
    #[error("socket failed")]
    Io(#[from] io::Error),
    /// What came is not of the protocol.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A message longer than is taken here.
    #[error("message of {bytes} bytes is longer than the {max} bytes allowed here")]
    TooLong {
        /// Bytes of its body.
        bytes: usize,
        /// The most allowed.
        max: usize,
    },
}

/// Reads one message whose body has at most `max` bytes. Bytes behind it stay in `buf`; a cancelled read loses nothing.
///
/// # Errors
/// Every [`FrameError`].
pub async fn read_frame<R>(stream: &mut R, buf: &mut BytesMut, max: usize) -> Result<Frame, FrameError>
where
    R: AsyncRead + Unpin,
{
    loop {
        if let Some(header) = frame::peek(buf)? {
            if header.body_bytes > max {
                return Err(FrameError::TooLong { bytes: header.body_bytes, max });
            }
            if buf.len() >= header.frame_bytes() {
                let body = buf.split_to(header.frame_bytes()).split_off(HEADER_BYTES).freeze();
                return Ok(Frame { tag: header.tag, body });
            }
        }
        fill(stream, buf).await?;
    }
}

/// Reads what there is, at least one byte, to the end of `buf`.
///
/// # Errors
/// [`FrameError::Closed`] and [`FrameError::Io`].
pub async fn fill<R>(stream: &mut R, buf: &mut BytesMut) -> Result<(), FrameError>
where
    R: AsyncRead + Unpin,
{
    buf.reserve(READ_BYTES);
    match stream.read_buf(buf).await? {
        0 => Err(FrameError::Closed),
        _ => Ok(()),
    }
}

/// Writes all of `out`, flushes, and leaves `out` empty.
///
/// # Errors
/// What the socket says.
pub async fn send<W>(stream: &mut W, out: &mut BytesMut) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    stream.write_all_buf(out).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn torn_frames_and_what_lies_behind_them() {
        let mut torn = one_by_one(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I");
        let mut buf = BytesMut::new();
        let frame = read_frame(&mut torn, &mut buf, 64).await.unwrap();
        assert_eq!((frame.tag, &frame.body[..]), (b'R', &[0, 0, 0, 0][..]));
        let frame = read_frame(&mut torn, &mut buf, 64).await.unwrap();
        assert_eq!((frame.tag, &frame.body[..]), (b'Z', &b"I"[..]));
        assert!(matches!(read_frame(&mut torn, &mut buf, 64).await, Err(FrameError::Closed)));
    }

    #[tokio::test]
    async fn bounds() {
        let read = async |bytes: &'static [u8]| read_frame(&mut &bytes[..], &mut BytesMut::new(), 8).await.unwrap_err();
        assert!(matches!(read(b"R\0\0\0\x0d").await, FrameError::TooLong { bytes: 9, max: 8 }));
        assert!(matches!(read(b"R\x7f\xff\xff\xff").await, FrameError::TooLong { .. }));
        assert!(matches!(read(b"R\0\0\0\x03").await, FrameError::Malformed(_)));
        assert!(matches!(read(b"R\0\0\0\x08abc").await, FrameError::Closed));
    }

    /// A reader that gives one byte at a time.
    fn one_by_one(bytes: &'static [u8]) -> impl AsyncRead + Unpin {
        struct OneByOne(&'static [u8]);
        impl AsyncRead for OneByOne {
            fn poll_read(
                mut self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
                buf: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<io::Result<()>> {
                if let Some((first, rest)) = self.0.split_first() {
                    buf.put_slice(&[*first]);
                    self.0 = rest;
                }
                std::task::Poll::Ready(Ok(()))
            }
        }
        OneByOne(bytes)
    }
}
