//! Who may log in, and against what.

use std::collections::HashMap;

use super::password;
use super::scram_server::{DEFAULT_ITERATIONS, Verifier};
use crate::config::User;

/// Bytes of a salt that we make, as many as PostgreSQL's.
const SALT_BYTES: usize = 16;

/// What a user's login is checked against.
#[derive(Clone, Debug)]
pub struct Credential {
    /// What SCRAM runs against.
    pub verifier: Verifier,
    /// Whether the login can succeed at all: false for a user that does not exist or has no password.
    pub genuine: bool,
}

/// The configured users, ready for logins.
#[derive(Debug)]
pub struct Users {
    seed: [u8; 32],
    verifiers: HashMap<String, Option<Verifier>>,
}

/// Why the users cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsersError {
    /// `scram` is not a SCRAM verifier.
    #[error("the SCRAM verifier of user \"{user}\" is not of the form SCRAM-SHA-256$iterations:salt$key:key")]
    Verifier {
        /// The user's name.
        user: String,
    },
}

impl Users {
    /// Derives the verifiers, about a millisecond for each password. `seed` is random and stays the same for the life of
    /// the process: the salts come from it, those of users that do not exist included.
    ///
    /// # Errors
    /// [`UsersError::Verifier`] for a verifier that cannot be read.
    pub fn new(users: &[User], seed: [u8; 32]) -> Result<Users, UsersError> {
        let mut verifiers = HashMap::with_capacity(users.len());
        for user in users {
            let verifier = match (&user.scram, &user.password) {
                (Some(text), _) => Some(
                    Verifier::parse(text.expose()).ok_or_else(|| UsersError::Verifier { user: user.name.clone() })?,
                ),
                (None, Some(password)) => {
                    Some(Verifier::from_password(password.expose(), &salt(&seed, &user.name), DEFAULT_ITERATIONS))
                }
                (None, None) => None,
            };
            verifiers.insert(user.name.clone(), verifier);
        }
        Ok(Users { seed, verifiers })
    }

    /// Whether `name` is configured.
    pub fn contains(&self, name: &str) -> bool {
        self.verifiers.contains_key(name)
    }

    /// What to check a login of `name` against. A user that does not exist gets a verifier that nothing fulfils, with
    /// the same salt at every try.
    pub fn credential(&self, name: &str) -> Credential {
        match self.verifiers.get(name) {
            Some(Some(verifier)) => Credential { verifier: verifier.clone(), genuine: true },
            _ => Credential { verifier: Verifier::unknown(&salt(&self.seed, name)), genuine: false },
        }
    }
}

fn salt(seed: &[u8; 32], name: &str) -> [u8; SALT_BYTES] {
    let mut salt = [0; SALT_BYTES];
    salt.copy_from_slice(&password::hmac(seed, &[name.as_bytes()])[..SALT_BYTES]);
    salt
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn user(name: &str, password: Option<&str>, scram: Option<&str>) -> User {
        User {
            name: name.to_owned(),
            password: password.map(Secret::new),
            scram: scram.map(Secret::new),
            pool_mode: None,
            may_bypass_routing: false,
            admin: false,
        }
    }

    #[test]
    fn a_user_that_does_not_exist_looks_like_one_that_does() {
        let users = Users::new(&[user("bob", Some("x"), None), user("open", None, None)], [7; 32]).unwrap();
        let shape = |name: &str| users.credential(name).verifier.to_text().len();
        assert!(users.credential("bob").genuine);
        for name in ["eve", "open"] {
            assert!(!users.credential(name).genuine);
            assert_eq!(shape(name), shape("bob"));
            assert_eq!(users.credential(name).verifier, users.credential(name).verifier);
        }
        assert_ne!(users.credential("eve").verifier, users.credential("eva").verifier);
        assert!(users.contains("open") && !users.contains("eve"));
    }

    #[test]
    fn a_verifier_that_is_none_is_refused() {
        let wrong = Users::new(&[user("bob", None, Some("md5"))], [7; 32]);
        assert_eq!(wrong.unwrap_err(), UsersError::Verifier { user: "bob".to_owned() });
    }
}
