//! The service from outside: real sockets, real databases, a scripted model.

mod accounts;
mod admin;
mod agents;
mod api_keys;
mod credits;
mod doors;
mod files;
mod limits;
mod rate_limits;
mod recovery;
mod slots;
mod start;
mod start_options;
mod stop;
mod stream;
