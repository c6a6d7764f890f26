//! What of an account can be changed, and by whom.

use serde_json::Value;

/// In what right somebody changes an account. Staff may have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// The person, or the app on the person's behalf.
    Person,
    /// The app: it also keeps the programme's own data of the person.
    App,
    /// Staff who care for the client.
    Care,
    /// Who runs the accounts.
    Admin,
}

/// A field that can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Username,
    Email,
    FullName,
    DisplayName,
    Phone,
    Timezone,
    Locale,
    ExternalId,
    ClerkUserId,
    Status,
    Metadata,
}

impl Field {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::Email => "email",
            Self::FullName => "full_name",
            Self::DisplayName => "display_name",
            Self::Phone => "phone",
            Self::Timezone => "timezone",
            Self::Locale => "locale",
            Self::ExternalId => "external_id",
            Self::ClerkUserId => "clerk_user_id",
            Self::Status => "status",
            Self::Metadata => "metadata",
        }
    }

    /// Nobody changes what the own view of the account does not show, and how the programme keeps the account is the
    /// admins' alone.
    pub(crate) const fn is_open_to(self, right: Right) -> bool {
        match self {
            Self::Username | Self::FullName | Self::Phone | Self::Locale => {
                matches!(right, Right::Person | Right::App | Right::Admin)
            }
            // Whoever reads the address can set a new password: a token of a person, which may have leaked, is not enough.
            Self::Email => matches!(right, Right::App | Right::Admin),
            Self::DisplayName | Self::Timezone => true,
            Self::ExternalId | Self::ClerkUserId | Self::Status => matches!(right, Right::Admin),
            Self::Metadata => matches!(right, Right::App | Right::Care),
        }
    }
}

/// What can be changed of an account, as it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Account {
    pub(crate) username: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) full_name: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) timezone: String,
    pub(crate) locale: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) clerk_user_id: Option<String>,
    pub(crate) status: String,
    pub(crate) metadata: Option<Value>,
}

/// What is to become of an account: `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) username: Option<Option<String>>,
    pub(crate) email: Option<Option<String>>,
    pub(crate) full_name: Option<Option<String>>,
    pub(crate) display_name: Option<Option<String>>,
    pub(crate) phone: Option<Option<String>>,
    pub(crate) timezone: Option<String>,
    pub(crate) locale: Option<Option<String>>,
    pub(crate) external_id: Option<Option<String>>,
    pub(crate) clerk_user_id: Option<Option<String>>,
    pub(crate) status: Option<String>,
    pub(crate) metadata: Option<Option<Value>>,
}

impl Changes {
    /// Whether the account is to be closed to its holder.
    pub(crate) fn suspends(&self) -> bool {
        self.status.as_deref() == Some("suspended")
    }

    /// Whether a name other than the account's is asked for, which tells whether it is taken.
    pub(crate) fn renames(&self, account: &Account) -> bool {
        matches!(&self.username, Some(Some(name)) if account.username.as_ref() != Some(name))
    }

    /// The fields that are named and that none of these rights opens.
    pub(crate) fn refused(&self, rights: &[Right]) -> Vec<Field> {
        let open = |field: Field| rights.iter().any(|right| field.is_open_to(*right));
        let named = [
            (Field::Username, self.username.is_some()),
            (Field::Email, self.email.is_some()),
            (Field::FullName, self.full_name.is_some()),
            (Field::DisplayName, self.display_name.is_some()),
            (Field::Phone, self.phone.is_some()),
            (Field::Timezone, self.timezone.is_some()),
            (Field::Locale, self.locale.is_some()),
            (Field::ExternalId, self.external_id.is_some()),
            (Field::ClerkUserId, self.clerk_user_id.is_some()),
            (Field::Status, self.status.is_some()),
            (Field::Metadata, self.metadata.is_some()),
        ];
        let refused = named
            .into_iter()
            .filter(|(field, is_named)| *is_named && !open(*field));
        refused.map(|(field, _)| field).collect()
    }

    /// Changes the account; returns which fields are other than before.
    pub(crate) fn apply(self, account: &mut Account) -> Vec<Field> {
        let mut changed = Vec::new();
        set(
            &mut account.username,
            self.username,
            Field::Username,
            &mut changed,
        );
        set(&mut account.email, self.email, Field::Email, &mut changed);
        set(
            &mut account.full_name,
            self.full_name,
            Field::FullName,
            &mut changed,
        );
        set(
            &mut account.display_name,
            self.display_name,
            Field::DisplayName,
            &mut changed,
        );
        set(&mut account.phone, self.phone, Field::Phone, &mut changed);
        set(
            &mut account.timezone,
            self.timezone,
            Field::Timezone,
            &mut changed,
        );
        set(&mut account.locale, self.locale, Field::Locale, &mut changed);
        set(
            &mut account.external_id,
            self.external_id,
            Field::ExternalId,
            &mut changed,
        );
        set(
            &mut account.clerk_user_id,
            self.clerk_user_id,
            Field::ClerkUserId,
            &mut changed,
        );
        set(&mut account.status, self.status, Field::Status, &mut changed);
        set(
            &mut account.metadata,
            self.metadata,
            Field::Metadata,
            &mut changed,
        );
        changed
    }
}

fn set<T: PartialEq>(place: &mut T, given: Option<T>, field: Field, changed: &mut Vec<Field>) {
    if let Some(value) = given
        && *place != value
    {
        *place = value;
        changed.push(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_other_than_before_counts_as_changed() {
        let mut account = Account {
            username: Some("one".to_owned()),
            phone: Some("1".to_owned()),
            ..Account::default()
        };
        let changes = Changes {
            username: Some(Some("one".to_owned())),
            phone: Some(None),
            locale: Some(None),
            ..Changes::default()
        };
        assert_eq!(changes.apply(&mut account), [Field::Phone]);
        assert_eq!(account.phone, None);
    }

    #[test]
    fn a_right_opens_its_fields_and_no_others() {
        let changes = Changes {
            display_name: Some(None),
            status: Some("active".to_owned()),
            metadata: Some(None),
            ..Changes::default()
        };
        assert_eq!(
            changes.refused(&[Right::Person]),
            [Field::Status, Field::Metadata]
        );
        assert_eq!(changes.refused(&[Right::Person, Right::App]), [Field::Status]);
        assert_eq!(changes.refused(&[Right::Admin]), [Field::Metadata]);
        assert_eq!(changes.refused(&[Right::Admin, Right::Care]), []);
    }
}
