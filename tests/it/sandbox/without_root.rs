//! Repeats the sandbox tests as an unprivileged user. The service then has one uid for all projects and no control
//! groups.

use std::{
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::Command,
};

use super::is_root;

const NOBODY: u32 = 65534;

#[test]
fn all_sandbox_tests_pass_without_root() {
    if !is_root() {
        return;
    }
    // The unprivileged user may be unable to reach the build folder, so the test program is copied to a readable
    // folder.
    let folder = tempfile::Builder::new().prefix("nobody").tempdir().unwrap();
    let open = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(folder.path(), open(0o755)).unwrap();
    let program = folder.path().join("it");
    // `cp` makes the copy. If this process wrote the copy, a child process of another test could inherit the writable
    // descriptor. A program that is open for writing cannot be executed (ETXTBSY).
    let copied = Command::new("cp")
        .arg(std::env::current_exe().unwrap())
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    std::fs::set_permissions(&program, open(0o755)).unwrap();
    let temporary = folder.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    std::os::unix::fs::chown(&temporary, Some(NOBODY), Some(NOBODY)).unwrap();

    let output = Command::new(&program)
        .args(["sandbox::", "--skip", "without_root", "--test-threads", "2"])
        .env("TMPDIR", &temporary)
        .env("HOME", &temporary)
        .current_dir(&temporary)
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("s01_host_files_cannot_be_read ... ok"), "{text}");
}
