//! The service from outside: real sockets, real databases, a scripted model.

mod accounts;
mod agents;
mod agents_update;
mod agents_versions;
mod ask;
mod doors;
mod files;
mod limits;
mod projects;
mod recovery;
mod start;
mod stop;
mod stream;
mod threads;
