//! The packets before the first ordinary message: they have a length but no tag.
//!
//! PostgreSQL manual, "Message Formats": StartupMessage, SSLRequest, GSSENCRequest, CancelRequest.

use super::frame::{Malformed, take_cstr, take_i32};

/// The longest start-up packet PostgreSQL takes (`MAX_STARTUP_PACKET_LENGTH`), length field included.
pub const MAX_BYTES: usize = 10_000;

/// The first packet of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// The client asks for TLS; answered `S` or `N`.
    SslRequest,
    /// The client asks for GSSAPI encryption; answered `N`.
    GssEncRequest,
    /// Cancel what the session with this key runs.
    Cancel {
        /// The process id we gave in BackendKeyData.
        process_id: u32,
        /// The secret we gave with it.
        secret: u32,
    },
    /// The session begins.
    Startup(Startup),
}

/// A StartupMessage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Startup {
    /// The minor version asked for (major is 3).
    pub minor: u16,
    /// Names and values in the order given. Options that begin with `_pq_.` included.
    pub params: Vec<(String, String)>,
}

impl Startup {
    /// The last value given for `name`.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Reads the packet at the start of `buf`; `Ok(None)` when it is not whole yet. With the packet comes how many bytes it took.
///
/// # Errors
/// [`Malformed::Startup`] for a length out of range, an unknown protocol or a body that does not add up. The version is
/// checked before the body is there, so that bytes of another protocol are refused at once.
pub fn read(buf: &[u8]) -> Result<Option<(Packet, usize)>, Malformed> {
    let mut rest = buf;
    let Some(length) = take_i32(&mut rest) else { return Ok(None) };
    let length = usize::try_from(length).map_err(|_| Malformed::Startup)?;
    if !(8..=MAX_BYTES).contains(&length) {
        return Err(Malformed::Startup);
    }
    let Some(code) = take_i32(&mut rest) else { return Ok(None) };
    let (major, minor) = ((code as u32 >> 16) as u16, code as u16);
    if major != 3 && !(major == 1234 && matches!(minor, 5678..=5680)) {
        return Err(Malformed::Startup);
    }
    if buf.len() < length {
        return Ok(None);
    }
    let mut body = &buf[8..length];
    let packet = match (major, minor) {
        (1234, 5679) if body.is_empty() => Packet::SslRequest,
        (1234, 5680) if body.is_empty() => Packet::GssEncRequest,
        (1234, 5678) if body.len() == 8 => Packet::Cancel {
            process_id: take_i32(&mut body).ok_or(Malformed::Startup)? as u32,
            secret: take_i32(&mut body).ok_or(Malformed::Startup)? as u32,
        },
        (3, _) => Packet::Startup(Startup { minor, params: read_params(body)? }),
        _ => return Err(Malformed::Startup),
    };
    Ok(Some((packet, length)))
}

fn read_params(mut body: &[u8]) -> Result<Vec<(String, String)>, Malformed> {
    let mut params = Vec::new();
    loop {
        let name = take_cstr(&mut body).ok_or(Malformed::Startup)?;
        if name.is_empty() {
            return if body.is_empty() { Ok(params) } else { Err(Malformed::Startup) };
        }
        let value = take_cstr(&mut body).ok_or(Malformed::Startup)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| Malformed::Startup);
        params.push((text(name)?, text(value)?));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        assert_eq!(read(b"\0\0\0\x08\x04\xd2\x16\x2f"), Ok(Some((Packet::SslRequest, 8))));
        assert_eq!(read(b"\0\0\0\x08\x04\xd2\x16\x30"), Ok(Some((Packet::GssEncRequest, 8))));
        assert_eq!(
            read(b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07\0\0\0\x09"),
            Ok(Some((Packet::Cancel { process_id: 7, secret: 9 }, 16)))
        );
        assert_eq!(read(b"\0\0\0\x08\x04\xd2"), Ok(None));
    }

    #[test]
    fn startup_parameters() {
        let packet = b"\0\0\0\x1c\0\x03\0\0user\0bob\0database\0d\0\0".to_vec();
        let mut packet = packet;
        let length = packet.len() as u32;
        packet[..4].copy_from_slice(&length.to_be_bytes());
        let Ok(Some((Packet::Startup(startup), taken))) = read(&packet) else { panic!("not a startup") };
        assert_eq!(taken, packet.len());
        assert_eq!((startup.param("user"), startup.param("database"), startup.minor), (Some("bob"), Some("d"), 0));
    }

    #[test]
    fn what_is_not_of_the_protocol_is_refused_at_once() {
        assert_eq!(read(b"GET / HTTP/1.1\r\n"), Err(Malformed::Startup));
        assert_eq!(read(b"\0\0\0\x07\0\x03\0\0"), Err(Malformed::Startup));
        assert_eq!(read(b"\0\0\0\x08\0\x02\0\0"), Err(Malformed::Startup));
        assert_eq!(read(b"\0\0\0\x09\0\x03\0\0x"), Err(Malformed::Startup));
    }

    mod properties {
        use bytes::BytesMut;
        use postgres_protocol::message::frontend;
        use proptest::prelude::*;

        use super::super::*;

        /// Bytes whose length and code are often right, so that the body is looked at.
        fn nearly_packets() -> impl Strategy<Value = Vec<u8>> {
            let code = prop_oneof![
                Just([0, 3, 0, 0]),
                Just([4, 0xd2, 0x16, 0x2e]),
                Just([4, 0xd2, 0x16, 0x2f]),
                Just([4, 0xd2, 0x16, 0x30]),
                any::<[u8; 4]>(),
            ];
            let byte = prop_oneof![3 => any::<u8>(), 2 => Just(0), 3 => b'a'..=b'c'];
            (code, prop::collection::vec(byte, 0..40), -3i32..4, prop::bool::weighted(0.1)).prop_map(
                |(code, body, off, wild)| {
                    let length = if wild { off } else { body.len() as i32 + 8 + off.max(0) };
                    [&length.to_be_bytes()[..], &code, &body].concat()
                },
            )
        }

        proptest! {
            #[test]
            fn any_bytes_are_a_packet_a_start_or_refused(bytes in nearly_packets(), behind in any::<[u8; 4]>()) {
                let verdict = read(&bytes);
                if let Ok(Some((_, taken))) = &verdict {
                    let length = i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                    prop_assert_eq!(*taken, length as usize);
                    prop_assert!(*taken <= bytes.len() && *taken <= MAX_BYTES);
                    // What lies behind the packet has no part in it.
                    prop_assert_eq!(read(&[&bytes[..*taken], &behind].concat()), verdict.clone());
                }
                // A shorter start of it may be undecided; it is never decided differently.
                for end in 0..bytes.len() {
                    let early = read(&bytes[..end]);
                    prop_assert!(early == Ok(None) || early == verdict, "{:?} then {:?}", early, verdict);
                }
            }

            #[test]
            fn what_a_client_sends_is_what_is_read(
                params in prop::collection::vec(("[a-z_.]{1,8}", "[^\\x00]{0,12}"), 0..6),
            ) {
                let mut packet = BytesMut::new();
                let pairs = params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                frontend::startup_message(pairs, &mut packet).unwrap();
                let length = packet.len();
                prop_assert_eq!(read(&packet), Ok(Some((Packet::Startup(Startup { minor: 0, params }), length))));
            }
        }
    }
}
