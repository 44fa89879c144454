//! The transcoder over real sockets, in front of a tonic gRPC service scripted by the test.

mod faults;
mod forms;
mod requests;
mod responses;
mod routes;
mod service;
mod streams;
