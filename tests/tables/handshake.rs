//! Logging in to servers that are not PostgreSQL, or not well: scripted servers over a real socket.

use std::time::Duration;

use pgweave::config::{Secret, SslMode};
use pgweave::net::{Endpoint, tls};
use pgweave::pool::handshake::{self, ConnectError, Handshaken, Login};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::support::LIMIT;

const OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const KEY: &[u8] = b"K\0\0\0\x0c\0\0\0\x07\0\0\0\x09";
const READY: &[u8] = b"Z\0\0\0\x05I";

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

fn error(code: &str) -> Vec<u8> {
    frame(b'E', format!("SFATAL\0VFATAL\0C{code}\0Mno\0\0").as_bytes())
}

fn endpoint(port: u16, sslmode: SslMode) -> Endpoint {
    let tls = tls::connector(sslmode, None).unwrap();
    Endpoint { host: "127.0.0.1".to_owned(), port, sslmode, tls }
}

fn login() -> Login {
    Login { user: "bob".to_owned(), password: Some(Secret::new("x")), dbname: "d".to_owned(), params: Vec::new() }
}

/// Logs in to a server that reads the start-up packet, sends `answer` in pieces of `piece` bytes, and closes.
async fn against(answer: &[u8], piece: usize) -> Result<Handshaken, ConnectError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = async {
        let mut tcp = listener.accept().await.unwrap().0;
        tcp.set_nodelay(true).unwrap();
        read_packet(&mut tcp).await;
        for piece in answer.chunks(piece) {
            // The client may have seen enough already.
            if tcp.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let _ = tcp.shutdown().await;
        let mut scrap = Vec::new();
        let _ = tcp.read_to_end(&mut scrap).await;
    };
    let (endpoint, login) = (endpoint(port, SslMode::Disable), login());
    let connect = handshake::connect(&endpoint, &login, Instant::now() + LIMIT);
    tokio::pin!(server);
    tokio::select! {
        outcome = connect => outcome,
        () = &mut server => panic!("the server ended before the client"),
    }
}

async fn read_packet(tcp: &mut TcpStream) -> Vec<u8> {
    let length = tcp.read_u32().await.unwrap() as usize;
    let mut packet = vec![0; length - 4];
    tcp.read_exact(&mut packet).await.unwrap();
    packet
}

#[tokio::test]
async fn a_server_in_pieces() {
    let answer = [
        &frame(b'N', b"SNOTICE\0C00000\0Mhello\0\0")[..],
        OK,
        &frame(b'S', b"TimeZone\0UTC\0"),
        &frame(b'S', b"a\0b\0"),
        &frame(b'S', b"TimeZone\0GMT\0"),
        KEY,
        READY,
        b"N\0\0",
    ]
    .concat();
    for piece in [1, 2, 7, answer.len()] {
        let ready = against(&answer, piece).await.unwrap();
        assert_eq!((ready.process_id, ready.secret), (7, 9));
        let params: Vec<_> = ready.params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(params, [("TimeZone", "GMT"), ("a", "b")]);
        assert!(b"N\0\0".starts_with(&ready.leftover));
    }
}

#[tokio::test]
async fn what_a_server_refuses_with_says_whether_the_node_is_well() {
    for (code, about_node, auth) in [
        ("57P03", true, false),
        ("57P01", true, false),
        ("53300", false, false),
        ("3D000", false, false),
        ("28P01", false, true),
        ("28000", false, true),
    ] {
        for answer in [error(code), [OK, &error(code)].concat()] {
            let failure = against(&answer, 5).await.unwrap_err();
            assert_eq!(failure.is_about_node(), about_node, "{code}");
            let (ConnectError::Auth { code: seen, message } | ConnectError::Server { code: seen, message }) = &failure
            else {
                panic!("{failure:?}")
            };
            assert_eq!((seen.as_str(), message.as_str()), (code, "no"));
            assert_eq!(matches!(failure, ConnectError::Auth { .. }), auth);
        }
    }
}

#[tokio::test]
async fn what_is_not_of_the_protocol() {
    let many = (0..300).flat_map(|n| frame(b'S', format!("p{n}\0x\0").as_bytes())).collect::<Vec<u8>>();
    for answer in [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        b"R\0\0\0\x03".to_vec(),
        b"R\xff\xff\xff\xff".to_vec(),
        b"R\x7f\xff\xff\xff".to_vec(),
        b"D\0\0\0\x04".to_vec(),
        [OK, OK].concat(),
        [OK, b"Z\0\0\0\x05T"].concat(),
        [OK, b"K\0\0\0\x08\0\0\0\x07"].concat(),
        [OK, &frame(b'S', b"a\0b")].concat(),
        [OK, &many].concat(),
        frame(b'E', b"Mno\0\0"),
        frame(b'v', b"\0\x03\0\0\0\0\0\0"),
    ] {
        let failure = against(&answer, 64).await.unwrap_err();
        assert!(
            matches!(failure, ConnectError::Protocol { .. }),
            "{failure:?} for {:?}",
            &answer[..answer.len().min(20)]
        );
        assert!(failure.is_about_node());
    }
}

