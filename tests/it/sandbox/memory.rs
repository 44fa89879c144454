//! Tests that memory outside the resident set of a process is also limited, with and without control groups.

use runyard::sandbox::CommandEnd;

use super::{Yard, is_bounded_by_cgroups, run, say, settings};

const MIB: u64 = 1024 * 1024;

/// Perl code that allocates about `$n` megabytes outside the resident set, or dies with the reason.
const HIDING_PLACES: &[(&str, &str)] = &[
    (
        "memory files",
        r#"for (1 .. $n) { my $fd = syscall(MEMFD, my $name = "x", 0); $fd >= 0 or die "refused: $!\n";
           open(my $file, ">&=", $fd) or die; (syswrite($file, "x" x 1_000_000) // 0) == 1_000_000 or die "no room: $!\n"; push @held, $file }"#,
    ),
    (
        "segments of System V",
        r#"for (1 .. $n) { my $id = shmget(0, 1_000_000, 01600); defined $id or die "refused: $!\n";
           shmwrite($id, "x" x 1_000_000, 0, 1_000_000) or die "no room: $!\n" }"#,
    ),
    (
        "messages of System V",
        r#"for (1 .. $n * 64) { my $id = msgget(0, 01600); defined $id or die "refused: $!\n";
           for (1 .. 2) { msgsnd($id, pack("l! a*", 1, "x" x 8_000), 04000) or die "no room: $!\n" } }"#,
    ),
    (
        "semaphores of System V",
        r#"for (1 .. $n) { defined semget(0, 15_000, 01600) or die "refused: $!\n" }"#,
    ),
    (
        "empty files",
        r#"for my $i (1 .. $n * 1000) { open(my $file, ">", "/tmp/$i") or die "no room: $!\n" }"#,
    ),
    (
        "links",
        r#"for my $i (1 .. $n * 1000) { symlink("x" x 120, "/dev/shm/$i") or die "no room: $!\n" }"#,
    ),
    (
        "sockets that are not read",
        r#"use Socket; for (1 .. $n * 4) { socketpair(my $one, my $other, AF_UNIX, SOCK_STREAM, 0) or die "no room: $!\n";
           for ($one, $other) { $_->blocking(0); 1 while syswrite($_, "x" x 60_000); push @held, $_ } }"#,
    ),
];

#[tokio::test]
async fn hidden_memory_is_bounded() {
    let mut settings = settings();
    settings.max_memory_bytes = 128 * MIB;
    settings.tmp_bytes = 96 * MIB;
    let yard = Yard::with(&settings);
    let sandbox = yard.project(0);
    for (place, script) in HIDING_PLACES {
        let script = script.replace("MEMFD", &libc::SYS_memfd_create.to_string());
        let script = format!(
            r#"use IO::Handle; my ($n, @held) = @ARGV; {script} STDOUT->autoflush; print "HELD\n"; sleep 20 if $n > 50"#
        );
        sandbox.workspace().write("hold.pl", script.as_bytes()).unwrap();

        // Control: a small amount is allowed. Without control groups, the sandbox may forbid this kind of memory
        // completely.
        let little = run(&sandbox, "perl hold.pl 3 2>&1").await;
        let is_refused = little.text.starts_with("refused: ");
        assert!(little.text == "HELD\n" || is_refused, "{place}: {little:?}");
        assert!(!is_refused || !is_bounded_by_cgroups(&yard), "{place}: {little:?}");

        let much = run(&sandbox, "perl hold.pl 400 2>&1").await;
        assert!(
            !much.text.contains("HELD") && !much.ending.is_success(),
            "{place}: {much:?}"
        );
        let says_why = much.ending == CommandEnd::OutOfMemory || much.text.contains("no room") || is_refused;
        assert!(says_why, "{place}: {much:?}");
    }
}

/// Databases need a small shared memory segment and a few semaphores. Both are too small to hide memory in.
#[tokio::test]
async fn small_system_v_segments_and_semaphores_work() {
    let yard = Yard::new();
    let script = r#"perl -e 'my $id = shmget(0, 4096, 01600); defined $id or die "segment: $!"; shmwrite($id, "x" x 4096, 0, 4096) or die;
        defined semget(0, 8, 01600) or die "semaphores: $!"; print "small works\n"'"#;
    assert_eq!(say(&yard.project(0), script).await, "small works\n");
}

#[tokio::test]
async fn huge_pages_are_refused() {
    let yard = Yard::new();
    let text = say(
        &yard.project(0),
        format!(
            r#"perl -e 'for my $flags (0x22, 0x40022, 0x40021) {{ $! = 0; my $at = syscall({mmap}, 0, 2 << 20, 3, $flags, -1, 0);
                print $at == -1 ? "refused " . ($! + 0) : "mapped", "\n" }}'"#,
            mmap = libc::SYS_mmap
        ),
    )
    .await;
    assert_eq!(text, format!("mapped\nrefused {0}\nrefused {0}\n", libc::ENOSYS));
}
