//! Tests of the sandboxes that are set up before their commands are known.

use runyard::sandbox::CommandEnd;
use rustix::process::{Pid, Signal, kill_process};

use super::{Yard, eventually, run, sandbox_mark, say, settings, with_marker};

/// Processes of bubblewrap that belong to sandboxes of this yard.
fn sandboxes(yard: &Yard) -> Vec<u32> {
    with_marker(&sandbox_mark(yard.folder.path()))
}

/// Returns whether a process has ended, even if its parent has not read its status yet. Its command line is empty
/// earlier, while the kernel is still ending it.
fn has_ended(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    status.map_or(true, |status| status.contains("\nState:\tZ"))
}

async fn two_wait(yard: &Yard) {
    // A sandbox that has run its command has no record, but its bubblewrap may still be unmounting it.
    let records = || std::fs::read_dir(yard.folder.path().join("commands")).map_or(0, Iterator::count);
    eventually("two sandboxes wait", || records() == 2 && sandboxes(yard).len() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_sandboxes_end_with_the_project_sandbox() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    assert_eq!(
        sandboxes(&yard),
        Vec::<u32>::new(),
        "none waits before the first command"
    );
    say(&sandbox, "true").await;
    two_wait(&yard).await;
    let clone = sandbox.clone();
    drop(sandbox);
    say(&clone, "true").await;
    two_wait(&yard).await;
    drop(clone);
    eventually("no sandbox is left", || sandboxes(&yard).is_empty()).await;
    let commands = yard.folder.path().join("commands");
    eventually("no record is left", || {
        std::fs::read_dir(&commands).unwrap().next().is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_gets_a_new_sandbox() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    let mut first_process = None;
    for number in 0..5 {
        let script = format!(
            "echo $$; ls -A /tmp /dev/shm | wc -l; touch /tmp/left /dev/shm/left; touch kept-{number}; ls kept-* | wc -l"
        );
        let text = say(&sandbox, script).await;
        let lines: Vec<&str> = text.lines().collect();
        // A used sandbox would number its next process higher. (The kernel reuses the numbers of namespaces.)
        assert_eq!(
            first_process.get_or_insert_with(|| lines[0].to_owned()),
            lines[0],
            "{text}"
        );
        // The listing of two empty folders has their names and an empty line. The workspace is the same one.
        assert_eq!(lines[1..], ["3", &(number + 1).to_string()], "{text}");
        two_wait(&yard).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_sandbox_that_was_killed_is_not_used() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    say(&sandbox, "true").await;
    two_wait(&yard).await;
    let killed = sandboxes(&yard);
    assert_eq!(killed.len(), 2);
    for process in &killed {
        let pid = Pid::from_raw(i32::try_from(*process).unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
    }
    eventually("they have ended", || killed.iter().all(|process| has_ended(*process))).await;
    assert_eq!(say(&sandbox, "echo works").await, "works\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_sandbox_of_a_replaced_workspace_is_not_used() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    say(&sandbox, "touch old").await;
    two_wait(&yard).await;
    yard.sandboxes.discard(&yard.place(0)).unwrap();
    yard.sandboxes.make(&yard.place(0)).unwrap();
    sandbox.workspace().write("new", b"").unwrap();
    let text = say(&sandbox, "ls; touch written").await;
    assert!(text.contains("new") && !text.contains("old"), "{text}");
    assert!(sandbox.workspace().metadata("written").is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_that_became_full_is_full_for_a_waiting_sandbox() {
    let mut settings = settings();
    settings.max_workspace_bytes = 1 << 20;
    let yard = Yard::with(&settings);
    let sandbox = yard.project(0);
    say(&sandbox, "echo control > first").await;
    two_wait(&yard).await;
    sandbox.workspace().write("filler", &vec![b'x'; 2 << 20]).unwrap();
    let execution = run(&sandbox, "echo text > second; rm filler; ls").await;
    assert!(!execution.text.contains("filler"), "{}", execution.text);
    assert_eq!(
        std::fs::read(sandbox.place().folder.join("first")).unwrap(),
        b"control\n"
    );
    assert_eq!(std::fs::read(sandbox.place().folder.join("second")).unwrap(), b"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_reach_the_shell_unchanged() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    let words = "it's \"quoted\" $HOME `x` \\ grün 終 🦀 あえ !* ~";
    let script = format!("cat <<'END'\n{words}\nEND\nprintf '%s' \"$#\" $0");
    assert_eq!(say(&sandbox, script).await, format!("{words}\n0bash"));
    let long = "x".repeat(runyard::sandbox::MAX_SCRIPT_BYTES - "echo ".len());
    assert!(say(&sandbox, format!("echo {long}")).await.contains("bytes left out"));
    assert_eq!(run(&sandbox, "").await.ending, CommandEnd::Exited(0));
    assert_eq!(run(&sandbox, "if").await.ending, CommandEnd::Exited(2));
}
