//! How staff are reached outside the app, and the code that shows that they are.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Longest address of RFC 5321, in bytes.
const MAX_EMAIL_BYTES: usize = 254;
/// Codes are below this.
const CODES: u32 = 100_000_000;
const CODE_DIGITS: usize = 8;

/// How long a code is good.
pub(crate) const CODE_MINUTES: i64 = 15;
/// Wrong codes that are looked at; after them the right one is worth nothing either.
pub(crate) const MAX_TRIES: i32 = 5;
/// How often a code that was not taken is sent, with a new code each time.
pub(crate) const MAX_CODE_SENDS: i32 = 3;
/// The subject of the mail with a code.
pub(crate) const CODE_SUBJECT: &str = "Your code";

/// A way besides the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Email,
    Webhook,
}

impl Method {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Webhook => "webhook",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Email, Self::Webhook]
            .into_iter()
            .find(|method| method.as_str() == word)
    }

    /// Where a method stands whose owner has not said.
    pub(crate) const fn usual_position(self) -> i32 {
        match self {
            Self::Email => 1,
            Self::Webhook => 2,
        }
    }
}

/// Whether mail could be sent to an address. Whether anybody reads it, a code tells.
pub(crate) fn is_email(text: &str) -> bool {
    let clean = |part: &str| {
        !part.is_empty()
            && !part.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;\"".contains(c))
    };
    text.len() <= MAX_EMAIL_BYTES
        && text
            .split_once('@')
            .is_some_and(|(local, domain)| clean(local) && clean(domain) && !domain.contains('@'))
}

/// A code that is sent to an address.
pub(crate) struct Code(String);

impl Code {
    /// The code of a random number.
    pub(crate) fn of(random: u32) -> Self {
        Self(format!("{:0CODE_DIGITS$}", random % CODES))
    }

    /// The code as a person sent it back.
    pub(crate) fn sent(text: &str) -> Option<Self> {
        let is_one = text.len() == CODE_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        is_one.then(|| Self(text.to_owned()))
    }

    /// What is stored of it.
    pub(crate) fn hash(&self, contact_method_id: i64) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(contact_method_id.to_be_bytes());
        hash.update(self.0.as_bytes());
        hash.finalize().to_vec()
    }

    /// The text of the mail that brings it.
    pub(crate) fn text(&self) -> String {
        format!(
            "Your code is {}. It is good for {CODE_MINUTES} minutes.\n\nIf you did not ask for one, do nothing.\n",
            self.0
        )
    }

    /// The body of the webhook that brings it.
    pub(crate) fn body(&self, now: DateTime<Utc>) -> Value {
        json!({"type": "verification", "timestamp": now, "data": {"code": self.0}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_eight_digits_and_of_one_method() {
        for random in [0, 1, 99_999_999, 100_000_000, u32::MAX] {
            let code = Code::of(random);
            assert!(Code::sent(&code.0).is_some(), "{}", code.0);
            assert_ne!(code.hash(1), code.hash(2));
        }
        for text in ["", "1234567", "123456789", "1234567a", "１２３４"] {
            assert!(Code::sent(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_address_names_one_mailbox() {
        assert!(is_email("a.b+c@mail.example"));
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b\r\nBcc: x@y",
            "a@b,c@d",
            "A <a@b>",
        ] {
            assert!(!is_email(bad), "{bad:?}");
        }
    }
}
