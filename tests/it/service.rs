//! The service from outside: real sockets, real databases, a scripted model.

mod accounts;
mod agents;
mod doors;
mod files;
mod limits;
mod recovery;
mod start;
mod stop;
mod stream;
