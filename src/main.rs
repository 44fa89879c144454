//! The entry point of the `runyard` program.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Compared with glibc's allocator, mimalloc spends less time per request and returns more memory to the operating
/// system.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // With huge pages, an idle server takes twice the memory. The server also works with huge pages, so errors are
    // ignored.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    runyard::commands::main()
}
