//! From an accepted socket to a client that has proven who it is.
//!
//! PostgreSQL manual, "Start-up" and "SASL Authentication". The order of packets:
//! ```text
//! [GSSENCRequest -> N] [SSLRequest -> S + hand-shake | N] StartupMessage | CancelRequest
//! [NegotiateProtocolVersion] [AuthenticationSASL .. AuthenticationSASLFinal] AuthenticationOk
//! ```
//! Each request may come once, and no GSSENCRequest after TLS. Nothing that was read before the TLS hand-shake is
//! believed after it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::{TlsAcceptor, TlsStream};

use crate::auth::scram_server::MECHANISM;
use crate::auth::{ScramFailure, ScramServer, Throttle, Users};
use crate::config::AuthMethod;
use crate::net::Stream;
use crate::net::framed::{self, FrameError};
use crate::wire::frame::{take, take_cstr, take_i32};
use crate::wire::startup::{self, Packet, Startup};
use crate::wire::{Diagnostic, Fate, Fault, Malformed, Report, SqlState, backend};

/// The longest SASL message taken, as PostgreSQL's `PG_MAX_SASL_MESSAGE_LENGTH`.
const MAX_SASL_BYTES: usize = 1024;

/// Random bytes of our nonce, as many as PostgreSQL's.
const NONCE_BYTES: usize = 18;

/// The protocol version we speak, as NegotiateProtocolVersion has it: major in the upper half.
const NEWEST_VERSION: i32 = 3 << 16;

/// How long a client that is turned away may take to read why.
const FAREWELL: Duration = Duration::from_secs(1);

