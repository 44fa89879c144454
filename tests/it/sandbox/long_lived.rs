//! Tests of long-lived processes: their streams, their limits and their end.

use std::time::Duration;

use runyard::sandbox::{Command, CommandEnd, ErrorKind, MAX_SPAWNED, ProjectSandbox, Sandbox, Spawned};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{Yard, command, eventually, mark, say, with_marker};

const PATIENCE: Duration = Duration::from_secs(20);

async fn spawn(sandbox: &ProjectSandbox, script: impl Into<String>) -> Spawned {
    sandbox.spawn(command(script)).await.unwrap()
}

async fn exchange(process: &mut Spawned, line: &str) -> String {
    process.stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    while !answer.ends_with('\n') {
        let letter = timeout(PATIENCE, process.stdout.read_u8()).await.unwrap().unwrap();
        answer.push(char::from(letter));
    }
    answer
}

#[tokio::test]
async fn a_process_answers_on_its_streams_until_its_input_ends() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    let script = "echo ready >&2; while read -r line; do echo \"got $line\"; echo \"$line\" >>seen; done; exit 3";
    let mut process = spawn(&sandbox, script).await;
    for line in ["one", "two {\"json\": true}"] {
        assert_eq!(exchange(&mut process, line).await, format!("got {line}\n"));
    }
    // While the process runs, commands can run in the same sandbox.
    assert_eq!(say(&sandbox, "head -n 1 seen").await, "one\n");
    let execution = timeout(PATIENCE, process.close()).await.unwrap().unwrap();
    assert_eq!(execution.ending, CommandEnd::Exited(3));
    assert_eq!(execution.text, "ready\n", "standard error is kept apart");
}

#[tokio::test]
async fn large_messages_pass_in_both_directions() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    let mut process = spawn(&sandbox, "cat").await;
    let sent = vec![b'x'; 1 << 20];
    let mut stdin = std::mem::replace(&mut process.stdin, Box::new(tokio::io::sink()));
    let writing = tokio::spawn({
        let sent = sent.clone();
        async move { stdin.write_all(&sent).await.unwrap() }
    });
    let mut received = Vec::new();
    let reading = process.stdout.read_to_end(&mut received);
    timeout(PATIENCE, reading).await.unwrap().unwrap();
    writing.await.unwrap();
    assert!(received == sent, "{} bytes", received.len());
    assert_eq!(process.close().await.unwrap().ending, CommandEnd::Exited(0));
    // The service does not buffer unread output, so a process whose output is not read blocks.
    let unread = spawn(&sandbox, "head -c 100000000 /dev/zero; touch done").await;
    assert!(say(&sandbox, "sleep 0.2; ls").await.lines().all(|name| name != "done"));
    assert_eq!(unread.stop().await.unwrap().ending, CommandEnd::Cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_ends_when_it_is_stopped_or_dropped_and_with_its_sandbox() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    let script = |marker: &str| format!("(sleep {marker} &); sleep {marker}; true");
    let runs = |marker: &str| with_marker(&format!("sleep\0{marker}")).len() == 2;
    let long = mark(9731);
    let process = spawn(&sandbox, script(&long)).await;
    eventually("it runs", || runs(&long)).await;
    assert_eq!(process.stop().await.unwrap().ending, CommandEnd::Cancelled);
    assert_eq!(with_marker(&long), Vec::<u32>::new());

    let process = spawn(&sandbox, script(&long)).await;
    eventually("it runs", || runs(&long)).await;
    drop(process);
    eventually("it is gone", || with_marker(&long).is_empty()).await;

    let process = spawn(&sandbox, script(&long)).await;
    let other = sandbox.clone();
    drop(sandbox);
    eventually("it runs while a clone of its sandbox exists", || runs(&long)).await;
    drop(other);
    eventually("it is gone", || with_marker(&long).is_empty()).await;
    assert_eq!(process.close().await.unwrap().ending, CommandEnd::Cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_and_the_number_of_processes_are_limited() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    let short = Command {
        timeout: Duration::from_millis(300),
        ..command("exec sleep 60")
    };
    let process = sandbox.spawn(short).await.unwrap();
    let execution = timeout(PATIENCE, process.close()).await.unwrap().unwrap();
    assert_eq!(execution.ending, CommandEnd::TimedOut);

    let mut running = Vec::new();
    for _ in 0..MAX_SPAWNED {
        running.push(spawn(&sandbox, "exec cat").await);
    }
    let refused = sandbox.spawn(command("exec cat")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    running.pop().unwrap().stop().await.unwrap();
    assert_eq!(exchange(&mut spawn(&sandbox, "exec cat").await, "on").await, "on\n");
}

#[tokio::test]
async fn a_process_has_the_walls_of_a_command() {
    let yard = Yard::new();
    let secret = yard.host_file("secret", "secret");
    let sandbox = yard.project(0);
    let probe = format!(
        "id -u; cat {} /workspace/here 2>/dev/null; ls /proc/self/fd | wc -l",
        secret.display()
    );
    sandbox.workspace().write("here", b"here\n").unwrap();
    let mut process = spawn(&sandbox, probe.clone()).await;
    let mut text = String::new();
    process.stdout.read_to_string(&mut text).await.unwrap();
    // The same script, run as a command, has the same file descriptors and reads the same files.
    assert_eq!(text, say(&sandbox, probe).await);
    assert!(text.starts_with("1000\nhere\n"), "{text}");
    assert_eq!(
        sandbox.spawn(command("a\0b")).await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
}
