//! Finds the folders in which the service may create control groups. Also kills the processes in groups that a killed
//! service left behind, and removes these groups.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    cgroup::{Kind, kill_all},
    records,
};

/// In tests, several services run in one process, and each service needs its own folders.
static INSTANCES: AtomicU64 = AtomicU64::new(0);

/// Finds the folders. `mounts` is the content of `/proc/self/mountinfo`, and `own` is the content of
/// `/proc/self/cgroup`.
pub fn detect(mounts: &str, own: &str) -> Kind {
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
            "the service may not create groups".into()
        } else {
            why
        });
    }
    let cpu = parent("cpu");
    Kind::V1 { memory, pids, cpu }
}

/// Returns a folder whose groups get the memory and pids controllers. A group that contains processes cannot pass its
/// controllers on to groups below it. Therefore, if the service is alone in a delegated group (systemd:
/// `Delegate=yes`), the service moves itself into a new group below the delegated group.
fn v2_parent(top: &Path, own: &Path) -> Result<PathBuf, String> {
    const NEEDED: [&str; 2] = ["memory", "pids"];
    let has = |folder: &Path, file: &str| {
        let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
        NEEDED
            .iter()
            .all(|needed| text.split_whitespace().any(|have| have == *needed))
    };
    if !has(top, "cgroup.controllers") {
        return Err("cgroup v2 has no memory or pids controller".into());
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
    Err("no cgroup v2 group is delegated to the service".into())
}

/// Creates the folder `runyard.<process>.<instance>`. Before that, kills the remaining processes of services that
/// have ended, and removes their folders.
fn make_parent(folder: &Path) -> io::Result<PathBuf> {
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix("runyard."))
            .and_then(|name| name.split('.').next());
        if process.is_some_and(is_over) {
            let left = fs::read_dir(entry.path()).into_iter().flatten().flatten();
            for group in left.filter(|group| group.path().is_dir()) {
                kill_all(&group.path());
                let _ = fs::remove_dir(group.path());
            }
            let _ = fs::remove_dir(entry.path());
        }
    }
    let instance = INSTANCES.fetch_add(1, Ordering::Relaxed);
    let parent = folder.join(format!("runyard.{}.{instance}", own_name()));
    fs::create_dir(&parent)?;
    Ok(parent)
}

/// Unique name of this process: its pid namespace, pid and start time.
fn own_name() -> String {
    let process = std::process::id();
    let started = records::start_time(process).unwrap_or_default();
    format!("{}-{process}-{started}", records::own_namespace())
}

/// Returns whether the process with this name has ended. A process of another pid namespace is not visible and counts
/// as running.
fn is_over(name: &str) -> bool {
    let numbers: Option<Vec<u64>> = name.split('-').map(|number| number.parse().ok()).collect();
    match numbers.as_deref() {
        Some([namespace, process, started]) => {
            let process = u32::try_from(*process).ok();
            *namespace == records::own_namespace() && process.and_then(records::start_time) != Some(*started)
        }
        // Earlier versions of the service used only the pid.
        Some([process]) => !Path::new("/proc").join(process.to_string()).exists(),
        _ => false,
    }
}

/// Returns the mount point of the hierarchy with this controller, and the folder of the service's own group. For
/// version 2, `controller` is empty. Returns `None` if the hierarchy is not mounted.
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
