//! Accounts: what they hold, and what may stand in their fields.

use chrono_tz::Tz;
use serde_json::Value;

/// The longest e-mail address, in bytes.
const MAX_EMAIL_BYTES: usize = 255;
/// The longest language tag, in bytes.
const MAX_LOCALE_BYTES: usize = 35;
/// The longest part of a language tag, in bytes (BCP 47).
const MAX_SUBTAG_BYTES: usize = 8;

/// Whose account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A person in recovery.
    Client,
    /// A member of staff.
    Staff,
}

impl Kind {
    pub(crate) const WORDS: &'static [&'static str] = &["client", "staff"];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Staff => "staff",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Client, Self::Staff]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// An account that is about to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewUser {
    pub(crate) user_id: String,
    pub(crate) kind: Kind,
    pub(crate) username: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) full_name: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) timezone: String,
    pub(crate) locale: Option<String>,
    pub(crate) clerk_user_id: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) metadata: Option<Value>,
}

impl NewUser {
    /// An account of which nothing is known but its id.
    pub(crate) fn bare(user_id: &str, kind: Kind) -> Self {
        Self {
            user_id: user_id.to_owned(),
            kind,
            username: None,
            email: None,
            full_name: None,
            display_name: None,
            phone: None,
            timezone: Tz::UTC.name().to_owned(),
            locale: None,
            clerk_user_id: None,
            external_id: None,
            metadata: None,
        }
    }
}

/// A name of the IANA time zone database; quiet hours are counted in it.
pub(crate) fn timezone(text: &str) -> Option<String> {
    text.parse::<Tz>().ok().map(|_| text.to_owned())
}

/// An address that mail could be sent to. Whether anybody reads it, only mail can tell.
pub(crate) fn email(text: &str) -> Option<String> {
    let (local, domain) = text.split_once('@')?;
    let clean =
        |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control());
    let good = text.len() <= MAX_EMAIL_BYTES && clean(local) && clean(domain) && !domain.contains('@');
    good.then(|| text.to_owned())
}

/// A language tag such as `de-AT`.
pub(crate) fn locale(text: &str) -> Option<String> {
    let subtag = |part: &str| {
        (1..=MAX_SUBTAG_BYTES).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    (text.len() <= MAX_LOCALE_BYTES && text.split('-').all(subtag)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_zone_is_one_that_the_database_of_zones_has() {
        assert!(timezone("Europe/Vienna").is_some());
        assert!(timezone("UTC").is_some());
        assert!(timezone("Mars/Olympus").is_none());
        assert!(timezone("").is_none());
    }

    #[test]
    fn an_address_has_something_on_both_sides_of_one_at_sign() {
        assert!(email("a@b.example").is_some());
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\n"] {
            assert!(email(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_language_tag_is_parts_joined_by_hyphens() {
        assert!(locale("en").is_some());
        assert!(locale("zh-Hant-TW").is_some());
        for bad in ["", "-", "en_US", "en-", "en-ninechars"] {
            assert!(locale(bad).is_none(), "{bad:?}");
        }
    }
}