#[tokio::test]
async fn a_server_that_wants_what_we_cannot_or_will_not() {
    for answer in [
        frame(b'R', b"\0\0\0\x07"),
        frame(b'R', b"\0\0\0\x0aOTHER\0\0"),
        frame(b'R', b"\0\0"),
        frame(b'R', b"\0\0\0\x0br=abc"),
        // It began SCRAM and lets us in without having proven that it knows the password.
        [frame(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"), OK.to_vec()].concat(),
    ] {
        let failure = against(&answer, 64).await.unwrap_err();
        assert!(matches!(failure, ConnectError::Login(_)), "{failure:?}");
        assert!(!failure.is_about_node());
    }
}

#[tokio::test]
async fn a_server_that_breaks_off() {
    for answer in [&b""[..], b"R\0\0", OK, &[OK, KEY].concat()] {
        let failure = against(answer, 64).await.unwrap_err();
        assert!(matches!(failure, ConnectError::Unreachable(_)), "{failure:?}");
        assert!(failure.is_about_node());
    }
}

#[tokio::test]
async fn a_server_that_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for sslmode in [SslMode::Disable, SslMode::Require] {
        let deadline = Instant::now() + Duration::from_millis(50);
        let failure = handshake::connect(&endpoint(port, sslmode), &login(), deadline).await.unwrap_err();
        assert!(matches!(failure, ConnectError::Timeout { waited } if waited >= Duration::from_millis(49)));
    }
    let deadline = Instant::now() + Duration::from_millis(50);
    let failure = handshake::cancel(&endpoint(port, SslMode::Disable), 1, 2, deadline).await.unwrap_err();
    assert_eq!(failure.kind(), std::io::ErrorKind::TimedOut);
    drop(listener);
    let failure = handshake::connect(&endpoint(port, SslMode::Disable), &login(), Instant::now() + LIMIT).await;
    assert!(matches!(failure.unwrap_err(), ConnectError::Refused(_)));
}

/// Answers SSLRequest with `answer`, then behaves as a server without a password in the clear.
async fn tls_answer(sslmode: SslMode, answer: &'static [u8]) -> Result<Handshaken, ConnectError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let mut tcp = listener.accept().await.unwrap().0;
        assert_eq!(read_packet(&mut tcp).await, b"\x04\xd2\x16\x2f");
        tcp.write_all(answer).await.unwrap();
        // What follows is a start-up packet, a TLS hand-shake or the end.
        let mut first = [0; 4];
        if !answer.is_empty() && tcp.read_exact(&mut first).await.is_ok() && first[0] == 0 {
            let mut rest = vec![0; u32::from_be_bytes(first) as usize - 4];
            tcp.read_exact(&mut rest).await.unwrap();
            tcp.write_all(&[OK, KEY, READY].concat()).await.unwrap();
        }
        let _ = tcp.shutdown().await;
        let mut scrap = Vec::new();
        let _ = tcp.read_to_end(&mut scrap).await;
    });
    let outcome = handshake::connect(&endpoint(port, sslmode), &login(), Instant::now() + LIMIT).await;
    drop(server);
    outcome
}

#[tokio::test]
async fn answers_to_a_request_for_tls() {
    let ready = tls_answer(SslMode::Prefer, b"N").await.unwrap();
    assert!(!ready.stream.is_tls());
    assert!(matches!(tls_answer(SslMode::Require, b"N").await, Err(ConnectError::Tls(_))));
    for mode in [SslMode::Prefer, SslMode::Require] {
        assert!(matches!(tls_answer(mode, b"E").await, Err(ConnectError::Protocol { .. })));
        assert!(matches!(
            tls_answer(mode, b"").await,
            Err(ConnectError::Unreachable(_) | ConnectError::Timeout { .. })
        ));
        // Put behind the answer by someone in the middle: never taken for something the server said under TLS.
        let injected = tls_answer(mode, b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await;
        assert!(matches!(injected, Err(ConnectError::Tls(_))), "{injected:?}");
    }
}
