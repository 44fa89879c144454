//! Tests that common programs work in the sandbox, and that the model receives their list.
//!
//! `make test` installs all programs and sets `RUNYARD_TEST_PROGRAMS`, which makes a missing program a failure.
//! Without this variable, the test of a missing program is skipped with a notice.

use std::{
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use super::{Yard, run, say, settings};

/// Returns true if the program is in a folder that is visible in the sandbox.
fn has(program: &str, package: &str) -> bool {
    let folders = ["/usr/local/bin", "/usr/bin"];
    if folders.iter().any(|folder| Path::new(folder).join(program).exists()) {
        return true;
    }
    assert!(
        std::env::var_os("RUNYARD_TEST_PROGRAMS").is_none(),
        "{program} is missing: apt-get install {package}"
    );
    // This writes directly to standard error, because the test harness captures other output.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED without {program}: apt-get install {package}"
    );
    false
}

#[tokio::test]
async fn git_commits_without_set_up() {
    if !has("git", "git") {
        return;
    }
    let yard = Yard::new();
    let sandbox = yard.project(0);
    let text = say(
        &sandbox,
        "git init -q g && cd g && echo a > a && git add a && git commit -qm one && git log --format='%an %s'; git branch --show-current",
    )
    .await;
    assert_eq!(text, "Runyard agent one\nmain\n");
    // A user name that the agent or the repository configures replaces the default name.
    let text = say(
        &sandbox,
        "cd g; git config user.name Ada; echo b > b; git add b; git commit -qm two; git log -1 --format=%an
         git config --global user.name Grace; git init -q ../h; git -C ../h commit -q --allow-empty -m x; git -C ../h log --format=%an",
    )
    .await;
    assert_eq!(text, "Ada\nGrace\n");
}

#[tokio::test]
async fn java_compiles_and_runs() {
    if !has("javac", "default-jdk-headless") {
        return;
    }
    let yard = Yard::new();
    let text = say(
        &yard.project(0),
        r#"cat > A.java <<'X'
public class A { public static void main(String[] a) { System.out.println("java " + java.util.UUID.randomUUID().toString().length()); } }
X
javac A.java && java A && java A.java"#,
    )
    .await;
    assert_eq!(text, "java 36\njava 36\n");
}

#[tokio::test]
async fn chromium_makes_a_screenshot() {
    if !has("chromium", "chromium") {
        return;
    }
    let yard = Yard::new();
    let execution = run(
        &yard.project(0),
        "echo '<h1>Hi</h1>' > p.html
         chromium --headless --disable-gpu --screenshot=/workspace/s.png file:///workspace/p.html > /tmp/log 2>&1
         head -c 4 s.png | tail -c 3; tail -n 5 /tmp/log",
    )
    .await;
    assert!(execution.text.starts_with("PNG"), "{}", execution.text);
}

#[tokio::test]
async fn installing_fails_at_once_and_says_why() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    if has("npm", "npm") {
        let start = Instant::now();
        let execution = run(&sandbox, "mkdir n; cd n; npm install left-pad").await;
        assert!(!execution.ending.is_success());
        assert!(execution.text.contains("getaddrinfo"), "{}", execution.text);
        assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
        assert_eq!(say(&sandbox, "ls -A; ls -A n").await, "n\noutput\n");
    }
    // Debian's python3 has pip only if the package `python3-pip` is installed.
    if has("pip3", "python3-pip") {
        let start = Instant::now();
        let execution = run(&sandbox, "/usr/bin/pip3 install --break-system-packages left-pad").await;
        assert!(!execution.ending.is_success());
        assert!(
            execution.text.contains("Failed to establish a new connection") && !execution.text.contains("certificate"),
            "{}",
            execution.text
        );
        assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn the_model_is_told_the_limits_and_programs() {
    let mut settings = settings();
    settings.max_memory_bytes = 3 << 30;
    settings.max_workspace_bytes = 5 << 20;
    settings.default_timeout_seconds = 77;
    let yard = Yard::with(&settings);
    let offer = yard.sandboxes.describe_for_model().await;
    for word in [
        "no network",
        "3 GiB of memory",
        "5 MiB",
        "77 seconds",
        "programs: bash sh awk",
        "python3",
        "not installed:",
    ] {
        assert!(offer.contains(word), "{word:?} in {offer}");
    }

    settings.bwrap = "/nonexistent/bwrap".into();
    let offer = Yard::with(&settings).sandboxes.describe_for_model().await;
    assert!(offer.contains("cannot be run"), "{offer}");
}

#[tokio::test]
async fn system_configuration_is_visible_and_secrets_are_not() {
    let yard = Yard::new();
    let text = say(
        &yard.project(0),
        "ls /etc/ssl /etc/ssl/certs | head -n 3; cat /etc/hosts | head -n 1
         for name in shadow ssl/private npmrc pip.conf apt ssh sudoers postgresql environment machine-id; do
             [ -e /etc/$name ] && echo \"SEEN $name\"
         done
         touch /etc/alternatives/x 2>&1; chmod 777 /etc/gitconfig 2>&1; true",
    )
    .await;
    assert!(text.contains("certs") && text.contains("localhost"), "{text}");
    assert!(!text.contains("SEEN"), "{text}");
    assert_eq!(text.matches("Read-only file system").count(), 2, "{text}");
}
