//! Searches the names and the messages of threads, latest activity first.
//!
//! The search reads the texts in the order of the list, without an index of words. Such an index would make every
//! message of every run more expensive to write, and could not deliver the matches in the order of the list without
//! sorting them all. Instead, each call reads a bounded part of the threads. If the bound ends a call early, its page
//! has fewer threads, and the next page continues at the same message. So all threads are searched, page by page.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::{
    list,
    table::{
        message::{Column, Entity},
        thread::Model,
    },
    words::{Part, Words},
};
use crate::{
    accounts::{Scope, of},
    error::Result,
};

/// Maximum number of threads, of messages and of bytes of text that a call reads. The last portion may exceed it.
const MAX_THREADS: usize = 500;
const MAX_MESSAGES: usize = 5_000;
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Number of threads per query.
const THREADS: u64 = 50;
/// Number of messages in the first query of a thread, and in each further one.
const FIRST_MESSAGES: u64 = 8;
const MESSAGES: u64 = 64;

/// The searched text of a message. Results of tools are not searched.
const TEXT: &str = "CASE WHEN role IN (1, 2) THEN substr(content, 1, 10000) ELSE '' END";

/// A found thread.
#[derive(Clone, Debug)]
pub struct Found {
    pub thread: Model,
    /// `None` if the name contains the words.
    pub message: Option<FoundMessage>,
}

#[derive(Clone, Debug)]
pub struct FoundMessage {
    pub id: Uuid,
    pub snippet: Vec<Part>,
}

/// The place after which a search continues: a thread, and the sort key of a message if the thread is not searched
/// to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub thread: (DateTime<Utc>, Uuid),
    pub message: Option<(Uuid, Uuid)>,
}

/// The part of the history that a call has read.
#[derive(Default)]
struct Budget {
    threads: usize,
    messages: usize,
    bytes: usize,
}

impl Budget {
    fn is_spent(&self) -> bool {
        self.threads >= MAX_THREADS || self.messages >= MAX_MESSAGES || self.bytes >= MAX_BYTES
    }
}

/// The result for one thread.
enum Outcome {
    InName,
    InMessage(FoundMessage),
    Nowhere,
    /// The call has read its part. The place is the sort key of the last read message.
    Cut((Uuid, Uuid)),
}

/// Finds up to `limit` threads whose name, or one of whose messages, contains all words. Returns the place at which the
/// next call continues; `None` if no threads are left.
pub async fn search(
    db: &impl ConnectionTrait,
    scope: Scope,
    project_id: Option<Uuid>,
    words: &Words,
    mut from: Option<Place>,
    limit: usize,
) -> Result<(Vec<Found>, Option<Place>)> {
    let (mut found, mut budget) = (Vec::new(), Budget::default());
    loop {
        let (threads, is_end) = portion(db, scope, project_id, from).await?;
        for thread in threads {
            if found.len() >= limit || budget.is_spent() {
                return Ok((found, from));
            }
            let key = (thread.updated_at, thread.id);
            let after = from.filter(|place| place.thread == key).and_then(|place| place.message);
            budget.threads += 1;
            let mut message = None;
            match in_thread(db, scope, &thread, words, after, &mut budget).await? {
                Outcome::InName => found.push(Found { thread, message: None }),
                Outcome::InMessage(at) => found.push(Found {
                    thread,
                    message: Some(at),
                }),
                Outcome::Nowhere => {}
                Outcome::Cut(place) => message = Some(place),
            }
            from = Some(Place { thread: key, message });
            if message.is_some() {
                return Ok((found, from));
            }
        }
        if is_end {
            return Ok((found, None));
        }
    }
}

/// Reads the next threads. The first of them is the thread of the place, if it is not searched to its end. The flag is
/// true if no further threads follow.
async fn portion(
    db: &impl ConnectionTrait,
    scope: Scope,
    project_id: Option<Uuid>,
    from: Option<Place>,
) -> Result<(Vec<Model>, bool)> {
    let mut threads = list::list(db, scope, project_id, from.map(|place| place.thread), THREADS).await?;
    let is_end = (threads.len() as u64) < THREADS;
    if let Some(Place {
        thread: (updated_at, id),
        message: Some(_),
    }) = from
    {
        let open = list::find(db, scope, id).await?;
        // A thread that has changed is no longer at this place of the list.
        threads.splice(0..0, open.filter(|open| open.updated_at == updated_at));
    }
    Ok((threads, is_end))
}

async fn in_thread(
    db: &impl ConnectionTrait,
    scope: Scope,
    thread: &Model,
    words: &Words,
    mut after: Option<(Uuid, Uuid)>,
    budget: &mut Budget,
) -> Result<Outcome> {
    if after.is_none() && words.are_in(&thread.name) {
        return Ok(Outcome::InName);
    }
    let mut limit = FIRST_MESSAGES;
    loop {
        let rows = texts(db, scope, thread.id, after, limit).await?;
        let is_end = (rows.len() as u64) < limit;
        for (id, turn, text) in rows {
            budget.messages += 1;
            budget.bytes += text.len();
            if words.are_in(&text) {
                let snippet = words.snippet(&text);
                return Ok(Outcome::InMessage(FoundMessage { id, snippet }));
            }
            after = Some((turn, id));
            // Matching keeps the processor. Other requests of this thread go on in between.
            tokio::task::yield_now().await;
        }
        match after {
            Some(place) if !is_end && budget.is_spent() => return Ok(Outcome::Cut(place)),
            _ if is_end => return Ok(Outcome::Nowhere),
            _ => limit = MESSAGES,
        }
    }
}

/// Reads the ids, turns and searched texts of a thread's messages, oldest first.
async fn texts(
    db: &impl ConnectionTrait,
    scope: Scope,
    thread_id: Uuid,
    after: Option<(Uuid, Uuid)>,
    limit: u64,
) -> Result<Vec<(Uuid, Uuid, String)>> {
    let mut query = of::<Entity>(scope)
        .select_only()
        .columns([Column::Id, Column::Turn])
        .column_as(Expr::cust(TEXT), "text")
        .filter(Column::ThreadId.eq(thread_id));
    if let Some((turn, id)) = after {
        let place = Expr::tuple([Column::Turn, Column::Id].map(Expr::col));
        query = query.filter(place.gt(Expr::tuple([turn, id].map(Expr::value))));
    }
    let query = query.order_by_asc(Column::Turn).order_by_asc(Column::Id).limit(limit);
    Ok(query.into_tuple().all(db).await?)
}
