//! What Clerk says of accounts: its webhooks, read as far as they concern us. Clerk adds fields as it likes, so unknown
//! ones are no fault.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::domain::user;

const MAX_ID_BYTES: usize = 255;
const MAX_USERNAME_BYTES: usize = 100;
const MAX_NAME_BYTES: usize = 255;
const MAX_PHONE_BYTES: usize = 50;

/// What a webhook says.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// The account is there, and looks so.
    Account(Profile),
    /// The account of this id is gone for good.
    Deleted(String),
    /// Something that does not concern us.
    Other,
}

/// An account at Clerk as of a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) clerk_user_id: String,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) username: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) full_name: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) external_id: Option<String>,
}

#[derive(Deserialize)]
struct Webhook {
    #[serde(rename = "type")]
    kind: String,
    data: Value,
}

#[derive(Deserialize)]
struct Account {
    id: String,
    /// In milliseconds since 1970.
    updated_at: i64,
    username: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    external_id: Option<String>,
    primary_email_address_id: Option<String>,
    #[serde(default)]
    email_addresses: Vec<EmailAddress>,
    primary_phone_number_id: Option<String>,
    #[serde(default)]
    phone_numbers: Vec<PhoneNumber>,
}

#[derive(Deserialize)]
struct EmailAddress {
    id: String,
    email_address: String,
}

#[derive(Deserialize)]
struct PhoneNumber {
    id: String,
    phone_number: String,
}

#[derive(Deserialize)]
struct Deleted {
    id: String,
}

impl Said {
    /// Reads the body of a webhook; `None` where it is none of Clerk's.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let webhook: Webhook = serde_json::from_slice(body).ok()?;
        match webhook.kind.as_str() {
            "user.created" | "user.updated" => {
                let account: Account = serde_json::from_value(webhook.data).ok()?;
                account.profile().map(Self::Account)
            }
            "user.deleted" => {
                let deleted: Deleted = serde_json::from_value(webhook.data).ok()?;
                fitting(Some(deleted.id), MAX_ID_BYTES).map(Self::Deleted)
            }
            _ => Some(Self::Other),
        }
    }
}

impl Account {
    fn profile(self) -> Option<Profile> {
        let primary_email = self
            .email_addresses
            .into_iter()
            .find(|address| Some(&address.id) == self.primary_email_address_id.as_ref())
            .map(|address| address.email_address);
        let primary_phone = self
            .phone_numbers
            .into_iter()
            .find(|number| Some(&number.id) == self.primary_phone_number_id.as_ref())
            .map(|number| number.phone_number);
        let names = [self.first_name.as_deref(), self.last_name.as_deref()];
        let full_name = names.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let username = fitting(self.username, MAX_USERNAME_BYTES);
        Some(Profile {
            clerk_user_id: fitting(Some(self.id), MAX_ID_BYTES)?,
            updated_at: DateTime::from_timestamp_millis(self.updated_at)?,
            email: primary_email.filter(|text| user::email(text).is_some()),
            full_name: fitting(Some(full_name), MAX_NAME_BYTES),
            // Dashboards show no more than a first name of who never chose another one.
            display_name: fitting(self.first_name, MAX_NAME_BYTES).or_else(|| username.clone()),
            phone: fitting(primary_phone, MAX_PHONE_BYTES),
            external_id: fitting(self.external_id, MAX_NAME_BYTES),
            username,
        })
    }
}

/// The text without the space around it, where it is one that an account may hold. Clerk cannot be asked to mend it.
fn fitting(text: Option<String>, max_bytes: usize) -> Option<String> {
    let text = text?.trim().to_owned();
    (!text.is_empty() && text.len() <= max_bytes && !text.contains('\0')).then_some(text)
}

/// What is kept of an account's id for good. Clerk draws ids at random, so nobody finds one by trying.
pub(crate) fn account_hash(clerk_user_id: &str) -> Vec<u8> {
    Sha256::digest(clerk_user_id.as_bytes()).to_vec()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use serde_json::json;

    use super::*;

    fn account() -> Value {
        json!({
            "id": "user_1", "updated_at": 1_700_000_000_123_i64, "username": null, "first_name": "Ann", "last_name": "B.",
            "external_id": "", "primary_email_address_id": "e2", "primary_phone_number_id": null, "banned": false,
            "email_addresses": [
                {"id": "e1", "email_address": "other@mail.example"}, {"id": "e2", "email_address": "a@mail.example"}],
            "phone_numbers": [{"id": "p1", "phone_number": "+1"}],
        })
    }

    fn read(kind: &str, data: &Value) -> Option<Said> {
        Said::read(
            json!({"type": kind, "object": "event", "data": data})
                .to_string()
                .as_bytes(),
        )
    }

    #[test]
    fn the_primary_address_counts_and_what_is_empty_is_absent() {
        let Some(Said::Account(profile)) = read("user.updated", &account()) else {
            panic!("an account");
        };
        assert_eq!(profile.email.as_deref(), Some("a@mail.example"));
        assert_eq!(profile.full_name.as_deref(), Some("Ann B."));
        assert_eq!(profile.display_name.as_deref(), Some("Ann"));
        assert_eq!(
            (profile.phone, profile.external_id, profile.username),
            (None, None, None)
        );
        assert_eq!(profile.updated_at.timestamp_millis(), 1_700_000_000_123);
    }

    #[test]
    fn values_that_no_account_may_hold_are_left_out() {
        let mut account = account();
        account["username"] = json!("x".repeat(101));
        account["first_name"] = json!("a\u{0}b");
        account["email_addresses"][1]["email_address"] = json!("nobody");
        let Some(Said::Account(profile)) = read("user.created", &account) else {
            panic!("an account");
        };
        assert_eq!(
            (
                profile.username,
                profile.full_name,
                profile.email,
                profile.display_name
            ),
            (None, None, None, None)
        );
    }

    #[test]
    fn what_is_none_of_clerks_is_nothing_and_what_does_not_concern_us_is_other() {
        assert!(matches!(read("session.created", &json!({})), Some(Said::Other)));
        assert!(matches!(
            read("user.deleted", &json!({"id": "user_1", "deleted": true})),
            Some(Said::Deleted(id)) if id == "user_1"
        ));
        for (kind, data) in [
            ("user.created", json!({})),
            ("user.updated", json!({"id": "user_1", "updated_at": "now"})),
            ("user.updated", json!({"id": "user_1", "updated_at": i64::MAX})),
            ("user.deleted", json!({"id": ""})),
            ("user.deleted", json!(null)),
        ] {
            assert!(read(kind, &data).is_none(), "{kind} {data}");
        }
        assert!(Said::read(b"no json").is_none());
    }
}
