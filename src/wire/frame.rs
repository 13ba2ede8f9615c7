//! Framing: where one message ends and the next begins.
//!
//! A message is a tag byte and a big-endian `Int32` length that counts itself but not the tag. Start-up packets have no
//! tag and live in [`super::startup`].

/// Bytes of a tag and its length.
pub const HEADER_BYTES: usize = 5;

/// The head of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The message type.
    pub tag: u8,
    /// Bytes of the body: the length field less its own four.
    pub body_bytes: usize,
}

impl Header {
    /// Bytes of the whole frame, header included.
    pub fn frame_bytes(&self) -> usize {
        HEADER_BYTES + self.body_bytes
    }
}

/// A message that is not of the protocol. Reported as `08P01`; the connection it came on is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The length field is below four or above what a signed 32-bit length can hold.
    #[error("invalid message length {length} in message of type {tag:#04x}")]
    Length {
        /// The message type.
        tag: u8,
        /// The length field as it came.
        length: i32,
    },
    /// A body whose inner lengths do not add up.
    #[error("malformed {message} message")]
    Body {
        /// The protocol's name of the message.
        message: &'static str,
    },
    /// A message type the protocol does not have in this direction.
    #[error("invalid frontend message type {tag}")]
    Tag {
        /// The message type.
        tag: u8,
    },
    /// A start-up packet that cannot be read.
    #[error("invalid length of startup packet")]
    Startup,
}

/// Reads the header at the start of `buf`: `Ok(None)` when fewer than five bytes are there.
///
/// # Errors
/// [`Malformed::Length`] for a length that no message can have.
pub fn peek(buf: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some((tag, rest)) = buf.split_first() else { return Ok(None) };
    let Some(length) = rest.first_chunk::<4>() else { return Ok(None) };
    let length = i32::from_be_bytes(*length);
    if length < 4 {
        return Err(Malformed::Length { tag: *tag, length });
    }
    Ok(Some(Header { tag: *tag, body_bytes: length as usize - 4 }))
}

/// Cuts a cursor's worth of bytes off the front of `buf`; `None` when there are not enough.
pub(crate) fn take<'a>(buf: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = buf.split_at_checked(count)?;
    *buf = tail;
    Some(head)
}

/// Cuts a NUL-terminated string off the front of `buf`, without its NUL.
pub(crate) fn take_cstr<'a>(buf: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = buf.iter().position(|b| *b == 0)?;
    let text = &buf[..end];
    *buf = &buf[end + 1..];
    Some(text)
}

/// Cuts a big-endian `Int16` off the front of `buf`.
pub(crate) fn take_i16(buf: &mut &[u8]) -> Option<i16> {
    take(buf, 2).map(|b| i16::from_be_bytes([b[0], b[1]]))
}

/// Cuts a big-endian `Int32` off the front of `buf`.
pub(crate) fn take_i32(buf: &mut &[u8]) -> Option<i32> {
    take(buf, 4).map(|b| i32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        assert_eq!(peek(b""), Ok(None));
        assert_eq!(peek(b"Q\0\0\0"), Ok(None));
        assert_eq!(peek(b"S\0\0\0\x04"), Ok(Some(Header { tag: b'S', body_bytes: 0 })));
        assert_eq!(peek(b"S\0\0\0\x03"), Err(Malformed::Length { tag: b'S', length: 3 }));
        assert_eq!(peek(b"S\xff\xff\xff\xff"), Err(Malformed::Length { tag: b'S', length: -1 }));
    }

    mod properties {
        use bytes::{Buf, BytesMut};
        use proptest::prelude::*;

        use super::super::*;
        use crate::wire::backend;

        proptest! {
            #[test]
            fn any_bytes_have_a_header_or_none(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
                match peek(&bytes) {
                    Ok(None) => prop_assert!(bytes.len() < HEADER_BYTES),
                    Ok(Some(header)) => {
                        prop_assert_eq!(header.tag, bytes[0]);
                        let length = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
                        prop_assert_eq!(header.frame_bytes() as u64, u64::from(length) + 1);
                    }
                    Err(Malformed::Length { tag, length }) => {
                        prop_assert_eq!(tag, bytes[0]);
                        prop_assert!(length < 4);
                    }
                    Err(other) => prop_assert!(false, "{:?}", other),
                }
            }

            #[test]
            fn pieces_of_any_size_give_the_same_frames(
                frames in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..8),
                cuts in prop::collection::vec(1usize..20, 1..60),
            ) {
                let mut stream = BytesMut::new();
                for (tag, body) in &frames {
                    backend::frame(&mut stream, *tag, |out| out.extend_from_slice(body));
                }
                let (mut read, mut buf) = (Vec::new(), BytesMut::new());
                let mut cuts = cuts.iter().cycle();
                while !stream.is_empty() {
                    let piece = stream.split_to((*cuts.next().unwrap()).min(stream.len()));
                    buf.extend_from_slice(&piece);
                    while let Some(header) = peek(&buf).unwrap().filter(|header| buf.len() >= header.frame_bytes()) {
                        let mut frame = buf.split_to(header.frame_bytes());
                        frame.advance(HEADER_BYTES);
                        read.push((header.tag, frame.to_vec()));
                    }
                }
                prop_assert!(buf.is_empty());
                prop_assert_eq!(read, frames);
            }
        }
    }
}
