//! Runyard runs AI agents for other programs. This file is the map of the crate.
//!
//! The modules form four layers. From top to bottom, the layers are the program (`background`, `commands`, `server`),
//! the protocols (`wire`), the domain (`app` and modules such as `accounts` and `runs`) and the ground (such as
//! `config`, `db` and `error`). A module uses only modules of its own layer and of the layers below. The crates
//! `runyard_engine`, `runyard_sandbox` and `runyard_contract` depend on none of these modules. ARCHITECTURE.md
//! describes the layers, and tests/it/tidy.rs checks them.

// The ground layer.
pub mod addresses;
pub mod blocking;
pub mod clock;
pub mod config;
pub mod data_folder;
pub mod db;
pub mod disk;
pub mod error;
pub mod id;
pub mod secret_file;
pub mod secrets;
pub mod telemetry;

// The noun layer. The order of the nouns in tests/it/tidy.rs determines which other nouns each of them may use.
pub mod account_state;
pub mod accounts;
pub mod admin;
pub mod agents;
pub mod api_keys;
pub mod events;
pub mod installation;
pub mod ledger;
pub mod limits;
pub mod mcp;
pub mod memories;
pub mod model_calls;
pub mod projects;
pub mod runs;
pub mod skills;
pub mod threads;
pub mod uploads;
pub mod web;

// The wire layer.
pub mod wire;

// The program layer: background loops, command line and server. `app` belongs to the noun layer.
pub mod app;
pub mod background;
pub mod commands;
pub mod server;

pub use error::{Error, Result};
pub use runyard_contract::{self as contract, v1};
pub use runyard_engine::{self as engine, llm, tools};
pub use runyard_sandbox as sandbox;
