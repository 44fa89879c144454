//! Pages of lists (AIP-158). A page token is opaque. It is valid only for the account and the query for which it was
//! issued. The query consists of all request fields except the page size and the page token.

use std::mem;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use chrono::{DateTime, Utc};
use prost::{Message, Name};
use uuid::Uuid;

use crate::{
    accounts::Caller,
    error::{Code, Error, Result},
    threads::search::Place,
    v1,
};

/// Default and maximum page size in rows.
const SIZES: (i32, i32) = (50, 200);
/// Size in bytes of the hash that binds a page token to its account and query.
const MARK: usize = 12;
/// Maximum size of a page token in bytes. Even the token for the longest file path is smaller.
const MAX_TOKEN: usize = 8192;

pub trait ListRequest: Message + Name {
    /// Removes the page size and the page token from the request, and returns them.
    fn take_page(&mut self) -> (i32, String);
}

macro_rules! list_requests {
    ($($request:ident),+ $(,)?) => {
        $(impl ListRequest for v1::$request {
            fn take_page(&mut self) -> (i32, String) {
                (mem::take(&mut self.page_size), mem::take(&mut self.page_token))
            }
        })+
    };
}

list_requests!(
    ListAccountUsageRequest,
    ListAccountsRequest,
    ListActiveRunsRequest,
    ListAgentVersionsRequest,
    ListAgentsRequest,
    ListApiKeysRequest,
    ListFilesRequest,
    ListMemoriesRequest,
    ListMessagesRequest,
    ListPendingInputsRequest,
    ListProjectsRequest,
    ListRunsRequest,
    ListScheduleRunsRequest,
    ListSchedulesRequest,
    ListSecretsRequest,
    ListSharedMessagesRequest,
    ListSharesRequest,
    ListTriggersRequest,
    ListSkillsRequest,
    ListThreadsRequest,
    ListUsageRequest,
    ListWebhookDeliveriesRequest,
    ListWebhooksRequest,
);

pub trait Cursor: Sized {
    fn to_bytes(&self) -> Vec<u8>;

    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

pub struct Page<C> {
    pub size: usize,
    pub after: Option<C>,
    mark: [u8; MARK],
}

impl<C: Cursor> Page<C> {
    /// Reads the requested page, and removes page size and page token from the request. Fails if the token belongs to
    /// another account or query.
    pub fn read(caller: &Caller, asked: &mut impl ListRequest) -> Result<Self> {
        Self::of(caller.account_id, asked, SIZES)
    }

    /// Like [`Page::read`], for a request without a caller. The page belongs to the account whose data it contains.
    pub(super) fn of_account(account_id: Uuid, asked: &mut impl ListRequest) -> Result<Self> {
        Self::of(account_id, asked, SIZES)
    }

    /// Like [`Page::read`], with other default and maximum page sizes.
    pub(super) fn within(caller: &Caller, asked: &mut impl ListRequest, sizes: (i32, i32)) -> Result<Self> {
        Self::of(caller.account_id, asked, sizes)
    }

    fn of(account_id: Uuid, asked: &mut impl ListRequest, sizes: (i32, i32)) -> Result<Self> {
        let (size, token) = asked.take_page();
        if size < 0 {
            return Err(Error::invalid_field("page_size", "page_size must not be negative"));
        }
        let (default, most) = sizes;
        let size = if size == 0 { default } else { size.min(most) };
        let mark = mark(account_id, asked);
        let after = if token.is_empty() {
            None
        } else {
            Some(open(&token, mark)?)
        };
        Ok(Self {
            size: usize::try_from(size).unwrap_or_default(),
            after,
            mark,
        })
    }

    /// Returns one row more than the page size, to detect whether a next page exists.
    pub(super) fn limit(&self) -> u64 {
        self.size as u64 + 1
    }

    /// Truncates the rows to the page size. Also returns the token of the next page, which is empty on the last page.
    pub fn cut<T>(&self, mut rows: Vec<T>, cursor: impl FnOnce(&T) -> C) -> (Vec<T>, String) {
        let has_more = rows.len() > self.size;
        rows.truncate(self.size);
        let next = rows.last().filter(|_| has_more).map(cursor);
        (rows, self.token(next.as_ref()))
    }

    /// Returns the token of the page after the position `next`. The token is empty if `next` is `None`.
    pub(super) fn token(&self, next: Option<&C>) -> String {
        next.map_or_else(String::new, |next| {
            BASE64.encode([&self.mark[..], &next.to_bytes()].concat())
        })
    }
}

/// Hashes the account and the query. `query` must no longer contain the page size and the page token.
fn mark<R: ListRequest>(account_id: Uuid, query: &R) -> [u8; MARK] {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(account_id.as_bytes())
        .update(format!("{}\n", R::full_name()).as_bytes())
        .update(&query.encode_to_vec());
    let mut mark = [0; MARK];
    hasher.finalize_xof().fill(&mut mark);
    mark
}

fn open<C: Cursor>(token: &str, mark: [u8; MARK]) -> Result<C> {
    if token.len() > MAX_TOKEN {
        return Err(invalid());
    }
    let bytes = BASE64.decode(token).map_err(|_| invalid())?;
    match bytes.split_at_checked(MARK) {
        Some((found, cursor)) if found == mark && !cursor.is_empty() => C::from_bytes(cursor).ok_or_else(invalid),
        _ => Err(invalid()),
    }
}

pub(super) fn invalid() -> Error {
    Error::new(
        Code::InvalidPageToken,
        "page_token was not issued for this query; start again without it",
    )
}

impl Cursor for Uuid {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

/// The cursor of a list that is sorted by two ids. Messages of a thread are sorted by run id and then by message id.
impl Cursor for (Uuid, Uuid) {
    fn to_bytes(&self) -> Vec<u8> {
        [*self.0.as_bytes(), *self.1.as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (first, second) = bytes.split_at_checked(16)?;
        Some((Uuid::from_bytes(first.try_into().ok()?), Uuid::from_slice(second).ok()?))
    }
}

/// The cursor of a list that is sorted by a time, stored in microseconds, and then by id.
impl Cursor for (DateTime<Utc>, Uuid) {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.0.timestamp_micros().to_be_bytes()[..], self.1.as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (micros, id) = bytes.split_first_chunk()?;
        let time = DateTime::from_timestamp_micros(i64::from_be_bytes(*micros))?;
        Some((time, Uuid::from_slice(id).ok()?))
    }
}

/// The cursor of a search of threads: a thread, and the sort key of a message if the thread is not searched to its end.
impl Cursor for Place {
    fn to_bytes(&self) -> Vec<u8> {
        let message = self.message.map(|place| place.to_bytes()).unwrap_or_default();
        [self.thread.to_bytes(), message].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (thread, message) = bytes.split_at_checked(24)?;
        let message = if message.is_empty() {
            None
        } else {
            Some(Cursor::from_bytes(message)?)
        };
        Some(Self {
            thread: Cursor::from_bytes(thread)?,
            message,
        })
    }
}

/// The cursor of a list that is paged by row number: the number of rows up to the end of the page.
impl Cursor for u32 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

/// The cursor of a list that is sorted by a number, such as the version number of an agent.
impl Cursor for i32 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

/// The cursor of a list that is sorted by a row number, such as the deliveries of a webhook.
impl Cursor for i64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

/// The cursor of a list of files: a path, which may be invalid UTF-8.
impl Cursor for Vec<u8> {
    fn to_bytes(&self) -> Vec<u8> {
        self.clone()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec())
    }
}
