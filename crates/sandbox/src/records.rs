//! Kills commands that a killed service left behind. Usually the kernel has already killed them; this module is a
//! second safeguard.
//!
//! Every running command has a file in `commands/` of the data folder. The file is created before the command runs
//! and removed after the command has ended. Its name identifies the first process of the sandbox by pid, start time,
//! boot id and pid namespace. A pid alone may be reused.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use rustix::process::{Pid, PidfdFlags, Signal};

/// First part of the process name that the service gives to bubblewrap.
const MARK: &str = "runyard-sandbox";

#[derive(Debug)]
pub struct CommandRecords {
    folder: PathBuf,
    mark: String,
    /// Prefix of this service's file names: boot id, pid namespace, and the service's pid and start time.
    prefix: String,
}

/// The file of one running command. Dropping this value removes the file.
#[derive(Debug)]
pub struct Record(PathBuf);

impl CommandRecords {
    /// Kills the commands that earlier services with this data folder left behind. Creates no files.
    pub fn clear(data_dir: &Path) -> Self {
        let folder = data_dir.join("commands");
        let place = place();
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // Processes of an earlier boot have ended, so their files are removed. Processes of another pid namespace
            // are invisible here, so their files are kept.
            let is_over = match name.strip_prefix(&place) {
                Some(rest) => end_remains(rest),
                None => name.split('-').next() != place.split('-').next(),
            };
            if is_over {
                // If this fails, the next start tries again.
                let _ = fs::remove_file(entry.path());
            }
        }
        let family = family(data_dir, &place);
        end_unfinished(&family);
        let own = std::process::id();
        let started = start_time(own).unwrap_or_default();
        Self {
            folder,
            mark: format!("{family}{own}-{started}"),
            prefix: format!("{place}{own}-{started}-"),
        }
    }

    /// Process name of bubblewrap on the host. The name identifies the data folder and the service that started
    /// bubblewrap.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Start of the names of this service's files: it identifies the service.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Records a running command by the host pid of the sandbox's first process.
    pub fn record(&self, process: i32) -> io::Result<Record> {
        let number = u32::try_from(process).map_err(io::Error::other)?;
        let started = start_time(number).ok_or(io::ErrorKind::NotFound)?;
        let file = self.folder.join(format!("{}{number}-{started}", self.prefix));
        if let Err(error) = fs::write(&file, "") {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            fs::write(&file, "")?;
        }
        Ok(Record(file))
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // If this fails, the next start removes the file.
        let _ = fs::remove_file(&self.0);
    }
}

/// Boot id and pid namespace, as used in file names and process names.
fn place() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let boot: String = boot.trim().chars().filter(|letter| *letter != '-').collect();
    format!("{boot}-{}-", own_namespace())
}

pub fn own_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino())
}

/// Prefix that the process names (`mark`) of all services with this data folder share.
fn family(data_dir: &Path, place: &str) -> String {
    let Ok(folder) = fs::metadata(data_dir) else {
        return format!("{MARK}/0/{place}");
    };
    // The time tells the folder from a later one with the same inode. Some file systems have no such time.
    let created = folder.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let created = created.unwrap_or_default().as_nanos();
    format!("{MARK}/{}-{}-{created}/{place}", folder.dev(), folder.ino())
}

/// Kills bubblewrap processes that were still creating a sandbox when their service died. Such a process has not
/// started its command and waits for its parent forever. It is found by its process name.
fn end_unfinished(family: &str) {
    let is_left = |process: u32| {
        let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        let name = line
            .split(|byte| *byte == 0)
            .next()
            .and_then(|name| str::from_utf8(name).ok());
        let service = name.and_then(|name| name.strip_prefix(family)?.split_once('-'));
        service.is_some_and(|(number, started)| {
            let started = started.parse().ok();
            started.is_some() && number.parse().is_ok_and(|number| start_time(number) != started)
        })
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for process in numbers.filter(|process| is_left(*process)) {
        let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
        let opened = pid.and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        if let Some(descriptor) = opened.filter(|_| is_left(process)) {
            let killed = rustix::process::pidfd_send_signal(&descriptor, Signal::KILL);
            tracing::info!(
                process,
                ?killed,
                "killed a sandbox whose start an earlier server process did not finish"
            );
        }
    }
}

/// Returns whether the service that a name identifies has ended. `prefix` is the prefix of this service. `None` if that
/// service belongs to another boot or pid namespace.
pub fn is_left(name: &str, prefix: &str) -> Option<bool> {
    if name.starts_with(prefix) {
        return Some(false);
    }
    let parts = |text: &str| -> Vec<String> { text.split('-').map(str::to_owned).collect() };
    let (name, own) = (parts(name), parts(prefix));
    if name.len() < 4 || name[..2] != own[..2] {
        return None;
    }
    let started = name[3].parse().ok();
    Some(started.is_none() || name[2].parse().ok().and_then(start_time) != started)
}

/// Kills the process that a file name identifies, unless the service that started it is still running. Returns
/// whether the file can be removed.
fn end_remains(name: &str) -> bool {
    let numbers: Vec<u64> = name.split('-').filter_map(|number| number.parse().ok()).collect();
    let [service, service_started, process, started] = numbers[..] else {
        return true;
    };
    let is_alive =
        |number: u64, started: u64| u32::try_from(number).is_ok_and(|number| start_time(number) == Some(started));
    if is_alive(service, service_started) {
        return false;
    }
    let opened = i32::try_from(process)
        .ok()
        .and_then(Pid::from_raw)
        .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
    // Check the start time after the pidfd is open: from then on, the pidfd refers to the process that is checked.
    if let Some(descriptor) = opened.filter(|_| is_alive(process, started)) {
        let killed = rustix::process::pidfd_send_signal(&descriptor, Signal::KILL);
        tracing::warn!(
            process,
            ?killed,
            "killed a command that an earlier server process left running"
        );
        return killed.is_ok();
    }
    true
}

/// Start time of a process in clock ticks since boot; `None` if the process has ended. The pid and the start time
/// together identify a process.
pub fn start_time(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The program name is in parentheses and may contain parentheses, so split at the last one.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use std::process::Command;

    use super::*;

    fn sleeper() -> std::process::Child {
        Command::new("sleep").arg("100").spawn().unwrap()
    }

    #[test]
    fn only_commands_of_a_dead_service_are_killed() {
        let data = tempfile::tempdir().unwrap();
        let remains = CommandRecords::clear(data.path());
        assert!(!data.path().join("commands").exists(), "clearing made something");
        let (mut left, mut others, mut ours) = (sleeper(), sleeper(), sleeper());

        let record = remains.record(i32::try_from(ours.id()).unwrap()).unwrap();
        // The record names a service that has ended: this test's process has the same pid, but another start time.
        let dead = format!("{}{}-1-", place(), std::process::id());
        let folder = data.path().join("commands");
        let started = start_time(left.id()).unwrap();
        fs::write(folder.join(format!("{dead}{}-{started}", left.id())), "").unwrap();
        // The pid was reused: the process with this pid has another start time than the record.
        fs::write(folder.join(format!("{dead}{}-1", others.id())), "").unwrap();
        fs::write(folder.join("nonsense"), "").unwrap();

        CommandRecords::clear(data.path());
        assert!(!left.wait().unwrap().success());
        assert_eq!(others.try_wait().unwrap(), None);
        assert_eq!(ours.try_wait().unwrap(), None);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        drop(record);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        for child in [&mut others, &mut ours] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
