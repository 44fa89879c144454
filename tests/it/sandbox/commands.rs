//! Tests that commands start, end and report output as specified. Without bubblewrap, the error names the cause.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use runyard::sandbox::{CommandEnd, ErrorKind, Sandbox, Sandboxes};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use tokio_util::sync::CancellationToken;

use super::{Yard, command, is_root, run, run_for, say, settings};

#[tokio::test]
async fn the_way_a_command_ends_is_reported() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    for (script, ending, text) in [
        ("echo out; echo err >&2", CommandEnd::Exited(0), "out\nerr\n"),
        ("exit 7", CommandEnd::Exited(7), ""),
        ("exit 200", CommandEnd::Exited(200), ""),
        ("false", CommandEnd::Exited(1), ""),
        ("kill -SEGV $$", CommandEnd::Signalled(11), "Segmentation fault"),
        ("nosuchprogram", CommandEnd::Exited(127), "not found"),
        ("if", CommandEnd::Exited(2), "syntax error"),
        ("", CommandEnd::Exited(0), ""),
        ("cat", CommandEnd::Exited(0), ""),
    ] {
        let execution = run(&sandbox, script).await;
        assert_eq!(execution.ending, ending, "{script}: {}", execution.text);
        assert!(execution.text.contains(text), "{script}: {}", execution.text);
        assert!(!execution.truncated);
    }
    assert_eq!(
        run(&sandbox, "exit 7").await.ending.describe().unwrap(),
        "exit status 7"
    );
}

#[tokio::test]
async fn s21_scripts_and_file_names_are_passed_unchanged() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    assert_eq!(
        say(&sandbox, "echo 'a  b' \"$HOME\" \\\n  '$(id)' `echo x`\necho second").await,
        "a  b /workspace $(id) x\nsecond\n"
    );
    // A command that starts with a dash is not treated as an option of the shell.
    let execution = run(&sandbox, "-x; echo on").await;
    assert!(
        execution.text.ends_with("on\n") && execution.text.contains("not found"),
        "{}",
        execution.text
    );
    let long = format!("echo {}; echo end", "x".repeat(120_000));
    assert!(run(&sandbox, long).await.text.ends_with("end\n"));
    for script in [format!("echo {}", "x".repeat(131_072)), "echo a\0b".to_owned()] {
        let refused = sandbox
            .execute(command(script), &mut |_| {}, &CancellationToken::new())
            .await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
    // File names may contain any characters, because no shell interprets them.
    let files = sandbox.workspace();
    for name in ["; rm -rf x", "$(touch hit)", "-rf", "two\nlines", "sub/quote'\"", "*"] {
        files.write(name, b"content").unwrap();
        assert_eq!(files.read(name, 10).unwrap(), b"content", "{name:?}");
        files.remove(name).unwrap();
    }
    assert_eq!(files.metadata("hit").unwrap_err().kind(), ErrorKind::FileNotFound);
}

#[tokio::test]
async fn output_is_streamed_while_the_command_runs() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    let heard = Arc::new(Mutex::new(String::new()));
    let (listener, files) = (Arc::clone(&heard), sandbox.workspace().clone());
    let mut listen = move |piece: &str| {
        let mut heard = listener.lock().unwrap();
        heard.push_str(piece);
        // The command prints its second line only if this listener receives the first line within about five seconds.
        if heard.contains("first") {
            files.write("go", b"").unwrap();
        }
    };
    let script = "echo first; for i in $(seq 500); do [ -e go ] && break; sleep 0.01; done; [ -e go ] && echo second";
    let execution = sandbox
        .execute(command(script), &mut listen, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(execution.text, "first\nsecond\n");
    assert_eq!(*heard.lock().unwrap(), "first\nsecond\n");
}

#[tokio::test]
async fn the_usual_programs_are_available() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    let text = say(
        &sandbox,
        "echo 'a,b' | awk -F, '{print $2}'; id -un; pwd; ls -d output; locale 2>/dev/null | head -1; echo $LANG
         echo x > ~/home && cat /workspace/home; echo y > $TMPDIR/t && cat /var/tmp/t; python3 -c 'print(1+1)' 2>/dev/null || echo 2",
    )
    .await;
    for line in [
        "b\n",
        "agent\n",
        "/workspace\n",
        "output\n",
        "C.UTF-8\n",
        "x\n",
        "y\n",
        "2\n",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    // A command cannot see files that another command created in /tmp.
    assert_eq!(say(&sandbox, "ls -A /tmp /dev/shm").await, "/dev/shm:\n\n/tmp:\n");
}

