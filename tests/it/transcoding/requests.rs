//! Tests of the conversion of HTTP requests to request messages. Invalid requests are refused.

use http::HeaderValue;
use serde_json::json;

use super::service::{Caller, MAX_BODY, TranscoderServer};

async fn server() -> TranscoderServer {
    TranscoderServer::answering(json!({})).await
}

#[tokio::test]
async fn a_call_reaches_the_service_and_its_answer_returns() {
    let server =
        TranscoderServer::answering(json!({"book_id": "b1", "title": "Ü", "pages": "300", "binding": "BINDING_PAPER"}))
            .await;
    let told = server.get("/books/shelves/s%201/books/b1").await;
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(told.header("content-type"), "application/json");
    assert_eq!(
        told.body,
        r#"{"bookId":"b1","title":"Ü","pages":"300","binding":"BINDING_PAPER"}"#
    );
    assert_eq!(server.asked_message(), json!({"name": "shelves/s 1/books/b1"}));

    let told = server.get("/by-id/b1").await;
    assert_eq!(told.status, 200);
    assert_eq!(server.asked_message(), json!({"book_id": "b1"}));
}

#[tokio::test]
async fn query_parameters_fill_fields() {
    let server = TranscoderServer::answering(json!({})).await;
    for (query, expected) in [
        ("", json!({"shelf": {"shelf_id": "s"}})),
        ("?page_size=3", json!({"shelf": {"shelf_id": "s"}, "page_size": 3})),
        ("?pageSize=3", json!({"shelf": {"shelf_id": "s"}, "page_size": 3})),
        ("?shelf.floor=2", json!({"shelf": {"shelf_id": "s", "floor": 2}})),
        (
            "?shelf.labels=a&shelf.labels=b%26c&shelf.floor=-1",
            json!({"shelf": {"shelf_id": "s", "labels": ["a", "b&c"], "floor": -1}}),
        ),
        (
            "?author_names=x+y&author_names=&authorNames=%C3%A9",
            json!({"shelf": {"shelf_id": "s"}, "author_names": ["x y", "", "é"]}),
        ),
        (
            "?binding=BINDING_LEATHER",
            json!({"shelf": {"shelf_id": "s"}, "binding": "BINDING_LEATHER"}),
        ),
        (
            "?printed_after=2025-08-15T10:30:00Z&signed=true",
            json!({"shelf": {"shelf_id": "s"}, "printed_after": "2025-08-15T10:30:00Z", "signed": true}),
        ),
        ("?&&", json!({"shelf": {"shelf_id": "s"}})),
    ] {
        let told = server.get(&format!("/shelves/s/books{query}")).await;
        assert_eq!(told.status, 200, "{query}: {told:?}");
        assert_eq!(server.asked_message(), expected, "{query}");
    }
}

