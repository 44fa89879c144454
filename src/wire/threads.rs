//! Implements the gRPC service `ThreadService`.

use futures::FutureExt;
use tonic::{Request, Response, Status};

use super::{caller, mask::Mask, page::Page, traits::runyard::v1::thread_service_server::ThreadService, write};
use crate::{
    accounts::Caller,
    app::App,
    contract::structs,
    error::{Error, Result},
    events::timestamp,
    id,
    runs::{remove, say, title},
    threads::{
        self, Attachment, Delivery, Message, Thread, attachments,
        messages::{self, Bound, StoredCall},
        search::{self, Found, Place},
        words::{self, Part, Words},
    },
    v1,
};

/// Maximum total size of the messages on a page in bytes. A page with a single message may be larger. Pages of this
/// size stay below the message limits of common clients.
pub(super) const PAGE_BYTES: usize = 2 * 1024 * 1024;

#[derive(Clone)]
pub struct Threads {
    pub(super) app: App,
}

#[tonic::async_trait]
impl ThreadService for Threads {
    async fn create_thread(&self, request: Request<v1::CreateThreadRequest>) -> Result<Response<v1::Thread>, Status> {
        let (caller, asked) = caller::open(request)?;
        let project_id = id::parse_optional("project_id", &asked.project_id)?;
        let name = asked.name.unwrap_or_default();
        let made = write(&self.app, caller, move |app, caller| {
            threads::create(app, caller, project_id, name).boxed()
        })
        .await?;
        Ok(Response::new(shown(made)))
    }

    async fn list_threads(
        &self,
        request: Request<v1::ListThreadsRequest>,
    ) -> Result<Response<v1::ListThreadsResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        if let Some(words) = words(&asked.search)? {
            return Ok(Response::new(self.search(&caller, asked, &words).await?));
        }
        let page = Page::read(&caller, &mut asked)?;
        let project_id = id::parse_optional("project_id", &asked.project_id)?;
        if let Some(project_id) = project_id {
            crate::projects::load(self.app.db.read(), caller.scope(), project_id).await?;
        }
        let rows = threads::list(self.app.db.read(), caller.scope(), project_id, page.after, page.limit()).await?;
        let (rows, next_page_token) = page.cut(rows, |row| (row.updated_at, row.id));
        Ok(Response::new(v1::ListThreadsResponse {
            threads: rows.into_iter().map(shown).collect(),
            next_page_token,
        }))
    }

    async fn get_thread(&self, request: Request<v1::GetThreadRequest>) -> Result<Response<v1::Thread>, Status> {
        let (caller, asked) = caller::open(request)?;
        let thread_id = id::parse("thread_id", &asked.thread_id)?;
        let row = threads::load(self.app.db.read(), caller.scope(), thread_id).await?;
        Ok(Response::new(shown(row)))
    }

    async fn update_thread(&self, request: Request<v1::UpdateThreadRequest>) -> Result<Response<v1::Thread>, Status> {
        let (caller, asked) = caller::open(request)?;
        let thread_id = id::parse("thread_id", &asked.thread_id)?;
        let Some(name) = new_name(asked)? else {
            let row = threads::load(self.app.db.read(), caller.scope(), thread_id).await?;
            return Ok(Response::new(shown(row)));
        };
        let changed = write(&self.app, caller, move |app, caller| {
            threads::rename(app, caller, thread_id, name).boxed()
        })
        .await?;
        Ok(Response::new(shown(changed)))
    }

    async fn suggest_thread_title(
        &self,
        request: Request<v1::SuggestThreadTitleRequest>,
    ) -> Result<Response<v1::Thread>, Status> {
        let (caller, asked) = caller::open(request)?;
        let thread_id = id::parse("thread_id", &asked.thread_id)?;
        // `write` finishes even if the client disconnects, so every completed model call is charged.
        let named = write(&self.app, caller, move |app, caller| {
            title::suggest(app, caller, thread_id).boxed()
        })
        .await?;
        Ok(Response::new(shown(named)))
    }

    async fn delete_thread(&self, request: Request<v1::DeleteThreadRequest>) -> Result<Response<()>, Status> {
        let (caller, asked) = caller::open(request)?;
        let thread_id = id::parse("thread_id", &asked.thread_id)?;
        write(&self.app, caller, move |app, caller| {
            remove::thread(app, caller, thread_id).boxed()
        })
        .await?;
        Ok(Response::new(()))
    }

    async fn list_messages(
        &self,
        request: Request<v1::ListMessagesRequest>,
    ) -> Result<Response<v1::ListMessagesResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let thread_id = id::parse("thread_id", &asked.thread_id)?;
        let page = Page::read(&caller, &mut asked)?;
        let db = self.app.db.read();
        threads::load(db, caller.scope(), thread_id).await?;
        let bound = Bound {
            rows: page.size,
            bytes: PAGE_BYTES,
        };
        let (rows, has_more) = messages::list(db, caller.scope(), thread_id, page.after, bound).await?;
        let next = rows.last().filter(|_| has_more).map(|row| (row.turn, row.id));
        let next_page_token = page.token(next.as_ref());
        let messages = rows.into_iter().map(shown_message).collect::<Result<_>>()?;
        Ok(Response::new(v1::ListMessagesResponse {
            messages,
            next_page_token,
        }))
    }

    async fn add_message(&self, request: Request<v1::AddMessageRequest>) -> Result<Response<v1::Message>, Status> {
        let (caller, asked) = caller::open(request)?;
        let thread_id = id::parse("thread_id", &asked.thread_id)?;
        let role = v1::MessageRole::try_from(asked.role)
            .map_err(|_| Error::invalid_field("role", "role must be user or assistant"))?;
        let message = write(&self.app, caller, move |app, caller| {
            say::say(app, caller, thread_id, role, asked.content).boxed()
        })
        .await?;
        Ok(Response::new(shown_message(message)?))
    }
}

