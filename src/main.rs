//! The entry point of the `runyard` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    runyard::commands::main()
}
