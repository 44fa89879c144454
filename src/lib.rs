//! Runyard runs AI agents for other programs. This file is the map of the crate.
//!
//! The modules form layers. A module uses only its own layer and the layers to its right in this list: WIRE
//! (`wire`, with `server` and `background` above it) → NOUNS (`accounts` … `runs`) → GROUND (`error`, `id`, `clock`,
//! `config`, `data_folder`, `db`, `disk`, `telemetry`). The crates `runyard_engine`, `runyard_sandbox` and
//! `runyard_contract` depend on none of these modules. ARCHITECTURE.md gives the reasons.

// Ground.
pub mod blocking;
pub mod clock;
pub mod config;
pub mod data_folder;
pub mod db;
pub mod disk;
pub mod error;
pub mod id;
pub mod telemetry;

// Nouns. Their order in tests/it/tidy.rs decides which nouns a noun may use.
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

// Wire.
pub mod wire;

// The program.
pub mod app;
pub mod background;
pub mod commands;
pub mod server;

pub use error::{Error, Result};
pub use runyard_contract::{self as contract, v1};
pub use runyard_engine::{self as engine, llm, tools};
pub use runyard_sandbox as sandbox;
