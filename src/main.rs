//! The entry point of the `runyard` program.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// The allocator of glibc spends more time per request, and returns less memory to the system.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    runyard::commands::main()
}
