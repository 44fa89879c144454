//! Binds the port of the server, serves every protocol on it, and shuts down gracefully.

/// Wraps a built-in gRPC service: limits its message size and accepts compressed requests. The limit bounds the
/// memory that clients without a token can use.
macro_rules! limited {
    ($service:expr) => {
        $service
            .max_decoding_message_size($crate::server::MAX_QUESTION)
            .accept_compressed(tonic::codec::CompressionEncoding::Gzip)
            .accept_compressed(tonic::codec::CompressionEncoding::Zstd)
    };
}

mod connection_slots;
mod connections;
mod forward;
mod health;
mod linger;
pub mod protocol_detection;
mod reflection;

use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic_health::pb::health_server::HealthServer;
use tracing::{info, warn};

use self::{
    connections::Connections,
    health::Health,
    reflection::{Reflection, V1, V1Alpha},
};
use crate::{
    app::App,
    background::Background,
    config::{Config, Limits, models::DEMO_PROVIDER},
    data_folder,
    error::{Code, Error, Result},
    wire::{
        self,
        jwt::{self, Verifier},
        stack,
    },
};

const BIND_ATTEMPTS: u32 = 20;
const BIND_PAUSE: Duration = Duration::from_millis(50);
/// Maximum number of connections waiting to be accepted.
const BACKLOG: i32 = 4096;
/// Maximum size of a health or reflection request, in bytes. These requests contain only one name.
const MAX_QUESTION: usize = 16 * 1024;
/// Maximum time to wait for the sandbox check before the server logs its address.
const SANDBOX_CHECK: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Graceful shutdown after one signal.
    InOrder,
    /// Immediate end after a second signal.
    AtOnce,
}

/// Serves until SIGTERM or SIGINT, then shuts down gracefully. A second signal ends the server immediately.
///
/// # Errors
/// The errors of [`Server::open`] and [`Server::run`]; INTERNAL if the server cannot listen for signals.
pub async fn serve(config: Config) -> Result<End> {
    let server = Server::open(config).await?;
    let stopping = server.app.stopping.clone();
    let signals = Signals::listen()?;
    tokio::select! {
        outcome = server.run() => outcome.map(|()| End::InOrder),
        () = signals.twice(stopping) => {
            warn!("second signal: stopping immediately");
            Ok(End::AtOnce)
        }
    }
}

pub struct Server {
    app: App,
    verifier: Arc<Verifier>,
    listener: TcpListener,
}

impl Server {
    /// Opens the database and all other resources, and binds the port.
    ///
    /// # Errors
    /// UNAVAILABLE if the port cannot be bound; errors of the configuration, the data folder and the database.
    pub async fn open(config: Config) -> Result<Self> {
        let listen = config.listen;
        // Decoding the API descriptors is slow, so another thread begins it now. `stack::build` needs the result.
        drop(tokio::task::spawn_blocking(wire::codec::descriptors));
        data_folder::prepare_for(&config)?;
        let secret = jwt::load_or_create_secret(&config)?;
        let verifier = Arc::new(Verifier::new(&config.auth, secret.as_ref())?);
        let listener = bind(listen).await?;
        let app = App::open(config).await?;
        // A failure is only logged, because the issuer may become available before the first token arrives.
        verifier.load_keys(app.clock.now()).await;
        Ok(Self {
            app,
            verifier,
            listener,
        })
    }

    pub fn app(&self) -> &App {
        &self.app
    }

