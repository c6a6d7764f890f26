//! Messages as they come in, and who may write in whose name.

use chrono::{DateTime, Utc};
use common::{ConversationType, SenderRole};
use serde_json::Value;

use super::ai::AiMetadata;

/// A message as it came in: valid by itself, the people in it not looked up.
#[derive(Clone, Debug)]
pub(crate) struct NewMessage {
    /// The client of the conversation.
    pub(crate) user_id: String,
    pub(crate) message_text: String,
    pub(crate) conversation_type: ConversationType,
    /// As asked for; [`Author::role`] decides.
    pub(crate) sender_role: Option<SenderRole>,
    pub(crate) recipient_id: Option<String>,
    /// The database's clock where the sender does not say.
    pub(crate) timestamp: Option<DateTime<Utc>>,
    pub(crate) metadata: Option<Value>,
    /// The thread it belongs to.
    pub(crate) thread: Option<ThreadName>,
    /// What the companion's models said of it; of an assistant's message alone.
    pub(crate) ai: Option<AiMetadata>,
}

/// A client's thread, as the app names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ThreadName {
    pub(crate) role: String,
    pub(crate) thread_id: String,
}

/// Who is writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    /// The client themselves.
    Client,
    /// A member of staff, to a client.
    Staff,
    /// The client-facing app, which hands on what all three wrote.
    App,
}

impl Author {
    /// The role a message gets; what it must be, where another was asked for.
    pub(crate) fn role(self, asked: Option<SenderRole>) -> Result<SenderRole, &'static str> {
        match (self, asked) {
            (Self::Client, None | Some(SenderRole::User)) => Ok(SenderRole::User),
            (Self::Client, Some(_)) => Err("must be user: clients write their own messages only"),
            (Self::Staff, None | Some(SenderRole::Staff)) => Ok(SenderRole::Staff),
            (Self::Staff, Some(_)) => Err("must be staff: staff write in their own name only"),
            (Self::App, asked) => Ok(asked.unwrap_or(SenderRole::User)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_but_the_app_writes_in_another_name() {
        for asked in [SenderRole::User, SenderRole::Assistant, SenderRole::Staff] {
            assert_eq!(Author::App.role(Some(asked)), Ok(asked));
            assert_eq!(
                Author::Client.role(Some(asked)).is_ok(),
                asked == SenderRole::User
            );
            assert_eq!(
                Author::Staff.role(Some(asked)).is_ok(),
                asked == SenderRole::Staff
            );
        }
        assert_eq!(Author::App.role(None), Ok(SenderRole::User));
        assert_eq!(Author::Client.role(None), Ok(SenderRole::User));
        assert_eq!(Author::Staff.role(None), Ok(SenderRole::Staff));
    }
}
