//! Pages of lists (AIP-158). The page size is limited to a maximum. The page token is opaque and is valid only for the
//! same caller and query.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    accounts::Caller,
    error::{Code, Error, Result},
};

/// Page size if the caller does not specify a size.
const DEFAULT_SIZE: i32 = 50;
/// Maximum page size.
const MAX_SIZE: i32 = 200;
/// Size of the hash that binds a token to its caller and query, in bytes.
const MARK: usize = 12;
/// Maximum size of a token, in bytes. A token with the longest file path fits into this size.
const MAX_TOKEN: usize = 8192;

/// A requested page.
pub struct Page {
    /// Number of rows to return.
    pub size: usize,
    cursor: Vec<u8>,
    mark: [u8; MARK],
}

impl Page {
    /// Reads the page size and the page token of a request. `query` must contain every other parameter that determines
    /// the list.
    pub fn read(caller: &Caller, query: &str, size: i32, token: &str) -> Result<Self> {
        Self::within(caller, query, (size, DEFAULT_SIZE, MAX_SIZE), token)
    }

    /// Reads a page as [`Page::read`] does, with other limits. `sizes` are the requested, the default and the maximum
    /// size.
    pub(super) fn within(caller: &Caller, query: &str, sizes: (i32, i32, i32), token: &str) -> Result<Self> {
        let (size, default, most) = sizes;
        if size < 0 {
            return Err(Error::invalid_field("page_size", "page_size must not be negative"));
        }
        let size = if size == 0 { default } else { size.min(most) };
        let hash = blake3::hash(format!("{}\n{query}", caller.account_id).as_bytes());
        let mut mark = [0; MARK];
        mark.copy_from_slice(&hash.as_bytes()[..MARK]);
        let cursor = if token.is_empty() {
            Vec::new()
        } else {
            open(token, mark)?
        };
        Ok(Self {
            size: usize::try_from(size).unwrap_or_default(),
            cursor,
            mark,
        })
    }

    /// Number of rows to query. It is one more than the page size, to detect whether a next page exists.
    pub(super) fn limit(&self) -> u64 {
        self.size as u64 + 1
    }

    /// The id of the last row of the previous page; `None` on the first page.
    pub fn after(&self) -> Result<Option<Uuid>> {
        if self.cursor.is_empty() {
            return Ok(None);
        }
        Uuid::from_slice(&self.cursor).map(Some).map_err(|_| invalid())
    }

    /// The two ids of the last row of the previous page; `None` on the first page.
    pub fn after_pair(&self) -> Result<Option<(Uuid, Uuid)>> {
        if self.cursor.is_empty() {
            return Ok(None);
        }
        let (first, second) = self.cursor.split_at_checked(16).ok_or_else(invalid)?;
        let id = |bytes| Uuid::from_slice(bytes).map_err(|_| invalid());
        Ok(Some((id(first)?, id(second)?)))
    }

    /// The time of the last activity and the id of the last row of the previous page; `None` on the first page.
    pub(super) fn after_activity(&self) -> Result<Option<(DateTime<Utc>, Uuid)>> {
        if self.cursor.is_empty() {
            return Ok(None);
        }
        let (micros, id) = self.cursor.split_first_chunk().ok_or_else(invalid)?;
        let time = DateTime::from_timestamp_micros(i64::from_be_bytes(*micros)).ok_or_else(invalid)?;
        let id = Uuid::from_slice(id).map_err(|_| invalid())?;
        Ok(Some((time, id)))
    }

    /// The total number of rows on all previous pages.
    pub fn offset(&self) -> Result<u64> {
        if self.cursor.is_empty() {
            return Ok(0);
        }
        let bytes = <[u8; 8]>::try_from(self.cursor.as_slice()).map_err(|_| invalid())?;
        Ok(u64::from_be_bytes(bytes).min(u64::from(u32::MAX)))
    }

    /// The last path of the previous page; `None` on the first page.
    pub(super) fn behind(&self) -> Option<Vec<u8>> {
        (!self.cursor.is_empty()).then(|| self.cursor.clone())
    }

    /// The number of the last row of the previous page; `None` on the first page.
    pub(super) fn before(&self) -> Result<Option<i32>> {
        if self.cursor.is_empty() {
            return Ok(None);
        }
        let bytes = <[u8; 4]>::try_from(self.cursor.as_slice()).map_err(|_| invalid())?;
        Ok(Some(i32::from_be_bytes(bytes)))
    }

    /// Truncates the rows to the page size, and returns the token of the next page. The token is empty on the last
    /// page.
    pub fn cut<T>(&self, rows: &mut Vec<T>, cursor: impl Fn(&T) -> Vec<u8>) -> String {
        let has_more = rows.len() > self.size;
        rows.truncate(self.size);
        self.token(rows, has_more, cursor)
    }

    /// The token of the page after these rows; empty if there is no next page.
    pub(super) fn token<T>(&self, rows: &[T], has_more: bool, cursor: impl Fn(&T) -> Vec<u8>) -> String {
        if !has_more {
            return String::new();
        }
        rows.last().map_or_else(String::new, |last| {
            let mut token = self.mark.to_vec();
            token.extend(cursor(last));
            BASE64.encode(token)
        })
    }
}

/// Encodes the cursor that [`Page::after_activity`] reads.
pub(super) fn activity(updated_at: DateTime<Utc>, id: Uuid) -> Vec<u8> {
    [&updated_at.timestamp_micros().to_be_bytes()[..], id.as_bytes()].concat()
}

fn open(token: &str, mark: [u8; MARK]) -> Result<Vec<u8>> {
    if token.len() > MAX_TOKEN {
        return Err(invalid());
    }
    let bytes = BASE64.decode(token).map_err(|_| invalid())?;
    match bytes.split_at_checked(MARK) {
        Some((found, cursor)) if found == mark && !cursor.is_empty() => Ok(cursor.to_vec()),
        _ => Err(invalid()),
    }
}

fn invalid() -> Error {
    Error::new(
        Code::InvalidPageToken,
        "page_token was not issued for this query; start again without it",
    )
}