#[tokio::test]
async fn commands_are_quick_to_start() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    run(&sandbox, "true").await;
    let mut times = Vec::new();
    // The machine may be busy during one start, but not during each.
    for _ in 0..10 {
        let start = std::time::Instant::now();
        assert!(run_for(&sandbox, 10.0, "true").await.ending.is_success());
        times.push(start.elapsed());
    }
    assert!(times.iter().min() < Some(&Duration::from_millis(500)), "{times:?}");
}

#[tokio::test]
async fn the_host_is_described() {
    let yard = Yard::new();
    let facts = yard.sandboxes.describe();
    assert!(facts[0].contains("bubblewrap 0."), "{facts:?}");
    assert_eq!(facts.iter().any(|fact| fact.contains("own uid")), is_root());
    assert_eq!(
        facts.iter().any(|fact| fact.contains("weak: the service is not root")),
        !is_root()
    );
}

#[tokio::test]
async fn without_bubblewrap_nothing_runs() {
    for (bwrap, words) in [
        ("/nonexistent/bwrap", "install bubblewrap"),
        ("no-such-bwrap", "install bubblewrap"),
        ("/bin/false", "cannot be run"),
        ("/usr/bin/env", "too old"),
    ] {
        let mut settings = settings();
        settings.bwrap = PathBuf::from(bwrap);
        let yard = Yard::with(&settings);
        let sandbox = yard.project(0);
        let error = sandbox
            .execute(command("touch ran"), &mut |_| {}, &CancellationToken::new())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{bwrap}: {error}");
        let understood =
            error.message().contains(words) || (bwrap == "/usr/bin/env" && error.message().contains("cannot be run"));
        assert!(understood, "{bwrap}: {error}");
        assert_eq!(
            sandbox.workspace().metadata("ran").unwrap_err().kind(),
            ErrorKind::FileNotFound
        );
        assert!(yard.sandboxes.describe()[0].contains("commands cannot be run"));
    }
}

#[tokio::test]
async fn a_missing_workspace_is_not_found() {
    let yard = Yard::new();
    let sandbox = yard.sandboxes.open(yard.place(3));
    let error = sandbox
        .execute(command("true"), &mut |_| {}, &CancellationToken::new())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileNotFound, "{error}");
}

#[tokio::test]
async fn another_root_file_system_can_be_configured() {
    let mut settings = settings();
    settings.rootfs = Some("/".into());
    let yard = Yard::with(&settings);
    assert_eq!(say(&yard.project(0), "echo x | awk '{print $1}'").await, "x\n");

    if is_root() {
        // The service refuses a root folder that the users of projects cannot traverse. The error explains the fix.
        let folder = super::closed_folder();
        let mut settings = super::settings();
        settings.rootfs = Some(folder.path().join("root"));
        std::fs::create_dir(folder.path().join("root")).unwrap();
        let error = Sandboxes::detect(&settings, folder.path()).unwrap_err();
        assert!(error.message().contains("chmod o+x"), "{error}");
        settings.rootfs = None;
        settings.uid_base = 0;
        assert!(Sandboxes::detect(&settings, folder.path()).is_err());
    }
}

#[test]
fn a_service_without_openat2_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    Sandboxes::detect(&settings(), folder.path()).unwrap();

    // Like systemd's RestrictSUIDSGID=, the filter makes `openat2` unavailable. The filter applies only to this
    // thread.
    let refusal = u32::try_from(libc::ENOSYS).unwrap();
    let filter: BpfProgram = SeccompFilter::new(
        [(libc::SYS_openat2, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(refusal),
        std::env::consts::ARCH.try_into().unwrap(),
    )
    .unwrap()
    .try_into()
    .unwrap();
    let detected = std::thread::spawn(move || {
        seccompiler::apply_filter(&filter).unwrap();
        Sandboxes::detect(&settings(), folder.path()).map(drop)
    });
    let error = detected.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("RestrictSUIDSGID"), "{error}");
}
