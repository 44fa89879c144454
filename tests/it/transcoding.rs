//! The transcoder over real sockets. Behind it is a tonic gRPC service that the test scripts.

mod faults;
mod forms;
mod requests;
mod responses;
mod routes;
mod service;
mod streams;
