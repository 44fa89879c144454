//! The events of runs: the journal that is also the stream.

pub mod encoded;

pub use encoded::EncodedEvent;
