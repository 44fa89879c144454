//! A request contains one credential, as a bearer token or in the header `x-api-key`.

use http::{HeaderMap, HeaderName, HeaderValue};
use runyard::{
    error::Code,
    wire::jwt::{Credential, credential},
};

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            )
        })
        .fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        })
}

#[test]
fn j01_exactly_one_credential_is_accepted() {
    let find = |lines: &[(&'static str, &str)]| {
        let headers = headers(lines);
        credential(&headers).map(|found| format!("{found:?}")).map_err(|error| {
            assert_eq!(
                (error.code(), error.message()),
                (Code::NotAuthenticated, "Not authenticated")
            );
        })
    };
    assert_eq!(find(&[("authorization", "Bearer a.b.c")]).unwrap(), r#"Jwt("a.b.c")"#);
    assert_eq!(find(&[("authorization", "bearer a.b.c")]).unwrap(), r#"Jwt("a.b.c")"#);
    assert_eq!(find(&[("x-api-key", "ry_1")]).unwrap(), r#"ApiKey("ry_1")"#);
    assert_eq!(find(&[("authorization", "Bearer ry_1")]).unwrap(), r#"ApiKey("ry_1")"#);
    for bad in [
        "Bearer",
        "Bearer ",
        "Bearer  a",
        "Bearer a b",
        "Bearer a\tb",
        "Basic YTpi",
        "a.b.c",
        "",
        "Bearera.b.c",
        "Bearer \u{e9}",
    ] {
        find(&[("authorization", bad)]).unwrap_err();
    }
    find(&[]).unwrap_err();
    find(&[("authorization", "Bearer a.b.c"), ("authorization", "Bearer a.b.c")]).unwrap_err();
    find(&[("authorization", "Bearer a.b.c"), ("x-api-key", "ry_1")]).unwrap_err();
    find(&[("x-api-key", "ry_1"), ("x-api-key", "ry_2")]).unwrap_err();
    // Generated clients send the same key in every header that the OpenAPI document lists.
    let both = [("authorization", "Bearer ry_1"), ("x-api-key", "ry_1")];
    assert_eq!(find(&both).unwrap(), r#"ApiKey("ry_1")"#);
    find(&[("authorization", "Bearer ry_1"), ("x-api-key", "ry_2")]).unwrap_err();
    find(&[("authorization", "Bearer "), ("x-api-key", "ry_1")]).unwrap_err();
    find(&[("authorization", "Basic YTpi"), ("x-api-key", "ry_1")]).unwrap_err();
    find(&[("x-api-key", "")]).unwrap_err();
    assert!(matches!(
        credential(&headers(&[("x-api-key", "a")])),
        Ok(Credential::ApiKey("a"))
    ));
}
