//! Passwords as they are stored.

use argon2::password_hash::Error;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use crate::domain::password;

/// What OWASP asks of Argon2id: memory in KiB, passes over it, lanes.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// As the PHC string format advises, in bytes.
pub(crate) const SALT_BYTES: usize = 16;

/// The C library keeps up to 32 MiB at a time for the thread that frees them, so that a morning's sign-ins on a dozen
/// threads held 600 MiB for good. What is larger goes back as soon as it is free; of what is asked for beyond the hash's
/// own blocks nothing is ever touched.
const BLOCKS_THAT_NOBODY_KEEPS: usize = 33 * 1_024;

/// Hashes of the older system begin so.
const BCRYPT_PREFIXES: [&str; 4] = ["$2a$", "$2b$", "$2x$", "$2y$"];

/// What is verified for somebody who has no password, so that they are not told apart by time. Of a password that nobody
/// knows; by today's parameters.
pub(crate) const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZWJvZHllbHNlISE$u6vgnxD2G/8JLQ0dAYWAYrmTQ+oDWF7q8eqdd0KzK04";

/// What a password is to a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Another one.
    Wrong,
    /// The one.
    Right,
    /// The one, but the hash is not as we make them today.
    RightButOutdated,
}

/// Hashes a password by today's parameters.
///
/// # Errors
/// None that parameters of ours meet.
pub(crate) fn hash(password: &str, salt: [u8; SALT_BYTES]) -> Result<String, Error> {
    let argon2 = argon2id()?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon2.params())?,
        salt: Some(Salt::new(&salt)?),
        hash: Some(derive(&argon2, password, &salt, Params::DEFAULT_OUTPUT_LEN)?),
    };
    Ok(hash.to_string())
}

/// What a password is hashed to by somebody's parameters, so many bytes of it.
fn derive(argon2: &Argon2<'_>, password: &str, salt: &[u8], length: usize) -> Result<Output, Error> {
    let blocks = argon2.params().block_count();
    let mut memory = Vec::with_capacity(blocks.max(BLOCKS_THAT_NOBODY_KEEPS));
    memory.resize(blocks, Block::new());
    let password = password::normal(password);
    let mut output = vec![0; length];
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut output, &mut memory)?;
    Ok(Output::new(&output)?)
}

/// Whether a password is hashed to what is stored. Compared in constant time, as outputs are.
fn fits(password: &str, stored: &PasswordHash) -> Result<bool, Error> {
    let (Some(salt), Some(expected)) = (stored.salt.as_ref(), stored.hash.as_ref()) else {
        return Ok(false);
    };
    let algorithm = Algorithm::try_from(stored.algorithm.as_str())?;
    let version = stored.version.map_or(Ok(Version::V0x13), Version::try_from)?;
    let argon2 = Argon2::new(algorithm, version, Params::try_from(stored)?);
    Ok(derive(&argon2, password, salt.as_ref(), expected.len())? == *expected)
}

/// Compares a password with what is stored. What cannot be read fits no password.
pub(crate) fn verify(password: &str, stored: &str) -> Verdict {
    if BCRYPT_PREFIXES.iter().any(|prefix| stored.starts_with(prefix)) {
        // The older system took passwords as they came.
        return match bcrypt::verify(password, stored) {
            Ok(true) => Verdict::RightButOutdated,
            Ok(false) | Err(_) => Verdict::Wrong,
        };
    }
    let Ok(parsed) = PasswordHash::new(stored) else {
        return Verdict::Wrong;
    };
    match fits(password, &parsed) {
        Ok(true) if is_current(&parsed) => Verdict::Right,
        Ok(true) => Verdict::RightButOutdated,
        Ok(false) | Err(_) => Verdict::Wrong,
    }
}

fn is_current(hash: &PasswordHash) -> bool {
    let costs = Params::try_from(hash).map(|params| (params.m_cost(), params.t_cost(), params.p_cost()));
    hash.algorithm.as_str() == Algorithm::Argon2id.as_str() && costs == Ok((MEMORY_KIB, PASSES, LANES))
}

fn argon2id() -> Result<Argon2<'static>, Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use argon2::PasswordHasher;

    use super::*;

    const SALT: [u8; SALT_BYTES] = [1; SALT_BYTES];

    #[test]
    fn a_password_fits_its_own_hash_however_its_characters_were_typed() {
        let stored = hash("Caf\u{e9} \u{2460} zehn", SALT).expect("a hash");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_eq!(verify("Cafe\u{301} 1 zehn", &stored), Verdict::Right);
        assert_eq!(verify("cafe 1 zehn", &stored), Verdict::Wrong);
    }

    #[test]
    fn a_bcrypt_hash_fits_and_is_outdated() {
        let stored = bcrypt::hash("an old password", 4).expect("a hash");
        assert_eq!(verify("an old password", &stored), Verdict::RightButOutdated);
        assert_eq!(verify("another password", &stored), Verdict::Wrong);
    }

    #[test]
    fn a_hash_of_weaker_parameters_is_outdated() {
        let weak = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            Params::new(8_192, 1, 1, None).expect("parameters"),
        );
        let stored: PasswordHash = weak.hash_password_with_salt(b"password", &SALT).expect("a hash");
        assert_eq!(verify("password", &stored.to_string()), Verdict::RightButOutdated);
    }

    #[test]
    fn nobody_costs_what_everybody_costs_and_what_is_no_hash_fits_nothing() {
        assert!(is_current(&PasswordHash::new(NOBODY).expect("a hash")));
        for stored in [NOBODY, "", "plain", "$2b$10$short", "$argon2id$"] {
            assert_eq!(verify("plain", stored), Verdict::Wrong, "{stored}");
        }
    }
}
