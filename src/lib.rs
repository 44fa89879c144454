//! Runyard runs AI agents for other programs. This file is the map of the crate.
//!
//! The modules form three layers, from top to bottom: the wire layer (`wire`), the domain modules, such as `accounts`
//! and `runs`, which ARCHITECTURE.md calls nouns, and the ground layer (`blocking`, `clock`, `config`, `data_folder`,
//! `db`, `disk`, `error`, `id`, `telemetry`). A module uses only modules of its own layer and of the layers below.
//! `server`, `background` and `commands` are above all layers. The crates `runyard_engine`, `runyard_sandbox` and
//! `runyard_contract` depend on none of these modules. ARCHITECTURE.md gives the reasons.

// The ground layer.
pub mod blocking;
pub mod clock;
pub mod config;
pub mod data_folder;
pub mod db;
pub mod disk;
pub mod error;
pub mod id;
pub mod telemetry;

// The domain modules. Their order in tests/it/tidy.rs determines which of them a domain module may use.
pub mod account_state;
pub mod accounts;
pub mod admin;
pub mod agents;
pub mod api_keys;
pub mod events;
pub mod installation;
pub mod ledger;
pub mod limits;
pub mod model_calls;
pub mod projects;
pub mod runs;
pub mod threads;
pub mod uploads;

// The wire layer.
pub mod wire;

// Startup, background loops, command line and server.
pub mod app;
pub mod background;
pub mod commands;
pub mod server;

pub use error::{Error, Result};
pub use runyard_contract::{self as contract, v1};
pub use runyard_engine::{self as engine, llm, tools};
pub use runyard_sandbox as sandbox;
