//! Seccomp filters: the system calls that a command may not use.
//!
//! There are two filters, because one filter returns only one error. The first returns EPERM for forbidden calls. The
//! second returns ENOSYS, so that programs fall back to older calls. It covers `clone3` and `io_uring`, whose
//! arguments a filter cannot inspect.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};

use crate::error::{Error, Result};

/// The two filters, in the format that bubblewrap reads.
#[derive(Debug)]
pub struct Filters {
    /// Returns EPERM.
    pub forbidden: Vec<u8>,
    /// Returns ENOSYS.
    pub missing: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// A control group limits all memory of the command.
    Grouped,
    /// The service measures memory (module `memory`). Calls that create memory that the service cannot measure are
    /// refused or limited.
    Metered,
}

/// Maximum size in bytes of a System V shared-memory segment, if no control group limits the memory. The service
/// cannot count the segments, and the kernel allows several thousand. Databases need no larger segments.
const MAX_SEGMENT: u64 = 4096;
/// Maximum number of semaphores in a System V set, if no control group limits the memory. The service cannot count
/// the sets. Databases need no larger sets.
const MAX_SEMAPHORES: u64 = 16;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

impl Filters {
    /// Compiles the filters for this machine's architecture.
    ///
    /// # Errors
    /// INTERNAL on an unsupported architecture.
    pub fn compile(memory: Memory) -> Result<Self> {
        let failed = |error| Error::internal("the seccomp filter cannot be compiled", error);
        let forbidden = forbidden(memory)
            .and_then(|rules| program(rules, libc::EPERM))
            .map_err(failed)?;
        let mut absent = no_x32();
        absent.extend(
            missing(memory)
                .and_then(|rules| program(rules, libc::ENOSYS))
                .map_err(failed)?,
        );
        Ok(Self {
            forbidden: encoded(&forbidden),
            missing: encoded(&absent),
        })
    }
}

fn program(rules: Rules, errno: i32) -> Result<BpfProgram, seccompiler::BackendError> {
    let arch = std::env::consts::ARCH.try_into()?;
    let action = SeccompAction::Errno(errno.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, action, arch)?.try_into()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the codes are small; checked by the types of the kernel"
)]
/// First instructions of the second filter, on x86-64 only. They refuse the x32 ABI, because the rules do not match
/// its system call numbers.
fn no_x32() -> BpfProgram {
    // Instruction codes have 16 bits; the constants in `libc` have 32.
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    const X32_BIT: u32 = 0x4000_0000;
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    if std::env::consts::ARCH != "x86_64" {
        return BpfProgram::new();
    }
    let answer = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    vec![
        instruction(LOAD, 0, 0, 0),
        instruction(JUMP_IF_AT_LEAST, 0, 1, X32_BIT),
        instruction(RETURN, 0, 0, answer),
    ]
}

fn missing(memory: Memory) -> Result<Rules, seccompiler::BackendError> {
    let calls = [
        libc::SYS_clone3,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        // Control groups do not reliably count the pages of `memfd_secret`.
        libc::SYS_memfd_secret,
    ];
    let mut rules: Rules = calls.into_iter().map(|call| (call, Vec::new())).collect();
    // Huge pages come from a pool of the host that no sandbox limit covers. Programs fall back to ordinary pages.
    for (call, argument, flag) in [
        (libc::SYS_mmap, 3, libc::MAP_HUGETLB.unsigned_abs()),
        (libc::SYS_shmget, 2, libc::SHM_HUGETLB.unsigned_abs()),
        (libc::SYS_memfd_create, 1, libc::MFD_HUGETLB),
    ] {
        let flag = u64::from(flag);
        rules.insert(call, vec![when(&[(argument, SeccompCmpOp::MaskedEq(flag), flag)])?]);
    }
    if memory == Memory::Metered {
        // A memfd can hold data that no process has open or mapped, so the meter cannot find it. Programs fall back
        // to files in /dev/shm or /tmp.
        rules.insert(libc::SYS_memfd_create, Vec::new());
    }
    Ok(rules)
}

