//! Compares the router with a linear search over all rules, and checks that a template matches a path built from it.

use std::{borrow::Cow, sync::LazyLock};

use http::Method;
use prost_reflect::DescriptorPool;
use runyard::{contract::DESCRIPTORS, wire::codec};
use runyard_transcode::route::{
    Routed, Router,
    template::{Segment, Template},
    tree::{Found, MAX_PATH_BYTES, MAX_SEGMENTS, Tree, Verb},
};

static ROUTER: LazyLock<Router> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    Router::new(&pool, &codec::json(&pool)).unwrap()
});

const METHODS: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    template(text);
    // A URI path starts with a slash and ends before `?` or `#`.
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let path = format!("/{}", path.strip_prefix('/').unwrap_or(path));
    for method in METHODS {
        route(&method, &path);
    }
}

/// Checks that a valid template matches a path built from it, with the expected values of its variables.
fn template(text: &str) {
    let Ok(template) = Template::parse(text) else {
        return;
    };
    let segments = template.segments.iter().map(|segment| match segment {
        Segment::Literal(literal) => literal.to_string(),
        Segment::One => "one".to_owned(),
        Segment::Rest => "more/and%2Fmore".to_owned(),
    });
    let mut path = format!("/{}", segments.collect::<Vec<_>>().join("/"));
    if let Some(verb) = &template.verb {
        path = format!("{path}:{verb}");
    }
    if path.len() > MAX_PATH_BYTES || path.split('/').count() > MAX_SEGMENTS {
        return;
    }
    let mut tree = Tree::default();
    tree.add(&template, Verb::Only(Method::GET), 7).unwrap();
    assert!(
        tree.add(&template, Verb::Only(Method::GET), 8).is_err(),
        "two rules for the same requests"
    );
    let Found::Rule(7, found) = tree.find(&Method::GET, &path) else {
        panic!("{text} does not match {path}");
    };
    for capture in &template.captures {
        let end = capture.end.unwrap_or(template.segments.len());
        let wanted = template.segments[capture.start..end]
            .iter()
            .map(|segment| match segment {
                Segment::Literal(literal) => literal.to_string(),
                Segment::One => "one".to_owned(),
                Segment::Rest => "more/and%2Fmore".to_owned(),
            });
        assert_eq!(
            found.value(capture),
            wanted.collect::<Vec<_>>().join("/"),
            "{text}, {path}"
        );
    }
}

/// Compares the router with a linear search. The rules of the API contain only literals and variables for one
/// segment.
fn route(method: &Method, path: &str) {
    let parts: Option<Vec<Cow<str>>> = path[1..].split('/').map(decoded).collect();
    let found = ROUTER.find(method, path);
    if path.len() > MAX_PATH_BYTES || path.split('/').count() > MAX_SEGMENTS + 1 {
        assert!(matches!(found, Routed::Nowhere), "{path:?} is too long but is routed");
        return;
    }
    let Some(parts) = parts else {
        assert!(
            matches!(found, Routed::Malformed),
            "{path:?} has a broken escape but is not refused"
        );
        return;
    };
    let fitting: Vec<(usize, Vec<(&str, &str)>)> = ROUTER
        .rules()
        .iter()
        .enumerate()
        .flat_map(|(number, rule)| {
            let prefixed = format!("{}{}", rule.method.prefix, rule.path);
            [
                fits(&rule.path, &rule.path, &parts),
                fits(&prefixed, &rule.path, &parts),
            ]
            .into_iter()
            .flatten()
            .map(move |values| (number, values))
        })
        .collect();
    let wanted = |number: usize, method: &Method| match &ROUTER.rules()[number].verb {
        Verb::Only(only) => only == method || (method == Method::HEAD && only == Method::GET),
        Verb::Any => true,
    };
    match found {
        Routed::To(number, values) => {
            let values: Vec<(&str, &str)> = values.iter().map(|(field, value)| (*field, &**value)).collect();
            assert!(
                wanted(number, method) && fitting.contains(&(number, values)),
                "{method} {path:?} is routed to {}",
                ROUTER.rules()[number].path
            );
        }
        Routed::OtherMethods(methods) => {
            assert!(!fitting.is_empty() && !methods.contains(method), "{method} {path:?}");
            for other in &methods {
                assert!(
                    fitting.iter().any(|(number, _)| wanted(*number, other)),
                    "{other} {path:?}"
                );
            }
            assert!(
                fitting.iter().all(|(number, _)| !wanted(*number, method)),
                "{method} {path:?}"
            );
        }
        Routed::Nowhere => assert!(fitting.is_empty(), "{method} {path:?} is not routed"),
        Routed::Malformed => panic!("{method} {path:?} has no broken escape but is refused"),
    }
}

/// Returns a template's variables with their values; `None` if the path does not match. `own` is the template without
/// its service's prefix.
fn fits<'a, 'p>(template: &str, own: &'a str, parts: &'p [Cow<str>]) -> Option<Vec<(&'a str, &'p str)>> {
    let segments: Vec<&str> = template[1..].split('/').collect();
    if segments.len() != parts.len() {
        return None;
    }
    let mut names = own.split(['{', '}']).skip(1).step_by(2);
    let mut values = Vec::new();
    for (segment, part) in segments.iter().zip(parts) {
        if segment.starts_with('{') {
            if part.is_empty() {
                return None;
            }
            values.push((names.next()?, &**part));
        } else if segment != part {
            return None;
        }
    }
    Some(values)
}

/// Decodes a percent-encoded segment; `None` if an escape is invalid or the result is not UTF-8.
fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    let mut bytes = Vec::new();
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}
