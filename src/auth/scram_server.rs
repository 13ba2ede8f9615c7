//! The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), as PostgreSQL speaks it.
//!
//! ```text
//! client-first  n,,n=,r=<client nonce>            ScramServer::on_client_first
//! server-first  r=<both nonces>,s=<salt>,i=<n>
//! client-final  c=biws,r=<both nonces>,p=<proof>  AwaitFinal::on_client_final
//! server-final  v=<signature>
//! ```
//! SCRAM-SHA-256-PLUS is not offered, so `y` ("I could bind, you cannot") is as good as `n` and `p` is an error. The user
//! name inside client-first is ignored: the start-up packet has it. A user that does not exist runs the same exchange
//! against a verifier that nothing fulfils.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::{Choice, ConstantTimeEq};

use super::password::{self, KEY_BYTES, Key};

/// The only mechanism offered.
pub const MECHANISM: &str = "SCRAM-SHA-256";

/// Rounds of PBKDF2 for the verifiers we make ourselves, PostgreSQL's `scram_iterations` by default.
pub const DEFAULT_ITERATIONS: u32 = 4096;

/// The longest client nonce taken, in bytes; libpq sends 24.
const MAX_NONCE_BYTES: usize = 1024;

/// What a server keeps instead of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The keys suffice to impersonate a server.
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Derives the verifier of `password`; `iterations` is at least 1.
    pub fn from_password(password: &str, salt: &[u8], iterations: u32) -> Verifier {
        let salted = password::salted(password, salt, iterations);
        let client_key = password::hmac(&salted, &[b"Client Key"]);
        Verifier {
            iterations,
            salt: salt.to_vec(),
            stored_key: password::hash(&client_key),
            server_key: password::hmac(&salted, &[b"Server Key"]),
        }
    }

    /// Reads `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`, as `pg_authid.rolpassword` has it. `None`
    /// when it is anything else.
    pub fn parse(text: &str) -> Option<Verifier> {
        let (head, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
        let (iterations, salt) = head.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let key = |text: &str| Key::try_from(STANDARD.decode(text).ok()?).ok();
        let iterations = iterations.parse::<u32>().ok().filter(|count| (1..=i32::MAX as u32).contains(count))?;
        let salt = STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty())?;
        Some(Verifier { iterations, salt, stored_key: key(stored_key)?, server_key: key(server_key)? })
    }

    /// A verifier that no password fulfils, for users that do not exist. `salt` should be as a real user's is: the same
    /// at every try, or the difference tells.
    pub fn unknown(salt: &[u8]) -> Verifier {
        Verifier {
            iterations: DEFAULT_ITERATIONS,
            salt: salt.to_vec(),
            stored_key: [0; KEY_BYTES],
            server_key: [0; KEY_BYTES],
        }
    }

    /// The verifier as `pg_authid.rolpassword` has it.
    pub fn to_text(&self) -> String {
        format!(
            "SCRAM-SHA-256${}:{}${}:{}",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key),
            STANDARD.encode(self.server_key)
        )
    }
}

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramFailure {
    /// A message that RFC 5802 does not allow here.
    #[error("malformed SCRAM message: {0}")]
    Malformed(&'static str),
    /// The client insists on what we do not have.
    #[error("unsupported SCRAM feature: {0}")]
    Unsupported(&'static str),
    /// The proof is wrong, or there is no such user.
    #[error("wrong password")]
    Rejected,
}

/// An exchange that waits for client-first.
pub struct ScramServer {
    verifier: Verifier,
    genuine: bool,
    nonce: String,
}

/// An exchange that waits for client-final.
pub struct AwaitFinal {
    verifier: Verifier,
    genuine: bool,
    /// Both nonces.
    nonce: String,
    /// The gs2 header, which client-final must repeat.
    gs2_header: &'static [u8],
    /// client-first-message-bare, a comma, server-first-message.
    transcript: String,
}

impl ScramServer {
    /// Begins an exchange. `genuine` is false for a user that does not exist: whatever comes is rejected at the end.
    /// `nonce` is printable ASCII without commas, fresh and unguessable.
    pub fn new(verifier: Verifier, genuine: bool, nonce: String) -> ScramServer {
        ScramServer { verifier, genuine, nonce }
    }

    /// Takes client-first; returns server-first and the next state.
    ///
    /// # Errors
    /// [`ScramFailure::Malformed`], or [`ScramFailure::Unsupported`] for channel binding, an authorization identity or a
    /// mandatory extension.
    pub fn on_client_first(self, message: &[u8]) -> Result<(Vec<u8>, AwaitFinal), ScramFailure> {
        let (gs2_header, bare) = read_gs2_header(text(message)?)?;
        if bare.starts_with("m=") {
            return Err(ScramFailure::Unsupported("mandatory extension"));
        }
        let mut attributes = bare.split(',');
        attributes
            .next()
            .and_then(|user| user.strip_prefix("n="))
            .ok_or(ScramFailure::Malformed("no user name in client-first"))?;
        let client_nonce = attributes
            .next()
            .and_then(|nonce| nonce.strip_prefix("r="))
            .filter(|nonce| is_nonce(nonce))
            .ok_or(ScramFailure::Malformed("no valid nonce in client-first"))?;
        let nonce = format!("{client_nonce}{}", self.nonce);
        let server_first =
            format!("r={nonce},s={},i={}", STANDARD.encode(&self.verifier.salt), self.verifier.iterations);
        let transcript = format!("{bare},{server_first}");
        let next = AwaitFinal { verifier: self.verifier, genuine: self.genuine, nonce, gs2_header, transcript };
        Ok((server_first.into_bytes(), next))
    }
}

impl AwaitFinal {
    /// Takes client-final; returns server-final when the proof is right.
    ///
    /// # Errors
    /// [`ScramFailure::Malformed`]; [`ScramFailure::Rejected`] for a wrong proof or a user that does not exist, which
    /// take the same steps.
    pub fn on_client_final(self, message: &[u8]) -> Result<Vec<u8>, ScramFailure> {
        let message = text(message)?;
        let (without_proof, proof) =
            message.rsplit_once(",p=").ok_or(ScramFailure::Malformed("no proof in client-final"))?;
        let proof: Key = STANDARD
            .decode(proof)
            .ok()
            .and_then(|proof| proof.try_into().ok())
            .ok_or(ScramFailure::Malformed("no valid proof in client-final"))?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|binding| binding.strip_prefix("c="));
        if binding.and_then(|binding| STANDARD.decode(binding).ok()).as_deref() != Some(self.gs2_header) {
            return Err(ScramFailure::Malformed("channel binding of client-final is not that of client-first"));
        }
        if attributes.next().and_then(|nonce| nonce.strip_prefix("r=")) != Some(&self.nonce) {
            return Err(ScramFailure::Malformed("nonce does not match"));
        }
        let transcript: [&[u8]; 3] = [self.transcript.as_bytes(), b",", without_proof.as_bytes()];
        let mut client_key = password::hmac(&self.verifier.stored_key, &transcript);
        password::xor(&mut client_key, &proof);
        let proven = password::hash(&client_key).ct_eq(&self.verifier.stored_key);
        let signature = password::hmac(&self.verifier.server_key, &transcript);
        if bool::from(proven & Choice::from(u8::from(self.genuine))) {
            Ok(format!("v={}", STANDARD.encode(signature)).into_bytes())
        } else {
            Err(ScramFailure::Rejected)
        }
    }
}

/// Cuts the gs2 header off; returns it and client-first-message-bare.
fn read_gs2_header(message: &str) -> Result<(&'static [u8], &str), ScramFailure> {
    let (flag, rest) = message.split_once(',').ok_or(ScramFailure::Malformed("no gs2 header"))?;
    let header: &'static [u8] = match flag {
        "n" => b"n,,",
        "y" => b"y,,",
        _ if flag.starts_with("p=") => return Err(ScramFailure::Unsupported("channel binding")),
        _ => return Err(ScramFailure::Malformed("unknown channel-binding flag")),
    };
    let (authorization, bare) = rest.split_once(',').ok_or(ScramFailure::Malformed("no gs2 header"))?;
    match authorization {
        "" => Ok((header, bare)),
        _ if authorization.starts_with("a=") => Err(ScramFailure::Unsupported("authorization identity")),
        _ => Err(ScramFailure::Malformed("unknown attribute in the gs2 header")),
    }
}

