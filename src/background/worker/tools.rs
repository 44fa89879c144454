//! The sources of the tools that only some runs have, one file per source.

pub(super) mod mcp;
