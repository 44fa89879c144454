//! The service from outside: real sockets, real databases, a scripted model.

mod accounts;
mod agents;
mod belongings;
mod call;
mod doors;
mod files;
mod forms;
mod hostile;
mod limits;
mod privacy;
mod recovery;
mod seeds;
mod slots;
mod start;
mod start_options;
mod stop;
mod stream;
mod tenancy;
mod transport;
