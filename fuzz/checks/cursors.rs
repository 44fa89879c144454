//! Checks cursors. A page token is valid only for the caller and the query for which it was issued, and decoding it
//! yields the original cursor. The id of a server-sent event must be an integer; otherwise it is refused.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, prost::Message as _};
use runyard::{
    accounts::{Access, Caller, Role},
    contract::DESCRIPTORS,
    v1::StreamRunRequest,
    wire::{codec, page::Page},
};
use runyard_transcode::json::{Codec, Dialect};
use uuid::Uuid;

static CODEC: LazyLock<Codec> = LazyLock::new(|| codec::json(&DescriptorPool::decode(DESCRIPTORS).unwrap()));

/// Panics if a property of cursors is violated for these bytes.
pub fn check(data: &[u8]) {
    page_token(data);
    if let Ok(text) = std::str::from_utf8(data) {
        foreign_token(text);
        event_id(text);
    }
}

fn caller(number: u128) -> Caller {
    Caller {
        account_id: Uuid::from_u128(number),
        role: Role::User,
        access: Access::Admin,
    }
}

/// Checks a token that contains these bytes as its cursor.
fn page_token(cursor: &[u8]) {
    if cursor.is_empty() || cursor.len() > 1024 {
        return;
    }
    let page = Page::read(&caller(1), "agents", 1, "").unwrap();
    let mut rows = vec![(), ()];
    let token = page.cut(&mut rows, |()| cursor.to_vec());
    assert_eq!(rows.len(), 1);
    let again = Page::read(&caller(1), "agents", 1, &token).expect("a page accepts its own token");
    assert_eq!(again.after().ok().flatten(), Uuid::from_slice(cursor).ok());
    let pair = cursor
        .split_at_checked(16)
        .and_then(|(first, second)| Some((Uuid::from_slice(first).ok()?, Uuid::from_slice(second).ok()?)));
    assert_eq!(again.after_pair().ok().flatten(), pair);
    let offset = <[u8; 8]>::try_from(cursor).ok().map(u64::from_be_bytes);
    assert_eq!(
        again.offset().ok(),
        offset.map(|offset| offset.min(u64::from(u32::MAX)))
    );
    assert!(
        Page::read(&caller(2), "agents", 1, &token).is_err(),
        "a token is valid for another caller"
    );
    assert!(
        Page::read(&caller(1), "runs", 1, &token).is_err(),
        "a token is valid for another query"
    );
    for place in 0..16.min(token.len()) {
        let mut letters = token.clone().into_bytes();
        letters[place] = if letters[place] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(letters).unwrap();
        assert!(
            Page::read(&caller(1), "agents", 1, &other).is_err(),
            "the tag of a token can be changed"
        );
    }
}

/// Checks that an arbitrary text is not a valid token for two callers.
fn foreign_token(text: &str) {
    let taken = [1, 2].map(|number| Page::read(&caller(number), "agents", 1, text).is_ok());
    assert!(
        text.is_empty() || taken != [true, true],
        "a page token is valid for two callers"
    );
}

/// Checks an arbitrary text as an event id. If the id is accepted, the number must be correct.
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

/// Returns true if a text has leading zeros, such as 007, which JSON numbers must not have.
fn has_leading_zero(text: &str) -> bool {
    let digits = text.trim_start_matches('-');
    digits.len() > 1 && digits.starts_with('0')
}
