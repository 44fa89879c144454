//! Links, pipes and devices must neither give access to files outside a workspace nor block a reader.

use std::time::{Duration, Instant};

use runyard::sandbox::{ErrorKind, WalkLimits};

use super::{Yard, eventually, say};

#[tokio::test]
async fn s07_links_do_not_lead_out_of_the_workspace() {
    let yard = Yard::new();
    let outside = yard.host_file("outside/f", "OUTSIDE");
    let sandbox = yard.project(0);
    let data = yard.folder.path().display();
    say(
        &sandbox,
        format!(
            "mkdir sub; echo inside > sub/f; ln -s sub/f near
             ln -s {data}/outside/f far; ln -s {data}/outside dir; ln -s /proc/self/root magic; ln -s .. up; ln -s loop loop"
        ),
    )
    .await;
    let files = sandbox.workspace();
    assert_eq!(files.read("sub/f", 100).unwrap(), b"inside\n");
    assert_eq!(files.read("/workspace/./sub//f", 100).unwrap(), b"inside\n");
    for path in [
        "far",
        "dir/f",
        "magic/etc/passwd",
        "up/x",
        "loop",
        "near",
        "../p0/sub/f",
        "sub/../../p0/sub/f",
        "/etc/passwd",
        "/workspacex",
        "sub\0f",
        "/proc/self/environ",
    ] {
        let error = files.open_file(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{path}: {error}");
    }
    files.write("far", b"ours").unwrap();
    assert_eq!(files.read("far", 100).unwrap(), b"ours");
    assert_eq!(files.write("dir/new", b"x").unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "OUTSIDE");
    assert!(!yard.folder.path().join("outside/new").exists());

    let walked: Vec<String> = files
        .walk("", WalkLimits::default())
        .unwrap()
        .map(|found| found.path)
        .collect();
    assert_eq!(
        walked,
        ["dir", "far", "loop", "magic", "near", "output", "sub", "sub/f", "up"]
    );
    files.remove("dir").unwrap();
    assert!(outside.exists(), "removing a link removed its target");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s07_swapping_links_during_access_never_leads_outside() {
    let yard = Yard::new();
    yard.host_file("outside/f", "OUTSIDE");
    let sandbox = yard.project(0);
    let data = yard.folder.path().display().to_string();
    let exchange = libc::SYS_renameat2;
    let script = format!(
        "mkdir x; echo inside > x/f; ln -s {data}/outside y
         perl -e '$x = \"x\"; $y = \"y\"; while (1) {{ syscall({exchange}, -100, $x, -100, $y, 2) == 0 or die $! }}'"
    );
    let swapping = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { super::run_for(&sandbox, 60.0, script).await }
    });
    let files = sandbox.workspace().clone();
    eventually("the race has begun", || files.metadata("y").is_ok()).await;
    let tried = tokio::task::spawn_blocking(move || {
        let (mut inside, mut refused) = (0_u32, 0_u32);
        let (start, seconds) = (Instant::now(), Duration::from_secs);
        // A busy machine needs longer to see both sides of the race.
        while start.elapsed() < seconds(3) || (inside.min(refused) <= 100 && start.elapsed() < seconds(30)) {
            match files.read("x/f", 100) {
                Ok(content) => {
                    assert_eq!(content, b"inside\n");
                    inside += 1;
                }
                Err(_) => refused += 1,
            }
            // These calls may fail, but they must not write outside the workspace.
            let _ = files.write("x/w", b"w");
            let _ = files.write("x/deep/er/w", b"w");
            let _ = files.remove("x/w");
        }
        (inside, refused)
    });
    let (inside, refused) = tried.await.unwrap();
    assert!(
        inside > 100 && refused > 100,
        "the race did not happen: {inside} reads, {refused} refusals"
    );
    let left: Vec<_> = std::fs::read_dir(yard.folder.path().join("outside"))
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
    drop(swapping);
}

#[tokio::test]
async fn s12_pipes_sockets_and_folders_do_not_block_a_reader() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    let text = say(
        &sandbox,
        "echo file > file; mkfifo fifo; mkdir folder; perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, pack_sockaddr_un(\"socket\")) or die'
         mknod device c 1 3 2>&1 || mknod device b 254 0 2>&1 || echo no device",
    )
    .await;
    assert!(text.contains("no device"), "{text}");
    let start = Instant::now();
    let files = sandbox.workspace();
    assert_eq!(files.read("file", 10).unwrap(), b"file\n");
    for name in ["fifo", "socket", "folder"] {
        let error = files.open_file(name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name}: {error}");
    }
    assert_eq!(files.open_file("nothing").unwrap_err().kind(), ErrorKind::FileNotFound);
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn s20_programs_cannot_be_overwritten() {
    let yard = Yard::new();
    let text = say(
        &yard.project(0),
        "cp /usr/bin/true mine; echo x >> mine && echo control wrote
         for path in /proc/self/exe /proc/1/exe /usr/bin/true /bin/sh; do (echo x >> $path) 2>&1; done; true",
    )
    .await;
    assert!(text.contains("control wrote"), "{text}");
    let refusals = ["Read-only file system", "Text file busy", "Permission denied"];
    let refused = text
        .lines()
        .filter(|line| refusals.iter().any(|words| line.contains(words)));
    assert_eq!(refused.count(), 4, "{text}");
}