/// System calls that no tool needs and that could help to leave the sandbox or change the host.
const FORBIDDEN: &[i64] = &[
    // Namespaces and mounts.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // Kernel features with a history of vulnerabilities.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_lookup_dcookie,
    // Administration of the machine.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_nfsservctl,
];

#[cfg(target_arch = "x86_64")]
const FORBIDDEN_HERE: &[i64] = &[
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
];
#[cfg(not(target_arch = "x86_64"))]
const FORBIDDEN_HERE: &[i64] = &[];

fn forbidden(memory: Memory) -> Result<Rules, seccompiler::BackendError> {
    let all = FORBIDDEN.iter().chain(FORBIDDEN_HERE);
    let mut rules: Rules = all.map(|call| (*call, Vec::new())).collect();

    let namespaces = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ];
    for flag in namespaces {
        let flag = u64::from(flag.unsigned_abs());
        rules
            .entry(libc::SYS_clone)
            .or_default()
            .push(when(&[(0, SeccompCmpOp::MaskedEq(flag), flag)])?);
    }

    // Compare only the low 32 bits, because the kernel ignores the others. Otherwise a program could bypass the
    // filter by setting a high bit.
    for request in [libc::TIOCSTI, libc::TIOCLINUX] {
        rules
            .entry(libc::SYS_ioctl)
            .or_default()
            .push(when(&[(1, SeccompCmpOp::Eq, request)])?);
    }

    // Allow only these address families. Others bypass the network namespace (vsock) or expose kernel interfaces
    // (netlink, packet, alg).
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];
    let others = families.map(|family| (0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs())));
    rules.insert(libc::SYS_socket, vec![when(&others)?]);

    // Allow only personalities of ordinary programs. Others disable protections such as ASLR.
    let usual = [0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff].map(|persona| (0, SeccompCmpOp::Ne, persona));
    rules.insert(libc::SYS_personality, vec![when(&usual)?]);

    // Refuse PR_SET_PDEATHSIG, so that the first process cannot outlive bubblewrap. Refuse PR_SET_DUMPABLE with 0, so
    // that a process cannot hide its open files from the meter.
    let undying = when(&[(0, SeccompCmpOp::Eq, 1)])?;
    let hiding = when(&[(0, SeccompCmpOp::Eq, 4), (1, SeccompCmpOp::Eq, 0)])?;
    rules.insert(libc::SYS_prctl, vec![undying, hiding]);
    if memory == Memory::Metered {
        forbid_uncounted(&mut rules)?;
    }
    Ok(rules)
}

/// Refuses calls that create unmeasurable memory: System V message queues, large System V segments and semaphore
/// sets, and pages that only a pipe refers to (`vmsplice`).
fn forbid_uncounted(rules: &mut Rules) -> Result<(), seccompiler::BackendError> {
    rules.insert(libc::SYS_msgget, Vec::new());
    rules.insert(libc::SYS_vmsplice, Vec::new());
    let large = SeccompCondition::new(1, SeccompCmpArgLen::Qword, SeccompCmpOp::Gt, MAX_SEGMENT)?;
    rules.insert(libc::SYS_shmget, vec![SeccompRule::new(vec![large])?]);
    let many = when(&[(1, SeccompCmpOp::Gt, MAX_SEMAPHORES)])?;
    rules.insert(libc::SYS_semget, vec![many]);
    Ok(())
}

/// Creates a rule that matches when all conditions are met. A condition is (argument number, operator, value).
fn when(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, seccompiler::BackendError> {
    let conditions = conditions.iter().map(|(argument, operator, value)| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value)
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}

fn encoded(program: &BpfProgram) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(program.len() * 8);
    for instruction in program {
        bytes.extend(instruction.code.to_ne_bytes());
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_ne_bytes());
    }
    bytes
}
