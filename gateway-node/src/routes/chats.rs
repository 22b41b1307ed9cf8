//! My chats, and pages of them.

use actix_web::web::{Data, Json, Path};
use actix_web::{Responder, get};
use volery_kernel::chat::ChatId;
use volery_kernel::code::Code;
use volery_kernel::id::UserId;
use volery_kernel::limits;
use volery_ports::history::Anchor;

use crate::caller::Caller;
use crate::input::Params;
use crate::problem::Problem;
use crate::server::Shared;
use crate::{view, when};

/// My chats, newest first.
#[utoipa::path(tag = "chats", security(("token" = [])), params(
    ("cursor" = Option<String>, Query, description = "`next` of the page before."),
    ("limit" = Option<u8>, Query, minimum = 1, maximum = 100, description = "1 to 100; 50 if it is missing.")),
    responses((status = 200, description = "A page of chats.", body = view::ChatList)))]
#[get("/v1/chats")]
pub(super) async fn list(caller: Caller, shared: Data<Shared>, params: Params) -> Result<impl Responder, Problem> {
    let (user, cursor) = (caller.0.user, params.cursor()?);
    let limit = params.limit(limits::PAGE_DEFAULT.value, limits::CHATS_MOST.value)?;
    Ok(Json(view::chats(user, shared.history.chats(user, cursor, limit).await?)))
}

/// A page of a chat. At most one of `before`, `after`, `around`, `around_time` and `cursor` says where; the newest
/// messages if none does.
#[utoipa::path(tag = "chats", security(("token" = [])), params(
    ("chat" = String, Path, pattern = "^(direct:[0-9]{1,19}:[0-9]{1,19}|group:[0-9]{1,19})$", description = "`direct:<user>:<user>`, the smaller id first, or `group:<id>`."),
    ("before" = Option<String>, Query, pattern = "^[0-9]{1,19}$", description = "Messages before this id."),
    ("after" = Option<String>, Query, pattern = "^[0-9]{1,19}$", description = "Messages after this id."),
    ("around" = Option<String>, Query, pattern = "^[0-9]{1,19}$", description = "Messages around this id."),
    ("around_time" = Option<String>, Query, description = "Messages around this time: RFC 3339, or milliseconds since the Unix epoch."),
    ("cursor" = Option<String>, Query, description = "`older` or `newer` of another page."),
    ("limit" = Option<u8>, Query, minimum = 1, maximum = 100, description = "1 to 100; 50 if it is missing.")),
    responses((status = 200, description = "Ascending by id.", body = view::Page)))]
#[get("/v1/chats/{chat}/messages")]
pub(super) async fn messages(
    caller: Caller,
    shared: Data<Shared>,
    chat: Path<String>,
    params: Params,
) -> Result<impl Responder, Problem> {
    let user = caller.0.user;
    let chat = chat_of(user, &chat)?;
    let anchor = anchor(&params)?;
    let limit = params.limit(limits::PAGE_DEFAULT.value, limits::PAGE_MOST.value)?;
    Ok(Json(view::page(user, chat, shared.history.page(user, chat, anchor, limit).await?)))
}

/// The chat, if it is written as one and may be the caller's: somebody else's is as if it were not there.
fn chat_of(user: UserId, text: &str) -> Result<ChatId, Problem> {
    let unknown = || Problem::new(Code::UnknownChat).in_field("chat");
    let chat: ChatId = text.parse().map_err(|_| unknown())?;
    let theirs = matches!(chat, ChatId::Group(_)) || chat.peer_of(user).is_some();
    theirs.then_some(chat).ok_or_else(unknown)
}

fn anchor(params: &Params) -> Result<Anchor, Problem> {
    let time = |text| when::parse(text).ok_or_else(|| Problem::bad("around_time", "neither RFC 3339 nor milliseconds"));
    let given = [
        params.parsed("before")?.map(Anchor::Before),
        params.parsed("after")?.map(Anchor::After),
        params.parsed("around")?.map(Anchor::Around),
        params.text("around_time").map(time).transpose()?.map(Anchor::AroundTime),
        params.cursor()?.map(Anchor::Cursor),
    ];
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (None, _) => Ok(Anchor::Newest),
        (Some(anchor), None) => Ok(anchor),
        (Some(_), Some(_)) => Err(Problem::new(Code::BadRequest)
            .because("at most one of before, after, around, around_time and cursor says where the page is")),
    }
}