    pub fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().map_err(|error| {
            Error::new(Code::Unavailable, "the address of the listening socket is unknown").caused_by(error)
        })
    }

    /// Serves until the app is stopping. The server then reports that it is not ready, accepts no new connections and
    /// claims no new runs. It hands over its runs immediately and gives open requests a grace period.
    ///
    /// # Errors
    /// Errors of the setup, or the error with which the worker ended.
    pub async fn run(self) -> Result<()> {
        let address = self.address()?;
        let Self {
            app,
            verifier,
            listener,
        } = self;
        let stopping = app.stopping.clone();
        let health = Health::new(app.clone())?;
        let watching = tokio::spawn(health.clone().update_watchers());
        let grpc = wire::services(&app)
            .add_service(limited!(HealthServer::new(health)))
            .add_service(Reflection::<V1>::default())
            .add_service(Reflection::<V1Alpha>::default());
        let stack = stack::build(&app, verifier, grpc)?;
        // `say_hello` checks the sandbox, which may be slow. The server accepts connections meanwhile.
        let hello = tokio::spawn(say_hello(app.clone(), address));

        let background = Background::start(&app);
        let grace = Duration::from_secs(app.config.http.shutdown_grace_seconds);
        let connections = Connections::new(&app.config.http);
        connections.accept(&listener, &stack, &stopping).await;
        drop(listener);
        info!("stopping: no new connections, no new claims");
        if timeout(grace, connections.shutdown()).await.is_err() {
            warn!("some requests did not finish before the shutdown deadline");
        }
        // Both tasks hold a database handle, and the database must be closed when this method returns.
        for task in [watching, hello] {
            task.abort();
            drop(task.await);
        }
        background.stop().await?;
        info!("stopped");
        Ok(())
    }
}

/// Logs missing model providers, the state of the sandbox, whether plan limits apply, and the address.
async fn say_hello(app: App, address: SocketAddr) {
    let is_replaced = |name: &&str| {
        let model = app.models.find(name);
        model.is_none_or(|model| model.provider != DEMO_PROVIDER)
    };
    let demo: Vec<&str> = app.llm.demo_names().filter(is_replaced).collect();
    if !demo.is_empty() {
        warn!(
            models = demo.join(", "),
            "no model provider is configured for these models, so the built-in runyard/demo answers; see docs/models.md"
        );
    }
    let sandboxes = app.sandboxes.clone();
    let check = tokio::task::spawn_blocking(move || {
        let missing = sandboxes.check().err();
        if let Some(why) = &missing {
            warn!("{}", why.message());
        }
        for fact in sandboxes.describe() {
            if missing.as_ref().is_none_or(|why| why.message() != fact) {
                info!("sandbox: {fact}");
            }
        }
    });
    if timeout(SANDBOX_CHECK, check).await.is_err() {
        warn!("the sandbox check has not finished yet; its result will be logged");
    }
    match (app.config.limits, app.config.tiers.first()) {
        (Limits::On, Some(tier)) => info!(
            "plans are on and new accounts start on {}: `runyard tier` changes the plan of an account, RUNYARD_LIMITS=off turns \
             plans off",
            tier.name
        ),
        (Limits::On, None) | (Limits::Off, _) => info!("plans are off"),
    }
    let data_dir = std::path::absolute(&app.config.data_dir).unwrap_or_else(|_| app.config.data_dir.clone());
    info!(%address, database = app.db.name(), data_dir = %data_dir.display(), "runyard is listening");
}

/// Binds the port. Retries for up to one second while the address is in use. After a crash of the server, a forked
/// child process may hold the port until the child calls exec.
async fn bind(listen: SocketAddr) -> Result<TcpListener> {
    let mut attempt = 1;
    loop {
        match open_port(listen) {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse && attempt < BIND_ATTEMPTS => {
                attempt += 1;
                sleep(BIND_PAUSE).await;
            }
            Err(error) => {
                let message =
                    format!("cannot listen on {listen}: {error}; set another address with --listen or RUNYARD_LISTEN");
                return Err(Error::new(Code::Unavailable, message));
            }
        }
    }
}

fn open_port(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(listen), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&listen.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|error| Error::internal("cannot listen for signals", error));
        Ok(Self {
            term: listen(SignalKind::terminate())?,
            int: listen(SignalKind::interrupt())?,
        })
    }

    /// Cancels `stopping` at the first signal, and returns at the second signal.
    async fn twice(mut self, stopping: CancellationToken) {
        self.next().await;
        stopping.cancel();
        self.next().await;
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
