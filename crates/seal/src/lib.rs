//! Sealing what the database must not show, by a key that is not in it.

#![warn(missing_docs)]

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// What could not be sealed or opened: another key, another person, or a row that somebody has changed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("cannot be sealed or opened with this key")]
pub struct SealError;

/// Seals and opens by one key.
pub struct Cipher(RandomizedNonceKey);

impl Cipher {
    /// A cipher of a key in words.
    ///
    /// # Errors
    /// None that a key meets.
    pub fn new(key: &SecretString) -> Result<Self, SealError> {
        let key = Sha256::digest(key.expose_secret().as_bytes());
        RandomizedNonceKey::new(&AES_256_GCM, &key)
            .map(Self)
            .map_err(|_| SealError)
    }

    /// Seals for one person: in the row of another it is worth nothing.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn seal(&self, secret: &[u8], user_id: &str) -> Result<Vec<u8>, SealError> {
        let mut sealed = secret.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(user_id.as_bytes()), &mut sealed)
            .map_err(|_| SealError)?;
        Ok([nonce.as_ref().as_slice(), &sealed].concat())
    }

    /// Opens what was sealed for this person.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn open(&self, sealed: &[u8], user_id: &str) -> Result<Vec<u8>, SealError> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError)?;
        let mut opened = sealed.to_vec();
        let plain = self
            .0
            .open_in_place(nonce, Aad::from(user_id.as_bytes()), &mut opened)
            .map_err(|_| SealError)?;
        Ok(plain.to_vec())
    }
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_person_by_its_key_alone() {
        let cipher = Cipher::new(&"one key of thirty-two bytes or more".into()).expect("a cipher");
        let other = Cipher::new(&"another one".into()).expect("a cipher");
        let sealed = cipher.seal(b"secret", "staff-1").expect("sealed");
        assert_eq!(cipher.open(&sealed, "staff-1").expect("opened"), b"secret");
        assert_ne!(sealed, cipher.seal(b"secret", "staff-1").expect("sealed"));
        assert!(cipher.open(&sealed, "staff-2").is_err());
        assert!(other.open(&sealed, "staff-1").is_err());
        assert!(cipher.open(&[1; 3], "staff-1").is_err());
        let mut bent = sealed;
        if let Some(last) = bent.last_mut() {
            *last ^= 1;
        }
        assert!(cipher.open(&bent, "staff-1").is_err());
    }
}
