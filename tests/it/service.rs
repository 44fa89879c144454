//! The service from outside: real sockets, real databases, a scripted model.

mod accounts;
mod admin;
mod agents;
mod agents_update;
mod agents_versions;
mod api_keys;
mod ask;
mod belongings;
mod call;
mod credits;
mod doors;
mod files;
mod files_memory;
mod files_names;
mod files_write;
mod limits;
mod projects;
mod rate_limits;
mod recovery;
mod slots;
mod start;
mod start_options;
mod stop;
mod stream;
mod tenancy;
mod threads;
