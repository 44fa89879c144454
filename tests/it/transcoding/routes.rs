//! Tests of path templates: matching paths, captured variables, and refused templates.

use std::sync::Arc;

use http::Method;
use proptest::prelude::*;
use prost_reflect::DescriptorPool;
use runyard::wire::codec;
use runyard_transcode::route::{
    Routed, Router,
    template::Template,
    tree::{Found, MAX_PATH_BYTES, MAX_SEGMENTS, Tree, Verb},
};

use super::service::{compile, library};

fn tree(templates: &[(&str, &str)]) -> (Tree, Vec<Template>) {
    let mut tree = Tree::default();
    let mut parsed = Vec::new();
    for (number, (method, template)) in templates.iter().enumerate() {
        let template = Template::parse(template).unwrap();
        let verb = match *method {
            "*" => Verb::Any,
            method => Verb::Only(method.parse().unwrap()),
        };
        tree.add(&template, verb, number).unwrap();
        parsed.push(template);
    }
    (tree, parsed)
}

/// Finds the match for a request. Returns the number of the template and its captures as text. Without a match,
/// returns the HTTP status and, for 405, the allowed methods.
fn find((tree, templates): &(Tree, Vec<Template>), method: &str, path: &str) -> String {
    match tree.find(&method.parse().unwrap(), path) {
        Found::Rule(number, path) => {
            let captures = templates[number].captures.iter();
            let values: Vec<_> = captures
                .map(|capture| format!("{}={}", capture.field, path.value(capture)))
                .collect();
            format!("{number} {}", values.join(" ")).trim_end().to_owned()
        }
        Found::OtherMethods(methods) => {
            let names: Vec<_> = methods.iter().map(Method::as_str).collect();
            format!("405 {}", names.join(","))
        }
        Found::Nothing => "404".to_owned(),
        Found::Malformed => "400".to_owned(),
    }
}

