//! The protocol layer: gRPC, HTTP, JSON and tokens. Only this module and `server` use the crates tonic and http.
//!
//! HTTP needs no handlers, because `crates/transcode` translates HTTP requests to gRPC calls.

mod access;
mod account_secrets;
mod accounts;
mod admin;
mod agents;
mod alive;
pub mod answers;
pub mod body_timeout;
pub mod caller;
pub mod codec;
mod compression;
mod cors;
mod credential_expiry;
mod deadline;
pub mod fault;
pub mod files;
mod forwarded;
mod inputs;
pub mod jwt;
pub mod link;
mod mask;
mod memories;
mod metrics_page;
pub mod openapi;
mod owner;
pub mod page;
pub mod permit;
mod plan_log;
mod projects;
pub mod protocol;
mod public;
mod range;
pub mod readiness;
mod refusal;
mod runs;
mod sandboxes;
mod schedules;
mod shares;
pub mod site;
mod skills;
pub mod stack;
pub mod status;
mod streams;
mod threads;
pub mod throttle;
mod triggers;
mod unread;
mod unread_body;
mod webhooks;
mod write;

use tonic::{codec::CompressionEncoding, service::Routes};

use crate::app::App;
use write::write;

pub(crate) mod traits {
    //! The generated service traits. They represent a `RunEvent` by its encoded bytes.
    #![expect(
        clippy::pedantic,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    include!(concat!(env!("OUT_DIR"), "/traits/traits.rs"));
}

pub fn services(app: &App) -> Routes {
    use traits::runyard::v1::{
        account_service_server::AccountServiceServer, admin_service_server::AdminServiceServer,
        agent_service_server::AgentServiceServer, file_service_server::FileServiceServer,
        input_service_server::InputServiceServer, memory_service_server::MemoryServiceServer,
        project_service_server::ProjectServiceServer, run_service_server::RunServiceServer,
        sandbox_service_server::SandboxServiceServer, schedule_service_server::ScheduleServiceServer,
        secret_service_server::SecretServiceServer, share_service_server::ShareServiceServer,
        skill_service_server::SkillServiceServer, thread_service_server::ThreadServiceServer,
        trigger_service_server::TriggerServiceServer, webhook_service_server::WebhookServiceServer,
    };
    let limit = app.config.http.max_message_bytes;
    // The size limit applies after decompression. Responses are compressed by `wire/compression.rs`.
    macro_rules! limited {
        ($service:expr) => {
            $service
                .max_decoding_message_size(limit)
                .accept_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Zstd)
        };
    }
    let app = || app.clone();
    Routes::new(limited!(AgentServiceServer::new(agents::Agents { app: app() })))
        .add_service(limited!(RunServiceServer::new(runs::Runs { app: app() })))
        .add_service(limited!(FileServiceServer::new(files::Files { app: app() })))
        .add_service(limited!(ThreadServiceServer::new(threads::Threads { app: app() })))
        .add_service(limited!(ProjectServiceServer::new(projects::Projects { app: app() })))
        .add_service(limited!(SandboxServiceServer::new(sandboxes::Sandboxes { app: app() })))
        .add_service(limited!(SkillServiceServer::new(skills::Skills { app: app() })))
        .add_service(limited!(AccountServiceServer::new(accounts::Accounts { app: app() })))
        .add_service(limited!(AdminServiceServer::new(admin::Admin { app: app() })))
        .add_service(limited!(InputServiceServer::new(inputs::Inputs { app: app() })))
        .add_service(limited!(MemoryServiceServer::new(memories::Memories { app: app() })))
        .add_service(limited!(WebhookServiceServer::new(webhooks::Webhooks { app: app() })))
        .add_service(limited!(SecretServiceServer::new(account_secrets::AccountSecrets {
            app: app()
        })))
        .add_service(limited!(ShareServiceServer::new(shares::Shares { app: app() })))
        .add_service(limited!(TriggerServiceServer::new(triggers::Triggers { app: app() })))
        .add_service(limited!(ScheduleServiceServer::new(schedules::Schedules {
            app: app()
        })))
}
