//! The console over HTTP: files served from a folder, and the page of a program that was built without a console.

use std::{fs, io::Read, path::Path};

use flate2::read::GzDecoder;
use reqwest::{
    Method,
    header::{ACCEPT_ENCODING, IF_NONE_MATCH},
};
use runyard::{config::Config, server::Server, wire::site::Site};
use runyard_upstream::{Script, Turn};
use tempfile::TempDir;

use crate::test_server::{Answer, TestServer, on_every_database_with};

const PAGE: &str = "<!doctype html><title>Console</title>";
const SCRIPT: &str = "assets/index-B7x_5a-Z.js";

/// Creates the files of a console, as Vite builds them.
fn built() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("index.html", PAGE);
    put("docs.html", "<!doctype html><title>Reference</title>");
    put(SCRIPT, &"console.log('hello');\n".repeat(500));
    put("assets/logo.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>");
    put("agents", "the path of a method");
    put("agent-run/any/stream", "the path of a method");
    put("openapi.json", "the path of a page");
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("passwd")).unwrap();
    folder
}

async fn with_console(test: impl AsyncFn(&mut TestServer)) {
    let folder = built();
    let change = |config: &mut Config| config.http.console_dir = Some(folder.path().to_owned());
    on_every_database_with(|_| Script::function(|_| Turn::words(1)), change, test).await;
}

fn plain_client() -> reqwest::Client {
    reqwest::Client::builder().no_gzip().build().unwrap()
}

async fn ask(server: &TestServer, method: Method, path: &str) -> Answer {
    Answer::of(plain_client().request(method, server.url(path)).send().await.unwrap()).await
}

async fn get(server: &TestServer, path: &str) -> Answer {
    ask(server, Method::GET, path).await
}

#[tokio::test]
async fn pages_need_no_token_and_have_a_strict_policy() {
    with_console(async |server| {
        for path in ["/", "/index.html"] {
            let page = get(server, path).await;
            assert_eq!((page.status, page.text.as_str()), (200, PAGE), "{path}");
            assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
            assert_eq!(page.header("cache-control"), "no-cache");
            let policy = page.header("content-security-policy");
            for rule in [
                "default-src 'self'",
                "script-src 'self';",
                "style-src 'self';",
                "connect-src 'self'",
                "object-src 'none'",
                "frame-ancestors 'none'",
            ] {
                assert!(policy.contains(rule), "{rule}: {policy}");
            }
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(page.header("x-content-type-options"), "nosniff");
            assert_eq!(page.header("referrer-policy"), "no-referrer");
            assert_eq!(page.header("cross-origin-opener-policy"), "same-origin");
            assert!(page.header("permissions-policy").contains("camera=()"));
            assert!(
                !page.header("x-request-id").is_empty(),
                "the middleware stack handles it"
            );
        }
        let reference = get(server, "/docs").await;
        assert!(reference.text.contains("Reference"), "{}", reference.text);
        assert_eq!(
            reference.header("content-security-policy"),
            get(server, "/").await.header("content-security-policy")
        );
    })
    .await;
}

#[tokio::test]
async fn api_routes_take_precedence_over_console_files() {
    with_console(async |server| {
        let caller = server.caller("ann");
        assert!(caller.get("/agents").await.ok()["agents"].is_array());
        get(server, "/agents").await.refused(401, "NOT_AUTHENTICATED");
        get(server, "/agent-run/any/stream")
            .await
            .refused(401, "NOT_AUTHENTICATED");
        assert_eq!(get(server, "/openapi.json").await.json()["openapi"], "3.1.0");
        // A symbolic link to a file outside the folder is not served.
        get(server, "/passwd").await.refused(401, "NOT_AUTHENTICATED");
        caller.get("/passwd").await.refused(404, "NO_SUCH_PATH");
    })
    .await;
}

