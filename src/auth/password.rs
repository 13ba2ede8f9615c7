//! Passwords to keys: SASLprep and the derivation of RFC 5802.

use std::borrow::Cow;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Bytes of a SHA-256 digest.
pub const KEY_BYTES: usize = 32;

/// A key of SCRAM-SHA-256.
pub type Key = [u8; KEY_BYTES];

/// SASLprep (RFC 4013) of `password`; the password itself where the profile prohibits it, as PostgreSQL does.
pub fn normalize(password: &str) -> Cow<'_, str> {
    stringprep::saslprep(password).unwrap_or(Cow::Borrowed(password))
}

/// HMAC-SHA-256 of the concatenation of `parts`.
pub fn hmac(key: &[u8], parts: &[&[u8]]) -> Key {
    let mut mac = keyed(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// SHA-256 of `data`.
pub fn hash(data: &[u8]) -> Key {
    Sha256::digest(data).into()
}

/// `Hi` of RFC 5802, which is PBKDF2 with one block: `iterations` of HMAC over `salt`.
pub fn salted(password: &str, salt: &[u8], iterations: u32) -> Key {
    let password = normalize(password);
    let keyed = keyed(password.as_bytes());
    let mut mac = keyed.clone();
    mac.update(salt);
    mac.update(&1u32.to_be_bytes());
    let mut previous: Key = mac.finalize().into_bytes().into();
    let mut sum = previous;
    for _ in 1..iterations {
        let mut mac = keyed.clone();
        mac.update(&previous);
        previous = mac.finalize().into_bytes().into();
        xor(&mut sum, &previous);
    }
    sum
}

/// XORs `other` into `key`.
pub fn xor(key: &mut Key, other: &Key) {
    for (left, right) in key.iter_mut().zip(other) {
        *left ^= right;
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prohibited_passwords_stay_as_they_are() {
        assert_eq!(normalize("I\u{ad}X"), "IX");
        assert_eq!(normalize("\u{2168}"), "IX");
        assert_eq!(normalize("a\u{7}b"), "a\u{7}b");
    }

    #[test]
    fn pbkdf2_of_a_known_vector() {
        // PBKDF2-HMAC-SHA-256 with password "password", salt "salt", 4096 rounds.
        let key = salted("password", b"salt", 4096);
        assert_eq!(key[..8], [0xc5, 0xe4, 0x78, 0xd5, 0x92, 0x88, 0xc8, 0x41]);
    }
}
