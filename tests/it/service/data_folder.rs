//! Tests that other users of the host cannot read the data folder.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use serde_json::json;

use super::program::{OPEN, Program};

const LINE: &str = "umask 022; exec \"$@\"";
const FILES: [&str; 4] = ["runyard.db", "runyard.db-wal", "runyard.db-shm", "lock"];

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn assert_closed(data: &Path) {
    for name in FILES {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
    for folder in [data.to_owned(), data.join("workspaces"), data.join("uploads")] {
        assert_eq!(mode(&folder) & 0o066, 0, "{}", folder.display());
    }
}

async fn upload(program: &Program) {
    let body = json!({"name": "half.bin", "size": 10});
    let answer = program.request("POST", "/uploads").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn the_data_folder_is_private_whatever_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut program = Program::start_in(folder.path(), OPEN, LINE).await;
    upload(&program).await;
    assert_closed(&data);
    let staged = fs::read_dir(data.join("uploads")).unwrap().next().unwrap().unwrap();
    assert_eq!(mode(&staged.path()), 0o600);

    // An older version may have left the data folder readable for other users. The server removes these permissions
    // at its next start.
    program.kill().await;
    for name in FILES {
        set_mode(&data.join(name), 0o644);
    }
    for open in [data.clone(), data.join("workspaces"), data.join("uploads")] {
        set_mode(&open, 0o755);
    }
    program.start_again().await;
    upload(&program).await;
    assert_closed(&data);
}