#[tokio::test]
async fn a_file_with_a_hash_in_its_name_is_cached_for_ever() {
    with_console(async |server| {
        let script = get(server, &format!("/{SCRIPT}")).await;
        assert_eq!(script.status, 200);
        assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
        assert_eq!(script.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(
            script.header("content-security-policy"),
            "",
            "only pages have a content security policy"
        );
        let image = get(server, "/assets/logo.svg").await;
        assert_eq!(image.header("content-type"), "image/svg+xml; charset=utf-8");
        assert_eq!(
            image.header("cache-control"),
            "no-cache",
            "a name without a hash is revalidated"
        );
        for gone in ["/assets/index-00000000.js", "/assets/", "/favicon.ico"] {
            get(server, gone).await.refused(404, "NO_SUCH_PATH");
        }
    })
    .await;
}

#[tokio::test]
async fn a_matching_etag_is_answered_with_not_modified() {
    with_console(async |server| {
        let path = format!("/{SCRIPT}");
        let with = async |name, value: &str| {
            let request = plain_client().get(server.url(&path)).header(name, value);
            request.send().await.unwrap()
        };
        let plain = get(server, &path).await;
        let small = with(ACCEPT_ENCODING, "br, gzip;q=0.8").await;
        assert_eq!(small.headers()["content-encoding"], "gzip");
        assert_eq!(small.headers()["vary"], "accept-encoding");
        let small_tag = small.headers()["etag"].to_str().unwrap().to_owned();
        assert_ne!(small_tag, plain.header("etag"), "different bytes have a different tag");
        let bytes = small.bytes().await.unwrap();
        assert!(bytes.len() * 10 < plain.text.len(), "{}", bytes.len());
        let mut text = String::new();
        GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
        assert_eq!(text, plain.text);
        let refused = with(ACCEPT_ENCODING, "gzip;q=0, identity").await;
        assert!(refused.headers().get("content-encoding").is_none());

        for known in [plain.header("etag"), "\"x\", W/\"y\"", "*"] {
            let known = known.replace("\"y\"", plain.header("etag"));
            let unchanged = with(IF_NONE_MATCH, &known).await;
            assert_eq!(unchanged.status(), 304, "{known}");
            assert_eq!(unchanged.headers()["etag"], plain.header("etag"));
            assert_eq!(unchanged.bytes().await.unwrap().len(), 0);
        }
        for other in ["\"x\"", &small_tag] {
            assert_eq!(with(IF_NONE_MATCH, other).await.status(), 200, "{other}");
        }
    })
    .await;
}

#[tokio::test]
async fn only_get_and_head_of_console_files_are_allowed() {
    with_console(async |server| {
        let path = format!("/{SCRIPT}");
        let whole = get(server, &path).await;
        let head = ask(server, Method::HEAD, &path).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""));
        for name in ["content-length", "content-type", "etag", "cache-control"] {
            assert_eq!(head.header(name), whole.header(name), "{name}");
            assert!(!head.header(name).is_empty(), "{name}");
        }
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let answer = ask(server, method.clone(), &path).await;
            assert_eq!(answer.header("allow"), "GET, HEAD", "{method}");
            answer.refused(405, "METHOD_NOT_ALLOWED");
        }
    })
    .await;
}

#[tokio::test]
async fn a_program_without_a_console_still_serves_a_page() {
    // These checks pass whether or not the program contains a console.
    on_every_database_with(
        |_| Script::function(|_| Turn::words(1)),
        |_| {},
        async |server| {
            for path in ["/", "/docs"] {
                let page = get(server, path).await;
                assert_eq!(page.status, 200);
                assert!(
                    page.text.contains("<title>") && page.text.contains("Runyard"),
                    "{}",
                    page.text
                );
                assert!(page.header("content-security-policy").contains("script-src 'self'"));
            }
            let style = get(server, "/without.css").await;
            assert_eq!(
                (style.status, style.header("content-type")),
                (200, "text/css; charset=utf-8")
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_folder_without_a_console_is_refused_at_startup() {
    let refused = |folder: &Path| Site::open(Some(folder)).err().unwrap().message().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let said = refused(folder.path());
    assert!(
        said.contains("no index.html") && said.contains("make console"),
        "{said}"
    );
    let said = refused(&folder.path().join("gone"));
    assert!(said.contains("http.console_dir") && said.contains("gone"), "{said}");
    fs::write(folder.path().join("index.html"), PAGE).unwrap();
    assert!(Site::open(Some(folder.path())).unwrap().has("/"));
    fs::File::create(folder.path().join("huge"))
        .unwrap()
        .set_len(65 << 20)
        .unwrap();
    assert!(refused(folder.path()).contains("too large for a console"));

    let mut config = Config::parse("the test's configuration", "").unwrap();
    config.listen = "127.0.0.1:0".parse().unwrap();
    let data = tempfile::tempdir().unwrap();
    config.data_dir = data.path().join("data");
    config.http.console_dir = Some(folder.path().to_owned());
    let server = Server::open(config).await.unwrap();
    assert!(server.run().await.is_err());
}
