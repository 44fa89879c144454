//! Runs the checks of `make fuzz` on `fuzz/seeds/`, which contains every input that has revealed a bug.

use std::{fs, panic::catch_unwind, path::Path};

#[path = "../../fuzz/checks/cursors.rs"]
mod cursors;
#[path = "../../fuzz/checks/forms.rs"]
mod forms;
#[path = "../../fuzz/checks/json.rs"]
mod json;
#[path = "../../fuzz/checks/paths.rs"]
mod paths;
#[path = "../../fuzz/checks/tokens.rs"]
mod tokens;

type Target = (&'static str, fn(&[u8]));

#[test]
fn every_target_passes_on_its_stored_inputs() {
    let targets: [Target; 5] = [
        ("cursors", cursors::check),
        ("forms", forms::check),
        ("json", json::check),
        ("paths", paths::check),
        ("tokens", tokens::check),
    ];
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let mut folders: Vec<_> = fs::read_dir(&seeds)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    assert_eq!(
        folders,
        targets.map(|(name, _)| name),
        "a target without seeds, or seeds without a target"
    );
    for (name, check) in targets {
        let files: Vec<_> = fs::read_dir(seeds.join(name)).unwrap().map(Result::unwrap).collect();
        assert!(files.len() > 2, "{name} has too few seeds");
        for file in files {
            let bytes = fs::read(file.path()).unwrap();
            assert!(
                catch_unwind(|| check(&bytes)).is_ok(),
                "{} of {name} fails its check",
                file.file_name().display()
            );
        }
    }
}
