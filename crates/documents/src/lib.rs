//! Text and Markdown from documents.
//!
//! Everything here is a pure function from bytes to text: no file, no network, no clock, no async runtime. The service
//! runs [`html::to_markdown`] on web pages.

#![warn(missing_docs)]

mod encoding;
pub mod html;
mod markdown;
