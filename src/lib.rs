//! Runyard runs AI agents for other programs.
//!
//! The modules form four layers, from the program at the top to the ground at the bottom. A module uses only modules
//! of its own layer and of the layers below. ARCHITECTURE.md describes the layers, and tests/it/tidy.rs checks them.

// The ground layer: configuration, database and other basics.
pub mod addresses;
pub mod blocking;
pub mod clock;
pub mod config;
pub mod data_folder;
pub mod db;
pub mod disk;
pub mod egress;
pub mod error;
pub mod id;
pub mod random_token;
pub mod secret_file;
pub mod secrets;
pub mod signatures;
pub mod telemetry;

// The noun layer: the domain. The list in tests/it/tidy.rs determines which other nouns each noun may use.
pub mod account_secrets;
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
pub mod schedules;
pub mod shares;
pub mod skills;
pub mod threads;
pub mod triggers;
pub mod uploads;
pub mod web;
pub mod webhooks;

// The wire layer: the protocols.
pub mod wire;

// The program layer: background loops, command line and server. `app` belongs to the noun layer.
pub mod app;
pub mod background;
pub mod commands;
pub mod server;

pub use error::{Error, Result};
pub use runyard_contract::{self as contract, v1};
pub use runyard_engine::{self as engine, documents, images, llm, tools};
pub use runyard_sandbox as sandbox;
