//! The service from outside: real sockets, real databases, a scripted model.

mod accounts;
mod admin;
mod agents;
mod api_keys;
mod credits;
mod doors;
mod files;
mod limits;
mod recovery;
mod start;
mod stop;
mod stream;
