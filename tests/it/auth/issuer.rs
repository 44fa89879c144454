//! An identity provider for tests. It serves keys and a discovery document, and can rotate keys, fail, send oversized
//! responses, respond slowly, or redirect.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[derive(Clone)]
pub enum Says {
    Keys(Vec<Value>),
    Raw(Vec<u8>),
    Flood,
    /// A response that stops after its first bytes, while the connection stays open.
    Silence,
}

struct State {
    keys: Mutex<Says>,
    document: Mutex<Value>,
    asked: AtomicUsize,
    documents: AtomicUsize,
}

pub struct Issuer {
    state: Arc<State>,
    pub url: String,
    /// Issuer URL, the value of the claim `iss`.
    pub name: String,
}

impl Issuer {
    pub async fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = format!("http://{}", listener.local_addr().unwrap());
        let (url, name) = (format!("{host}/jwks.json"), format!("{host}/realms/test"));
        let state = Arc::new(State {
            keys: Mutex::new(Says::Keys(keys.to_vec())),
            document: Mutex::new(
                json!({"issuer": name, "jwks_uri": url, "id_token_signing_alg_values_supported": ["ES256"]}),
            ),
            asked: AtomicUsize::new(0),
            documents: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, Arc::clone(&shared)));
            }
        });
        Self { state, url, name }
    }

    pub fn say(&self, says: Says) {
        *self.state.keys.lock().unwrap() = says;
    }

    pub fn say_document(&self, document: Value) {
        *self.state.document.lock().unwrap() = document;
    }

    pub fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }

    pub fn documents(&self) -> usize {
        self.state.documents.load(Ordering::SeqCst)
    }
}

async fn answer(mut stream: TcpStream, state: Arc<State>) {
    let mut request = vec![0; 4096];
    let read = stream.read(&mut request).await.unwrap_or(0);
    let request = String::from_utf8_lossy(&request[..read]).into_owned();
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    if request.starts_with("GET /realms/test/.well-known/openid-configuration ") {
        state.documents.fetch_add(1, Ordering::SeqCst);
        let document = state.document.lock().unwrap().clone();
        let _ = stream.write_all(format!("{head}{document}").as_bytes()).await;
        return;
    }
    let says = state.keys.lock().unwrap().clone();
    state.asked.fetch_add(1, Ordering::SeqCst);
    let answer = match says {
        Says::Keys(keys) => format!("{head}{}", json!({ "keys": keys })).into_bytes(),
        Says::Raw(bytes) => bytes,
        Says::Flood => {
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(&[b' '; 8192]).await.is_ok() {}
            return;
        }
        Says::Silence => {
            let _ = stream.write_all(head.as_bytes()).await;
            std::future::pending().await
        }
    };
    let _ = stream.write_all(&answer).await;
}