#[test]
fn paths_match_templates() {
    let routes = tree(&[
        ("GET", "/agents"),
        ("GET", "/agents/{agent_id}"),
        ("POST", "/agents/generate-icon"),
        ("GET", "/agents/{agent_id}/versions/{version_id}"),
        ("GET", "/{name=shelves/*/books/*}"),
        ("GET", "/files/{path=**}"),
        ("GET", "/files/special"),
        ("POST", "/files/{path=**}:touch"),
        ("POST", "/agents/{agent_id}:run"),
        ("*", "/any/*/thing"),
        ("DELETE", "/any/{x}/thing"),
        ("GET", "/projects/{a=p/**}"),
    ]);
    for (method, path, expected) in [
        ("GET", "/agents", "0"),
        ("GET", "/agents/", "404"),
        ("GET", "/agents//", "404"),
        ("GET", "//agents", "404"),
        ("GET", "/Agents", "404"),
        ("GET", "", "404"),
        ("GET", "/", "404"),
        ("GET", "*", "404"),
        ("GET", "/agents/a1", "1 agent_id=a1"),
        ("HEAD", "/agents/a1", "1 agent_id=a1"),
        // A literal takes precedence for its own method. For other methods, the variable still matches.
        ("POST", "/agents/generate-icon", "2"),
        ("GET", "/agents/generate-icon", "1 agent_id=generate-icon"),
        ("PUT", "/agents/generate-icon", "405 GET,HEAD,POST"),
        ("GET", "/agents/a1/versions/v2", "3 agent_id=a1 version_id=v2"),
        ("GET", "/agents/a1/versions/", "404"),
        ("GET", "/agents/a1/versions/v2/x", "404"),
        ("GET", "/shelves/s/books/b", "4 name=shelves/s/books/b"),
        ("GET", "/shelves//books/b", "404"),
        // Literals have precedence over variables, and variables over `**`. `**` also matches an empty path.
        ("GET", "/files/special", "6"),
        ("GET", "/files/special/x", "5 path=special/x"),
        ("GET", "/files/a/b/c.txt", "5 path=a/b/c.txt"),
        ("GET", "/files/", "5 path="),
        ("GET", "/files", "5 path="),
        ("GET", "/files/a//b", "5 path=a//b"),
        // A custom verb follows the last colon of the path. A percent-encoded colon does not start a verb.
        ("POST", "/agents/a1:run", "8 agent_id=a1"),
        ("POST", "/agents/a1%3Arun", "405 GET,HEAD"),
        ("POST", "/agents/a:b:run", "8 agent_id=a:b"),
        ("POST", "/agents/:run", "405 GET,HEAD"),
        ("GET", "/agents/a1:run", "1 agent_id=a1:run"),
        ("POST", "/files/a/b:touch", "7 path=a/b"),
        ("GET", "/files/a/b:touch", "5 path=a/b:touch"),
        ("POST", "/files/a/b:other", "405 GET,HEAD"),
        // Rule 10 applies to DELETE, and rule 9 to all other methods.
        ("PURGE", "/any/1/thing", "9"),
        ("DELETE", "/any/1/thing", "10 x=1"),
        ("GET", "/projects/p/q/r", "11 a=p/q/r"),
        ("GET", "/projects/p", "11 a=p"),
        ("GET", "/projects/q", "404"),
        // The path is split into segments before percent-decoding. In multi-segment variables, %2F stays encoded.
        ("GET", "/agents/a%2Fb", "1 agent_id=a/b"),
        ("GET", "/agents/a%20b%C3%A9", "1 agent_id=a bé"),
        ("GET", "/%61gents", "0"),
        ("GET", "/files/a%2Fb/c%20d", "5 path=a%2Fb/c d"),
        ("GET", "/files/a%2f%2Fb", "5 path=a%2f%2Fb"),
        ("GET", "/files/a%252Fb", "5 path=a%2Fb"),
        ("GET", "/shelves/a%2Fb/books/b", "4 name=shelves/a%2Fb/books/b"),
        ("GET", "/agents/a+b", "1 agent_id=a+b"),
        ("GET", "/agents/..", "1 agent_id=.."),
        ("GET", "/agents/%", "400"),
        ("GET", "/agents/%4", "400"),
        ("GET", "/agents/%zz", "400"),
        ("GET", "/agents/%FF", "400"),
        ("GET", "/nowhere/%C3%A9", "404"),
    ] {
        assert_eq!(find(&routes, method, path), expected, "{method} {path}");
    }
}

#[test]
fn invalid_templates_are_refused() {
    for (template, what) in [
        ("", "a template must start with /"),
        ("a", "a template must start with /"),
        ("/a/", "a segment is missing"),
        ("/a//b", "a segment is missing"),
        ("/{}", "a field name is missing"),
        ("/{a", "a variable must end with }"),
        ("/{a.}", "a field name is missing"),
        ("/{1a}", "a field name is missing"),
        ("/{a={b}}", "variables must not nest"),
        ("/{a=}", "a segment is missing"),
        ("/{a}/{a}", "a variable name is used twice"),
        ("/**/a", "** must be the last segment"),
        ("/{a=**}/b", "** must be the last segment"),
        ("/{a=**/b}", "** must be the last segment"),
        ("/a:", "a segment is missing"),
        ("/a:b:c", "unexpected character"),
        ("/a:b/c", "unexpected character"),
        ("/a?b", "unexpected character"),
        ("/a b", "unexpected character"),
        ("/***", "unexpected character"),
    ] {
        let error = Template::parse(template).expect_err(template);
        assert_eq!(error.what, what, "{template}");
    }
    for template in [
        "/",
        "/a",
        "/a:b",
        "/{a}:b",
        "/{a.b_c=x/*/y/**}:z",
        "/**",
        "/*",
        "/~a/-_.b",
    ] {
        Template::parse(template).unwrap_or_else(|error| panic!("{template}: {error}"));
    }
}

