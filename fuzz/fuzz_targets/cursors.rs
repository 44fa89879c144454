//! Cursors: page tokens and the ids of server-sent events. No text panics, and no page token is good for another caller.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use prost_reflect::DescriptorPool;
use runyard::{
    accounts::{Caller, Role},
    contract::DESCRIPTORS,
    wire::{
        json::{Codec, Dialect},
        page::Page,
    },
};
use uuid::Uuid;

static CODEC: LazyLock<Codec> = LazyLock::new(|| Codec::new(&DescriptorPool::decode(DESCRIPTORS).unwrap()));

fuzz_target!(|text: &str| {
    let callers = [1, 2].map(|number| Caller {
        account_id: Uuid::from_u128(number),
        role: Role::User,
    });
    let taken = callers.each_ref().map(|caller| {
        Page::read(caller, "agents", 1, text).is_ok_and(|page| {
            let _ = (page.after(), page.after_pair(), page.offset());
            true
        })
    });
    assert!(text.is_empty() || taken != [true, true], "two callers have one page token");
    let message = CODEC.message("runyard.v1.StreamRunRequest").unwrap();
    let mut wire = Vec::new();
    if CODEC.decode_text((message, "after_sequence"), Dialect::Runyard, text, &mut wire).is_err() {
        assert!(wire.is_empty(), "an error left something behind");
    }
});
