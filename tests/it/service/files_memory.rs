//! Tests that a large file hardly increases the memory of the server, because the server streams files.

use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::{
    Body,
    multipart::{Form, Part},
};
use runyard_client::v1::{
    CreateUploadRequest, UploadChunkRequest, WriteFileRequest, file_service_client::FileServiceClient,
    sandbox_service_client::SandboxServiceClient,
};
use serde_json::Value;
use tonic::{Request, transport::Channel};

use super::{
    program::{OPEN, Program},
    requests::text,
};

const PIECE: usize = 1_000_000;
/// Number of chunks of the file in the form. The file has 1 GB, the maximum file size on this server.
const PIECES: usize = 1_000;
const CHUNKS: usize = 200;
const MAX_GROWTH: u64 = 64 * 1024 * 1024;

struct Server {
    program: Program,
}

impl Server {
    async fn start_with(&self, pieces: usize) -> Value {
        let content = stream::iter((0..pieces).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; PIECE]))));
        let form = Form::new()
            .text("prompt", "Look.")
            .text("mode", "chat")
            .part("files", Part::stream(Body::wrap_stream(content)).file_name("big.bin"));
        let request = self.program.request("POST", "/agent/start");
        let answer = request.multipart(form).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    async fn fetch(&self, run: &Value, path: &str) -> usize {
        let path = format!("/sandboxes/{}/files/content?path={path}", text(run, "sandbox_id"));
        let answer = self.program.request("GET", &path).send().await.unwrap();
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
        let value = format!("Bearer {}", self.program.token).parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        request
    }

    async fn write_in_chunks(&self, channel: &Channel, run: &Value) {
        let mut uploads = FileServiceClient::new(channel.clone());
        let size = i64::try_from(CHUNKS * PIECE).unwrap();
        let new = CreateUploadRequest {
            name: "chunks.bin".to_owned(),
            size,
        };
        let upload = uploads.create_upload(self.signed(new)).await.unwrap().into_inner();
        for number in 0..CHUNKS {
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
async fn a_large_file_is_uploaded_and_downloaded_in_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server {
        program: Program::start(folder.path(), OPEN).await,
    };
    let program = &server.program;
    let channel = Channel::from_shared(program.url.clone())
        .unwrap()
        .connect()
        .await
        .unwrap();
    // The first round triggers the allocations that happen only once.
    server.fetch(&server.start_with(1).await, "big.bin").await;
    let before = program.memory();
    let check = |what: &str, most: u64| {
        let growth = most.saturating_sub(before);
        assert!(growth < MAX_GROWTH, "{what} took {} MiB", growth / 1024 / 1024);
    };
    let (run, most) = program.most(server.start_with(PIECES)).await;
    check("the form upload", most);
    let ((), most) = program.most(server.write_in_chunks(&channel, &run)).await;
    check("the chunked upload", most);
    let (length, most) = program.most(server.fetch(&run, "big.bin")).await;
    check("the download", most);
    assert_eq!(length, PIECES * PIECE);
    let (length, most) = program.most(server.fetch(&run, "/workspace")).await;
    check("the archive", most);
    assert!(length > (PIECES + CHUNKS) * PIECE);
}
