//! Control groups, which limit the memory and the processes of each command.
//!
//! Version 2 is used if its memory and pids controllers are available, otherwise version 1. Without control groups,
//! only resource limits (`start`) and the meter (`meter`) limit a command.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::fd::{AsRawFd, RawFd},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rustix::process::{Pid, Signal};

use super::hierarchy;

/// CPU shares of every group in version 1: half of the kernel's default, so that other processes get more processor
/// time.
const V1_CPU_SHARES: u64 = 512;
/// CPU weight of every group in version 2: half of the kernel's default.
const V2_CPU_WEIGHT: u64 = 50;
/// Maximum number of attempts to remove a group. Removal fails until the killed processes have ended.
const REMOVAL_TRIES: u32 = 200;
const REMOVAL_PAUSE: Duration = Duration::from_millis(10);

/// The service's folders in the cgroup hierarchies. Dropping this value removes them.
#[derive(Debug)]
pub struct Cgroups {
    kind: Kind,
    next: AtomicU64,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// The service's folder. Groups in this folder have the memory and pids controllers.
    V2(PathBuf),
    /// The service's folder for each available controller.
    V1 {
        memory: Option<PathBuf>,
        pids: Option<PathBuf>,
        cpu: Option<PathBuf>,
    },
    /// The reason why the service cannot use control groups.
    None(String),
}

#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Maximum bytes of memory, including page cache and /tmp.
    pub memory: u64,
    /// Maximum number of processes and threads.
    pub processes: u64,
}

/// Control group of one command: one folder in version 2, one folder per controller in version 1. Dropping this value
/// kills the group's processes and removes the group, without blocking a thread of the runtime.
#[derive(Debug)]
pub struct Group {
    folders: Vec<PathBuf>,
    procs: Vec<File>,
    kills: Option<PathBuf>,
    /// File that lists the group's processes.
    list: PathBuf,
}

impl Cgroups {
    /// Finds the folders for groups, and removes groups that a killed service left behind.
    pub fn detect() -> Self {
        let kind = match (
            fs::read_to_string("/proc/self/mountinfo"),
            fs::read_to_string("/proc/self/cgroup"),
        ) {
            (Ok(mounts), Ok(own)) => hierarchy::detect(&mounts, &own),
            _ => Kind::None("/proc cannot be read".into()),
        };
        Self {
            kind,
            next: AtomicU64::new(0),
        }
    }

    pub fn bounds_memory(&self) -> bool {
        match &self.kind {
            Kind::V2(_) => true,
            Kind::V1 { memory, .. } => memory.is_some(),
            Kind::None(_) => false,
        }
    }

    pub fn bounds_processes(&self) -> bool {
        match &self.kind {
            Kind::V2(_) => true,
            Kind::V1 { pids, .. } => pids.is_some(),
            Kind::None(_) => false,
        }
    }

    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::V2(_) => "control groups v2 limit the memory and processes of each command".into(),
            Kind::V1 { memory, pids, .. } => {
                let bounded: Vec<&str> = [memory.as_ref().map(|_| "memory"), pids.as_ref().map(|_| "processes")]
                    .into_iter()
                    .flatten()
                    .collect();
                format!("control groups v1 limit the {} of each command", bounded.join(" and "))
            }
            Kind::None(why) => format!(
                "weak: control groups are unavailable ({why}). Instead, the service checks memory four times a second and \
                 limits processes with RLIMIT_NPROC. It refuses memfd_create, large System V segments and message queues, because \
                 it cannot measure their memory"
            ),
        }
    }

    /// Creates the control group of a command. Returns `None` if the service cannot use control groups.
    pub fn make(&self, bounds: Bounds) -> io::Result<Option<Group>> {
        let name = format!("c{}", self.next.fetch_add(1, Ordering::Relaxed));
        let mut group = Unfinished::default();
        match &self.kind {
            Kind::None(_) => return Ok(None),
            Kind::V2(parent) => {
                let folder = group.add(parent, &name)?;
                fs::write(folder.join("memory.max"), bounds.memory.to_string())?;
                fs::write(folder.join("pids.max"), bounds.processes.to_string())?;
                // These files do not exist on every host, and the limits work without them.
                let _ = fs::write(folder.join("memory.swap.max"), "0");
                let _ = fs::write(folder.join("memory.oom.group"), "1");
                let _ = fs::write(folder.join("cpu.weight"), V2_CPU_WEIGHT.to_string());
                group.kills = Some(folder.join("memory.events"));
            }
            Kind::V1 { memory, pids, cpu } => {
                if let Some(parent) = memory {
                    let folder = group.add(parent, &name)?;
                    fs::write(folder.join("memory.limit_in_bytes"), bounds.memory.to_string())?;
                    let _ = fs::write(folder.join("memory.memsw.limit_in_bytes"), bounds.memory.to_string());
                    group.kills = Some(folder.join("memory.oom_control"));
                }
                if let Some(parent) = pids {
                    let folder = group.add(parent, &name)?;
                    fs::write(folder.join("pids.max"), bounds.processes.to_string())?;
                }
                if let Some(parent) = cpu {
                    let folder = group.add(parent, &name)?;
                    let _ = fs::write(folder.join("cpu.shares"), V1_CPU_SHARES.to_string());
                }
            }
        }
        group.finish().map(Some)
    }

    fn folders(&self) -> Vec<&PathBuf> {
        match &self.kind {
            Kind::V2(folder) => vec![folder],
            Kind::V1 { memory, pids, cpu } => [memory, pids, cpu].into_iter().flatten().collect(),
            Kind::None(_) => Vec::new(),
        }
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for folder in self.folders() {
            // This fails while the folder contains a group. The next start of the service then removes the folder.
            let _ = fs::remove_dir(folder);
        }
    }
}