#[test]
fn templates_that_match_the_same_paths_conflict() {
    let conflicts = |first: (&str, &str), second: (&str, &str)| {
        let (mut tree, _) = tree(&[first]);
        let verb = match second.0 {
            "*" => Verb::Any,
            method => Verb::Only(method.parse().unwrap()),
        };
        tree.add(&Template::parse(second.1).unwrap(), verb, 1).is_err()
    };
    for (first, second) in [
        (("GET", "/a"), ("GET", "/a")),
        (("GET", "/a/{b}"), ("GET", "/a/*")),
        (("GET", "/{x=a/*}"), ("GET", "/a/{y}")),
        (("GET", "/a/**"), ("GET", "/{x=a/**}")),
        (("POST", "/a/{b}:go"), ("POST", "/a/{c}:go")),
        (("*", "/a"), ("*", "/a")),
    ] {
        assert!(conflicts(first, second), "{first:?} {second:?}");
    }
    for (first, second) in [
        (("GET", "/a"), ("POST", "/a")),
        (("GET", "/a/{b}"), ("GET", "/a/c")),
        (("GET", "/a/*"), ("GET", "/a/**")),
        (("POST", "/a/{b}:go"), ("POST", "/a/{b}:stop")),
        (("POST", "/a/{b}:go"), ("POST", "/a/{b}")),
        (("*", "/a"), ("GET", "/a")),
    ] {
        assert!(!conflicts(first, second), "{first:?} {second:?}");
    }
}

#[test]
fn long_paths_match_nothing() {
    let routes = tree(&[("GET", "/{path=**}")]);
    let deep = "/a".repeat(MAX_SEGMENTS);
    assert_eq!(find(&routes, "GET", &deep), format!("0 path={}", &deep[1..]));
    assert_eq!(find(&routes, "GET", &format!("{deep}/a")), "404");
    let long = format!("/{}", "a".repeat(MAX_PATH_BYTES - 1));
    assert_eq!(find(&routes, "GET", &long), format!("0 path={}", &long[1..]));
    assert_eq!(find(&routes, "GET", &format!("{long}a")), "404");
}

fn router_of(methods: &str) -> runyard_transcode::Result<Router> {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        r#"syntax = "proto3";
        package t;
        import "google/api/annotations.proto";
        import "runyard/v1/http.proto";
        message Inner {{ string id = 1; }}
        message M {{ string id = 1; Inner inner = 2; repeated string list = 3; int64 number = 4; }}
        service S {{ {methods} }}"#
    );
    std::fs::write(folder.path().join("t.proto"), text).unwrap();
    let pool = compile(&["t.proto"], folder.path().to_str().unwrap());
    Router::new(&pool, &codec::json(&pool))
}

