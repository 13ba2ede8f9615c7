//! Connecting to a node: TCP or Unix socket, and TLS as the mode asks.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{TlsConnector, TlsStream};

use super::{Stream, framed};
use crate::config::SslMode;

/// Where a node listens and how it is to be reached.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host name, address, or the directory of a Unix socket (beginning with `/`).
    pub host: String,
    /// The port; for a Unix socket the number in its name.
    pub port: u16,
    /// TLS or not. A Unix socket never has it, as in libpq.
    pub sslmode: SslMode,
    /// From [`super::tls::connector`] for the same mode.
    pub tls: Option<Arc<ClientConfig>>,
}

/// Why a node could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nobody listens there.
    #[error("connection refused")]
    Refused(#[source] io::Error),
    /// The name is not known, the network is away, or the connection broke.
    #[error("unreachable")]
    Unreachable(#[source] io::Error),
    /// TLS was required and the server has none, or the hand-shake failed.
    #[error("no TLS connection")]
    Tls(#[source] io::Error),
    /// The answer to SSLRequest is not of the protocol.
    #[error("unexpected answer {byte:#04x} to SSLRequest")]
    Answer {
        /// What came in place of `S` or `N`.
        byte: u8,
    },
}

/// Opens a connection and brings TLS up. Knows no time: wrap it in a timeout.
///
/// # Errors
/// Every [`DialError`].
pub async fn open(endpoint: &Endpoint) -> Result<Stream, DialError> {
    if endpoint.host.starts_with('/') {
        let path = Path::new(&endpoint.host).join(format!(".s.PGSQL.{}", endpoint.port));
        return UnixStream::connect(path).await.map(Stream::Unix).map_err(not_there);
    }
    let tcp = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await.map_err(not_there)?;
    let stream = Stream::from_tcp(tcp).map_err(not_there)?;
    match (endpoint.sslmode, &endpoint.tls) {
        (SslMode::Disable, _) => Ok(stream),
        (mode, Some(tls)) => secure(stream, mode, tls, &endpoint.host).await,
        (_, None) => Err(DialError::Tls(io::Error::new(io::ErrorKind::InvalidInput, "TLS is not set up"))),
    }
}

/// Asks for TLS and shakes hands. The answer is read as exactly one byte: whatever someone slipped in behind it ends up in
/// the hand-shake, never in what we believe to be encrypted.
async fn secure(mut stream: Stream, mode: SslMode, tls: &Arc<ClientConfig>, host: &str) -> Result<Stream, DialError> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    framed::send(&mut stream, &mut request).await.map_err(DialError::Unreachable)?;
    match stream.read_u8().await.map_err(DialError::Unreachable)? {
        b'S' => {}
        b'N' if mode == SslMode::Prefer => return Ok(stream),
        b'N' => return Err(DialError::Tls(io::Error::other("the server has no TLS"))),
        byte => return Err(DialError::Answer { byte }),
    }
    let Stream::Plain(tcp) = stream else { return Ok(stream) };
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| DialError::Tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    let secured = TlsConnector::from(tls.clone()).connect(name, tcp).await.map_err(DialError::Tls)?;
    Ok(Stream::Tls(Box::new(TlsStream::Client(secured))))
}

fn not_there(error: io::Error) -> DialError {
    match error.kind() {
        // A Unix socket that is not there is the same news as a port where nobody listens.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => DialError::Refused(error),
        _ => DialError::Unreachable(error),
    }
}