impl Group {
    /// Returns the descriptors of the group. A process joins the group by writing `0` to each of them.
    pub fn joins(&self) -> impl Iterator<Item = RawFd> {
        self.procs.iter().map(AsRawFd::as_raw_fd)
    }

    pub fn list(&self) -> &Path {
        &self.list
    }

    /// Number of processes that the kernel killed because the group was out of memory; 0 if unknown.
    pub fn kills(&self) -> u64 {
        let Some(text) = self.kills.as_ref().and_then(|file| fs::read_to_string(file).ok()) else {
            return 0;
        };
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    /// Kills the group's processes and removes the group. Blocks for up to two seconds.
    pub fn remove(mut self) {
        remove(std::mem::take(&mut self.folders));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let folders = std::mem::take(&mut self.folders);
        if folders.is_empty() {
            return;
        }
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || remove(folders))),
            Err(_) => remove(folders),
        }
    }
}

fn remove(mut folders: Vec<PathBuf>) {
    for _ in 0..REMOVAL_TRIES {
        folders.retain(|folder| {
            kill_all(folder);
            matches!(fs::remove_dir(folder), Err(error) if error.kind() != io::ErrorKind::NotFound)
        });
        if folders.is_empty() {
            return;
        }
        std::thread::sleep(REMOVAL_PAUSE);
    }
    tracing::warn!(?folders, "could not remove the control group of a command");
}

/// A group that is being created. Dropping this value removes its folders.
#[derive(Default)]
struct Unfinished {
    folders: Vec<PathBuf>,
    kills: Option<PathBuf>,
}

impl Unfinished {
    fn add(&mut self, parent: &Path, name: &str) -> io::Result<PathBuf> {
        let folder = parent.join(name);
        fs::create_dir(&folder)?;
        self.folders.push(folder.clone());
        Ok(folder)
    }

    fn finish(mut self) -> io::Result<Group> {
        let open = |folder: &PathBuf| OpenOptions::new().write(true).open(folder.join("cgroup.procs"));
        let procs = self.folders.iter().map(open).collect::<io::Result<Vec<File>>>()?;
        let first = self.folders.first().ok_or_else(|| io::Error::other("no controller"))?;
        Ok(Group {
            list: first.join("cgroup.procs"),
            folders: std::mem::take(&mut self.folders),
            procs,
            kills: self.kills.take(),
        })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        for folder in &self.folders {
            let _ = fs::remove_dir(folder);
        }
    }
}

pub(super) fn kill_all(folder: &Path) {
    // Version 1 and kernels before 5.14 have no `cgroup.kill`.
    let at_once = OpenOptions::new().write(true).open(folder.join("cgroup.kill"));
    if at_once
        .and_then(|mut file| io::Write::write_all(&mut file, b"1"))
        .is_ok()
    {
        return;
    }
    let left = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    for process in left
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter_map(Pid::from_raw)
    {
        let _ = rustix::process::kill_process(process, Signal::KILL);
    }
}
