//! Listening for clients.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, lookup_host};

/// Connections that may wait for us to accept them.
const BACKLOG: i32 = 1024;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is not `host:port`, or the name is not known.
    #[error("cannot resolve the listen address \"{address}\"")]
    Resolve {
        /// As configured.
        address: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// The address is taken or not ours.
    #[error("cannot listen on {address}")]
    Bind {
        /// As resolved.
        address: SocketAddr,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Listens on every address that `address` (`host:port`; `*` is any IPv4 and IPv6 address) stands for. A family that this
/// machine does not have is left out if another one is there.
///
/// # Errors
/// Every [`ListenError`].
pub async fn bind(address: &str) -> Result<Vec<TcpListener>, ListenError> {
    let addresses =
        resolve(address).await.map_err(|source| ListenError::Resolve { address: address.to_owned(), source })?;
    let (mut listeners, mut missing) = (Vec::new(), None);
    for address in addresses {
        match listen(address) {
            Ok(listener) => listeners.push(listener),
            Err(source) if is_missing_family(&source) => missing = Some(ListenError::Bind { address, source }),
            Err(source) => return Err(ListenError::Bind { address, source }),
        }
    }
    match missing {
        Some(error) if listeners.is_empty() => Err(error),
        _ => Ok(listeners),
    }
}

async fn resolve(address: &str) -> io::Result<Vec<SocketAddr>> {
    if let Some(port) = address.strip_prefix("*:") {
        let port = port.parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "invalid port"))?;
        return Ok(vec![(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()]);
    }
    let mut addresses: Vec<SocketAddr> = lookup_host(address).await?.collect();
    addresses.sort();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no address"));
    }
    Ok(addresses)
}

fn is_missing_family(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no kind of its own.
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(97)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // So that 0.0.0.0 can be listened on beside ::.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn binds_and_says_what_is_taken() {
        let listener = bind("127.0.0.1:0").await.unwrap().remove(0);
        let taken = listener.local_addr().unwrap();
        let error = bind(&taken.to_string()).await.unwrap_err();
        assert!(matches!(error, ListenError::Bind { address, .. } if address == taken));
        assert!(matches!(bind("nonsense").await, Err(ListenError::Resolve { .. })));
        assert!(matches!(bind("*:x").await, Err(ListenError::Resolve { .. })));
    }

    #[tokio::test]
    async fn a_star_is_every_address() {
        let listeners = bind("*:0").await.unwrap();
        assert!(listeners.iter().any(|l| l.local_addr().unwrap().ip().is_unspecified()));
    }
}
