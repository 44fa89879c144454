//! Tests of the resources of the host and of other projects that a command must not reach.

use std::{
    net::{TcpListener, UdpSocket},
    os::{linux::net::SocketAddrExt, unix::net},
    time::Duration,
};

use super::{Yard, eventually, is_root, mark, run, say, with_marker};

#[tokio::test]
async fn s01_host_files_cannot_be_read() {
    let yard = Yard::new();
    let secret = yard.host_file("runyard.db", "canary-s01-database");
    yard.project(1)
        .workspace()
        .write("note", b"canary-s01-neighbour")
        .unwrap();
    let sandbox = yard.project(0);
    sandbox.workspace().write("own.txt", b"control-s01").unwrap();

    let data = yard.folder.path().display();
    let execution = run(
        &sandbox,
        format!(
            "cat own.txt; head -c 4 /usr/bin/env | tail -c 3
             for path in /etc/shadow /etc/hostname /root /home {data} {} {data}/workspaces/p1/note ../p1/note /workspace/../p1/note \
                 /proc/1/root/root /proc/1/cwd/../root /oldroot /newroot; do
                 if ls \"$path\" >/dev/null 2>&1 || cat \"$path\" >/dev/null 2>&1; then echo \"reached $path\"; fi
             done
             grep -rl canary-s01 / --exclude-dir=usr --exclude-dir=proc 2>/dev/null | sed 's/^/found /'
             true",
            secret.display()
        ),
    )
    .await;
    assert!(
        execution.text.contains("control-s01") && execution.text.contains("ELF"),
        "{}",
        execution.text
    );
    assert!(
        !execution.text.contains("reached") && !execution.text.contains("found"),
        "{}",
        execution.text
    );
}

#[tokio::test]
async fn s02_no_secret_is_inherited() {
    let yard = Yard::new();
    let secret = std::fs::File::open(yard.host_file("secret", "canary-s02")).unwrap();
    // Clears the close-on-exec flag. Without a countermeasure, child processes would inherit this descriptor.
    rustix::io::fcntl_setfd(&secret, rustix::io::FdFlags::empty()).unwrap();
    let sandbox = yard.project(0);

    let text = say(
        &sandbox,
        "exec 9</usr/bin/env
         echo descriptors: $(ls /proc/self/fd | sort -n | tr '\\n' ' ')
         echo first: $(ls /proc/1/fd | sort -n | tr '\\n' ' ')
         perl -e 'for (3..5000) { if (open(my $f, \"<&=\", $_)) { print \"open $_ \", readlink(\"/proc/self/fd/$_\"), \"\\n\" } }'
         cat /proc/[0-9]*/environ | tr '\\0' '\\n'
         cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'",
    )
    .await;
    // The script opens descriptor 9 as a control. Descriptor 3 is the folder that `ls` reads.
    assert!(text.contains("descriptors: 0 1 2 3 9"), "{text}");
    assert!(text.contains("first: 0 1 2\n"), "{text}");
    let open: Vec<&str> = text.lines().filter(|line| line.starts_with("open ")).collect();
    assert!(open.iter().all(|line| line.ends_with("/usr/bin/env")), "{open:?}");
    assert!(!open.is_empty(), "the control is missing: {text}");
    assert!(text.contains("HOME=/workspace"), "{text}");
    let data = yard.folder.path().display().to_string();
    assert!(!text.contains(&data) && !text.contains("CARGO_MANIFEST"), "{text}");
}

