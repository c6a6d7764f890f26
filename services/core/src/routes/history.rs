//! Reading messages: a client's, a thread's, and one.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use common::{ConversationType, PrincipalKind, SenderRole};
use db::Row;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use web::{
    Allowed, Caller, CursorKey, Holder, Id, Identifier, NOBODY_ELSE, Newest, Page, Paging, Params, Problem,
    Query, ReadQuery, read,
};

use super::ai::AiBody;
use super::messages::conversation_type;
use super::reviews::ReviewView;
use super::threads::{Place, READ as CARE};
use crate::domain::ai::AiMetadata;
use crate::error::Error;
use crate::state::State;
use crate::store::ai_metadata;
use crate::store::messages::{self, Message, Order};

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
    /// What the companion's models said of it: of one message alone, and not for the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AiBody>)]
    ai: Option<AiMetadata>,
    /// What reviewers said of it: of one message alone, and for staff.
    #[serde(skip_serializing_if = "Option::is_none")]
    review: Option<ReviewView>,
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
            ai: None,
            review: None,
        }
    }
}

/// The orders of a history.
const ORDERS: &[&str] = &["asc", "desc"];

/// Which page of a history is asked for; newest first by default.
struct Pages {
    order: Order,
    paging: Paging,
}

impl ReadQuery for Pages {
    fn read(params: &mut Params) -> Option<Self> {
        let order = params.optional("order", read::one_of(ORDERS));
        let paging = Paging::read(params);
        let order = if order? == Some("asc") {
            Order::Oldest
        } else {
            Order::Newest
        };
        Some(Self {
            order,
            paging: paging?,
        })
    }
}

impl Pages {
    /// The row that the page goes on behind, and whether there is a page before it.
    fn after(
        &self,
        list_name: &str,
        cursors: &CursorKey,
        caller: &Caller,
    ) -> Result<(Newest, bool), Problem> {
        let after = cursors.open(list_name, caller, &self.paging)?;
        let first = match self.order {
            Order::Newest => Newest::default(),
            Order::Oldest => Newest(DateTime::UNIX_EPOCH, 0),
        };
        Ok((after.unwrap_or(first), after.is_some()))
    }

    /// The page of these rows, and whether the caller gets the last 20 only; [`Error::NotFound`] where client or thread is
    /// not seen.
    fn page(
        &self,
        rows: &[Row],
        list_name: &str,
        cursors: &CursorKey,
        caller: &Caller,
    ) -> Result<(Page<MessageView>, bool), Error> {
        let (limited, found) = messages::history(rows)?.ok_or(Error::NotFound)?;
        let items = found
            .into_iter()
            .map(|message| MessageView::to(caller, message))
            .collect();
        let mut page = Page::cut(items, self.paging.limit, |last: &MessageView| {
            let position = Newest(last.timestamp, last.message_id);
            cursors.seal(list_name, caller, &self.paging, &position)
        });
        page.next_cursor = page.next_cursor.filter(|_| !limited);
        Ok((page, limited))
    }
}

/// Which of a client's messages are asked for.
struct ListQuery {
    conversation_type: Option<ConversationType>,
    pages: Pages,
}

impl ReadQuery for ListQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let conversation_type = params.optional("conversation_type", conversation_type);
        let pages = Pages::read(params);
        Some(Self {
            conversation_type: conversation_type?,
            pages: pages?,
        })
    }
}

/// A client's messages, newest first or oldest first. Staff who see the client for a crisis alone get the last 20 and no
/// cursor.
#[utoipa::path(
    tag = "messages",
    params(
        ("user_id" = String, Path),
        ("conversation_type" = Option<String>, Query),
        ("order" = Option<String>, Query, description = "desc, newest first (the default), or asc"),
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
    let (list_name, pages) = (format!("messages of {}", *user_id), query.pages);
    let (Newest(at, id), goes_on) = pages.after(&list_name, &cursors, &caller)?;
    let conversation_type = query.conversation_type.map(ConversationType::as_str);
    let (crisis_only, limit) = (sees_in_crisis_only(&caller), pages.paging.limit + 1);
    let params: db::Params<'_> = &[&&**user_id, &crisis_only, &conversation_type, &at, &id, &limit];
    let (actor, sql) = (caller.actor_for(&user_id)?, messages::history_sql(pages.order));
    let rows = state.db.read(&actor, &sql, params).await?;
    let (page, limited) = pages.page(&rows, &list_name, &cursors, &caller)?;
    if limited && goes_on {
        // The cursor dates from a time when the client was on the caller's caseload.
        return Err(Problem::invalid_field("?cursor", "must be a next_cursor of this list").into());
    }
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}

/// The messages of a thread, newest first or oldest first.
#[utoipa::path(
    tag = "threads",
    params(
        Place,
        ("order" = Option<String>, Query, description = "desc, newest first (the default), or asc"),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Page<MessageView>)),
    extensions(("x-principals" = json!(CARE)))
)]
#[get("/v1/threads/{user_id}/{role}/{thread_id}/messages")]
pub(crate) async fn list_of_thread(
    state: Data<State>,
    place: Path<Place>,
    Query(pages): Query<Pages>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&CARE)?;
    let of = place.named();
    let list_name = format!("messages of {}/{}/{}", of.user_id, of.role, of.thread_id);
    let (Newest(at, id), _) = pages.after(&list_name, &cursors, &caller)?;
    let limit = pages.paging.limit + 1;
    let params: db::Params<'_> = &[&of.user_id, &of.role, &of.thread_id, &at, &id, &limit];
    let actor = caller.actor_for(of.user_id)?;
    let sql = messages::thread_history_sql(pages.order);
    let rows = state.db.read(&actor, &sql, params).await?;
    let (page, _) = pages.page(&rows, &list_name, &cursors, &caller)?;
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
    let crisis_only = sees_in_crisis_only(&caller);
    let tells_all = !crisis_only && caller.principal.holder != Holder::Client;
    let params: db::Params<'_> = &[&**message_id, &crisis_only, &tells_all];
    let rows = state.db.read(&caller.actor()?, messages::FIND, params).await?;
    let row = rows.first().ok_or(Error::NotFound)?;
    let mut shown = MessageView::to(&caller, messages::from_row(row)?);
    if let Some(known) = ai_metadata::known(row)? {
        let is_staff = caller.principal.holder == Holder::Staff;
        shown.review = is_staff.then(|| ReviewView::of(&known));
        shown.ai = Some(known.ai);
    }
    Ok(caller.disclose([shown.user_id.clone()], &shown).await?)
}

/// Whether the caller is on call and nothing more: such staff get the last messages of a client in crisis.
fn sees_in_crisis_only(caller: &Caller) -> bool {
    let cares = |kind| matches!(kind, PrincipalKind::Counselor | PrincipalKind::Supervisor);
    caller.principal.holder == Holder::Staff && !caller.principal.kinds().any(cares)
}
