//! Sockets: listening, dialling, TLS on both sides, and reading whole small messages with a bound.
//!
//! This room knows bytes and frames, not what they mean: no authentication, no pools, no sessions.
//!
//! Start at [`Stream`], which every connection of ours is; [`dial::open`] makes one towards a server, [`listener::bind`]
//! takes them from clients.

pub mod dial;
pub mod framed;
pub mod listener;
pub mod stream;
pub mod tls;

pub use dial::{DialError, Endpoint};
pub use framed::{Frame, FrameError};
pub use stream::Stream;
pub use tls::TlsError;
