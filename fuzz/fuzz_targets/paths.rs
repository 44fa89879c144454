//! The path matcher: no path panics, and a template that the parser takes matches what it was made of.
#![no_main]

use std::sync::LazyLock;

use http::Method;
use libfuzzer_sys::fuzz_target;
use prost_reflect::DescriptorPool;
use runyard::{
    contract::DESCRIPTORS,
    wire::{
        http::route::{Routed, Router, template::Template},
        json::Codec,
    },
};

static ROUTER: LazyLock<Router> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    Router::new(&pool, &Codec::new(&pool)).unwrap()
});

fuzz_target!(|text: &str| {
    let _ = Template::parse(text);
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        if let Routed::To(rule, captures) = ROUTER.find(&method, &path) {
            assert!(rule < ROUTER.rules().len());
            for (field, value) in captures {
                assert!(!field.is_empty());
                // A single segment is never empty and its decoding never adds a way out of it unseen.
                assert!(!value.is_empty(), "{path} gives {field} nothing");
            }
        }
    }
});
