//! Clients on their way in, packet by packet over a real socket: what PostgreSQL allows, and what is no protocol at all.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pgweave::auth::Users;
use pgweave::config::{AuthMethod, Secret, ServerTls, User};
use pgweave::net::{framed, tls};
use pgweave::session::{Accepted, StartupError, StartupSettings, startup};
use pgweave::wire::backend;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::support::{Frame, LIMIT, Raw};

const SSL_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";
const GSS_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x30";
const CANCEL: &[u8] = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07\0\0\0\x09";

fn settings(method: AuthMethod) -> StartupSettings {
    let bob = User {
        name: "bob".to_owned(),
        password: Some(Secret::new("secret")),
        scram: None,
        pool_mode: None,
        may_bypass_routing: false,
        admin: false,
    };
    StartupSettings {
        tls: None,
        tls_required: false,
        method,
        users: Arc::new(Users::new(&[bob], [1; 32]).unwrap()),
        throttle: Arc::default(),
        timeout: LIMIT,
    }
}

fn with_tls(method: AuthMethod) -> StartupSettings {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = std::env::temp_dir().join(format!("pgweave-startup-{:016x}", rand::random::<u64>()));
    std::fs::create_dir(&dir).unwrap();
    let files = ServerTls { cert: dir.join("cert.pem"), key: dir.join("key.pem"), required: false };
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let acceptor = tls::acceptor(&files).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    StartupSettings { tls: Some(acceptor), ..settings(method) }
}

type Verdict = JoinHandle<Result<Accepted, StartupError>>;

/// Takes one client in: the port to connect to, and what became of it. A client that got in is told ReadyForQuery.
async fn door(settings: StartupSettings) -> (u16, Verdict) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let verdict = tokio::spawn(async move {
        let mut accepted = startup::accept(listener.accept().await.unwrap().0, &settings).await;
        if let Ok(Accepted::Client(client)) = &mut accepted {
            let mut out = BytesMut::new();
            backend::ready_for_query(&mut out, b'I');
            framed::send(&mut client.stream, &mut out).await.unwrap();
        }
        accepted
    });
    (port, verdict)
}

