//! Tests of placing, deleting and archiving files through `SandboxService`.

use std::{path::Path, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use runyard_client::v1::{self, sandbox_service_client::SandboxServiceClient};
use runyard_upstream::{Call, Turn};
use serde_json::{Value, json};

use super::requests::{delete, each, text};
use crate::{
    difference::assert_same_list,
    test_server::{Answer, Caller, TestServer, on_every_database, on_every_database_with},
};

/// Runs a command in the workspace of a new project. Returns the project, and the API path of its files.
async fn workspace(server: &TestServer, caller: &Caller, command: &str) -> (Value, String) {
    server.upstream.push([
        Turn::calls([Call::new("bash", &json!({"command": command}))]),
        Turn::text("Done."),
    ]);
    let run = caller.start("Go.").await;
    let ended = caller.ended(&run).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    let path = format!("/projects/{}", text(&run, "project_id"));
    let project = caller.get(&path).await.ok();
    let files = format!("/sandboxes/{}/files", text(&project, "sandbox_id"));
    (project, files)
}

async fn upload(caller: &Caller, content: &[u8]) -> Value {
    let body = json!({"name": "x", "size": content.len()});
    let upload = caller.post("/uploads", body).await.ok();
    let path = format!("/uploads/{}", text(&upload, "upload_id"));
    let chunk = json!({"offset": 0, "data": BASE64.encode(content)});
    let request = caller.request("PUT", &path).json(&chunk);
    Answer::of(request.send().await.unwrap()).await.ok();
    upload["upload_id"].clone()
}

async fn content(caller: &Caller, files: &str, path: &str) -> Answer {
    caller.get(&format!("{files}/content?path={path}")).await
}

#[tokio::test]
async fn an_upload_is_placed_completely_and_only_once() {
    on_every_database(
        |_| Vec::<Turn>::new(),
        async |server| {
            let (caller, bob) = (server.caller("ann"), server.caller("bob"));
            let (project, files) = workspace(server, &caller, "echo old > data.csv; chmod 600 data.csv").await;
            let first = upload(&caller, b"one").await;
            let body = json!({"path": "/workspace/a/b/data.csv", "upload_id": first});
            let file = caller.post(&files, body.clone()).await.ok();
            assert_eq!((&file["size"], &file["is_dir"]), (&json!(3), &json!(false)));
            assert_eq!(
                (&file["name"], &file["content_type"]),
                (&json!("data.csv"), &json!("text/csv"))
            );
            assert_eq!(content(&caller, &files, "a/b/data.csv").await.text, "one");
            caller.post(&files, body).await.refused(404, "UPLOAD_NOT_FOUND");
            let start = json!({"prompt": "x", "files": [first]});
            caller
                .post("/agent/start", start)
                .await
                .refused(404, "UPLOAD_NOT_FOUND");
            assert_eq!(std::fs::read_dir(server.data_dir().join("uploads")).unwrap().count(), 0);
            // The upload replaces the existing file, and the next command of the agent reads the new content.
            let second = upload(&caller, b"new\n").await;
            caller
                .post(&files, json!({"path": "data.csv", "upload_id": second}))
                .await
                .ok();
            assert_eq!(content(&caller, &files, "data.csv").await.text, "new\n");
            let third = upload(&caller, b"never").await;
            let taken = json!({"path": "x", "upload_id": third});
            bob.post(&files, taken.clone()).await.refused(404, "SANDBOX_NOT_FOUND");
            let (_, bobs) = workspace(server, &bob, "true").await;
            bob.post(&bobs, taken).await.refused(404, "UPLOAD_NOT_FOUND");
            let early = caller.post("/uploads", json!({"name": "x", "size": 9})).await.ok();
            let early = json!({"path": "x", "upload_id": early["upload_id"]});
            caller.post(&files, early).await.refused(409, "UPLOAD_INCOMPLETE");
            let mut grpc = SandboxServiceClient::new(caller.channel().await);
            let request = v1::WriteFileRequest {
                sandbox_id: text(&project, "sandbox_id").to_owned(),
                path: "over/grpc.txt".to_owned(),
                upload_id: third.as_str().unwrap().to_owned(),
            };
            let file = grpc.write_file(caller.signed(request)).await.unwrap().into_inner();
            assert_eq!((file.path.as_str(), file.size), ("over/grpc.txt", 5));
        },
    )
    .await;
}

#[tokio::test]
async fn a_path_cannot_leave_the_workspace_and_a_link_is_replaced() {
    on_every_database(
        |_| Vec::<Turn>::new(),
        async |server| {
            let caller = server.caller("ann");
            let outside = server.data_dir().join("outside.txt");
            std::fs::write(&outside, "untouched").unwrap();
            let command = format!("ln -s {} link; ln -s / top; mkdir -p folder/sub", outside.display());
            let (_, files) = workspace(server, &caller, &command).await;
            let id = upload(&caller, b"placed").await;
            for wrong in [
                "../x",
                "a/../../x",
                "/etc/x",
                "",
                ".",
                "/workspace",
                "folder",
                "top/x",
                "link/x",
                "a\u{0}b",
                "a\nb",
                "a\u{202e}b",
                ".runyard-tmp-1",
            ] {
                let body = json!({"path": wrong, "upload_id": id});
                caller.post(&files, body).await.refused(400, "INVALID_REQUEST");
            }
            let long = json!({"path": "x".repeat(256), "upload_id": id});
            caller.post(&files, long).await.refused(400, "INVALID_REQUEST");
            // The refused requests did not consume the upload. The server replaces the link and does not follow it.
            caller.post(&files, json!({"path": "link", "upload_id": id})).await.ok();
            assert_eq!(content(&caller, &files, "link").await.text, "placed");
            assert_eq!(std::fs::read_to_string(&outside).unwrap(), "untouched");
            // Two Unicode normalization forms of a name refer to the same file.
            for (spelling, text) in [("u\u{308}ber.txt", "one"), ("\u{fc}ber.txt", "two")] {
                let id = upload(&caller, text.as_bytes()).await;
                let file = caller
                    .post(&files, json!({"path": spelling, "upload_id": id}))
                    .await
                    .ok();
                assert_eq!(file["path"], "\u{fc}ber.txt");
            }
            assert_eq!(content(&caller, &files, "%C3%BCber.txt").await.text, "two");
        },
    )
    .await;
}

#[tokio::test]
async fn a_full_workspace_refuses_more_files() {
    on_every_database_with(
        |_| Vec::<Turn>::new(),
        |config| config.sandbox.max_workspace_bytes = 1_000_000,
        async |server| {
            let caller = server.caller("ann");
            let (_, files) = workspace(server, &caller, "head -c 600000 /dev/zero > big").await;
            let id = upload(&caller, &vec![b'x'; 500_000]).await;
            let body = json!({"path": "more", "upload_id": id});
            caller.post(&files, body.clone()).await.refused(413, "TOO_LARGE");
            delete(&caller, &format!("{files}?path=big")).await.ok();
            caller.post(&files, body).await.ok();
        },
    )
    .await;
}

#[tokio::test]
async fn only_a_file_or_an_empty_folder_can_be_deleted() {
    on_every_database(
        |_| Vec::<Turn>::new(),
        async |server| {
            let (caller, bob) = (server.caller("ann"), server.caller("bob"));
            let command = "mkdir -p full empty; echo x > full/x; echo y > y; echo z > z; ln -s y link";
            let (project, files) = workspace(server, &caller, command).await;
            let gone = async |path: &str| delete(&caller, &format!("{files}?path={path}")).await;
            delete(&bob, &format!("{files}?path=y"))
                .await
                .refused(404, "SANDBOX_NOT_FOUND");
            gone("full").await.refused(409, "CONFLICT");
            gone("empty").await.ok();
            gone("link").await.ok();
            assert_eq!(content(&caller, &files, "y").await.text, "y\n");
            gone("y").await.ok();
            gone("y").await.refused(404, "FILE_NOT_FOUND");
            for wrong in ["..", "/", "/workspace", "../../x"] {
                gone(wrong).await.refused(400, "INVALID_REQUEST");
            }
            let mut grpc = SandboxServiceClient::new(caller.channel().await);
            let request = v1::DeleteFileRequest {
                sandbox_id: text(&project, "sandbox_id").to_owned(),
                path: "z".to_owned(),
            };
            grpc.delete_file(caller.signed(request)).await.unwrap();
            let left = caller.get(&format!("{files}?recursive=true")).await.ok();
            assert_eq!(each(&left, "files", "path"), ["full", "full/x", "output"]);
        },
    )
    .await;
}

fn extract(archive: &[u8], folder: &Path) -> Vec<String> {
    let file = folder.join("archive.tar");
    std::fs::write(&file, archive).unwrap();
    let tar = |arguments: &[&str]| {
        let output = Command::new("tar")
            .args(arguments)
            .arg("-f")
            .arg(&file)
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    tar(&["-x"]);
    tar(&["-t", "--quoting-style=literal"])
        .lines()
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn a_folder_is_downloaded_as_a_tar_stream_without_links() {
    on_every_database(
        |_| Vec::<Turn>::new(),
        async |server| {
            let (caller, bob) = (server.caller("ann"), server.caller("bob"));
            let long = format!("{}/{}", "d".repeat(90), "f".repeat(120));
            let command = format!(
                "mkdir -p out/empty out/{}; echo deep > out/{long}; head -c 300000 /dev/zero | tr '\\0' x > out/big; \
                 echo run > out/run.sh; chmod 755 out/run.sh; echo u > 'out/ü b'; ln -s /etc/passwd out/link; mkfifo out/pipe; \
                 touch out/nothing; echo above > above",
                "d".repeat(90)
            );
            let (project, files) = workspace(server, &caller, &command).await;
            let answer = caller.request("GET", &format!("{files}/content?path=out")).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(header("content-type"), "application/x-tar");
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert!(header("content-disposition").starts_with("attachment; filename*=UTF-8''out%2Etar"));
            let archive = answer.bytes().await.unwrap();
            let folder = tempfile::tempdir().unwrap();
            let listed = extract(&archive, folder.path());
            let long_folder = format!("out/{}/", "d".repeat(90));
            let long_file = format!("out/{long}");
            let expected = ["out/", "out/big", &long_folder, &long_file, "out/empty/", "out/nothing", "out/run.sh", "out/ü b"];
            assert_same_list(&listed, &expected, "entries of the archive");
            let read = |path: &str| std::fs::read_to_string(folder.path().join(path)).unwrap();
            assert_eq!((read(&long_file).as_str(), read("out/ü b").as_str()), ("deep\n", "u\n"));
            let big = read("out/big");
            assert!(big.bytes().all(|byte| byte == b'x') && big.len() == 300_000, "{} bytes", big.len());
            let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(folder.path().join("out/run.sh")).unwrap().permissions());
            assert_eq!(mode & 0o777, 0o755);
            let mut grpc = SandboxServiceClient::new(caller.channel().await);
            let request = v1::ReadFileRequest {
                sandbox_id: text(&project, "sandbox_id").to_owned(),
                path: "/workspace".to_owned(),
                ..Default::default()
            };
            let mut pieces = grpc.read_file(caller.signed(request)).await.unwrap().into_inner();
            let first = pieces.message().await.unwrap().unwrap();
            assert_eq!(first.content_type, "application/x-tar");
            let mut archive = first.data.to_vec();
            while let Some(piece) = pieces.message().await.unwrap() {
                archive.extend_from_slice(&piece.data);
            }
            let folder = tempfile::tempdir().unwrap();
            let listed = extract(&archive, folder.path());
            assert!(listed.contains(&"workspace/above".to_owned()) && listed.contains(&"workspace/out/big".to_owned()));
            content(&bob, &files, "out").await.refused(404, "SANDBOX_NOT_FOUND");
            content(&caller, &files, "out/link").await.refused(400, "INVALID_REQUEST");
            content(&caller, &files, "nothing").await.refused(404, "FILE_NOT_FOUND");
        },
    )
    .await;
}

/// A command can create a file whose name is not UTF-8. Lists percent-encode the invalid bytes. A request may contain
/// the listed path or the raw bytes.
#[tokio::test]
async fn a_file_whose_name_is_not_utf8_is_listed_read_and_deleted() {
    let command =
        r"printf one > $'caf\xe9.txt'; mkdir $'d\xff'; printf two > $'d\xff/100%'; printf three > 'caf%C3%A9'";
    on_every_database(
        |_| Vec::<Turn>::new(),
        async |server| {
            let caller = server.caller("ann");
            let (_, files) = workspace(server, &caller, command).await;
            let listed = async || {
                let list = caller.get(&format!("{files}?recursive=true")).await.ok();
                let paths = each(&list, "files", "path");
                paths
                    .iter()
                    .map(|path| path.as_str().unwrap().to_owned())
                    .collect::<Vec<_>>()
            };
            assert_eq!(
                listed().await,
                ["caf%C3%A9", "caf%E9.txt", "d%FF", "d%FF/100%25", "output"]
            );
            let encoded = |path: &str| {
                percent_encoding::utf8_percent_encode(path, percent_encoding::NON_ALPHANUMERIC).to_string()
            };
            for (path, expected) in [("caf%E9.txt", "one"), ("d%FF/100%25", "two"), ("caf%C3%A9", "three")] {
                let answer = content(&caller, &files, &encoded(path)).await;
                assert_eq!((answer.status, answer.text.as_str()), (200, expected), "{path}");
            }
            // In these requests, the percent-decoded path is the raw bytes of the name.
            assert_eq!(content(&caller, &files, "caf%E9.txt").await.text, "one");
            assert_eq!(content(&caller, &files, "d%ff/100%25").await.text, "two");
            let below = caller.get(&format!("{files}?path=d%FF")).await.ok();
            assert_eq!(each(&below, "files", "path"), ["d%FF/100%25"]);
            content(&caller, &files, "caf%EA.txt")
                .await
                .refused(404, "FILE_NOT_FOUND");
            content(&caller, &files, "%2e%2e/%FF")
                .await
                .refused(400, "INVALID_REQUEST");
            let other = caller.get(&format!("{files}?page_token=%FF")).await;
            assert_eq!(
                other.refused(400, "INVALID_REQUEST")["detail"],
                "the query is not UTF-8"
            );

            let by_grpc = v1::DeleteFileRequest {
                sandbox_id: files.split('/').nth(2).unwrap().to_owned(),
                path: "d%FF/100%25".to_owned(),
            };
            let mut sandboxes = SandboxServiceClient::new(caller.channel().await);
            sandboxes.delete_file(caller.signed(by_grpc)).await.unwrap();
            for path in ["caf%E9.txt", &encoded("d%FF"), &encoded("caf%C3%A9")] {
                assert_eq!(
                    delete(&caller, &format!("{files}?path={path}")).await.status,
                    200,
                    "{path}"
                );
            }
            assert_eq!(listed().await, ["output"]);
            delete(&caller, &format!("{files}?path=caf%E9.txt"))
                .await
                .refused(404, "FILE_NOT_FOUND");
        },
    )
    .await;
}
