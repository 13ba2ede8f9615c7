//! The client's side of a login, towards a server: trust, cleartext, md5 and SCRAM-SHA-256.

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;

use crate::config::Secret;

/// A login that is under way.
pub struct ServerLogin {
    user: String,
    password: Option<Secret>,
    state: State,
}

enum State {
    /// Nothing was asked yet, or a password was sent and its verdict is open.
    Open,
    /// SASL: client-first is sent.
    First(Box<ScramSha256>),
    /// SASL: client-final is sent.
    Final(Box<ScramSha256>),
    /// SASL: the server proved that it knows the password, too.
    Proven,
    /// AuthenticationOk came.
    Done,
}

/// What to do after an authentication message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Send what was appended (perhaps nothing) and read on.
    Continue,
    /// The server let us in.
    Done,
}

/// Why a login cannot go on. None of them holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum LoginFailure {
    /// The server asks for a password and none is configured.
    #[error("the server asks for a password and none is configured")]
    NoPassword,
    /// The server asks for a method that is not supported.
    #[error("the server asks for an unsupported authentication method ({code})")]
    Method {
        /// The code of its Authentication message.
        code: i32,
    },
    /// The server offers no SASL mechanism that is supported.
    #[error("the server offers no supported SASL mechanism")]
    Mechanism,
    /// The server's side of the SCRAM exchange is wrong: perhaps it does not know the password.
    #[error("the server's SCRAM message is not acceptable")]
    Scram(#[source] std::io::Error),
    /// A message that does not belong here.
    #[error("authentication message out of order or malformed")]
    Order,
}

impl ServerLogin {
    /// A login as `user`.
    pub fn new(user: impl Into<String>, password: Option<Secret>) -> ServerLogin {
        ServerLogin { user: user.into(), password, state: State::Open }
    }

    /// Takes the body of an Authentication message (tag `R`) and appends the answer, if there is one, to `out`.
    ///
    /// # Errors
    /// Every [`LoginFailure`]; the connection is of no use afterwards.
    pub fn on_request(&mut self, body: &[u8], out: &mut BytesMut) -> Result<Progress, LoginFailure> {
        let (code, data) = body.split_first_chunk::<4>().ok_or(LoginFailure::Order)?;
        let state = std::mem::replace(&mut self.state, State::Done);
        self.state = match (i32::from_be_bytes(*code), state) {
            // A server that began SCRAM and breaks off with "ok" has not proven that it knows the password.
            (0, State::Open | State::Proven) => return Ok(Progress::Done),
            (3, State::Open) => {
                self.send_password(self.password()?.expose().as_bytes(), out)?;
                State::Open
            }
            (5, State::Open) => {
                let salt = data.try_into().map_err(|_| LoginFailure::Order)?;
                let answer = md5_hash(self.user.as_bytes(), self.password()?.expose().as_bytes(), salt);
                self.send_password(answer.as_bytes(), out)?;
                State::Open
            }
            (10, State::Open) => State::First(self.begin_scram(data, out)?),
            (11, State::First(mut scram)) => {
                scram.update(data).map_err(LoginFailure::Scram)?;
                frontend::sasl_response(scram.message(), out).map_err(|_| LoginFailure::Order)?;
                State::Final(scram)
            }
            (12, State::Final(mut scram)) => {
                scram.finish(data).map_err(LoginFailure::Scram)?;
                State::Proven
            }
            (0 | 3 | 5 | 10 | 11 | 12, _) => return Err(LoginFailure::Order),
            (code, _) => return Err(LoginFailure::Method { code }),
        };
        Ok(Progress::Continue)
    }

    fn password(&self) -> Result<&Secret, LoginFailure> {
        self.password.as_ref().ok_or(LoginFailure::NoPassword)
    }

    fn send_password(&self, answer: &[u8], out: &mut BytesMut) -> Result<(), LoginFailure> {
        // Fails only for a password with a NUL, which no server can have.
        frontend::password_message(answer, out).map_err(|_| LoginFailure::NoPassword)
    }

    fn begin_scram(&self, mechanisms: &[u8], out: &mut BytesMut) -> Result<Box<ScramSha256>, LoginFailure> {
        if !mechanisms.split(|b| *b == 0).any(|name| name == SCRAM_SHA_256.as_bytes()) {
            return Err(LoginFailure::Mechanism);
        }
        // "n": we do no channel binding, whatever the server can.
        let password = self.password()?.expose().as_bytes();
        let scram = Box::new(ScramSha256::new(password, ChannelBinding::unsupported()));
        frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), out).map_err(|_| LoginFailure::Order)?;
        Ok(scram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(code: i32, data: &[u8]) -> Vec<u8> {
        [&code.to_be_bytes()[..], data].concat()
    }

    fn login() -> ServerLogin {
        ServerLogin::new("md5_user", Some(Secret::new("password")))
    }

    #[test]
    fn trust_cleartext_and_md5() {
        let mut out = BytesMut::new();
        assert_eq!(login().on_request(&body(0, b""), &mut out).unwrap(), Progress::Done);
        assert!(out.is_empty());
        let mut clear = login();
        assert_eq!(clear.on_request(&body(3, b""), &mut out).unwrap(), Progress::Continue);
        assert_eq!(&out[..], b"p\0\0\0\x0dpassword\0");
        assert_eq!(clear.on_request(&body(0, b""), &mut out).unwrap(), Progress::Done);
        out.clear();
        login().on_request(&body(5, &[0x2a, 0x3d, 0x8f, 0xe0]), &mut out).unwrap();
        assert_eq!(&out[..], b"p\0\0\0\x28md562af4dd09bbb41884907a838a3233294\0");
    }

    #[test]
    fn what_a_server_may_not_do() {
        let mut out = BytesMut::new();
        let mut none = ServerLogin::new("u", None);
        assert!(matches!(none.on_request(&body(3, b""), &mut out), Err(LoginFailure::NoPassword)));
        assert!(matches!(login().on_request(&body(7, b""), &mut out), Err(LoginFailure::Method { code: 7 })));
        assert!(matches!(login().on_request(&body(10, b"X\0\0"), &mut out), Err(LoginFailure::Mechanism)));
        assert!(matches!(login().on_request(&body(5, b"abc"), &mut out), Err(LoginFailure::Order)));
        assert!(matches!(login().on_request(b"abc", &mut out), Err(LoginFailure::Order)));
        assert!(matches!(login().on_request(&body(12, b""), &mut out), Err(LoginFailure::Order)));
    }

    #[test]
    fn a_server_cannot_break_scram_off_with_ok() {
        let mut out = BytesMut::new();
        let mut login = login();
        login.on_request(&body(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"), &mut out).unwrap();
        assert!(matches!(login.on_request(&body(0, b""), &mut out), Err(LoginFailure::Order)));
    }

    #[test]
    fn a_server_must_prove_itself() {
        use crate::auth::{ScramServer, Verifier};
        let mut out = BytesMut::new();
        let mut login = login();
        login.on_request(&body(10, b"SCRAM-SHA-256\0\0"), &mut out).unwrap();
        let first = out.split().split_off(5 + SCRAM_SHA_256.len() + 1 + 4);
        let verifier = Verifier::from_password("password", b"0123456789abcdef", 1);
        let (answer, next) = ScramServer::new(verifier, true, "abc".to_owned()).on_client_first(&first).unwrap();
        login.on_request(&body(11, &answer), &mut out).unwrap();
        assert!(next.on_client_final(&out[5..]).is_ok());
        let forged = body(12, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert!(matches!(login.on_request(&forged, &mut out), Err(LoginFailure::Scram(_))));
    }
}