/// What [`accept`] needs to know.
pub struct StartupSettings {
    /// TLS for clients that ask for it.
    pub tls: Option<TlsAcceptor>,
    /// Whether a session without TLS is refused. A cancel request never is: most clients send it in the clear.
    pub tls_required: bool,
    /// How clients prove who they are.
    pub method: AuthMethod,
    /// Who they may be.
    pub users: Arc<Users>,
    /// Who failed lately; shared by all clients.
    pub throttle: Arc<Mutex<Throttle>>,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// What a connection turned out to be.
#[derive(Debug)]
pub enum Accepted {
    /// A request to cancel. Nothing is answered.
    Cancel {
        /// The process id that we gave the session.
        process_id: u32,
        /// The secret that we gave it.
        secret: u32,
        /// The connection, to be dropped when the request has been carried out: a client that waits for its end knows by
        /// it that the statement it sends next is safe.
        stream: Stream,
    },
    /// A client that may begin.
    Client(Box<Authenticated>),
}

/// A client that has proven who it is and was told so. ParameterStatus, BackendKeyData and ReadyForQuery are still to be
/// sent.
#[derive(Debug)]
pub struct Authenticated {
    /// The connection.
    pub stream: Stream,
    /// The role.
    pub user: String,
    /// The database asked for; the user's name when none was named.
    pub database: String,
    /// The other start-up parameters in the order given, `options` among them; without `user`, `database`, `replication`
    /// and protocol options. Names and values are the client's: nothing checked, nothing quoted.
    pub params: Vec<(String, String)>,
    /// The minor version asked for. 3.0 is spoken whatever it is; the client was told.
    pub minor: u16,
    /// Bytes that came behind the last message; usually none.
    pub leftover: BytesMut,
}

/// Why a connection did not become a client. Where the client can understand it, it was told.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    /// The client went away: a port scan, or psql that goes to ask for a password.
    #[error("client went away")]
    Gone,
    /// The socket failed.
    #[error("socket failed")]
    Io(#[source] io::Error),
    /// The client took too long.
    #[error("client not authenticated in time")]
    Timeout,
    /// What came is not of the protocol.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// An authentication message longer than is taken.
    #[error("authentication message of {bytes} bytes")]
    TooLong {
        /// Bytes of its body.
        bytes: usize,
    },
    /// Another message where a password message belongs.
    #[error("expected a password message and got one of type {tag:#04x}")]
    Order {
        /// The type of what came.
        tag: u8,
    },
    /// Bytes in the clear behind a request for encryption: perhaps someone in the middle put them there.
    #[error("received unencrypted data after a request for encryption")]
    Injected,
    /// The TLS hand-shake failed.
    #[error("TLS hand-shake failed")]
    Tls(#[source] io::Error),
    /// TLS is required.
    #[error("client does not use TLS")]
    TlsRequired,
    /// No `user` in the start-up packet.
    #[error("no user name in the start-up packet")]
    NoUser,
    /// A walsender session is asked for.
    #[error("replication connection asked for")]
    Replication,
    /// A start-up parameter with a value it cannot have.
    #[error("invalid value for start-up parameter \"{name}\"")]
    Param {
        /// Its name.
        name: &'static str,
    },
    /// Without passwords: there is no such user.
    #[error("no such user")]
    UnknownUser {
        /// The name given.
        user: String,
    },
    /// The password is wrong, or there is no such user.
    #[error("password authentication failed")]
    Password {
        /// The name given.
        user: String,
    },
    /// The client chose a mechanism that was not offered.
    #[error("client selected an invalid SASL authentication mechanism")]
    Mechanism,
    /// The SCRAM exchange went wrong.
    #[error("SCRAM exchange failed")]
    Scram(#[source] ScramFailure),
}

impl Report for StartupError {
    fn diagnostic(&self) -> Diagnostic {
        let violation = |message: String| Diagnostic::fatal(SqlState::PROTOCOL_VIOLATION, message);
        match self {
            StartupError::Malformed(malformed) => violation(malformed.to_string()),
            StartupError::TooLong { .. } => violation("invalid password packet size".into()),
            StartupError::Order { tag } => violation(format!("expected password response, got message type {tag}")),
            StartupError::Injected => violation("received unencrypted data after SSL request".into()).detail(
                "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.",
            ),
            StartupError::Mechanism => violation(self.to_string()),
            StartupError::Scram(ScramFailure::Unsupported(what)) => {
                Diagnostic::fatal(SqlState::FEATURE_NOT_SUPPORTED, format!("client requires unsupported SCRAM {what}"))
            }
            StartupError::Scram(failure) => violation("malformed SCRAM message".into()).detail(format!("{failure}.")),
            StartupError::TlsRequired => {
                Diagnostic::fatal(SqlState::INVALID_AUTHORIZATION, "connection without TLS is not allowed")
                    .hint("Connect with sslmode=require or stricter.")
            }
            StartupError::NoUser => Diagnostic::fatal(
                SqlState::INVALID_AUTHORIZATION,
                "no PostgreSQL user name specified in startup packet",
            ),
            StartupError::Replication => {
                Diagnostic::fatal(SqlState::FEATURE_NOT_SUPPORTED, "replication connections are not supported")
                    .detail("A replication stream belongs to one server.")
                    .hint("Connect to the PostgreSQL server itself.")
            }
            StartupError::Param { name } => {
                Diagnostic::fatal(SqlState::INVALID_PARAMETER_VALUE, format!("invalid value for parameter \"{name}\""))
            }
            StartupError::UnknownUser { user } => {
                Diagnostic::fatal(SqlState::INVALID_AUTHORIZATION, format!("role \"{user}\" does not exist"))
            }
            StartupError::Password { user } => Diagnostic::fatal(
                SqlState::INVALID_PASSWORD,
                format!("password authentication failed for user \"{user}\""),
            ),
            StartupError::Gone | StartupError::Io(_) | StartupError::Timeout | StartupError::Tls(_) => {
                Diagnostic::fatal(SqlState::CONNECTION_FAILURE, self.to_string())
            }
        }
    }

    fn fault(&self) -> Fault {
        Fault::Client
    }

    fn fate(&self) -> Fate {
        Fate::CloseClient
    }
}

impl From<FrameError> for StartupError {
    fn from(error: FrameError) -> StartupError {
        match error {
            FrameError::Closed => StartupError::Gone,
            FrameError::Io(source) if source.kind() == io::ErrorKind::ConnectionReset => StartupError::Gone,
            FrameError::Io(source) => StartupError::Io(source),
            FrameError::Malformed(malformed) => StartupError::Malformed(malformed),
            FrameError::TooLong { bytes, .. } => StartupError::TooLong { bytes },
        }
    }
}

/// Runs the start-up of one connection. A client that is turned away is told why and the connection is closed before this
/// returns.
///
/// # Errors
/// Every [`StartupError`].
pub async fn accept(tcp: TcpStream, settings: &StartupSettings) -> Result<Accepted, StartupError> {
    let deadline = Instant::now() + settings.timeout;
    let peer = tcp.peer_addr().ok();
    let stream = Stream::from_tcp(tcp).map_err(StartupError::Io)?;
    let mut entry = Entry { stream: Some(stream), buf: BytesMut::new(), peer, settings };
    match timeout_at(deadline, entry.run()).await {
        Ok(Ok(Outcome::Cancel { process_id, secret })) => {
            let stream = entry.stream.take().ok_or(StartupError::Gone)?;
            Ok(Accepted::Cancel { process_id, secret, stream })
        }
        Ok(Ok(Outcome::Session(facts))) => entry.finish(facts),
        Ok(Err(error)) => {
            entry.turn_away(&error).await;
            Err(error)
        }
        Err(_) => Err(StartupError::Timeout),
    }
}

/// A connection on its way in.
struct Entry<'a> {
    /// `None` only while and after TLS shakes hands.
    stream: Option<Stream>,
    buf: BytesMut,
    peer: Option<SocketAddr>,
    settings: &'a StartupSettings,
}

/// What a start-up came to.
enum Outcome {
    Cancel { process_id: u32, secret: u32 },
    Session(Facts),
}

/// What a start-up packet says.
struct Facts {
    user: String,
    database: String,
    params: Vec<(String, String)>,
    minor: u16,
}

impl Entry<'_> {
    async fn run(&mut self) -> Result<Outcome, StartupError> {
        let startup = match self.negotiate().await? {
            Packet::Startup(startup) => startup,
            Packet::Cancel { process_id, secret } => return Ok(Outcome::Cancel { process_id, secret }),
            // Asked for a second time.
            Packet::SslRequest | Packet::GssEncRequest => return Err(Malformed::Startup.into()),
        };
        if self.settings.tls_required && !self.stream()?.is_tls() {
            return Err(StartupError::TlsRequired);
        }
        let mut out = BytesMut::new();
        negotiate_version(&startup, &mut out);
        let facts = read_facts(startup)?;
        match self.settings.method {
            AuthMethod::Scram => self.run_scram(&facts.user, &mut out).await?,
            AuthMethod::Trust if !self.settings.users.contains(&facts.user) => {
                return Err(StartupError::UnknownUser { user: facts.user });
            }
            AuthMethod::Trust => {}
        }
        backend::authentication_ok(&mut out);
        self.send(&mut out).await?;
        Ok(Outcome::Session(facts))
    }

    /// Answers requests for encryption; returns the first packet that is none, or one that comes out of turn.
    async fn negotiate(&mut self) -> Result<Packet, StartupError> {
        let (mut ssl_done, mut gss_done) = (false, false);
        loop {
            let packet = self.read_packet().await?;
            let answer = match packet {
                Packet::SslRequest if !ssl_done => {
                    ssl_done = true;
                    if self.settings.tls.is_some() { b"S" } else { b"N" }
                }
                Packet::GssEncRequest if !gss_done => {
                    gss_done = true;
                    b"N"
                }
                packet => return Ok(packet),
            };
            // Checked before the answer, so that no byte of the client's can have been sent in reply to it.
            if !self.buf.is_empty() {
                return Err(StartupError::Injected);
            }
            self.send(&mut BytesMut::from(&answer[..])).await?;
            if answer == b"S" {
                self.secure().await?;
                gss_done = true;
            }
        }
    }

    async fn secure(&mut self) -> Result<(), StartupError> {
        let (Some(Stream::Plain(tcp)), Some(tls)) = (self.stream.take(), &self.settings.tls) else {
            return Err(StartupError::Gone);
        };
        let secured = tls.accept(tcp).await.map_err(StartupError::Tls)?;
        self.stream = Some(Stream::Tls(Box::new(TlsStream::Server(secured))));
        Ok(())
    }

    async fn run_scram(&mut self, user: &str, out: &mut BytesMut) -> Result<(), StartupError> {
        let credential = self.settings.users.credential(user);
        let scram = ScramServer::new(credential.verifier, credential.genuine, nonce());
        backend::authentication_sasl(out, &[MECHANISM]);
        self.send(out).await?;

        let first = match read_initial(&self.read_password().await?)? {
            Some(first) => first,
            None => {
                // A client may name the mechanism first and speak when asked to.
                backend::authentication_sasl_continue(out, b"");
                self.send(out).await?;
                self.read_password().await?
            }
        };
        let (answer, next) = scram.on_client_first(&first).map_err(StartupError::Scram)?;
        backend::authentication_sasl_continue(out, &answer);
        self.send(out).await?;

        let last = self.read_password().await?;
        let address = self.peer.map(|peer| peer.ip());
        let delay = self.throttle().delay(address, user, std::time::Instant::now());
        sleep(delay).await;
        match next.on_client_final(&last) {
            Ok(answer) => {
                self.throttle().succeeded(address, user);
                backend::authentication_sasl_final(out, &answer);
                Ok(())
            }
            Err(ScramFailure::Rejected) => {
                self.throttle().failed(address, user, std::time::Instant::now());
                Err(StartupError::Password { user: user.to_owned() })
            }
            Err(failure) => Err(StartupError::Scram(failure)),
        }
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.settings.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_packet(&mut self) -> Result<Packet, StartupError> {
        loop {
            if let Some((packet, bytes)) = startup::read(&self.buf)? {
                let _ = self.buf.split_to(bytes);
                return Ok(packet);
            }
            let stream = self.stream.as_mut().ok_or(StartupError::Gone)?;
            framed::fill(stream, &mut self.buf).await?;
        }
    }

    /// The body of the next message, which must be of type `p`.
    async fn read_password(&mut self) -> Result<Bytes, StartupError> {
        let stream = self.stream.as_mut().ok_or(StartupError::Gone)?;
        // The type is looked at first: of any other message not even the length matters.
        while self.buf.is_empty() {
            framed::fill(stream, &mut self.buf).await?;
        }
        match self.buf[0] {
            b'p' => Ok(framed::read_frame(stream, &mut self.buf, MAX_SASL_BYTES).await?.body),
            b'X' => Err(StartupError::Gone),
            tag => Err(StartupError::Order { tag }),
        }
    }

    fn stream(&self) -> Result<&Stream, StartupError> {
        self.stream.as_ref().ok_or(StartupError::Gone)
    }

    async fn send(&mut self, out: &mut BytesMut) -> Result<(), StartupError> {
        let stream = self.stream.as_mut().ok_or(StartupError::Gone)?;
        framed::send(stream, out).await.map_err(|error| FrameError::Io(error).into())
    }

    fn finish(self, facts: Facts) -> Result<Accepted, StartupError> {
        let Facts { user, database, params, minor } = facts;
        let stream = self.stream.ok_or(StartupError::Gone)?;
        let leftover = if self.buf.is_empty() { BytesMut::new() } else { self.buf };
        Ok(Accepted::Client(Box::new(Authenticated { stream, user, database, params, minor, leftover })))
    }

    /// Says why and closes. What the client still sends is read and dropped for a moment: a socket that is closed with
    /// unread bytes is reset, and the reset can overtake the message.
    async fn turn_away(&mut self, error: &StartupError) {
        let quiet = matches!(error, StartupError::Gone | StartupError::Io(_) | StartupError::Tls(_));
        let (false, Some(mut stream)) = (quiet, self.stream.take()) else { return };
        let farewell = async {
            let mut out = BytesMut::new();
            backend::diagnostic(&mut out, &error.diagnostic());
            framed::send(&mut stream, &mut out).await?;
            stream.shutdown().await?;
            let mut scrap = [0; 256];
            while stream.read(&mut scrap).await? > 0 {}
            io::Result::Ok(())
        };
        // Whether the client got it changes nothing any more.
        let _ = timeout(FAREWELL, farewell).await;
    }
}

/// Tells a client that asks for more than 3.0 or for protocol options what it gets.
fn negotiate_version(startup: &Startup, out: &mut BytesMut) {
    let options: Vec<&str> =
        startup.params.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("_pq_.")).collect();
    if startup.minor > 0 || !options.is_empty() {
        backend::negotiate_protocol_version(out, NEWEST_VERSION, &options);
    }
}

fn read_facts(startup: Startup) -> Result<Facts, StartupError> {
    let given = |name: &str| startup.param(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let user = given("user").ok_or(StartupError::NoUser)?;
    let database = given("database").unwrap_or_else(|| user.clone());
    match startup.param("replication").map(parse_bool) {
        None | Some(Some(false)) => {}
        Some(Some(true)) => return Err(StartupError::Replication),
        Some(None) if startup.param("replication") == Some("database") => return Err(StartupError::Replication),
        Some(None) => return Err(StartupError::Param { name: "replication" }),
    }
    let minor = startup.minor;
    let taken = |name: &str| matches!(name, "user" | "database" | "replication") || name.starts_with("_pq_.");
    let params = startup.params.into_iter().filter(|(name, _)| !taken(name)).collect();
    Ok(Facts { user, database, params, minor })
}

/// A Boolean as PostgreSQL reads settings: unambiguous prefixes of true, false, yes, no, on, off, and 1, 0.
fn parse_bool(text: &str) -> Option<bool> {
    let text = text.to_ascii_lowercase();
    match text.as_str() {
        "" | "o" => None,
        "1" | "on" => Some(true),
        "0" => Some(false),
        _ if "true".starts_with(&text) || "yes".starts_with(&text) => Some(true),
        _ if ["false", "no", "off"].iter().any(|word| word.starts_with(&text)) => Some(false),
        _ => None,
    }
}

/// Reads a SASLInitialResponse: the client's first message, or `None` when it has none yet.
fn read_initial(body: &[u8]) -> Result<Option<Bytes>, StartupError> {
    let wrong = Malformed::Body { message: "SASLInitialResponse" };
    let mut rest = body;
    if take_cstr(&mut rest).ok_or(wrong)? != MECHANISM.as_bytes() {
        return Err(StartupError::Mechanism);
    }
    let data = match take_i32(&mut rest).ok_or(wrong)? {
        -1 => None,
        length => {
            let length = usize::try_from(length).map_err(|_| wrong)?;
            Some(Bytes::copy_from_slice(take(&mut rest, length).ok_or(wrong)?))
        }
    };
    if rest.is_empty() { Ok(data) } else { Err(wrong.into()) }
}

fn nonce() -> String {
    STANDARD.encode(rand::random::<[u8; NONCE_BYTES]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans() {
        for (text, value) in [("t", true), ("TRUE", true), ("1", true), ("on", true), ("y", true)] {
            assert_eq!(parse_bool(text), Some(value), "{text}");
        }
        for text in ["f", "off", "of", "0", "n", "False"] {
            assert_eq!(parse_bool(text), Some(false), "{text}");
        }
        for text in ["", "o", "2", "database", "truely"] {
            assert_eq!(parse_bool(text), None, "{text}");
        }
    }

    fn facts(params: &[(&str, &str)]) -> Result<Facts, StartupError> {
        let params = params.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        read_facts(Startup { minor: 0, params })
    }

    #[test]
    fn what_a_startup_packet_says() {
        let all = facts(&[("user", "bob"), ("a", "1"), ("_pq_.x", "y"), ("replication", "off"), ("a", "2")]).unwrap();
        assert_eq!((all.user.as_str(), all.database.as_str()), ("bob", "bob"));
        assert_eq!(all.params, [("a".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())]);
        assert_eq!(facts(&[("user", "bob"), ("database", "d")]).unwrap().database, "d");
        assert_eq!(facts(&[("user", "bob"), ("database", "")]).unwrap().database, "bob");
        assert!(matches!(facts(&[("database", "d")]), Err(StartupError::NoUser)));
        assert!(matches!(facts(&[("user", "")]), Err(StartupError::NoUser)));
        assert!(matches!(facts(&[("user", "b"), ("replication", "database")]), Err(StartupError::Replication)));
        assert!(matches!(facts(&[("user", "b"), ("replication", "true")]), Err(StartupError::Replication)));
        assert!(matches!(facts(&[("user", "b"), ("replication", "x")]), Err(StartupError::Param { .. })));
    }

    #[test]
    fn initial_responses() {
        let read = |body: &[u8]| read_initial(body);
        assert_eq!(read(b"SCRAM-SHA-256\0\0\0\0\x02ab").unwrap().as_deref(), Some(&b"ab"[..]));
        assert_eq!(read(b"SCRAM-SHA-256\0\xff\xff\xff\xff").unwrap(), None);
        assert!(matches!(read(b"SCRAM-SHA-256-PLUS\0\0\0\0\0"), Err(StartupError::Mechanism)));
        for torn in [&b"SCRAM-SHA-256"[..], b"SCRAM-SHA-256\0\0\0\0\x03ab", b"SCRAM-SHA-256\0\0\0\0\x01ab"] {
            assert!(matches!(read(torn), Err(StartupError::Malformed(_))));
        }
    }

    use crate::config::{Secret, SslMode, User};
    use crate::net::Endpoint;
    use crate::pool::handshake::{self, ConnectError, Login};
    use tokio::net::TcpListener;

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
            timeout: Duration::from_secs(10),
        }
    }

    /// Our own login against our own start-up: what the client learns and what the server sees.
    async fn meet(
        method: AuthMethod,
        user: &str,
        password: Option<&str>,
    ) -> (Result<(), ConnectError>, Result<Accepted, StartupError>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let endpoint = Endpoint { host: "127.0.0.1".to_owned(), port, sslmode: SslMode::Disable, tls: None };
        let login = Login {
            user: user.to_owned(),
            password: password.map(Secret::new),
            dbname: "d".to_owned(),
            params: vec![("application_name".to_owned(), "x".to_owned())],
        };
        let client = handshake::connect(&endpoint, &login, Instant::now() + Duration::from_secs(10));
        let server = async {
            let mut accepted = accept(listener.accept().await.unwrap().0, &settings(method)).await;
            if let Ok(Accepted::Client(client)) = &mut accepted {
                let mut out = BytesMut::new();
                backend::ready_for_query(&mut out, b'I');
                framed::send(&mut client.stream, &mut out).await.unwrap();
            }
            accepted
        };
        let (client, server) = tokio::join!(client, server);
        (client.map(|_| ()), server)
    }

    #[tokio::test]
    async fn both_sides_meet() {
        for method in [AuthMethod::Scram, AuthMethod::Trust] {
            let (client, server) = meet(method, "bob", Some("secret")).await;
            client.unwrap();
            let Accepted::Client(client) = server.unwrap() else { panic!("not a client") };
            assert_eq!((client.user.as_str(), client.database.as_str(), client.minor), ("bob", "d", 0));
            assert_eq!(client.params, [("application_name".to_owned(), "x".to_owned())]);
            assert!(client.leftover.is_empty());
        }
    }

    #[tokio::test]
    async fn a_wrong_password_and_a_user_that_does_not_exist_look_the_same() {
        for user in ["bob", "eve"] {
            let (client, server) = meet(AuthMethod::Scram, user, Some("wrong")).await;
            let expected = format!("password authentication failed for user \"{user}\"");
            assert!(matches!(client.unwrap_err(), ConnectError::Auth { code, message }
                if code == SqlState::INVALID_PASSWORD && message == expected));
            assert!(matches!(server.unwrap_err(), StartupError::Password { .. }));
        }
        let (client, _) = meet(AuthMethod::Trust, "eve", None).await;
        assert!(matches!(client.unwrap_err(), ConnectError::Auth { code, .. }
            if code == SqlState::INVALID_AUTHORIZATION));
    }
}
