//! Limits on the resources that a command can use.

use std::{
    os::unix::fs::MetadataExt as _,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use runyard::sandbox::{CommandEnd, Depth, Place, ProjectSandbox, Sandbox, Sandboxes, WalkLimits};
use tokio_util::sync::CancellationToken;

use super::{
    Yard, command, eventually, is_bounded_by_cgroups, is_root, mark, run, run_for, say, settings, with_marker,
};

const MIB: u64 = 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s04_a_fork_bomb_is_contained() {
    let mut settings = settings();
    settings.max_processes = 64;
    let yard = Yard::with(&settings);
    let (sandbox, neighbour) = (yard.project(0), yard.project(1));
    // Control: twenty processes are allowed.
    let text = say(&sandbox, "for i in $(seq 20); do sleep 1 & done; wait; echo all ran").await;
    assert!(text.contains("all ran"), "{text}");

    let bomb = tokio::spawn({
        let sandbox = sandbox.clone();
        async move {
            run_for(
                &sandbox,
                8.0,
                format!(
                    ": {}; touch lit; bomb() {{ bomb | bomb & }}; bomb; sleep 100",
                    mark(9704)
                ),
            )
            .await
        }
    });
    eventually("the bomb is lit", || sandbox.workspace().metadata("lit").is_ok()).await;
    assert_eq!(say(&neighbour, "echo fine | cat").await, "fine\n");
    assert!(!bomb.is_finished(), "the neighbour should not wait for the bomb");
    let most = with_marker(&mark(9704)).len();
    let execution = bomb.await.unwrap();
    assert_eq!(execution.ending, CommandEnd::TimedOut);
    assert!(most <= 70, "{most} processes");
    assert!(
        execution.text.contains("Resource temporarily unavailable"),
        "{}",
        execution.text
    );
    assert_eq!(with_marker(&mark(9704)), Vec::<u32>::new());
}

#[tokio::test]
async fn s05_memory_is_bounded() {
    let mut settings = settings();
    settings.max_memory_bytes = 128 * MIB;
    let yard = Yard::with(&settings);
    let sandbox = yard.project(0);
    let text = say(&sandbox, "perl -e '$x = \"x\" x 30_000_000; print length $x'").await;
    assert_eq!(text, "30000000");

    let execution = run(
        &sandbox,
        "perl -e 'for (1..1000) { push @a, \"x\" x 5_000_000 } print \"HELD IT ALL\"'",
    )
    .await;
    assert!(!execution.text.contains("HELD IT ALL"), "{execution:?}");
    if is_bounded_by_cgroups(&yard) {
        assert_eq!(execution.ending, CommandEnd::OutOfMemory, "{}", execution.text);
        assert!(execution.ending.describe().unwrap().contains("out of memory"));
    } else {
        assert!(
            !execution.ending.is_success() && execution.text.contains("Out of memory"),
            "{execution:?}"
        );
    }
    // Each process is small, but together the processes exceed the limit.
    let execution = run(
        &sandbox,
        "for i in 1 2 3 4 5 6; do perl -e '$x = \"x\" x 40_000_000; sleep 20; print length $x' & all=\"$all $!\"; done
         for one in $all; do wait $one || exit 9; done",
    )
    .await;
    assert_eq!(execution.ending, CommandEnd::OutOfMemory, "{}", execution.text);
    assert_eq!(say(&sandbox, "echo still here").await, "still here\n");
}

#[tokio::test]
async fn s06_the_disk_is_bounded() {
    let mut settings = settings();
    settings.max_workspace_bytes = 48 * MIB;
    settings.max_workspace_files = 500;
    settings.max_file_bytes = 16 * MIB;
    settings.tmp_bytes = 8 * MIB;
    let yard = Yard::with(&settings);
    let (sandbox, neighbour) = (yard.project(0), yard.project(1));
    let text = say(
        &sandbox,
        "truncate -s 1M small && head -c 1000000 /dev/zero > /tmp/small && head -c 1000000 /dev/zero > /dev/shm/small && echo control wrote
         truncate -s 1T sparse 2>&1; head -c 20M /dev/zero 2>&1 > large; rm -f large
         head -c 20M /dev/zero 2>&1 > /tmp/large; head -c 20M /dev/zero 2>&1 > /dev/shm/large; true",
    )
    .await;
    assert!(text.contains("control wrote"), "{text}");
    assert_eq!(text.matches("File too large").count(), 2, "{text}");
    assert_eq!(text.matches("No space left on device").count(), 2, "{text}");

    let execution = run(
        &sandbox,
        "for i in $(seq 1000); do head -c 4M /dev/zero > fill$i; sleep 0.1; done",
    )
    .await;
    assert_eq!(execution.ending, CommandEnd::DiskFull, "{}", execution.text);
    let usage = sandbox.workspace().usage().unwrap();
    assert!((48 * MIB..200 * MIB).contains(&usage.bytes), "{usage:?}");
    assert_eq!(
        say(&neighbour, "head -c 4M /dev/zero > f && stat -c %s f").await,
        "4194304\n"
    );
    // On a full disk, no file can grow. Deleting files frees space.
    let execution = run(&sandbox, "echo more > more || echo refused").await;
    assert!(execution.text.contains("refused"), "{execution:?}");
    say(&sandbox, "rm fill* && sleep 0.1").await;
    assert_eq!(say(&sandbox, "echo more > more && cat more").await, "more\n");

    let execution = run(
        &sandbox,
        "mkdir many; for i in $(seq 100000); do : > many/$i; done; sleep 30",
    )
    .await;
    assert_eq!(execution.ending, CommandEnd::DiskFull, "{}", execution.text);
    say(&sandbox, "rm -rf many").await;

    // This command deletes its files but keeps them open.
    let execution = run(
        &sandbox,
        "for i in 11 12 13 14 15 16; do eval \"exec $i>ghost\"; rm ghost; head -c 12M /dev/zero >&$i; done; ls; sleep 30",
    )
    .await;
    assert_eq!(execution.ending, CommandEnd::DiskFull, "{}", execution.text);

    // A folder tree that is too deep to measure counts as over the limit.
    let execution = run(
        &sandbox,
        "for i in $(seq 400); do mkdir ddddddddddddddddddddd; cd ddddddddddddddddddddd; done; sleep 30",
    )
    .await;
    assert_eq!(execution.ending, CommandEnd::DiskFull, "{}", execution.text);
    yard.sandboxes.discard(sandbox.place()).unwrap();
    assert!(!sandbox.place().folder.exists());
}

#[tokio::test]
async fn s13_a_timeout_kills_every_process_of_a_command() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    // The command first receives SIGTERM, so that it can clean up.
    let polite = "trap 'echo goodbye; exit 0' TERM; echo begun; while :; do sleep 0.1; done";
    let execution = run_for(&sandbox, 1.0, polite).await;
    assert_eq!(execution.ending, CommandEnd::TimedOut);
    assert!(
        execution.text.contains("begun") && execution.text.contains("goodbye"),
        "{}",
        execution.text
    );

    let start = Instant::now();
    let long = mark(9713);
    let stubborn = format!("trap '' TERM; (setsid nohup sleep {long} >/dev/null 2>&1 &); echo begun; sleep {long}");
    let execution = run_for(&sandbox, 1.0, stubborn).await;
    assert_eq!(execution.ending, CommandEnd::TimedOut);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(with_marker(&long), Vec::<u32>::new());

    // When a command ends, its daemons are killed. They do not delay the end of the command.
    let long = mark(9714);
    let start = Instant::now();
    let text = say(
        &sandbox,
        format!("setsid nohup sleep {long} & sleep {long} & ls -d /proc/[0-9]*; echo done"),
    )
    .await;
    assert!(text.contains("done"), "{text}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(with_marker(&long), Vec::<u32>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s13_cancelling_or_dropping_a_call_kills_its_processes() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    let cancel = CancellationToken::new();
    let long = mark(9715);
    let script = format!("echo begun; (sleep {long} &); sleep {long}");
    let running = tokio::spawn({
        let (sandbox, cancel) = (sandbox.clone(), cancel.clone());
        async move { sandbox.execute(command(script), &mut |_| {}, &cancel).await.unwrap() }
    });
    eventually("it runs", || with_marker(&format!("sleep\0{long}")).len() == 2).await;
    let start = Instant::now();
    cancel.cancel();
    let execution = running.await.unwrap();
    assert_eq!(execution.ending, CommandEnd::Cancelled);
    assert!(execution.text.starts_with("begun\n"), "{}", execution.text);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(with_marker(&long), Vec::<u32>::new());

    let running = tokio::spawn({
        let (sandbox, script) = (sandbox.clone(), format!("sleep {}; true", mark(9716)));
        async move { run(&sandbox, script).await }
    });
    eventually("it runs", || !with_marker(&mark(9716)).is_empty()).await;
    running.abort();
    eventually("it is gone", || with_marker(&mark(9716)).is_empty()).await;
    assert_eq!(say(&sandbox, "echo on").await, "on\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s14_a_flood_of_output_is_bounded() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    let before = resident();
    let shown = Arc::new(Mutex::new((0, 0)));
    let watcher = Arc::clone(&shown);
    let mut flood = command("yes");
    flood.timeout = Duration::from_secs(2);
    let mut watch = move |piece: &str| {
        let mut shown = watcher.lock().unwrap();
        *shown = (shown.0 + piece.len(), shown.1 + 1);
    };
    let execution = sandbox
        .execute(flood, &mut watch, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(execution.ending, CommandEnd::TimedOut);
    assert!(execution.truncated && execution.text.starts_with("y\ny\n") && execution.text.len() < 31_000);
    let (bytes, pieces) = *shown.lock().unwrap();
    assert!(
        bytes > 0 && bytes < 140_000 && pieces < 40,
        "{bytes} bytes in {pieces} chunks"
    );

    let execution = run(&sandbox, "head -c 300M /dev/zero | tr '\\0' x; echo; echo the end").await;
    assert_eq!(execution.ending, CommandEnd::Exited(0));
    assert!(execution.text.starts_with("xxx") && execution.text.ends_with("x\nthe end\n"));
    let execution = run(
        &sandbox,
        "head -c 5M /dev/urandom | tr -d '\\033'; printf '\\n\\033[31mred\\033[0m \\303\\050 \\000end'",
    )
    .await;
    assert!(
        execution.text.ends_with("red \u{fffd}( end"),
        "{:?}",
        &execution.text[execution.text.len() - 20..]
    );
    assert!(resident() < before + 200 * MIB, "{before} -> {}", resident());
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// The next two tests start this function as a separate process and kill it.
#[tokio::test]
#[ignore = "started by s16"]
async fn s16_service() {
    let folder = std::env::var("RUNYARD_TEST_FOLDER").unwrap();
    let long = std::env::var("RUNYARD_TEST_SLEEP").unwrap();
    let sandboxes = Sandboxes::detect(&settings(), folder.as_ref()).unwrap();
    let place = Place {
        folder: std::path::Path::new(&folder).join("workspace"),
        number: 0,
    };
    sandboxes.make(&place).unwrap();
    run(
        &sandboxes.open(place),
        format!("(setsid nohup sleep {long} &); sleep {long}"),
    )
    .await;
}

#[tokio::test]
async fn s16_no_sandbox_survives_the_service() {
    let folder = super::closed_folder();
    let mut service = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sandbox::limits::s16_service", "--ignored", "--nocapture"])
        .env("RUNYARD_TEST_SLEEP", mark(9717))
        .env("RUNYARD_TEST_FOLDER", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the command runs", || {
        with_marker(&format!("sleep\0{}", mark(9717))).len() >= 2
    })
    .await;
    service.kill().unwrap();
    service.wait().unwrap();
    eventually("the command is gone", || with_marker(&mark(9717)).is_empty()).await;
}

#[tokio::test]
async fn s16_no_sandbox_survives_a_kill_during_its_start() {
    let folder = super::closed_folder();
    let sandboxes = super::sandbox_mark(folder.path());
    for round in 0..16 {
        let long = mark(97_000 + round);
        let mut service = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sandbox::limits::s16_service", "--ignored", "--nocapture"])
            .env("RUNYARD_TEST_SLEEP", &long)
            .env("RUNYARD_TEST_FOLDER", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while with_marker(&sandboxes).is_empty() {
            assert!(Instant::now() < until, "no sandbox was started");
        }
        // Each round waits one millisecond longer, so that the kill interrupts another stage of the sandbox's start.
        tokio::time::sleep(Duration::from_millis(round.into())).await;
        service.kill().unwrap();
        service.wait().unwrap();
        eventually("the command is gone", || {
            with_marker(&format!("sleep\0{long}")).is_empty()
        })
        .await;
        // After a restart, the service kills the sandboxes whose start was interrupted.
        let _next = Sandboxes::detect(&settings(), folder.path()).unwrap();
        eventually("nothing is left", || {
            with_marker(&long).is_empty() && with_marker(&sandboxes).is_empty()
        })
        .await;
    }
}

/// Each round cancels the command at a later moment of its sandbox's start.
#[tokio::test]
async fn s16_no_sandbox_survives_a_cancelled_start() {
    let folder = super::closed_folder();
    let mark = super::sandbox_mark(folder.path());
    let sandboxes = Sandboxes::detect(&settings(), folder.path()).unwrap();
    let place = Place {
        folder: folder.path().join("workspace"),
        number: 0,
    };
    sandboxes.make(&place).unwrap();
    let mut seen = 0;
    let pauses = (0..100).map(|round| Duration::from_micros(100 * round));
    // A busy machine may need more time to start a sandbox.
    let longer = [20, 50, 100, 200, 500, 1_000, 2_000].map(Duration::from_millis);
    for (round, pause) in pauses.chain(longer).enumerate() {
        if round >= 100 && seen > 0 {
            break;
        }
        let sandbox = sandboxes.open(place.clone());
        let work = tokio::spawn(async move { run(&sandbox, "sleep 100").await });
        tokio::time::sleep(pause).await;
        seen += with_marker(&mark).len();
        work.abort();
        let _ = work.await;
    }
    assert!(seen > 0, "no sandbox was started");
    eventually("nothing is left", || with_marker(&mark).is_empty()).await;
}

#[tokio::test]
async fn s17_two_commands_of_one_project_run_concurrently() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    let (one, other) = tokio::join!(
        run(
            &sandbox,
            "echo one > /tmp/x; touch one; while [ ! -e other ]; do sleep 0.02; done; cat /tmp/x"
        ),
        run(
            &sandbox,
            "echo other > /tmp/x; touch other; while [ ! -e one ]; do sleep 0.02; done; cat /tmp/x"
        ),
    );
    assert_eq!((one.text.as_str(), other.text.as_str()), ("one\n", "other\n"));
}

#[tokio::test]
async fn s18_walks_are_bounded() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    say(
        &sandbox,
        "mkdir many deep; (cd many; seq 3000 | xargs touch); ln -s .. many/up; ln -s . loop; mkfifo pipe
         cd deep; for i in $(seq 100); do mkdir d; cd d; done; touch bottom",
    )
    .await;
    let files = sandbox.workspace();
    let walk = |entries| {
        let limits = WalkLimits {
            entries,
            ..WalkLimits::default()
        };
        let mut walk = files.walk("", limits).unwrap();
        let count = walk.by_ref().count();
        (count, walk.cut())
    };
    let (count, cut) = walk(1000);
    assert!(count <= 1000 && cut.is_some(), "{count} {cut:?}");
    let (count, cut) = walk(100_000);
    assert_eq!((count, cut), (3000 + 6 + 63, Some("folders are nested too deeply")));
    let listing = files.list("many", Depth::One, 10, None).unwrap();
    assert!(listing.next.is_some() && listing.entries.len() == 10);
    let listing = files.list("many", Depth::One, 5000, None).unwrap();
    assert!(listing.next.is_none() && listing.cut.is_none() && listing.entries.len() == 3001);
    assert_eq!(files.usage().unwrap().files, 3000 + 6 + 101);
    files.remove("deep").unwrap();
    assert_eq!(files.usage().unwrap().files, 3000 + 5);
}

#[tokio::test]
async fn files_in_unreadable_folders_are_counted_and_removed() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    say(
        &sandbox,
        "mkdir -p a/b; head -c 1M /dev/zero > a/b/f; chmod 000 a/b; chmod 555 a; mkdir c; chmod 111 c",
    )
    .await;
    assert!(sandbox.workspace().usage().unwrap().bytes >= MIB);
    yard.sandboxes.discard(sandbox.place()).unwrap();
    assert!(!sandbox.place().folder.exists());
    yard.sandboxes.discard(sandbox.place()).unwrap();
}

#[tokio::test]
async fn each_project_has_its_own_uid_under_root() {
    let yard = Yard::new();
    let (one, other) = (yard.project(0), yard.project(7));
    say(&one, "touch f").await;
    say(&other, "touch f").await;
    let owner = |sandbox: &ProjectSandbox, name: &str| {
        let file = std::fs::metadata(sandbox.place().folder.join(name)).unwrap();
        (file.uid(), file.gid())
    };
    let expected = |number: u32| {
        if is_root() {
            (200_000 + number, 200_000 + number)
        } else {
            (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
        }
    };
    for name in ["f", "output", "."] {
        assert_eq!(owner(&one, name), expected(0), "{name}");
        assert_eq!(owner(&other, name), expected(7), "{name}");
    }
    other.workspace().write("made/by/host", b"x").unwrap();
    for name in ["made", "made/by", "made/by/host"] {
        assert_eq!(owner(&other, name), expected(7), "{name}");
    }
    assert_eq!(
        say(
            &other,
            "echo y >> made/by/host; mv made/by/host made/there; cat made/there"
        )
        .await,
        "xy\n"
    );
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&one.place().folder).unwrap().permissions()) & 0o777,
        0o700
    );
}
