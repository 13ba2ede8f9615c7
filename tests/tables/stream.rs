//! Streams behave alike whatever carries them.

use std::io::IoSlice;

use pgweave::config::{ServerTls, SslMode};
use pgweave::net::{Endpoint, Stream, dial, listener, tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_rustls::TlsStream;

use super::support::LIMIT;

/// Both ends of a connection: in the clear, over TLS, and over a Unix socket.
async fn pairs() -> Vec<(Stream, Stream)> {
    let dir = std::env::temp_dir().join(format!("pgweave-stream-{:016x}", rand::random::<u64>()));
    std::fs::create_dir(&dir).unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = ServerTls { cert: dir.join("cert.pem"), key: dir.join("key.pem"), required: false };
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let mut pairs = Vec::new();

    let listener = listener::bind("127.0.0.1:0").await.unwrap().remove(0);
    let port = listener.local_addr().unwrap().port();
    for sslmode in [SslMode::Disable, SslMode::Require] {
        let tls = tls::connector(sslmode, None).unwrap();
        let endpoint = Endpoint { host: "127.0.0.1".to_owned(), port, sslmode, tls };
        let other = async {
            let mut tcp = listener.accept().await.unwrap().0;
            if sslmode == SslMode::Disable {
                return Stream::from_tcp(tcp).unwrap();
            }
            tcp.read_exact(&mut [0; 8]).await.unwrap();
            tcp.write_all(b"S").await.unwrap();
            let secured = tls::acceptor(&files).unwrap().accept(tcp).await.unwrap();
            Stream::Tls(Box::new(TlsStream::Server(secured)))
        };
        let (one, other) = tokio::join!(dial::open(&endpoint), other);
        pairs.push((one.unwrap(), other));
    }

    let unix = UnixListener::bind(dir.join(".s.PGSQL.5432")).unwrap();
    let endpoint =
        Endpoint { host: dir.to_str().unwrap().to_owned(), port: 5432, sslmode: SslMode::Require, tls: None };
    let (one, other): (_, std::io::Result<(UnixStream, _)>) = tokio::join!(dial::open(&endpoint), unix.accept());
    pairs.push((one.unwrap(), Stream::Unix(other.unwrap().0)));
    std::fs::remove_dir_all(&dir).unwrap();
    pairs
}

#[tokio::test]
async fn bytes_go_both_ways_and_ends_are_seen() {
    for (mut one, mut other) in pairs().await {
        assert_eq!(one.peer().is_some(), !matches!(one, Stream::Unix(_)));
        let slices = [IoSlice::new(b"hel"), IoSlice::new(b"lo")];
        assert_eq!(one.write_vectored(&slices).await.unwrap(), 5, "{one:?}");
        one.flush().await.unwrap();
        let mut bytes = [0; 5];
        other.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"hello");
        other.write_all(b"bye").await.unwrap();
        other.shutdown().await.unwrap();
        let mut rest = Vec::new();
        one.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"bye");
    }
}

#[tokio::test]
async fn readable_sees_bytes_that_left_the_socket_already() {
    for (mut one, mut other) in pairs().await {
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), one.readable()).await.is_err(), "{one:?}");
        other.write_all(b"two").await.unwrap();
        other.flush().await.unwrap();
        for byte in b"two" {
            // Of one TLS record the first read decrypts all, and the socket has nothing more to say.
            tokio::time::timeout(LIMIT, one.readable()).await.unwrap().unwrap();
            assert_eq!(one.read_u8().await.unwrap(), *byte);
        }
        drop(other);
        tokio::time::timeout(LIMIT, one.readable()).await.unwrap().unwrap();
    }
}