impl Threads {
    async fn search(
        &self,
        caller: &Caller,
        mut asked: v1::ListThreadsRequest,
        words: &Words,
    ) -> Result<v1::ListThreadsResponse> {
        let page: Page<Place> = Page::read(caller, &mut asked)?;
        let (db, scope) = (self.app.db.read(), caller.scope());
        let project_id = id::parse_optional("project_id", &asked.project_id)?;
        if let Some(project_id) = project_id {
            crate::projects::load(db, scope, project_id).await?;
        }
        let (found, next) = search::search(db, scope, project_id, words, page.after, page.size).await?;
        Ok(v1::ListThreadsResponse {
            threads: found.into_iter().map(shown_match).collect(),
            next_page_token: page.token(next.as_ref()),
        })
    }
}

/// Returns the words of a search; `None` if the text has none.
fn words(search: &str) -> Result<Option<Words>> {
    if search.chars().count() > words::MAX_SEARCH || search.contains('\0') {
        let most = words::MAX_SEARCH;
        return Err(Error::invalid_field(
            "search",
            format!("search must have at most {most} characters and no NUL character"),
        ));
    }
    Ok(Words::of(search))
}

// Returns the new name of the thread, or `None` if the name does not change. If the mask contains `name` but the
// message does not set `name`, the new name is empty.
fn new_name(asked: v1::UpdateThreadRequest) -> Result<Option<String>> {
    let mask = Mask::read(asked.update_mask, "a thread", &["thread_id"], &["name"])?;
    Ok(mask.value("name", asked.name))
}

fn shown(row: Thread) -> v1::Thread {
    v1::Thread {
        thread_id: row.id.to_string(),
        project_id: row.project_id.to_string(),
        name: row.name,
        created_at: Some(timestamp(row.created_at)),
        updated_at: Some(timestamp(row.updated_at)),
        search_match: None,
    }
}

fn shown_match(found: Found) -> v1::Thread {
    let part = |part: Part| v1::ThreadMatchPart {
        text: part.text,
        is_word: part.is_word,
    };
    v1::Thread {
        search_match: found.message.map(|message| v1::ThreadMatch {
            message_id: message.id.to_string(),
            parts: message.snippet.into_iter().map(part).collect(),
        }),
        ..shown(found.thread)
    }
}

fn shown_message(row: Message) -> Result<v1::Message> {
    let wrong = |error: serde_json::Error| Error::internal("the message could not be decoded", error);
    let attachments = attachments::of_message(&row)?.into_iter().map(shown_attachment);
    let attachments = attachments.collect();
    let calls: Vec<StoredCall> = match row.tool_calls {
        Some(calls) => serde_json::from_value(calls).map_err(wrong)?,
        None => Vec::new(),
    };
    let files = match row.files {
        Some(files) => serde_json::from_value(files).map_err(wrong)?,
        None => Vec::new(),
    };
    Ok(v1::Message {
        message_id: row.id.to_string(),
        thread_id: row.thread_id.to_string(),
        agent_run_id: row.run_id.map(|run_id| run_id.to_string()),
        role: i32::from(row.role),
        content: row.content,
        tool_calls: calls.into_iter().map(shown_call).collect(),
        tool_call_id: row.tool_call_id,
        files,
        partial: row.partial,
        created_at: Some(timestamp(row.created_at)),
        attachments,
        delivery: row.delivery.map(|delivery| {
            match delivery {
                Delivery::Pending => v1::MessageDelivery::Pending,
                Delivery::Read => v1::MessageDelivery::Read,
            }
            .into()
        }),
    })
}

fn shown_attachment(record: Attachment) -> v1::Attachment {
    v1::Attachment {
        name: record.name,
        path: record.path,
        size: i64::try_from(record.size).unwrap_or(i64::MAX),
        content_type: record.media_type,
        width: record.details.width,
        height: record.details.height,
    }
}

fn shown_call(call: StoredCall) -> v1::MessageToolCall {
    let arguments = structs::parse_object(&call.arguments);
    v1::MessageToolCall {
        tool_call_id: call.id,
        name: call.name,
        invalid_arguments: arguments.is_none().then_some(call.arguments),
        arguments,
    }
}