#[tokio::test]
async fn s03_there_is_no_network() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let name = format!("runyard-s03-{}", std::process::id());
    let address = net::SocketAddr::from_abstract_name(&name).unwrap();
    let _unix = net::UnixListener::bind_addr(&address).unwrap();
    let (tcp, udp_port) = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
    // Control: on the host, all three addresses can be reached.
    std::net::TcpStream::connect(("127.0.0.1", tcp)).unwrap();
    net::UnixStream::connect_addr(&address).unwrap();

    let text = say(
        &sandbox,
        format!(
            r#"
perl -e '
use Socket; use strict;
sub tcp {{ my ($to, $port) = @_; my $six = $to =~ /:/;
    socket(my $s, $six ? AF_INET6 : AF_INET, SOCK_STREAM, 0) or return "no socket: $!";
    my $a = $six ? pack_sockaddr_in6($port, Socket::inet_pton(AF_INET6, $to)) : pack_sockaddr_in($port, inet_aton($to));
    local $SIG{{ALRM}} = sub {{ die }}; alarm 3; my $ok = connect($s, $a); alarm 0; return $ok ? "CONNECTED" : "refused: $!" }}
socket(my $l, AF_INET, SOCK_STREAM, 0); bind($l, pack_sockaddr_in(0, INADDR_LOOPBACK)); listen($l, 1);
my ($port) = unpack_sockaddr_in(getsockname($l));
print "control ", tcp("127.0.0.1", $port), "\n";
socketpair(my $x, my $y, AF_UNIX, SOCK_STREAM, 0) and print "control unix\n";
print "host ", tcp("127.0.0.1", {tcp}), "\n";
print "$_ ", tcp($_, 80), "\n" for "169.254.169.254", "1.1.1.1", "10.0.0.1", "192.168.1.1", "fd00:ec2::254", "2606:4700::1111";
socket(my $u, AF_INET, SOCK_DGRAM, 0); send($u, "canary", 0, pack_sockaddr_in({udp_port}, INADDR_LOOPBACK));
socket(my $a, AF_UNIX, SOCK_STREAM, 0); print "abstract ", (connect($a, pack("Sa*", 1, "\0{name}")) ? "CONNECTED" : "refused"), "\n";
for ([16, 3], [17, 3], [40, 1], [38, 5], [44, 3]) {{ print "family $$_[0] ", (socket(my $s, $$_[0], $$_[1], 0) ? "OPENED" : "refused: $!"), "\n" }}
'"#
        ),
    )
    .await;
    assert!(
        text.contains("control CONNECTED") && text.contains("control unix"),
        "{text}"
    );
    let outside = text.replace("control CONNECTED", "");
    assert!(!outside.contains("CONNECTED") && !outside.contains("OPENED"), "{text}");
    assert_eq!(
        outside.lines().filter(|line| line.contains("refused")).count(),
        13,
        "{text}"
    );
    assert!(udp.recv(&mut [0; 16]).is_err(), "a datagram came out of the sandbox");
}