#[test]
fn a_conflict_names_both_methods() {
    let rpc =
        |name: &str, rule: &str| format!("rpc {name}(M) returns (M) {{ option (google.api.http) = {{ {rule} }}; }}");
    let good = rpc("A", r#"get: "/a/{id}""#) + &rpc("B", r#"get: "/a/b""#);
    assert_eq!(router_of(&good).unwrap().rules().len(), 2);

    let bad = rpc("A", r#"get: "/a/{id}""#) + &rpc("B", r#"post: "/b" additional_bindings { get: "/a/{inner.id}" }"#);
    let error = router_of(&bad).unwrap_err();
    assert_eq!(
        error.message(),
        "t.S.B at /a/{inner.id} and t.S.A at /a/{id} match the same requests"
    );

    let prefixed = r#"option (runyard.v1.http_service) = { prefix: "/v1" };"#.to_owned()
        + &rpc("A", r#"get: "/v1/a""#)
        + &rpc("B", r#"get: "/a""#);
    let error = router_of(&prefixed).unwrap_err();
    assert_eq!(
        error.message(),
        "t.S.B at /v1/a and t.S.A at /v1/a match the same requests"
    );
}

#[test]
fn invalid_rules_are_refused() {
    for (rule, what) in [
        (
            r#"get: "/a/{nope}""#,
            "the path binds nope, but the request has no such field",
        ),
        (
            r#"get: "/a/{list}""#,
            "the path cannot bind list, because it is repeated",
        ),
        (
            r#"get: "/a/{inner}""#,
            "the path cannot bind inner, because it is a message",
        ),
        (
            r#"get: "/a/{inner.nope}""#,
            "the path binds inner.nope, but the request has no such field",
        ),
        (r#"get: "a""#, "the path a: a template must start with / at byte 0"),
        (r#"post: "/a" body: "nope""#, "body: the request has no field nope"),
        (r#"post: "/a/{id}" body: "id""#, "the path and the body both bind id"),
        (
            r#"get: "/a" response_body: "nope""#,
            "response_body: the response has no field nope",
        ),
        (
            r#"custom: { kind: "NO WAY" path: "/a" }"#,
            "\"NO WAY\" is not an HTTP method",
        ),
    ] {
        let rpc = format!("rpc A(M) returns (M) {{ option (google.api.http) = {{ {rule} }}; }}");
        assert_eq!(
            router_of(&rpc).unwrap_err().message(),
            format!("t.S.A: {what}"),
            "{rule}"
        );
    }
    for (options, what) in [
        (
            r#"aliases: { field: "nope" }"#,
            "an alias binds nope, but the request has no such field",
        ),
        (
            r#"aliases: { field: "id" header: "no way" }"#,
            "the alias of id: \"no way\" is not a header name",
        ),
        (
            r#"event_id: "list""#,
            "event_id: list is not a number or string field of the response",
        ),
        (
            r#"multipart_files: "id""#,
            "multipart_files: id is not a repeated string field of the request",
        ),
    ] {
        let rpc = format!(
            r#"rpc A(M) returns (M) {{ option (google.api.http) = {{ get: "/a" }}; option (runyard.v1.http) = {{ {options} }}; }}"#
        );
        assert_eq!(
            router_of(&rpc).unwrap_err().message(),
            format!("t.S.A: {what}"),
            "{options}"
        );
    }
    let streams = r#"rpc A(stream M) returns (M) { option (google.api.http) = { post: "/a" body: "*" }; }"#;
    let message = router_of(streams).unwrap_err().message().to_owned();
    assert_eq!(message, "t.S.A: a method that takes a stream cannot be bound to HTTP");
}

#[test]
fn every_contract_rule_matches_with_and_without_the_prefix() {
    let pool = DescriptorPool::decode(runyard::contract::DESCRIPTORS).unwrap();
    let router = Router::new(&pool, &codec::json(&pool)).unwrap();
    assert!(router.rules().len() > 30, "{}", router.rules().len());
    for (number, rule) in router.rules().iter().enumerate() {
        let Verb::Only(method) = &rule.verb else {
            panic!("{} has no method", rule.path);
        };
        let path = rule.path.replace(['{', '}'], "");
        for root in ["", "/v1"] {
            let path = format!("{root}{path}");
            match router.find(method, &path) {
                Routed::To(found, _) => assert_eq!(found, number, "{method} {path}"),
                other => panic!("{method} {path}: {other:?}"),
            }
        }
    }
}

proptest! {
    /// Every path gets an answer, and no capture contains a separator that is not in the path.
    #[test]
    fn the_matcher_handles_any_path(path in "(/|%|%2[fF]|\\.\\.|;|:|[a-z]{1,3}|\\PC|shelves|books|by-id|pages){0,40}") {
        thread_local! {
            static ROUTER: Arc<Router> = {
                let pool = library();
                Arc::new(Router::new(&pool, &codec::json(&pool)).unwrap())
            };
        }
        ROUTER.with(|router| {
            for method in [Method::GET, Method::POST, Method::HEAD] {
                if let Routed::To(rule, captures) = router.find(&method, &path) {
                    for (field, value) in captures {
                        let single = !matches!(field, "name" | "path");
                        let raw = path.split('/').count();
                        prop_assert!(single || value.split('/').count() <= raw, "{rule} {field} {value}");
                    }
                }
            }
            Ok(())
        })?;
    }
}

/// The contract declares the transcoder's options in its own package, so that clients need no other proto files.
#[test]
fn the_contract_and_the_transcoder_declare_the_same_options() {
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let declarations = |text: &str| text[text.find("import ").unwrap()..].to_owned();
    let ours = declarations(&read("proto/runyard/v1/http.proto"));
    let theirs = declarations(&read("crates/transcode/proto/transcode/v1/options.proto"));
    assert_eq!(ours.replace("JSON_DIALECT_RUNYARD", "JSON_DIALECT_PLAIN"), theirs);
}