/// A StartupMessage of this minor version.
fn packet(minor: u8, params: &[(&str, &str)]) -> Vec<u8> {
    let mut body = vec![0, 3, 0, minor];
    for text in params.iter().flat_map(|(name, value)| [name, value]) {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    let mut packet = (body.len() as u32 + 4).to_be_bytes().to_vec();
    packet.append(&mut body);
    packet
}

/// What a client that sends `bytes`, and then nothing more, is told, and what we say of it.
async fn told(settings: StartupSettings, bytes: &[u8]) -> (Vec<Frame>, Result<Accepted, StartupError>) {
    let (port, verdict) = door(settings).await;
    let mut raw = Raw::connect(port).await;
    raw.send(bytes).await;
    raw.half_close().await;
    let frames = raw.until_closed().await;
    (frames, verdict.await.unwrap())
}

/// The SQLSTATE with which `bytes` are turned away.
async fn code(settings: StartupSettings, bytes: &[u8]) -> String {
    let (frames, verdict) = told(settings, bytes).await;
    verdict.unwrap_err();
    let [error] = &frames[..] else { panic!("one answer: {frames:?}") };
    assert_eq!((error.tag, error.field(b'V').as_deref()), (b'E', Some("FATAL")));
    error.field(b'C').unwrap()
}

#[tokio::test]
async fn what_is_not_of_the_protocol_is_told_so() {
    let mut long = packet(0, &[("user", &"x".repeat(10_000))]);
    for garbage in [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0\0\0\0\0\x03\0\0",
        b"\0\0\0\x07\0\x03\0\0",
        b"\xff\xff\xff\xff\0\x03\0\0",
        b"\x7f\xff\xff\xff\0\x03\0\0",
        b"\0\0\0\x08\0\x02\0\0",
        b"\0\0\0\x08\0\x04\0\0",
        b"\0\0\0\x09\0\x03\0\0x",
        b"\0\0\0\x0e\0\x03\0\0user\0x",
        b"\0\0\0\x09\x04\xd2\x16\x2fx",
        b"\0\0\0\x0c\x04\xd2\x16\x2e\0\0\0\x07",
        &[SSL_REQUEST, b"\0\0\0\x08\x04\xd2\x16\x2f"].concat(),
        &std::mem::take(&mut long),
        &vec![0xff; 100_000],
    ] {
        assert_eq!(
            code(settings(AuthMethod::Trust), garbage).await,
            "08P01",
            "{:?}",
            &garbage[..garbage.len().min(20)]
        );
    }
}

#[tokio::test]
async fn what_is_refused_by_name() {
    let refused = async |params: &[(&str, &str)]| code(settings(AuthMethod::Trust), &packet(0, params)).await;
    assert_eq!(refused(&[]).await, "28000");
    assert_eq!(refused(&[("user", ""), ("database", "d")]).await, "28000");
    assert_eq!(refused(&[("user", "eve")]).await, "28000");
    assert_eq!(refused(&[("user", "bob"), ("replication", "database")]).await, "0A000");
    assert_eq!(refused(&[("user", "bob"), ("replication", "on")]).await, "0A000");
    assert_eq!(refused(&[("user", "bob"), ("replication", "maybe")]).await, "22023");
    let required = StartupSettings { tls_required: true, ..with_tls(AuthMethod::Trust) };
    assert_eq!(code(required, &packet(0, &[("user", "bob")])).await, "28000");
}

#[tokio::test]
async fn who_goes_away_is_no_error_to_tell() {
    for bytes in [&b""[..], b"\0", b"\0\0\0\x1c\0\x03", &packet(0, &[("user", "bob")])[..15]] {
        let (frames, verdict) = told(settings(AuthMethod::Scram), bytes).await;
        assert_eq!(frames, []);
        assert!(matches!(verdict, Err(StartupError::Gone)));
    }
    // psql leaves like this to ask for a password.
    let (frames, verdict) = told(settings(AuthMethod::Scram), &packet(0, &[("user", "bob")])).await;
    assert_eq!(frames.iter().map(|frame| frame.tag).collect::<Vec<_>>(), b"R");
    assert!(matches!(verdict, Err(StartupError::Gone)));
}

#[tokio::test]
async fn who_says_nothing_is_closed_at_the_deadline() {
    let quick = |method| StartupSettings { timeout: Duration::from_millis(50), ..settings(method) };
    for bytes in [&b""[..], b"\0\0\0\x1c\0\x03", &packet(0, &[("user", "bob")])] {
        let (port, verdict) = door(quick(AuthMethod::Scram)).await;
        let mut raw = Raw::connect(port).await;
        raw.send(bytes).await;
        assert!(raw.until_closed().await.iter().all(|frame| frame.tag == b'R'));
        assert!(matches!(verdict.await.unwrap(), Err(StartupError::Timeout)));
    }
    // In the middle of the TLS hand-shake, too.
    let (port, verdict) =
        door(StartupSettings { tls: with_tls(AuthMethod::Trust).tls, ..quick(AuthMethod::Trust) }).await;
    let mut raw = Raw::connect(port).await;
    raw.send(SSL_REQUEST).await;
    assert_eq!(raw.byte().await, Some(b'S'));
    raw.send(b"\x16\x03\x01").await;
    assert_eq!(raw.until_closed().await, []);
    assert!(matches!(verdict.await.unwrap(), Err(StartupError::Timeout)));
}

#[tokio::test]
async fn a_request_to_cancel() {
    for settings in [settings(AuthMethod::Scram), StartupSettings { tls_required: true, ..with_tls(AuthMethod::Scram) }]
    {
        let (port, verdict) = door(settings).await;
        let mut raw = Raw::connect(port).await;
        raw.send(CANCEL).await;
        let accepted = verdict.await.unwrap().unwrap();
        assert!(matches!(accepted, Accepted::Cancel { process_id: 7, secret: 9, .. }));
        // Closed only when the request has been carried out.
        assert!(raw.is_silent(Duration::from_millis(20)).await);
        drop(accepted);
        assert_eq!(raw.frame().await, None);
    }
}

#[tokio::test]
async fn requests_for_encryption_in_every_order() {
    for (requests, answers) in [
        (&[SSL_REQUEST][..], &b"N"[..]),
        (&[GSS_REQUEST], b"N"),
        (&[GSS_REQUEST, SSL_REQUEST], b"NN"),
        (&[SSL_REQUEST, GSS_REQUEST], b"NN"),
    ] {
        let (port, verdict) = door(settings(AuthMethod::Trust)).await;
        let mut raw = Raw::connect(port).await;
        for (request, answer) in requests.iter().zip(answers) {
            raw.send(request).await;
            assert_eq!(raw.byte().await, Some(*answer));
        }
        raw.send(&packet(0, &[("user", "bob")])).await;
        raw.until_ready().await;
        let Accepted::Client(client) = verdict.await.unwrap().unwrap() else { panic!("not a client") };
        assert!(!client.stream.is_tls());
    }
    for request in [SSL_REQUEST, GSS_REQUEST] {
        let (port, verdict) = door(settings(AuthMethod::Trust)).await;
        let mut raw = Raw::connect(port).await;
        raw.send(request).await;
        assert_eq!(raw.byte().await, Some(b'N'));
        raw.send(request).await;
        assert_eq!(raw.frame().await.unwrap().field(b'C').as_deref(), Some("08P01"));
        verdict.await.unwrap().unwrap_err();
    }
}

#[tokio::test]
async fn bytes_in_the_clear_behind_a_request_for_encryption_are_refused() {
    let behind = packet(0, &[("user", "bob")]);
    for settings in [settings(AuthMethod::Trust), with_tls(AuthMethod::Trust)] {
        let (frames, verdict) = told(settings, &[SSL_REQUEST, &behind[..]].concat()).await;
        assert_eq!(frames[0].field(b'C').as_deref(), Some("08P01"));
        assert!(matches!(verdict, Err(StartupError::Injected)));
    }
    // What comes after our answer is the hand-shake, and a start-up packet is none.
    let (port, verdict) = door(with_tls(AuthMethod::Trust)).await;
    let mut raw = Raw::connect(port).await;
    raw.send(SSL_REQUEST).await;
    assert_eq!(raw.byte().await, Some(b'S'));
    raw.send(&behind).await;
    assert!(matches!(verdict.await.unwrap(), Err(StartupError::Tls(_))));
}

#[tokio::test]
async fn newer_protocols_and_options_are_talked_down() {
    let answer = async |minor: u8, params: &[(&str, &str)]| {
        let (port, verdict) = door(settings(AuthMethod::Trust)).await;
        let mut raw = Raw::connect(port).await;
        raw.send(&packet(minor, params)).await;
        let frames = raw.until_ready().await;
        let Accepted::Client(client) = verdict.await.unwrap().unwrap() else { panic!("not a client") };
        (frames.iter().map(|frame| (frame.tag, frame.body.clone())).collect::<Vec<_>>(), client)
    };
    let ok = (b'R', vec![0; 4]);
    let ready = (b'Z', b"I".to_vec());
    let (frames, _) = answer(0, &[("user", "bob")]).await;
    assert_eq!(frames, [ok.clone(), ready.clone()]);
    let (frames, client) = answer(2, &[("user", "bob")]).await;
    assert_eq!(frames, [(b'v', b"\0\x03\0\0\0\0\0\0".to_vec()), ok.clone(), ready.clone()]);
    assert_eq!(client.minor, 2);
    let (frames, client) = answer(0, &[("user", "bob"), ("_pq_.x", "1"), ("a", "b")]).await;
    assert_eq!(frames, [(b'v', b"\0\x03\0\0\0\0\0\x01_pq_.x\0".to_vec()), ok, ready]);
    assert_eq!(client.params, [("a".to_owned(), "b".to_owned())]);
}

#[tokio::test]
async fn what_is_pipelined_behind_the_startup_packet_is_kept() {
    let (port, verdict) = door(settings(AuthMethod::Trust)).await;
    let mut raw = Raw::connect(port).await;
    raw.send(&[&packet(0, &[("user", "bob")])[..], &Raw::query_frame("SELECT 1")].concat()).await;
    raw.until_ready().await;
    let Accepted::Client(client) = verdict.await.unwrap().unwrap() else { panic!("not a client") };
    assert_eq!(&client.leftover[..], Raw::query_frame("SELECT 1"));
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

fn initial(data: &[u8]) -> Vec<u8> {
    frame(b'p', &[b"SCRAM-SHA-256\0", &(data.len() as u32).to_be_bytes()[..], data].concat())
}

#[tokio::test]
async fn a_login_byte_by_byte() {
    let (port, verdict) = door(settings(AuthMethod::Scram)).await;
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let mut scram = ScramSha256::new(b"secret", ChannelBinding::unrequested());
    drip(&mut tcp, &packet(0, &[("user", "bob"), ("database", "d")])).await;
    let mut buf = BytesMut::new();
    let mut read = async |tcp: &mut TcpStream| framed::read_frame(tcp, &mut buf, 4096).await.unwrap();
    assert_eq!(&read(&mut tcp).await.body[..], b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    // The mechanism first, the message only when asked for it.
    drip(&mut tcp, &frame(b'p', b"SCRAM-SHA-256\0\xff\xff\xff\xff")).await;
    assert_eq!(&read(&mut tcp).await.body[..], b"\0\0\0\x0b");
    drip(&mut tcp, &frame(b'p', scram.message())).await;
    scram.update(&read(&mut tcp).await.body[4..]).unwrap();
    drip(&mut tcp, &frame(b'p', scram.message())).await;
    scram.finish(&read(&mut tcp).await.body[4..]).unwrap();
    assert_eq!(&read(&mut tcp).await.body[..], [0; 4]);
    let Accepted::Client(client) = verdict.await.unwrap().unwrap() else { panic!("not a client") };
    assert_eq!((client.user.as_str(), client.database.as_str()), ("bob", "d"));
}

async fn drip(tcp: &mut TcpStream, bytes: &[u8]) {
    for byte in bytes {
        tcp.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn messages_that_have_no_place_in_a_login() {
    let refused = async |message: &[u8]| {
        let (port, verdict) = door(settings(AuthMethod::Scram)).await;
        let mut raw = Raw::connect(port).await;
        raw.send(&packet(0, &[("user", "bob")])).await;
        assert_eq!(raw.frame().await.unwrap().tag, b'R');
        raw.send(message).await;
        let frames = raw.until_closed().await;
        drop(raw);
        verdict.await.unwrap().unwrap_err();
        frames.last().unwrap().field(b'C').unwrap()
    };
    for message in [
        Raw::query_frame("SELECT 1"),
        b"p\0\0\0\x03".to_vec(),
        b"p\xff\xff\xff\xff".to_vec(),
        b"p\x7f\xff\xff\xff".to_vec(),
        frame(b'p', &[b'x'; 1025]),
        frame(b'p', b"secret\0"),
        frame(b'p', b"SCRAM-SHA-256-PLUS\0\0\0\0\0"),
        frame(b'p', b"SCRAM-SHA-256\0\0\0\0\x7f"),
        initial(b""),
        initial(b"n,,n=,r=\xff"),
        initial(b"hello"),
        [initial(b"n,,n=,r=abc"), frame(b'p', b"c=biws,r=abc,p=AAAA")].concat(),
    ] {
        assert_eq!(refused(&message).await, "08P01", "{:?}", String::from_utf8_lossy(&message));
    }
    assert_eq!(refused(&initial(b"p=tls-server-end-point,,n=,r=abc")).await, "0A000");
    assert_eq!(refused(&initial(b"n,a=eve,n=,r=abc")).await, "0A000");
}

#[tokio::test]
async fn failures_of_one_user_slow_only_that_user_down() {
    let settings = settings(AuthMethod::Scram);
    let throttle = settings.throttle.clone();
    let (port, verdict) = door(settings).await;
    Raw::connect(port).await.startup("bob", "wrong", &[]).await;
    assert!(matches!(verdict.await.unwrap(), Err(StartupError::Password { .. })));
    let here = Some("127.0.0.1".parse().unwrap());
    let delay = |user| throttle.lock().unwrap().delay(here, user, std::time::Instant::now());
    assert_eq!((delay("bob"), delay("eve")), (Duration::from_millis(100), Duration::ZERO));

    let again = StartupSettings { throttle: throttle.clone(), ..self::settings(AuthMethod::Scram) };
    let (port, verdict) = door(again).await;
    let began = std::time::Instant::now();
    Raw::connect(port).await.startup("bob", "secret", &[]).await;
    assert!(began.elapsed() >= Duration::from_millis(100));
    verdict.await.unwrap().unwrap();
    assert_eq!(delay("bob"), Duration::ZERO);
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let (port, verdict) = door(settings(AuthMethod::Trust)).await;
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    tcp.write_all(&[0xff; 8]).await.unwrap();
    verdict_told(&mut tcp).await;
    tcp.write_all(&[0xff; 4096]).await.unwrap();
    drop(tcp);
    verdict.await.unwrap().unwrap_err();
}

async fn verdict_told(tcp: &mut TcpStream) {
    let mut head = [0; 5];
    tcp.read_exact(&mut head).await.unwrap();
    assert_eq!(head[0], b'E');
}
