//! Checks page tokens and event ids. A page token must be valid only for its caller and query, and must return its
//! cursor. An accepted event id must be decoded to the number in its text.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use prost_reflect::{DescriptorPool, prost::Message as _};
use runyard::{
    accounts::{Access, Caller, Role},
    contract::DESCRIPTORS,
    v1::{ListAgentsRequest, StreamRunRequest},
    wire::{
        codec,
        page::{Cursor, Page},
    },
};
use runyard_transcode::json::{Codec, Dialect};
use uuid::Uuid;

static CODEC: LazyLock<Codec> = LazyLock::new(|| codec::json(&DescriptorPool::decode(DESCRIPTORS).unwrap()));

pub fn check(data: &[u8]) {
    page_token(data);
    if let Ok(text) = std::str::from_utf8(data) {
        foreign_token(text);
        event_id(text);
    }
}

/// Reads a page token for an account and a search text; `None` if it is refused.
fn read<C: Cursor>(account: u128, search: &str, token: &str) -> Option<Page<C>> {
    let caller = Caller {
        account_id: Uuid::from_u128(account),
        role: Role::User,
        access: Access::Admin,
        name: "ann".into(),
    };
    let mut asked = ListAgentsRequest {
        page_size: 1,
        page_token: token.to_owned(),
        search: search.to_owned(),
        ..ListAgentsRequest::default()
    };
    Page::read(&caller, &mut asked).ok()
}

/// Issues a page token for `cursor`, and checks that only the same account and query can use it.
fn page_token(cursor: &[u8]) {
    if cursor.is_empty() || cursor.len() > 1024 {
        return;
    }
    let page = read::<Vec<u8>>(1, "x", "").unwrap();
    let (rows, token) = page.cut(vec![(), ()], |()| cursor.to_vec());
    assert_eq!(rows.len(), 1);
    let again = read::<Vec<u8>>(1, "x", &token).expect("a page accepts its own token");
    assert_eq!(again.after.as_deref(), Some(cursor));
    decodes::<Uuid>(&token, cursor);
    decodes::<(Uuid, Uuid)>(&token, cursor);
    decodes::<(DateTime<Utc>, Uuid)>(&token, cursor);
    decodes::<u32>(&token, cursor);
    decodes::<i32>(&token, cursor);
    assert!(
        read::<Vec<u8>>(2, "x", &token).is_none(),
        "a token is valid for another caller"
    );
    assert!(
        read::<Vec<u8>>(1, "y", &token).is_none(),
        "a token is valid for another query"
    );
    for place in 0..16.min(token.len()) {
        let mut letters = token.clone().into_bytes();
        letters[place] = if letters[place] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(letters).unwrap();
        assert!(
            read::<Vec<u8>>(1, "x", &other).is_none(),
            "the tag of a token can be changed"
        );
    }
}

/// Reads a token as if its cursor had the type `C`. If the token is accepted, its cursor must encode to the bytes
/// `cursor`.
fn decodes<C: Cursor>(token: &str, cursor: &[u8]) {
    if let Some(page) = read::<C>(1, "x", token) {
        assert_eq!(page.after.map(|after| after.to_bytes()).as_deref(), Some(cursor));
    }
}

/// Checks that no page token is valid for two callers. The empty token is exempt, because it requests the first page.
fn foreign_token(text: &str) {
    let taken = [1, 2].map(|account| read::<Vec<u8>>(account, "x", text).is_some());
    assert!(
        text.is_empty() || taken != [true, true],
        "a page token is valid for two callers"
    );
}

/// Compares a decoded event id with the number that the standard library parses.
fn event_id(text: &str) {
    let message = CODEC.message("runyard.v1.StreamRunRequest").unwrap();
    let mut wire = Vec::new();
    if CODEC
        .decode_text((message, "after_sequence"), Dialect::Plain, text, &mut wire)
        .is_err()
    {
        assert!(wire.is_empty(), "a failed decode left output behind");
        let is_json = !text.starts_with('+') && !text.starts_with("-0") && !has_leading_zero(text);
        assert!(
            text.parse::<i64>().is_err() || !is_json,
            "{text:?} is a number but is refused"
        );
        return;
    }
    let number = StreamRunRequest::decode(wire.as_slice()).unwrap().after_sequence;
    let plain = text.parse::<f64>().expect("an accepted id is a number");
    #[expect(
        clippy::float_cmp,
        clippy::cast_precision_loss,
        reason = "both are the same number, rounded the same way"
    )]
    let same = plain == number as f64;
    assert!(same, "{text:?} was read as {number}");
}

fn has_leading_zero(text: &str) -> bool {
    let digits = text.trim_start_matches('-');
    digits.len() > 1 && digits.starts_with('0')
}