fn is_nonce(nonce: &str) -> bool {
    (1..=MAX_NONCE_BYTES).contains(&nonce.len()) && nonce.bytes().all(|b| (0x21..=0x7e).contains(&b))
}

fn text(message: &[u8]) -> Result<&str, ScramFailure> {
    std::str::from_utf8(message).ok().filter(|text| !text.contains('\0')).ok_or(ScramFailure::Malformed("not a text"))
}

#[cfg(test)]
mod tests {
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

    use super::*;

    // RFC 7677, section 3.
    const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const CLIENT_FINAL: &str =
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn verifier() -> Verifier {
        Verifier::from_password("pencil", &STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(), 4096)
    }

    fn server(genuine: bool) -> ScramServer {
        ScramServer::new(verifier(), genuine, SERVER_NONCE.to_owned())
    }

    #[test]
    fn the_vector_of_rfc_7677() {
        let first = format!("n,,n=user,r={CLIENT_NONCE}");
        let (server_first, next) = server(true).on_client_first(first.as_bytes()).unwrap();
        assert_eq!(
            server_first,
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let server_final = next.on_client_final(CLIENT_FINAL.as_bytes()).unwrap();
        assert_eq!(server_final, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn a_verifier_reads_back() {
        let text = verifier().to_text();
        assert_eq!(Verifier::parse(&text), Some(verifier()));
        for wrong in [
            "",
            "md5abc",
            "SCRAM-SHA-256$4096:c2FsdA==",
            "SCRAM-SHA-256$0:c2FsdA==$AA:AA",
            &text.replace("4096", "0"),
            &text[..text.len() - 4],
        ] {
            assert_eq!(Verifier::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_flag_of_the_gs2_header() {
        let answer = |first: String| server(true).on_client_first(first.as_bytes()).map(|(_, next)| next.gs2_header);
        let nonce = CLIENT_NONCE;
        assert_eq!(answer(format!("n,,n=,r={nonce}")), Ok(&b"n,,"[..]));
        assert_eq!(answer(format!("y,,n=,r={nonce}")), Ok(&b"y,,"[..]));
        assert_eq!(
            answer(format!("p=tls-server-end-point,,n=,r={nonce}")),
            Err(ScramFailure::Unsupported("channel binding"))
        );
        assert_eq!(answer(format!("n,a=bob,n=,r={nonce}")), Err(ScramFailure::Unsupported("authorization identity")));
        assert_eq!(answer(format!("n,,m=x,n=,r={nonce}")), Err(ScramFailure::Unsupported("mandatory extension")));
        for wrong in ["", "n", "n,", "n,,", "x,,n=,r=a", "n,b,n=,r=a", "n,,r=a", "n,,n=,r=", "n,,n=,r=\u{e4}", "n,,n="]
        {
            assert!(matches!(answer(wrong.to_owned()), Err(ScramFailure::Malformed(_))), "{wrong}");
        }
    }

    fn exchange(genuine: bool, password: &str, binding: ChannelBinding) -> Result<(), ScramFailure> {
        let mut client = ScramSha256::new(password.as_bytes(), binding);
        let (server_first, next) = server(genuine).on_client_first(client.message())?;
        client.update(&server_first).unwrap();
        let server_final = next.on_client_final(client.message())?;
        client.finish(&server_final).unwrap();
        Ok(())
    }

    #[test]
    fn a_client_of_another_make() {
        assert_eq!(exchange(true, "pencil", ChannelBinding::unsupported()), Ok(()));
        assert_eq!(exchange(true, "pencil", ChannelBinding::unrequested()), Ok(()));
        assert_eq!(exchange(true, "pencil2", ChannelBinding::unsupported()), Err(ScramFailure::Rejected));
        assert_eq!(exchange(false, "pencil", ChannelBinding::unsupported()), Err(ScramFailure::Rejected));
    }

    #[test]
    fn a_client_final_that_does_not_fit() {
        let refused = |last: &str| {
            let first = format!("n,,n=user,r={CLIENT_NONCE}");
            let (_, next) = server(true).on_client_first(first.as_bytes()).unwrap();
            next.on_client_final(last.as_bytes()).unwrap_err()
        };
        // A flag that changed on the way: "y" where the first message had "n".
        let flag = CLIENT_FINAL.replace("biws", "eSws");
        let nonce = CLIENT_FINAL.replace("k0,p", "k1,p");
        for wrong in ["", "c=biws", flag.as_str(), nonce.as_str(), "c=biws,p=AAAA", "c=biws,r=x,p=!"] {
            assert!(matches!(refused(wrong), ScramFailure::Malformed(_)), "{wrong}");
        }
        assert_eq!(refused(&CLIENT_FINAL.replace("dHzb", "dHzc")), ScramFailure::Rejected);
    }
}
