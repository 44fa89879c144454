//! Control groups: what bounds the memory and the processes of a command's whole tree.
//!
//! `host` detects them at start: version 2 when its memory and pids controllers can be had, else version 1, else none, and
//! then rlimits and the meter are all there is. Each command gets a group of its own that is removed after it.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io,
    os::fd::{AsRawFd, RawFd},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rustix::process::{Pid, Signal};

static INSTANCES: AtomicU64 = AtomicU64::new(0);

/// What every group is given, whatever the version: the share of processor time is half of the service's.
const V1_CPU_SHARES: u64 = 512;
const V2_CPU_WEIGHT: u64 = 50;
/// How long a group may take to become empty after its last process was killed.
const REMOVAL_TRIES: u32 = 200;
const REMOVAL_PAUSE: Duration = Duration::from_millis(10);

/// What the host offers.
#[derive(Debug)]
pub struct Cgroups {
    kind: Kind,
    next: AtomicU64,
}

#[derive(Debug)]
enum Kind {
    /// Our folder, in whose groups the controllers are switched on.
    V2(PathBuf),
    /// Our folder in each hierarchy.
    V1 {
        memory: Option<PathBuf>,
        pids: Option<PathBuf>,
        cpu: Option<PathBuf>,
    },
    /// Why there are none.
    None(String),
}

/// How much a group may use.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Memory of all its processes, in bytes, with their share of the file cache and of /tmp.
    pub memory: u64,
    /// Its processes and threads.
    pub processes: u64,
}

/// The group of one command.
#[derive(Debug)]
pub struct Group {
    folders: Vec<PathBuf>,
    procs: Vec<File>,
    kills: Option<PathBuf>,
    /// Where the processes are listed.
    list: PathBuf,
}

impl Cgroups {
    /// Looks for a place where groups can be made, and clears away what a killed service has left there.
    pub fn detect() -> Self {
        let kind = match (
            fs::read_to_string("/proc/self/mountinfo"),
            fs::read_to_string("/proc/self/cgroup"),
        ) {
            (Ok(mounts), Ok(own)) => detect(&mounts, &own),
            _ => Kind::None("/proc cannot be read".into()),
        };
        Self {
            kind,
            next: AtomicU64::new(0),
        }
    }

    /// Whether the memory of a whole tree is bounded.
    pub fn bounds_memory(&self) -> bool {
        match &self.kind {
            Kind::V2(_) => true,
            Kind::V1 { memory, .. } => memory.is_some(),
            Kind::None(_) => false,
        }
    }

    /// Whether the processes of a whole tree are bounded.
    pub fn bounds_processes(&self) -> bool {
        match &self.kind {
            Kind::V2(_) => true,
            Kind::V1 { pids, .. } => pids.is_some(),
            Kind::None(_) => false,
        }
    }

    /// A sentence for the start log.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::V2(_) => "control groups version 2 bound memory and processes of each command".into(),
            Kind::V1 { memory, pids, .. } => {
                let bounded: Vec<&str> = [memory.as_ref().map(|_| "memory"), pids.as_ref().map(|_| "processes")]
                    .into_iter()
                    .flatten()
                    .collect();
                format!(
                    "control groups version 1 bound {} of each command",
                    bounded.join(" and ")
                )
            }
            Kind::None(why) => format!(
                "weak: no control groups ({why}); memory is bounded for each process and by a meter four times a second, processes \
                 by RLIMIT_NPROC"
            ),
        }
    }

    /// Makes a group.
    pub fn make(&self, bounds: Bounds) -> io::Result<Option<Group>> {
        let name = format!("c{}", self.next.fetch_add(1, Ordering::Relaxed));
        let mut group = Unfinished::default();
        match &self.kind {
            Kind::None(_) => return Ok(None),
            Kind::V2(parent) => {
                let folder = group.add(parent, &name)?;
                fs::write(folder.join("memory.max"), bounds.memory.to_string())?;
                fs::write(folder.join("pids.max"), bounds.processes.to_string())?;
                // The rest is not to be had everywhere, and nothing depends on it.
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
            // Fails while a group is in it; the next start clears it away.
            let _ = fs::remove_dir(folder);
        }
    }
}

impl Group {
    /// The files that a process joins by writing to them.
    pub fn joins(&self) -> impl Iterator<Item = RawFd> {
        self.procs.iter().map(AsRawFd::as_raw_fd)
    }

    /// The file that lists the processes.
    pub fn list(&self) -> &Path {
        &self.list
    }

