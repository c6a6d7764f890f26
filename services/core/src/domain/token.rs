//! Bearer tokens, and the secrets by which programs get them: opaque, shown once, stored as hashes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Every token begins so, which lets leaked ones be found.
const PREFIX: &str = "rcv_";
/// Every secret of a program begins so: neither passes for the other.
const SECRET_PREFIX: &str = "rcs_";
/// How long the access token of a person lasts, in seconds.
pub(crate) const PERSON_SECONDS: i32 = 15 * 60;
/// As unguessable as a key of the strongest cipher, in bytes.
pub(crate) const SECRET_BYTES: usize = 32;

/// A token in clear. Does not print itself by accident.
pub(crate) struct Token(String);

impl Token {
    /// The token of a secret that nobody can guess.
    pub(crate) fn new(secret: [u8; SECRET_BYTES]) -> Self {
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret)))
    }

    /// The secret of a program, made of the same.
    pub(crate) fn of_program(secret: [u8; SECRET_BYTES]) -> Self {
        Self(format!("{SECRET_PREFIX}{}", URL_SAFE_NO_PAD.encode(secret)))
    }

    /// A token as its holder wrote it; it may be none of ours.
    pub(crate) fn given(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The token itself, for its holder.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub(crate) fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_prefix_and_32_bytes_in_base64url() {
        let token = Token::new([0xff; SECRET_BYTES]);
        assert_eq!(token.reveal(), "rcv___________________________________________8");
        assert_eq!(token.hash().len(), 32);
        assert_eq!(Token::given("  rcv_x\n").hash(), Token::given("rcv_x").hash());
    }
}
