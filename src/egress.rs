//! The proxy through which the commands of a run reach the network, if `sandbox.network` is `"proxy"`.
//!
//! The sandbox opens a listening socket inside each command's network namespace and passes it to [`Egress`]
//! (`runyard_sandbox::Gateway`). The proxy serves `CONNECT` and plain HTTP requests to the hosts on the operator's list,
//! and nothing else. It inserts secrets of the account in headers that refer to them. Invariants: the service resolves the names, the address that was checked is the address that is
//! connected to, and connections, time and bytes are bounded. The run gets a notice for each host that its commands
//! request.

mod head;
pub mod hosts;
mod mask;
mod notices;
mod relay;
mod secret_request;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use runyard_sandbox::{Config, Gateway, Network};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, lookup_host},
    task::JoinSet,
    time::timeout,
};

use crate::{addresses::is_public, secrets::references::SecretSource};

use head::{Method, Plain, Request};
use hosts::HostList;
pub use notices::Reporter;
use notices::{Notices, Verdict};
use secret_request::{Refused, Sender};

/// Maximum number of open connections of one command. Further connections wait.
const MAX_CONNECTIONS: usize = 32;
/// Maximum number of addresses of a host that the proxy tries.
const MAX_ADDRESSES: usize = 8;
/// Maximum time to resolve a name, and to connect to one address.
const CONNECT: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted, for example because the process has too many open files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// The proxy of one run.
pub struct Egress {
    hosts: HostList,
    allows_private: bool,
    notices: Notices,
    with_secrets: Sender,
}

impl Egress {
    /// Returns the proxy of a run, or `None` if commands have no network. `report` receives a sentence for the user.
    pub fn of(config: &Config, report: Reporter, secrets: Arc<dyn SecretSource>) -> Option<Arc<dyn Gateway>> {
        let hosts = match config.network {
            Network::None => return None,
            // The configuration was checked when it was loaded.
            Network::Proxy => HostList::parse(&config.allowed_hosts).unwrap_or_default(),
        };
        Some(Arc::new(Self {
            hosts,
            allows_private: config.allow_private_addresses,
            notices: Notices::new(report),
            with_secrets: Sender::new(secrets, config.allow_private_addresses),
        }))
    }

    /// Serves one connection. A connection transports one request.
    async fn connection(&self, mut client: TcpStream) {
        let request = match head::read(&mut client).await {
            Ok(request) => request,
            Err(refusal) => return respond(&mut client, refusal.status, &refusal.message).await,
        };
        let to = (request.host.as_str(), request.port);
        if let Method::Plain(plain) = &request.method
            && plain.references() > 0
        {
            return self.add_secrets(client, to, plain, request.rest).await;
        }
        let server = match self.connect(to).await {
            Ok(server) => {
                self.notices.add(to, Verdict::Allowed);
                server
            }
            Err(verdict) => return self.refuse(&mut client, to, &verdict.into()).await,
        };
        ended(forward(client, server, request).await);
    }

    /// Serves a request that uses secrets.
    async fn add_secrets(&self, mut client: TcpStream, to: (&str, u16), plain: &Plain, rest: Vec<u8>) {
        let prepared = if self.hosts.allows(to.0, to.1) {
            self.with_secrets.prepare(to, plain).await
        } else {
            Err(Verdict::NotListed.into())
        };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(refused) => return self.refuse(&mut client, to, &refused).await,
        };
        let meter = Arc::new(relay::Meter::new());
        let (from_client, mut to_client) = client.into_split();
        match prepared.send((rest, from_client), &meter).await {
            Ok(answer) => {
                self.notices.add(to, Verdict::WithSecret);
                ended(answer.forward(&mut to_client, &meter).await);
            }
            Err(refused) => self.refuse(&mut to_client, to, &refused).await,
        }
    }

    async fn refuse(&self, client: &mut (impl AsyncWrite + Unpin), to: (&str, u16), refused: &Refused) {
        self.notices.add(to, refused.verdict);
        let status = match refused.verdict {
            Verdict::Failed(_) => "502 Bad Gateway",
            _ => "403 Forbidden",
        };
        respond(client, status, &format!("{}:{}: {}", to.0, to.1, refused.why)).await;
    }

    /// Connects to a host of the list, at an address that commands may reach.
    async fn connect(&self, (host, port): (&str, u16)) -> Result<TcpStream, Verdict> {
        if !self.hosts.allows(host, port) {
            return Err(Verdict::NotListed);
        }
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let resolved = timeout(CONNECT, lookup_host((name, port))).await;
        let Ok(Ok(addresses)) = resolved else {
            return Err(Verdict::Failed("the name cannot be resolved"));
        };
        let (permitted, other): (Vec<SocketAddr>, Vec<_>) =
            addresses.partition(|address| self.allows_private || is_public(address.ip()));
        if permitted.is_empty() && !other.is_empty() {
            return Err(Verdict::Private);
        }
        for address in permitted.into_iter().take(MAX_ADDRESSES) {
            if let Ok(Ok(server)) = timeout(CONNECT, TcpStream::connect(address)).await {
                return Ok(server);
            }
        }
        Err(Verdict::Failed("the host cannot be reached"))
    }
}

#[async_trait]
impl Gateway for Egress {
    async fn serve(self: Arc<Self>, listener: TcpListener) {
        // Dropping the set, and so dropping this future, ends all connections.
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            if connections.len() >= MAX_CONNECTIONS {
                connections.join_next().await;
                continue;
            }
            match listener.accept().await {
                Ok((client, _)) => {
                    let egress = Arc::clone(&self);
                    connections.spawn(async move { egress.connection(client).await });
                }
                Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
            }
        }
    }
}

/// Passes the request to the server and everything else between the two.
async fn forward(mut client: TcpStream, mut server: TcpStream, request: Request) -> std::io::Result<()> {
    let meter = relay::Meter::new();
    match request.method {
        Method::Connect => {
            let established = b"HTTP/1.1 200 Connection established\r\n\r\n";
            meter.within_idle(client.write_all(established)).await?;
            meter.within_idle(server.write_all(&request.rest)).await?;
            relay::both_ways(client, server, &meter).await
        }
        Method::Plain(plain) => {
            meter.within_idle(server.write_all(plain.head().as_bytes())).await?;
            relay::one_request(client, server, (&request.rest, plain.body_bytes), &meter).await
        }
    }
}

fn ended(outcome: std::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection of a sandbox ended early");
    }
}

/// Answers a request that the proxy does not forward. Errors are ignored, because the connection ends anyway.
async fn respond(client: &mut (impl AsyncWrite + Unpin), status: &str, message: &str) {
    let body = format!("Runyard's proxy: {message}\n");
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let sending = async {
        client.write_all(response.as_bytes()).await?;
        client.shutdown().await
    };
    let _ = timeout(CONNECT, sending).await;
}
