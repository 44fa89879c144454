//! The transcoder over real sockets, in front of a scripted gRPC service.

mod connect;
mod faults;
mod forms;
mod requests;
mod responses;
mod routes;
mod service;
mod streams;
