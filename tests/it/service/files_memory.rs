//! A file passes through the service in pieces: the memory of a server of its own, the real program, hardly grows.

use std::{
    net::TcpListener,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::{
    Body,
    multipart::{Form, Part},
};
use runyard::v1::{
    CreateUploadRequest, UploadChunkRequest, WriteFileRequest, file_service_client::FileServiceClient,
    sandbox_service_client::SandboxServiceClient,
};
use serde_json::Value;
use tokio::process::{Child, Command};
use tonic::{Request, transport::Channel};

use super::ask::text;
use crate::house::PATIENCE;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// Pieces of a mebibyte that each file has.
const PIECES: usize = 200;
const PIECE: usize = 1024 * 1024;
/// How far the memory may grow.
const MAX_GROWTH: u64 = 64 * 1024 * 1024;

struct Server {
    child: Child,
    url: String,
    token: String,
    http: reqwest::Client,
}

impl Server {
    async fn start(folder: &Path) -> Self {
        let config = folder.join("runyard.toml");
        let tier = "[[tiers]]\nname = \"free\"\nmodels = [\"*\"]\ndefault_model = \"runyard/demo\"\n\
                    max_upload_bytes = 1000000000\ncredits_granted = 300\n";
        std::fs::write(&config, tier).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_runyard"));
            command
                .args(arguments)
                .current_dir(folder)
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .env("RUNYARD_CONFIG", &config)
                .env("RUNYARD_JWT_SECRET", SECRET)
                .env("RUNYARD_LISTEN", format!("127.0.0.1:{port}"))
                .kill_on_drop(true);
            command
        };
        let minted = program(&["token", "--sub", "ann"]).output().await.unwrap();
        assert!(minted.status.success(), "{minted:?}");
        let token = String::from_utf8(minted.stdout).unwrap().trim().to_owned();
        let child = program(&["serve"]).stderr(std::process::Stdio::null()).spawn().unwrap();
        let (url, http) = (format!("http://127.0.0.1:{port}"), reqwest::Client::new());
        let ready = async {
            while !http
                .get(format!("{url}/readyz"))
                .send()
                .await
                .is_ok_and(|answer| answer.status() == 200)
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("the server starts");
        Self {
            child,
            url,
            token,
            http,
        }
    }

    /// Bytes of the program's own memory now.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// The most memory that it has while something happens.
    async fn most<T>(&self, work: impl Future<Output = T>) -> (T, u64) {
        let (most, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let watching = async {
            while !done.load(Ordering::Relaxed) {
                most.fetch_max(self.memory(), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let working = async {
            let answer = work.await;
            done.store(true, Ordering::Relaxed);
            answer
        };
        let (answer, ()) = tokio::join!(working, watching);
        (answer, most.load(Ordering::Relaxed))
    }

    async fn start_with(&self, pieces: usize) -> Value {
        let content = stream::iter((0..pieces).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; PIECE]))));
        let form = Form::new()
            .text("prompt", "Look.")
            .text("mode", "chat")
            .part("files", Part::stream(Body::wrap_stream(content)).file_name("big.bin"));
        let request = self
            .http
            .post(format!("{}/agent/start", self.url))
            .bearer_auth(&self.token);
        let answer = request.multipart(form).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    async fn fetch(&self, run: &Value, path: &str) -> usize {
        let url = format!(
            "{}/sandboxes/{}/files/content?path={path}",
            self.url,
            text(run, "sandbox_id")
        );
        let answer = self.http.get(url).bearer_auth(&self.token).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut stream = answer.bytes_stream();
        let mut length = 0;
        while let Some(piece) = stream.next().await {
            length += piece.unwrap().len();
        }
        length
    }

    fn signed<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let value = format!("Bearer {}", self.token).parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        request
    }

    async fn write_in_chunks(&self, channel: &Channel, run: &Value) {
        let mut uploads = FileServiceClient::new(channel.clone());
        let size = i64::try_from(PIECES * PIECE).unwrap();
        let new = CreateUploadRequest {
            name: "chunks.bin".to_owned(),
            size,
        };
        let upload = uploads.create_upload(self.signed(new)).await.unwrap().into_inner();
        for number in 0..PIECES {
            let chunk = UploadChunkRequest {
                upload_id: upload.upload_id.clone(),
                offset: i64::try_from(number * PIECE).unwrap(),
                data: vec![b'y'; PIECE].into(),
            };
            uploads.upload_chunk(self.signed(chunk)).await.unwrap();
        }
        let place = WriteFileRequest {
            sandbox_id: text(run, "sandbox_id").to_owned(),
            path: "folder/chunks.bin".to_owned(),
            upload_id: upload.upload_id,
        };
        let file = SandboxServiceClient::new(channel.clone())
            .write_file(self.signed(place))
            .await;
        assert_eq!(file.unwrap().into_inner().size, size);
    }
}

#[tokio::test]
async fn a_large_file_goes_in_and_out_in_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let server = Server::start(folder.path()).await;
    let channel = Channel::from_shared(server.url.clone())
        .unwrap()
        .connect()
        .await
        .unwrap();
    // What is made once is made before.
    server.fetch(&server.start_with(1).await, "big.bin").await;
    let before = server.memory();
    let check = |what: &str, most: u64| {
        let growth = most.saturating_sub(before);
        assert!(growth < MAX_GROWTH, "{what} took {} MiB", growth / 1024 / 1024);
    };
    let (run, most) = server.most(server.start_with(PIECES)).await;
    check("the form", most);
    let ((), most) = server.most(server.write_in_chunks(&channel, &run)).await;
    check("the chunks", most);
    let (length, most) = server.most(server.fetch(&run, "big.bin")).await;
    check("the file on its way out", most);
    assert_eq!(length, PIECES * PIECE);
    let (length, most) = server.most(server.fetch(&run, "/workspace")).await;
    check("the archive", most);
    assert!(length > 2 * PIECES * PIECE);
}
