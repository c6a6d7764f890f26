//! Reading messages.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use common::{ConversationType, PrincipalKind, SenderRole};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use web::{
    Allowed, Caller, CursorKey, Holder, Id, Identifier, NOBODY_ELSE, Newest, Page, Paging, Params, Problem,
    Query, ReadQuery, read,
};

use crate::error::Error;
use crate::state::State;
use crate::store::messages::{self, Message};

const READ: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
    PrincipalKind::Supervisor,
    PrincipalKind::Oncall,
]);

/// A message.
#[derive(Serialize, ToSchema)]
struct MessageView {
    message_id: i64,
    /// The client of the conversation.
    user_id: String,
    message_text: String,
    timestamp: DateTime<Utc>,
    #[schema(value_type = String, example = "buddy")]
    conversation_type: ConversationType,
    #[schema(value_type = String, example = "user")]
    sender_role: SenderRole,
    /// Only where it is the client of the conversation, or the member of staff who asks.
    recipient_id: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

impl MessageView {
    /// A recipient is kept only where it has an account. Shown to others, it would tell who is in the programme.
    fn to(caller: &Caller, found: Message) -> Self {
        let asks = |id: &str| caller.principal.holder == Holder::Staff && caller.principal.id == id;
        let recipient_id = found.recipient_id.filter(|id| *id == found.user_id || asks(id));
        Self {
            message_id: found.message_id,
            user_id: found.user_id,
            message_text: found.message_text,
            timestamp: found.timestamp,
            conversation_type: found.conversation_type,
            sender_role: found.sender_role,
            recipient_id,
            metadata: found.metadata,
        }
    }
}

/// Which of a client's messages are asked for.
struct ListQuery {
    conversation_type: Option<ConversationType>,
    paging: Paging,
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let conversation_type = params.optional(
            "conversation_type",
            read::parsed(
                |word| word.parse().ok(),
                "buddy, counselor, group, family or assistant",
            ),
        );
        let paging = Paging::read(params);
        Some(Self {
            conversation_type: conversation_type?,
            paging: paging?,
        })
    }
}

/// A client's messages, newest first. Staff who see the client for a crisis alone get the last 20 and no cursor.
#[utoipa::path(
    tag = "messages",
    params(
        ("user_id" = String, Path),
        ("conversation_type" = Option<String>, Query),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<MessageView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/messages")]
pub(crate) async fn list(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(query): Query<ListQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let list = format!("messages of {}", *user_id);
    let after: Option<Newest> = cursors.open(&list, &caller, &query.paging)?;
    let goes_on = after.is_some();
    let Newest(at, id) = after.unwrap_or_default();
    let conversation_type = query.conversation_type.map(ConversationType::as_str);
    let (crisis_only, limit) = (sees_in_crisis_only(&caller), query.paging.limit + 1);
    let params: db::Params<'_> = &[&&**user_id, &crisis_only, &conversation_type, &at, &id, &limit];
    let rows = state
        .db
        .read(&caller.actor_for(&user_id)?, messages::HISTORY, params)
        .await?;
    let (limited, found) = messages::history(&rows)?.ok_or(Error::NotFound)?;
    if limited && goes_on {
        // The cursor dates from a time when the client was on the caller's caseload.
        return Err(Problem::invalid_field("?cursor", "must be a next_cursor of this list").into());
    }
    let items: Vec<MessageView> = found
        .into_iter()
        .map(|message| MessageView::to(&caller, message))
        .collect();
    let mut page = Page::cut(items, query.paging.limit, |last| {
        cursors.seal(
            &list,
            &caller,
            &query.paging,
            &Newest(last.timestamp, last.message_id),
        )
    });
    page.next_cursor = page.next_cursor.filter(|_| !limited);
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}

/// One message.
#[utoipa::path(
    tag = "messages",
    params(("message_id" = i64, Path)),
    responses((status = 200, body = MessageView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/messages/{message_id}")]
pub(crate) async fn find(
    state: Data<State>,
    message_id: Path<Id>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let params: db::Params<'_> = &[&**message_id, &sees_in_crisis_only(&caller)];
    let rows = state.db.read(&caller.actor()?, messages::FIND, params).await?;
    let row = rows.first().ok_or(Error::NotFound)?;
    let found = messages::from_row(row)?;
    let author = found.user_id.clone();
    Ok(caller
        .disclose([author], &MessageView::to(&caller, found))
        .await?)
}

/// Whether the caller is on call and nothing more: such staff get the last messages of a client in crisis.
fn sees_in_crisis_only(caller: &Caller) -> bool {
    let cares = |kind| matches!(kind, PrincipalKind::Counselor | PrincipalKind::Supervisor);
    caller.principal.holder == Holder::Staff && !caller.principal.kinds().any(cares)
}
