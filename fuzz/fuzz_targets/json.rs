//! The JSON codec: no text panics, what is read can be printed, and what was printed reads as the same message.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use prost_reflect::DescriptorPool;
use runyard::{
    contract::DESCRIPTORS,
    wire::json::{Codec, Dialect},
};

const MESSAGES: &[&str] = &[
    "runyard.v1.CreateAgentRequest",
    "runyard.v1.StartRunRequest",
    "runyard.v1.StreamRunsRequest",
    "runyard.v1.ListRunsRequest",
    "runyard.v1.UpdateAgentRequest",
    "runyard.v1.UploadChunkRequest",
    "runyard.v1.RunEvent",
    "runyard.v1.Message",
];

static CODEC: LazyLock<Codec> = LazyLock::new(|| Codec::new(&DescriptorPool::decode(DESCRIPTORS).unwrap()));

fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else {
        return;
    };
    let message = CODEC.message(MESSAGES[usize::from(choice & 0x7f) % MESSAGES.len()]).unwrap();
    let dialect = if choice & 0x80 == 0 { Dialect::Runyard } else { Dialect::Canonical };
    // Any bytes may be the wire form, too; printing them may fail and not panic.
    let mut out = Vec::new();
    let _ = CODEC.encode(message, dialect, text, &mut out);
    let mut wire = Vec::new();
    if CODEC.decode(message, dialect, text, &mut wire).is_err() {
        assert!(wire.is_empty(), "an error left something behind");
        return;
    }
    let mut printed = Vec::new();
    CODEC.encode(message, dialect, &wire, &mut printed).expect("what was read can be printed");
    let mut again = Vec::new();
    CODEC.decode(message, dialect, &printed, &mut again).expect("what was printed can be read");
    let mut twice = Vec::new();
    CODEC.encode(message, dialect, &again, &mut twice).expect("what was read can be printed");
    assert_eq!(printed, twice, "a message changes by being read again");
});
