//! The transcoder over real sockets, in front of a tonic gRPC service whose answers the test scripts.

mod connect;
mod faults;
mod forms;
mod requests;
mod responses;
mod routes;
mod service;
mod streams;