    /// How many processes were killed because the group was out of memory.
    pub fn kills(&self) -> u64 {
        let Some(text) = self.kills.as_ref().and_then(|file| fs::read_to_string(file).ok()) else {
            return 0;
        };
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    /// Removes the group, once the last process has gone from it. Blocks for up to two seconds.
    pub fn remove(self) {
        let mut folders = self.folders;
        drop(self.procs);
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
        tracing::warn!(?folders, "a control group is still in use after its command");
    }
}

/// A group in the making; what was made of it goes away when the rest fails.
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

fn detect(mounts: &str, own: &str) -> Kind {
    let v2 = own_folder(mounts, own, "");
    let mut why = "no cgroup file system is mounted".to_owned();
    if let Some((top, own)) = &v2 {
        match v2_parent(top, own) {
            Ok(folder) => return Kind::V2(folder),
            Err(reason) => why = reason,
        }
    }
    let parent = |controller| {
        let (top, own) = own_folder(mounts, own, controller)?;
        [own, top].into_iter().find_map(|folder| make_parent(&folder).ok())
    };
    let (memory, pids) = (parent("memory"), parent("pids"));
    if memory.is_none() && pids.is_none() {
        let mounted = ["memory", "pids"]
            .iter()
            .any(|controller| own_folder(mounts, own, controller).is_some());
        return Kind::None(if mounted {
            "the service may not make any".into()
        } else {
            why
        });
    }
    let cpu = parent("cpu");
    Kind::V1 { memory, pids, cpu }
}

/// A folder whose groups have the controllers. A group with processes in it cannot hand controllers down, so the service
/// moves into a leaf when it is alone in a group that was delegated to it (systemd: `Delegate=yes`).
fn v2_parent(top: &Path, own: &Path) -> Result<PathBuf, String> {
    const NEEDED: [&str; 2] = ["memory", "pids"];
    let has = |folder: &Path, file: &str| {
        let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
        NEEDED
            .iter()
            .all(|needed| text.split_whitespace().any(|have| have == *needed))
    };
    if !has(top, "cgroup.controllers") {
        return Err("version 2 has no memory or pids controller".into());
    }
    for folder in [own, top] {
        if !has(folder, "cgroup.controllers") {
            continue;
        }
        let switch_on = |folder: &Path| {
            let _ = fs::write(folder.join("cgroup.subtree_control"), "+cpu");
            fs::write(folder.join("cgroup.subtree_control"), "+memory +pids")
        };
        if !has(folder, "cgroup.subtree_control") && switch_on(folder).is_err() {
            let me = std::process::id().to_string();
            let alone = fs::read_to_string(folder.join("cgroup.procs")).is_ok_and(|procs| procs.trim() == me);
            let leaf = folder.join("runyard-service");
            let moved = alone
                && (leaf.is_dir() || fs::create_dir(&leaf).is_ok())
                && fs::write(leaf.join("cgroup.procs"), &me).is_ok();
            if !moved || switch_on(folder).is_err() {
                continue;
            }
        }
        if let Ok(parent) = make_parent(folder) {
            if switch_on(&parent).is_ok() {
                return Ok(parent);
            }
            let _ = fs::remove_dir(&parent);
        }
    }
    Err("no version 2 group is delegated to the service".into())
}

/// Makes our folder, `runyard.<process>.<instance>`, after clearing away those of processes that are no more.
fn make_parent(folder: &Path) -> io::Result<PathBuf> {
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix("runyard."))
            .and_then(|name| name.split('.').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let left = fs::read_dir(entry.path()).into_iter().flatten().flatten();
            for group in left.filter(|group| group.path().is_dir()) {
                kill_all(&group.path());
                let _ = fs::remove_dir(group.path());
            }
            let _ = fs::remove_dir(entry.path());
        }
    }
    let instance = INSTANCES.fetch_add(1, Ordering::Relaxed);
    let parent = folder.join(format!("runyard.{}.{instance}", std::process::id()));
    fs::create_dir(&parent)?;
    Ok(parent)
}

/// Ends what is left in a group. Everything in it was started by a sandbox.
fn kill_all(folder: &Path) {
    // Version 2 ends them at once; version 1 has no such file.
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

/// Where a hierarchy is mounted and which folder of it is ours; the controller is empty for version 2.
fn own_folder(mounts: &str, own: &str, controller: &str) -> Option<(PathBuf, PathBuf)> {
    let (root, top) = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, top) = (fields.next()?, fields.next()?);
        let mut after = after.split(' ');
        let (kind, _, options) = (after.next()?, after.next()?, after.next()?);
        let fits = match controller {
            "" => kind == "cgroup2",
            controller => kind == "cgroup" && options.split(',').any(|option| option == controller),
        };
        fits.then_some((root, top))
    })?;
    let path = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let fits = match controller {
            "" => number == "0",
            controller => controllers.split(',').any(|have| have == controller),
        };
        fits.then_some(path)
    })?;
    let below = path.strip_prefix(root.trim_end_matches('/')).unwrap_or_default();
    let below: &OsStr = below.trim_start_matches('/').as_ref();
    Some((PathBuf::from(top), Path::new(top).join(below)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_folder_is_found_in_each_hierarchy() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                      31 23 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                      32 23 0:28 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw shared:3 - cgroup cgroup rw,cpu,cpuacct\n";
        let own = "5:cpu,cpuacct:/docker/abc/inner\n4:memory:/process/1\n0::/\n";
        let found = |controller| own_folder(mounts, own, controller).map(|(_, own)| own.display().to_string());
        assert_eq!(found("memory").as_deref(), Some("/sys/fs/cgroup/memory/process/1"));
        assert_eq!(found("cpu").as_deref(), Some("/sys/fs/cgroup/cpu,cpuacct/inner"));
        assert_eq!(found("").as_deref(), Some("/sys/fs/cgroup/unified/"));
        assert_eq!(found("pids"), None);
    }
}
