//! Tests of the transcoder over real sockets, in front of a gRPC service with scripted answers.

mod connect;
mod faults;
mod forms;
mod requests;
mod responses;
mod routes;
mod service;
mod streams;