#[tokio::test]
async fn s08_devices_and_kernel_settings_are_unreachable() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    let before = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let text = say(
        &sandbox,
        "cat /proc/sys/kernel/ostype; echo x > /dev/null && head -c 1 /dev/urandom >/dev/null && echo devices work
         for path in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/vm/drop_caches /proc/sysrq-trigger /dev/mem \
             /dev/kmem /dev/kvm /dev/vda /dev/sda /dev/loop0 /dev/fuse /dev/new /new /usr/new /etc/new /etc/passwd; do
             if (echo 1 > $path) 2>/dev/null; then echo \"WROTE $path\"; fi
         done
         if (echo 1 > /dev/net/tun) 2>/dev/null || [ -e /dev/net/tun ]; then echo WROTE tun; fi
         for path in /proc/kcore /dev/mem /dev/kvm /sys/kernel /sys/fs/cgroup; do
             if head -c 1 $path >/dev/null 2>&1 || ls $path/* >/dev/null 2>&1; then echo \"READ $path\"; fi
         done
         true",
    )
    .await;
    assert!(text.contains("Linux") && text.contains("devices work"), "{text}");
    assert!(!text.contains("WROTE") && !text.contains("READ"), "{text}");
    assert_eq!(
        std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(),
        before
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s09_processes_outside_are_unreachable() {
    let yard = Yard::new();
    let (sandbox, neighbour) = (yard.project(0), yard.project(1));
    let me = std::process::id();
    let waiting = tokio::spawn({
        let neighbour = neighbour.clone();
        async move {
            run(
                &neighbour,
                "touch here; while [ ! -e go ]; do sleep 0.05; done; echo survived",
            )
            .await
        }
    });
    eventually("the neighbour runs", || neighbour.workspace().metadata("here").is_ok()).await;
    let (ptrace, vm, getfd) = (libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_pidfd_getfd);
    let text = say(
        &sandbox,
        format!(
            "sleep 100 & kill -0 $! && kill $! && echo control killed
             kill -0 {me} 2>&1; kill -9 {me} 2>&1
             perl -e '$! = 0; syscall({ptrace}, 16, 1, 0, 0); print \"ptrace \", $!+0, \"\\n\";
                 $! = 0; syscall({vm}, 1, 0, 0, 0, 0, 0); print \"vm \", $!+0, \"\\n\";
                 $! = 0; syscall({getfd}, 0, 0, 0); print \"getfd \", $!+0, \"\\n\"'
             grep Seccomp: /proc/1/status
             ls -d /proc/[0-9]* | wc -l"
        ),
    )
    .await;
    assert!(text.contains("control killed"), "{text}");
    assert_eq!(text.matches("No such process").count(), 2, "{text}");
    for call in ["ptrace 1\n", "vm 1\n", "getfd 1\n"] {
        assert!(text.contains(call), "{text}");
    }
    // A command can write to the memory of process 1 of its sandbox, so process 1 must have the same restrictions as
    // the command.
    assert!(text.contains("Seccomp:\t2"), "{text}");
    assert!(
        text.trim().lines().last().unwrap().parse::<u32>().unwrap() < 10,
        "{text}"
    );
    run(&sandbox, "kill -9 -1").await;
    neighbour.workspace().write("go", b"").unwrap();
    assert!(waiting.await.unwrap().text.contains("survived"));
}

#[tokio::test]
async fn s10_system_calls_used_for_escapes_are_refused() {
    let yard = Yard::new();
    let calls = [
        ("unshare", libc::SYS_unshare, "0x10000000"),
        ("setns", libc::SYS_setns, "0, 0"),
        ("clone with a user namespace", libc::SYS_clone, "0x10000011, 0, 0, 0, 0"),
        (
            "clone with a mount namespace",
            libc::SYS_clone,
            "0x00020011, 0, 0, 0, 0",
        ),
        ("clone3", libc::SYS_clone3, "0, 0"),
        ("mount", libc::SYS_mount, "0, 0, 0, 0, 0"),
        ("umount2", libc::SYS_umount2, "0, 0"),
        ("fsopen", libc::SYS_fsopen, "0, 0"),
        ("open_tree", libc::SYS_open_tree, "0, 0, 0"),
        ("pivot_root", libc::SYS_pivot_root, "0, 0"),
        ("chroot", libc::SYS_chroot, "0"),
        ("keyctl", libc::SYS_keyctl, "0, 0, 0"),
        ("add_key", libc::SYS_add_key, "0, 0, 0, 0, 0"),
        ("bpf", libc::SYS_bpf, "0, 0, 0"),
        ("io_uring_setup", libc::SYS_io_uring_setup, "1, 0"),
        ("perf_event_open", libc::SYS_perf_event_open, "0, 0, 0, 0, 0"),
        ("userfaultfd", libc::SYS_userfaultfd, "0"),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, "0, 0, 0"),
        ("init_module", libc::SYS_init_module, "0, 0, 0"),
        ("reboot", libc::SYS_reboot, "0, 0, 0, 0"),
        ("settimeofday", libc::SYS_settimeofday, "0, 0"),
        ("sethostname", libc::SYS_sethostname, "0, 0"),
        ("personality", libc::SYS_personality, "0x0400000"),
        ("prctl of the death signal", libc::SYS_prctl, "1, 0, 0, 0, 0"),
        ("prctl of dumpable", libc::SYS_prctl, "4, 0, 0, 0, 0"),
        #[cfg(target_arch = "x86_64")]
        ("an x32 call", 0x4000_0000 | libc::SYS_getpid, ""),
    ];
    let mut script = format!(
        "print 'control ', syscall({}) == $$ ? 'works' : 'fails', \"\\n\";",
        libc::SYS_getpid
    );
    for (name, number, arguments) in calls {
        let arguments = if arguments.is_empty() {
            String::new()
        } else {
            format!(", {arguments}")
        };
        script = format!("{script}$! = 0; $r = syscall({number}{arguments}); print \"{name}: $r \", $!+0, \"\\n\";");
    }
    let text = say(
        &yard.project(0),
        format!("perl -e '{}'; unshare -Ur true 2>&1; true", script.replace('\'', "\"")),
    )
    .await;
    let _ = &text;
    assert!(text.contains("control works"), "{text}");
    for (name, ..) in calls {
        let refused = [format!("{name}: -1 1\n"), format!("{name}: -1 38\n")];
        assert!(refused.iter().any(|line| text.contains(line)), "{name}\n{text}");
    }
}

#[tokio::test]
async fn s11_setuid_programs_have_no_effect() {
    let yard = Yard::new();
    let sandbox = yard.project(0);
    if is_root() {
        use std::os::unix::fs::PermissionsExt as _;
        let program = sandbox.place().folder.join("rootid");
        // `cp` makes the copy. If this process wrote the copy, a child process of another test could inherit the
        // writable descriptor.
        let copied = std::process::Command::new("cp")
            .arg("/usr/bin/id")
            .arg(&program)
            .status();
        assert!(copied.unwrap().success());
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o6755)).unwrap();
    } else {
        say(&sandbox, "cp /usr/bin/id rootid; chmod 6755 rootid").await;
    }
    let text = say(
        &sandbox,
        "id -u; stat -c %A rootid; ./rootid -u
         grep -E 'NoNewPrivs|Cap(Prm|Eff|Bnd|Amb)' /proc/self/status",
    )
    .await;
    assert!(text.starts_with("1000\n-rwsr-sr-x\n1000\n"), "{text}");
    assert!(text.contains("NoNewPrivs:\t1"), "{text}");
    assert_eq!(text.matches("\t0000000000000000").count(), 4, "{text}");
}

#[tokio::test]
async fn s15_no_input_can_be_injected_into_a_terminal() {
    let yard = Yard::new();
    let text = say(
        &yard.project(0),
        format!(
            "perl -e 'open(T, \"+<\", \"/dev/ptmx\") or die; $w = \"\\0\" x 8; print \"control \", (ioctl(T, 0x5413, $w) ? \"works\" : $!), \"\\n\";
                 for ([\"sti\", 0x5412], [\"linux\", 0x541C]) {{
                     $! = 0; $b = \"x\"; ioctl(T, $$_[1], $b); print \"$$_[0] \", $!+0, \"\\n\";
                     $! = 0; syscall({ioctl}, fileno(T), $$_[1] | (1 << 32), $b); print \"high $$_[0] \", $!+0, \"\\n\" }}
                 print \"tty \", (open(Y, \"+<\", \"/dev/tty\") ? \"OPENED\" : \"none\"), \"\\n\"; print \"stdin \", (-t STDIN ? \"TTY\" : \"none\"), \"\\n\"'",
            ioctl = libc::SYS_ioctl
        ),
    )
    .await;
    assert_eq!(
        text,
        "control works\nsti 1\nhigh sti 1\nlinux 1\nhigh linux 1\ntty none\nstdin none\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i08_neighbours_do_not_see_each_other() {
    let yard = Yard::new();
    let (one, other) = (yard.project(0), yard.project(1));
    let canary = format!("canary-{}", mark(108));
    let script = format!(
        "export SECRET={canary}; for folder in . /tmp /dev/shm; do echo {canary} > $folder/secret; done
                 touch here; while [ ! -e go ]; do sleep 0.05; done; cat /tmp/secret"
    );
    let holding = tokio::spawn({
        let one = one.clone();
        async move { run(&one, script).await }
    });
    eventually("the neighbour holds its secret", || {
        one.workspace().metadata("here").is_ok()
    })
    .await;
    let search = "n=canary; grep -rslE \"${n}-108\" /tmp /dev/shm /workspace /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; \
                  ls /tmp /dev/shm; cat /proc/net/unix /proc/sysvipc/shm | wc -l; hostname 2>/dev/null || cat /proc/sys/kernel/hostname";
    let text = say(&other, search).await;
    assert!(!text.contains("secret") && !text.contains("environ"), "{text}");
    assert!(!with_marker(&canary).is_empty(), "the neighbour ended too early");
    one.workspace().write("go", b"").unwrap();
    assert!(holding.await.unwrap().text.contains(&canary));
    // Control: a command in the same project finds the secret.
    let text = say(&one, format!("grep -rsl {canary} /workspace")).await;
    assert!(text.contains("/workspace/secret"), "{text}");
}
