//! The `runyard` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    runyard::commands::main()
}
