//! The entry point of the `runyard` program.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// mimalloc instead of the allocator of glibc, which spends more time per request and returns less memory to the
/// operating system.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    runyard::commands::main()
}
