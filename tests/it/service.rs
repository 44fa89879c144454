//! The service from outside: real sockets, real databases, a scripted model.

mod accounts;
mod agents;
mod agents_update;
mod agents_versions;
mod ask;
mod belongings;
mod call;
mod doors;
mod files;
mod files_memory;
mod files_names;
mod files_write;
mod forms;
mod hostile;
mod limits;
mod privacy;
mod projects;
mod recovery;
mod slots;
mod start;
mod start_options;
mod stop;
mod stream;
mod tenancy;
mod threads;
mod transport;
