//! Proving who one is: SCRAM-SHA-256 towards clients; SCRAM, md5 and cleartext towards servers; who may log in.
//!
//! Pure steppers over bytes: no sockets, no clock, no randomness. Nonces, salts and `now` are arguments. This room knows
//! nothing of frames beyond the bodies of the messages it is handed.
//!
//! Start at [`ScramServer`] for clients and [`ServerLogin`] for servers.

pub mod password;
pub mod scram_server;
pub mod server_login;
pub mod throttle;
pub mod users;

pub use scram_server::{ScramFailure, ScramServer, Verifier};
pub use server_login::{LoginFailure, Progress, ServerLogin};
pub use throttle::Throttle;
pub use users::{Credential, Users, UsersError};
