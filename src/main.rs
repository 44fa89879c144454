//! The entry point of the `runyard` program.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// The server uses mimalloc, because glibc's allocator spends more time per request and returns less memory to the
/// operating system.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // With huge pages, an idle server takes twice the memory. Errors are ignored: the server also works with huge
    // pages.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    runyard::commands::main()
}