#[tokio::test]
async fn invalid_query_parameters_are_refused_by_name() {
    let server = server().await;
    for (query, detail) in [
        ("?nope=1", r#"unknown query parameter \"nope\""#),
        ("?shelf.nope=1", r#"unknown query parameter \"shelf.nope\""#),
        ("?shelf=1", r#"unknown query parameter \"shelf\""#),
        ("?page_size.x=1", r#"unknown query parameter \"page_size.x\""#),
        ("?page_size=1&pageSize=2", "page_size: given more than once"),
        ("?shelf.floor=1&shelf.floor=1", "shelf.floor: given more than once"),
        ("?shelf.shelf_id=x", "shelf.shelf_id: already set by the path"),
        ("?shelf.shelfId=x", "shelf.shelf_id: already set by the path"),
        ("?author_names=%FF", "the query is not UTF-8"),
    ] {
        let told = server.get(&format!("/shelves/s/books{query}")).await;
        let body = format!(r#"{{"detail":"{detail}"}}"#);
        assert_eq!(told.refusal(), (400, "INVALID_REQUEST", body.as_str()), "{query}");
    }
    for query in [
        "?page_size=x",
        "?page_size=",
        "?signed=1x",
        "?binding=GLASS",
        "?printed_after=yesterday",
        "?page_size=3000000000",
    ] {
        let told = server.get(&format!("/shelves/s/books{query}")).await;
        assert_eq!(
            (told.status, told.header("x-error-code")),
            (400, "INVALID_REQUEST"),
            "{query}"
        );
        let name = query[1..].split('=').next().unwrap();
        assert!(told.body.contains(name), "{query}: {}", told.body);
    }
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn an_unknown_name_gets_a_hint() {
    let server = server().await;
    for (path, detail) in [
        (
            "/shelves/s/books?pagesize=1",
            Some(r#"unknown query parameter \"pagesize\"; did you mean \"page_size\"?"#),
        ),
        (
            "/shelves/s/books?page_sise=1",
            Some(r#"unknown query parameter \"page_sise\"; did you mean \"page_size\"?"#),
        ),
        (
            "/shelves/s/books?author_name=x",
            Some(r#"unknown query parameter \"author_name\"; did you mean \"author_names\"?"#),
        ),
        ("/shelves/s/books?authorNames=x", None),
        (
            "/reading/r1/stream?lastid=1",
            Some(r#"unknown query parameter \"lastid\"; did you mean \"last_id\"?"#),
        ),
        ("/search?text=x", Some(r#"unknown query parameter \"text\""#)),
    ] {
        let told = server.get(path).await;
        match detail {
            Some(detail) => {
                let body = format!(r#"{{"detail":"{detail}"}}"#);
                assert_eq!(told.refusal(), (400, "INVALID_REQUEST", body.as_str()), "{path}");
            }
            None => assert_eq!(told.status, 200, "{told:?}"),
        }
    }
    let told = server.json("POST", "/reading/start?prompt=x", "{}").await;
    let detail = r#"{"detail":"unknown query parameter \"prompt\"; send this field in the body"}"#;
    assert_eq!(told.refusal(), (400, "INVALID_REQUEST", detail));
}

/// Caches and trackers add query parameters to any URL.
#[tokio::test]
async fn parameters_that_caches_and_trackers_add_are_ignored() {
    let server = server().await;
    for query in [
        "_=1712",
        "_t=1",
        "cb=x&nocache=1",
        "utm_source=a&utm_campaign=b&UTM_Term=c",
        "fbclid=x",
        "page_size=3&_=1",
    ] {
        for path in ["/shelves/s/books", "/reading/r1/stream"] {
            let query = if path.ends_with("stream") {
                query.replace("page_size=3&", "last_id=3&")
            } else {
                query.to_owned()
            };
            let told = server.get(&format!("{path}?{query}")).await;
            assert_eq!(told.status, 200, "{path}?{query}: {told:?}");
            let asked = server.asked_message();
            assert_eq!(
                asked.as_object().unwrap().len(),
                1 + usize::from(query.contains("=3")),
                "{asked}"
            );
        }
        let told = server.json("POST", &format!("/reading/start?{query}"), "{}").await;
        assert_eq!(told.status == 200, !query.contains("page_size"), "{query}: {told:?}");
        server.asked();
    }
}

#[tokio::test]
async fn a_body_fills_one_field_or_all() {
    let server = server().await;
    let told = server
        .json("POST", "/shelves/s/books?dry_run=true", r#"{"title": "T", "pages": 7}"#)
        .await;
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(
        server.asked_message(),
        json!({"shelf_id": "s", "book": {"title": "T", "pages": "7"}, "dry_run": true})
    );

    let told = server.json("POST", "/books/b1:publish", r#"{"publisher": "P"}"#).await;
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(server.asked_message(), json!({"book_id": "b1", "publisher": "P"}));

    let told = server.send(server.request("POST", "/books/b1:publish")).await;
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(server.asked_message(), json!({"book_id": "b1"}));

    for (path, body, detail) in [
        (
            "/shelves/s/books?book.title=x",
            "{}",
            "book.title: already set by the request body",
        ),
        ("/shelves/s/books?shelf_id=x", "{}", "shelf_id: already set by the path"),
        (
            "/books/b1:publish?publisher=x",
            "{}",
            r#"unknown query parameter \"publisher\"; send this field in the body"#,
        ),
        (
            "/books/b1:publish",
            r#"{"book_id": "b2"}"#,
            "book_id: already set by the path",
        ),
        (
            "/books/b1:publish",
            r#"{"bookId": "b1"}"#,
            "book_id: already set by the path",
        ),
    ] {
        let told = server.json("POST", path, body).await;
        let expected = format!(r#"{{"detail":"{detail}"}}"#);
        assert_eq!(
            told.refusal(),
            (400, "INVALID_REQUEST", expected.as_str()),
            "{path} {body}"
        );
    }
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn an_unreadable_body_is_refused() {
    let server = server().await;
    for body in [
        "x",
        "[]",
        "\"a\"",
        "{",
        "{\"nope\": 1}",
        "{\"publisher\": 1}",
        "{} {}",
        "\u{feff}{}",
        "1",
        "{'a': 1}",
    ] {
        let told = server.json("POST", "/books/b1:publish", body).await;
        assert_eq!(
            (told.status, told.header("x-error-code")),
            (400, "INVALID_REQUEST"),
            "{body}: {told:?}"
        );
        assert!(told.body.starts_with(r#"{"detail":""#), "{body}: {}", told.body);
    }
    let told = server.json("POST", "/books/b1:publish", r#"{"nope": 1}"#).await;
    assert!(told.body.contains("nope"), "{}", told.body);
    // A method without a body refuses a body with content. It accepts `{}`, which many clients send for "no body".
    let told = server.json("DELETE", "/books/b1", r#"{"book_id": "b2"}"#).await;
    assert_eq!(
        told.refusal(),
        (400, "INVALID_REQUEST", r#"{"detail":"this method takes no body"}"#)
    );
    assert!(server.asked().is_empty());
    assert_eq!(server.json("DELETE", "/books/b1", "{}").await.status, 200);
    assert_eq!(server.asked_message(), json!({"book_id": "b1"}));
}

#[tokio::test]
async fn the_content_type_of_a_body_is_checked() {
    let server = server().await;
    for (content_type, status) in [
        (Some("application/json"), 200),
        (Some("Application/JSON; charset=utf-8"), 200),
        (Some("application/merge-patch+json"), 200),
        (None, 200),
        (Some("text/plain"), 415),
        (Some("application/x-www-form-urlencoded"), 415),
        (Some("application/jsonx"), 415),
        (Some("multipart/form-data; boundary=x"), 415),
        (Some(""), 415),
    ] {
        let mut request = server.request("POST", "/books/b1:publish").body("{}");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let told = server.send(request).await;
        assert_eq!(told.status, status, "{content_type:?}: {told:?}");
        if status == 415 {
            let body = r#"{"detail":"Content-Type must be application/json"}"#;
            assert_eq!(told.refusal(), (415, "UNSUPPORTED_MEDIA_TYPE", body));
        }
    }
    let request = server
        .request("POST", "/books/b1:publish")
        .header("content-encoding", "gzip");
    let told = server.send(request.body("{}")).await;
    assert_eq!(told.status, 415, "{told:?}");
}

#[tokio::test]
async fn a_body_over_the_size_limit_is_refused() {
    let server = server().await;
    let of_size = |size: usize| format!(r#"{{"publisher":"{}"}}"#, "x".repeat(size - 16));
    let told = server.json("POST", "/books/b1:publish", &of_size(MAX_BODY)).await;
    assert_eq!(told.status, 200, "{told:?}");
    let sentence = format!(r#"{{"detail":"the body is larger than {MAX_BODY} bytes"}}"#);
    let told = server.json("POST", "/books/b1:publish", &of_size(MAX_BODY + 1)).await;
    assert_eq!(told.refusal(), (413, "TOO_LARGE", sentence.as_str()));
    // These bodies use chunked encoding without Content-Length. One has `MAX_BODY` bytes, the other is a byte larger.
    for (size, status) in [(MAX_BODY, 200), (MAX_BODY + 1, 413)] {
        let text = of_size(size);
        let pieces: Vec<_> = text
            .as_bytes()
            .chunks(1000)
            .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()))
            .collect();
        let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
        let request = server
            .request("POST", "/books/b1:publish")
            .header("content-type", "application/json");
        let told = server.send(request.body(body)).await;
        assert_eq!(told.status, status, "{size}: {told:?}");
    }
}

#[tokio::test]
async fn raw_bodies_are_passed_through_unchanged() {
    let server = server().await;
    let request = server.request("PUT", "/pages/p1").header("content-type", "image/png");
    assert_eq!(server.send(request.body("\u{1}\u{2}")).await.status, 200);
    assert_eq!(
        server.asked_message(),
        json!({"path": "p1", "content": {"content_type": "image/png", "data": "AQI="}})
    );
    assert_eq!(server.send(server.request("PUT", "/pages/p1")).await.status, 200);
    assert_eq!(server.asked_message(), json!({"path": "p1", "content": {}}));
}

#[tokio::test]
async fn the_keys_of_a_body_are_the_update_mask() {
    let server = server().await;
    for (method, path, body, expected) in [
        (
            "PUT",
            "/reading/r",
            r#"{"title": "T"}"#,
            json!({"reading_id": "r", "title": "T", "update_mask": "title"}),
        ),
        (
            "PATCH",
            "/v1/reading/r",
            r#"{"title": null, "tags": []}"#,
            json!({"reading_id": "r", "update_mask": "title,tags"}),
        ),
        (
            "PATCH",
            "/reading/r",
            "{}",
            json!({"reading_id": "r", "update_mask": ""}),
        ),
        (
            "PATCH",
            "/reading/r",
            r#"{"title": "T", "update_mask": "tags"}"#,
            json!({"reading_id": "r", "title": "T", "update_mask": "tags"}),
        ),
        (
            "PATCH",
            "/reading/r",
            r#"{"title": "T", "updateMask": "tags"}"#,
            json!({"reading_id": "r", "title": "T", "update_mask": "tags"}),
        ),
        (
            "PATCH",
            "/books/b",
            r#"{"title": "T", "printedAt": null}"#,
            json!({"book_id": "b", "book": {"title": "T"}, "update_mask": "title,printedAt"}),
        ),
        (
            "PATCH",
            "/books/b?update_mask=pages",
            r#"{"title": "T"}"#,
            json!({"book_id": "b", "book": {"title": "T"}, "update_mask": "pages"}),
        ),
    ] {
        let told = server.json(method, path, body).await;
        assert_eq!(told.status, 200, "{method} {path} {body}: {told:?}");
        assert_eq!(server.asked_message(), expected, "{method} {path} {body}");
    }
    // Only updates have a field mask. A request that creates an object has none.
    server.json("POST", "/reading/start", r#"{"prompt": "P"}"#).await;
    assert_eq!(server.asked_message(), json!({"prompt": "P"}));
}

#[tokio::test]
async fn aliases_fill_fields_from_headers_and_parameters() {
    let server = server().await;
    let start = |headers: &[(&'static str, &'static str)], body: &'static str| {
        let mut request = server
            .request("POST", "/reading/start")
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        server.send(request.body(body))
    };
    assert_eq!(
        start(&[("idempotency-key", "k"), ("X-Emit-Timing", "true")], "{}")
            .await
            .status,
        200
    );
    assert_eq!(server.asked_message(), json!({"request_id": "k", "emit_timing": true}));
    // A field in the body takes precedence over the header, even if the field has its default value.
    assert_eq!(
        start(&[("Idempotency-Key", "k")], r#"{"requestId": "own"}"#)
            .await
            .status,
        200
    );
    assert_eq!(server.asked_message(), json!({"request_id": "own"}));
    assert_eq!(
        start(&[("X-Emit-Timing", "true")], r#"{"emit_timing": false}"#)
            .await
            .status,
        200
    );
    assert_eq!(server.asked_message(), json!({}));
    assert_eq!(start(&[("Idempotency-Key", "")], "{}").await.status, 200);
    assert_eq!(server.asked_message(), json!({}));
    let told = start(&[("X-Emit-Timing", "perhaps")], "{}").await;
    assert_eq!(told.status, 400);
    assert!(told.body.contains("emit_timing"), "{}", told.body);
    let request = server
        .request("POST", "/reading/start")
        .header("idempotency-key", HeaderValue::from_bytes(b"\xff").unwrap());
    assert_eq!(server.send(request).await.status, 400);
    assert!(server.asked().is_empty());

    let follow = |query: &'static str, last: Option<&'static str>| {
        let mut request = server.request("GET", &format!("/reading/r/stream{query}"));
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        server.send(request)
    };
    for (query, last, expected) in [
        ("", None, json!({"reading_id": "r"})),
        ("?last_id=4", None, json!({"reading_id": "r", "after_sequence": "4"})),
        ("", Some("5"), json!({"reading_id": "r", "after_sequence": "5"})),
        // When an EventSource reconnects, it repeats the query of its first request, so the header `Last-Event-ID` is
        // newer.
        (
            "?last_id=4",
            Some("5"),
            json!({"reading_id": "r", "after_sequence": "5"}),
        ),
        (
            "?after_sequence=6&last_id=4",
            Some("5"),
            json!({"reading_id": "r", "after_sequence": "6"}),
        ),
        ("?last_id=", Some(""), json!({"reading_id": "r"})),
        (
            "?last_id=4&lastEventId=7",
            None,
            json!({"reading_id": "r", "after_sequence": "7"}),
        ),
        (
            "?lastEventId=7",
            Some("8"),
            json!({"reading_id": "r", "after_sequence": "8"}),
        ),
    ] {
        assert_eq!(follow(query, last).await.status, 200);
        assert_eq!(server.asked_message(), expected, "{query} {last:?}");
    }
    assert_eq!(follow("?last_id=x", None).await.status, 400);
    assert_eq!(follow("?last_id=1&last_id=2", None).await.status, 400);
    assert_eq!(follow("?lastEventId=1&lastEventId=2", None).await.status, 400);
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn request_headers_become_grpc_metadata() {
    let server = server().await;
    let request = server
        .request("POST", "/v1/reading/start")
        .header("authorization", "Bearer t")
        .header("x-request-id", "r1")
        .header("grpc-timeout", "10S")
        .header("grpc-encoding", "gzip")
        .header("content-type", "application/json");
    assert_eq!(server.send(request.body("{}")).await.status, 200);
    let asked = server.asked();
    assert_eq!(asked[0].caller, Some(Caller("alice")));
    let metadata = &asked[0].metadata;
    assert_eq!(metadata["authorization"], "Bearer t");
    assert_eq!(metadata["x-request-id"], "r1");
    assert_eq!(metadata["grpc-timeout"], "10S");
    for name in ["grpc-encoding", "content-length", "host"] {
        assert!(!metadata.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn at_most_one_member_of_a_oneof_may_be_given() {
    let server = server().await;
    for query in ["title=t", "author=a", "nothing=1"] {
        let told = server.get(&format!("/search?{query}")).await;
        assert_eq!(told.status == 200, query != "nothing=1", "{query}: {told:?}");
    }
    let told = server.get("/search?title=t&author=a").await;
    let detail = r#"{"detail":"author: cannot be given together with title"}"#;
    assert_eq!(told.refusal(), (400, "INVALID_REQUEST", detail));
}

#[tokio::test]
async fn http_2_requests_get_the_same_answer() {
    let server = TranscoderServer::answering(json!({"book_id": "b1"})).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let url = format!("http://{}/by-id/b1", server.address);
    let response = client.get(url).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.version()),
        (200, http::Version::HTTP_2)
    );
    assert_eq!(response.text().await.unwrap(), r#"{"bookId":"b1"}"#);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_before_the_service() {
    let server = server().await;
    let told = server.get("/nowhere").await;
    assert_eq!(told.refusal(), (404, "NO_SUCH_PATH", r#"{"detail":"Not Found"}"#));
    let told = server.send(server.request("DELETE", "/v1/reading/start")).await;
    assert_eq!(
        told.refusal(),
        (405, "METHOD_NOT_ALLOWED", r#"{"detail":"Method Not Allowed"}"#)
    );
    assert_eq!(told.header("allow"), "GET, HEAD, PATCH, POST, PUT");
    let told = server.send(server.request("POST", "/books/b1")).await;
    assert_eq!((told.status, told.header("allow")), (405, "DELETE, LEND, PATCH"));
    let told = server.send(server.request("LEND", "/books/b1")).await;
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(server.asked()[0].method, "Lend");
    for path in [
        format!("/by-id/{}", "x".repeat(9000)),
        "/by-id".to_owned() + &"/x".repeat(300),
        "/by-id/..;/b".to_owned(),
    ] {
        assert_eq!(
            server.get(&path).await.refusal(),
            (404, "NO_SUCH_PATH", r#"{"detail":"Not Found"}"#)
        );
    }
    let told = server.get("/by-id/%FF").await;
    assert_eq!(
        told.refusal(),
        (
            400,
            "INVALID_REQUEST",
            r#"{"detail":"the percent-encoding of the path is invalid"}"#
        )
    );
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = TranscoderServer::answering(json!({"book_id": "b1"})).await;
    let told = server.send(server.request("HEAD", "/by-id/b1")).await;
    assert_eq!((told.status, told.body.as_str()), (200, ""));
    assert_eq!(told.header("content-type"), "application/json");
    assert_eq!(
        told.header("content-length"),
        server.get("/by-id/b1").await.body.len().to_string()
    );
}
