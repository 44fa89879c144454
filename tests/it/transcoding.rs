//! The transcoder over real sockets, in front of a gRPC service that runs on tonic and is scripted by the test.

mod faults;
mod forms;
mod requests;
mod responses;
mod routes;
mod service;
mod streams;
