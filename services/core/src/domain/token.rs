//! Bearer tokens, and the secrets by which programs get them: opaque, shown once, stored as hashes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Shown with every request.
    Access,
    /// Exchanged for new tokens.
    Refresh,
    /// Mailed to set a new password.
    Reset,
    /// Exchanged for tokens, with a code.
    Ticket,
    /// By which a program gets its tokens.
    Secret,
}

impl Purpose {
    /// Every token begins so, which lets leaked ones be found. None begins like another, so that a refresh token never
    /// passes as an access token.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Access => "rcv_",
            Self::Refresh => "rcvr_",
            Self::Reset => "rcvp_",
            Self::Ticket => "rcvt_",
            Self::Secret => "rcs_",
        }
    }
}

/// How long the access token of a person lasts, in seconds.
pub(crate) const PERSON_SECONDS: i32 = 15 * 60;
/// As unguessable as a key of the strongest cipher, in bytes.
pub(crate) const SECRET_BYTES: usize = 32;

/// A token in clear. Does not print itself by accident.
pub(crate) struct Token(String);

impl Token {
    /// A token that is being made, of a secret that nobody has seen.
    pub(crate) fn of(purpose: Purpose, secret: [u8; SECRET_BYTES]) -> Self {
        Self(format!("{}{}", purpose.prefix(), URL_SAFE_NO_PAD.encode(secret)))
    }

    /// A token that was sent to us, if it may be one of that purpose.
    pub(crate) fn sent(purpose: Purpose, text: &SecretString) -> Option<Self> {
        let text = text.expose_secret();
        text.starts_with(purpose.prefix()).then(|| Self(text.to_owned()))
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
        let token = Token::of(Purpose::Access, [0xff; SECRET_BYTES]);
        assert_eq!(token.reveal(), "rcv___________________________________________8");
        assert_eq!(token.hash().len(), 32);
        assert_eq!(Token::given("  rcv_x\n").hash(), Token::given("rcv_x").hash());
    }

    #[test]
    fn a_token_passes_for_its_own_purpose_only() {
        let secret = [7; SECRET_BYTES];
        for (made, asked, passes) in [
            (Purpose::Access, Purpose::Access, true),
            (Purpose::Refresh, Purpose::Refresh, true),
            (Purpose::Refresh, Purpose::Access, false),
            (Purpose::Access, Purpose::Refresh, false),
            (Purpose::Ticket, Purpose::Access, false),
            (Purpose::Reset, Purpose::Refresh, false),
        ] {
            let sent = SecretString::from(Token::of(made, secret).reveal());
            assert_eq!(Token::sent(asked, &sent).is_some(), passes);
        }
    }
}
