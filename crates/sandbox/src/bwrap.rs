//! Builds bubblewrap's arguments, which define what a sandboxed command can access.
//!
//! A command could read bubblewrap's arguments in `/proc/1/cmdline`, so bubblewrap reads them from a descriptor. A
//! command can also read bubblewrap's environment, so bubblewrap gets only the variables of `environment`.

use std::{
    ffi::{CString, OsStr},
    fs::File,
    io::{self, Seek, Write},
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::fs::MemfdFlags;

use super::{
    ReadOnlyFolder,
    beneath::GUEST_FOLDER,
    confine::{Carry, Confinement},
    environment::{ENVIRONMENT, OFFLINE, PROXY},
    gate::{self, Gate},
    seccomp::Filters,
    settings,
    settings_folder::SettingsFolder,
};

/// Uid and gid of a command inside the sandbox. `settings` defines their names.
const GUEST_ID: &str = "1000";
/// Folders of programs. If one is a symbolic link in the root file system (merged /usr), the sandbox gets the same
/// link.
const PROGRAMS: &[&str] = &["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// End of the script of the sandbox's first process: runs the command in a shell. bubblewrap could provide the first
/// process itself, but that process would keep a descriptor open that the command must not have.
const RUN_SCRIPT: &str = "\"$0\" -c -- \"$script\"; exit $?";
/// Like [`RUN_SCRIPT`], for a script that was known at the start.
const RUN_ARGUMENT: &str = "\"$0\" -c -- \"$1\"; exit $?";

pub struct Layout<'a> {
    pub bwrap: &'a Path,
    /// Root file system whose programs the sandbox gets, read-only.
    pub root: &'a Path,
    /// Workspace folder on the host; `None` for an empty tmpfs.
    pub workspace: Option<&'a Path>,
    /// Mount point for the workspace, at a path that every uid can traverse. `None` if the workspace is used at its
    /// own path.
    pub carry_over: Option<&'a Path>,
    /// Copy of the files in /etc and /var. Without a copy, each file is mounted.
    pub settings: Option<&'a SettingsFolder>,
    /// More folders of the host, mounted read-only.
    pub folders: &'a [ReadOnlyFolder],
    /// Maximum bytes of each tmpfs: /tmp, /dev/shm, and the workspace of a command without a project.
    pub tmp_bytes: u64,
    /// True if the command has a proxy (module `gateway`).
    pub has_proxy: bool,
    /// Maximum number of processes. The first process sets this limit; `None` if it sets no limit.
    pub max_processes: Option<u64>,
    /// Process name of bubblewrap on the host. The command cannot read this name.
    pub mark: &'a str,
    pub filters: &'a Filters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// The command may write.
    Free,
    /// The command may remove files, but not write content.
    Full,
}

/// How the sandbox's first process gets its script and its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launch<'a> {
    /// A command, which gets its script at the gate (`gate.rs`) and has no input.
    Command,
    /// A long-lived process with this script, whose standard input is the socket of the gate.
    Process(&'a str, Room),
}

pub struct Prepared {
    pub command: Command,
    /// bubblewrap reports the first process and the exit status through this pipe.
    pub status: OwnedFd,
    pub gate: Gate,
    /// Files that must stay open until bubblewrap is spawned.
    _files: Vec<OwnedFd>,
}

impl Layout<'_> {
    /// Prepares the start of bubblewrap. `output` and `errors` become the standard output and the standard error.
    pub fn prepare(
        &self,
        launch: Launch<'_>,
        mut confinement: Confinement,
        output: Stdio,
        errors: Stdio,
    ) -> io::Result<Prepared> {
        let mut files = Files::default();
        let (status, report) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let report = files.keep(report);

        let mut line = Line::default();
        self.namespaces(&mut line, report);
        self.programs(&mut line);
        if self.settings.is_none() {
            self.each_setting(&mut line, &mut files)?;
        }
        self.devices(&mut line);
        if self.workspace.is_none() {
            line.tmpfs(GUEST_FOLDER, self.tmp_bytes);
        }
        self.folders(&mut line, &mut confinement)?;
        line.add(["--remount-ro", "/", "--chdir", GUEST_FOLDER]);
        for filter in [&self.filters.forbidden, &self.filters.missing] {
            let filter = files.add(filter)?;
            line.add(["--add-seccomp-fd", &filter.to_string()]);
        }

        let arguments = files.add(&line.0)?;
        let (gate, input) = match launch {
            Launch::Command => Gate::for_script()?,
            Launch::Process(..) => Gate::for_process()?,
        };
        let mut command = Command::new(self.bwrap);
        command
            .arg0(self.mark)
            .arg("--args")
            .arg(arguments.to_string())
            .arg("--");
        command.args(["/bin/sh", "-c", &self.first_process(launch), self.shell()]);
        if let Launch::Process(script, _) = launch {
            command.arg(script);
        }
        command.env_clear().envs(ENVIRONMENT.iter().copied());
        command.envs(if self.has_proxy { PROXY } else { OFFLINE }.iter().copied());
        command
            .current_dir("/")
            .stdin(Stdio::from(input))
            .stdout(output)
            .stderr(errors);
        confinement.keep.extend(files.kept.iter().copied());
        confinement.apply_to(&mut command);
        Ok(Prepared {
            command,
            status,
            gate,
            _files: files.open,
        })
    }

    /// Returns the script of the first process. The script sets two limits that cannot be set before bubblewrap
    /// starts. The file-size limit must not apply to bubblewrap, which writes small files. The process limit must be
    /// set inside the sandbox's user namespace, so that it counts only this command's processes.
    fn first_process(&self, launch: Launch<'_>) -> String {
        let (wait, run) = match launch {
            Launch::Command => (gate::WAIT_FOR_SCRIPT, RUN_SCRIPT),
            Launch::Process(..) => (gate::WAIT_WITH_INPUT, RUN_ARGUMENT),
        };
        let mut script = wait.to_owned();
        if matches!(launch, Launch::Process(_, Room::Full)) {
            script.push_str("ulimit -f 0; ");
        }
        if let Some(processes) = self.max_processes {
            // bash has `ulimit -u`, dash has `ulimit -p`.
            script = format!("{script}ulimit -u {processes} 2>/dev/null || ulimit -p {processes}; ");
        }
        script + run
    }

    fn shell(&self) -> &'static str {
        if self.root.join("usr/bin/bash").exists() || self.root.join("bin/bash").exists() {
            "bash"
        } else {
            "sh"
        }
    }

    #[expect(clippy::unused_self, reason = "one of the parts of a layout, called like the others")]
    fn namespaces(&self, line: &mut Line, report: RawFd) {
        line.add(["--unshare-user", "--unshare-all", "--disable-userns"]);
        line.add([
            "--uid",
            GUEST_ID,
            "--gid",
            GUEST_ID,
            "--cap-drop",
            "ALL",
            "--hostname",
            "runyard",
        ]);
        line.add(["--die-with-parent", "--new-session", "--as-pid-1"]);
        line.add(["--json-status-fd", &report.to_string()]);
    }

    fn programs(&self, line: &mut Line) {
        for name in PROGRAMS {
            let folder = self.root.join(name);
            let inside = format!("/{name}");
            match std::fs::read_link(&folder) {
                Ok(target) => line.add(["--symlink".as_ref(), target.as_os_str(), inside.as_ref()]),
                Err(_) => line.add(["--ro-bind-try".as_ref(), folder.as_os_str(), inside.as_ref()]),
            }
        }
    }

    fn each_setting(&self, line: &mut Line, files: &mut Files) -> io::Result<()> {
        for folder in ["/etc", "/var"] {
            line.add(["--dir", folder, "--chmod", "0755", folder]);
        }
        line.add(["--symlink", "/tmp", "/var/tmp"]);
        let shared = settings::shared(self.root);
        for (source, inside) in &shared {
            line.add(["--ro-bind-try".as_ref(), source.as_os_str(), inside.as_os_str()]);
        }
        for (path, content) in settings::made(&shared) {
            let file = files.add(content.as_bytes())?;
            line.add(["--perms", "0444", "--file", &file.to_string(), path]);
        }
        Ok(())
    }

    fn devices(&self, line: &mut Line) {
        line.add([
            "--proc",
            "/proc",
            "--ro-bind",
            "/proc/sys",
            "/proc/sys",
            "--dev",
            "/dev",
        ]);
        line.tmpfs("/dev/shm", self.tmp_bytes);
        line.add(["--remount-ro", "/dev"]);
        line.tmpfs("/tmp", self.tmp_bytes);
    }

    /// Mounts the workspace, the copy of the settings, and the read-only folders.
    fn folders(&self, line: &mut Line, confinement: &mut Confinement) -> io::Result<()> {
        let mut mounts: Vec<(&str, PathBuf, &Path)> = Vec::new();
        if let Some(workspace) = self.workspace {
            mounts.push(("--bind", workspace.to_owned(), Path::new(GUEST_FOLDER)));
        }
        if let Some(settings) = self.settings {
            mounts.push(("--ro-bind", settings.etc(), Path::new("/etc")));
            mounts.push(("--ro-bind", settings.var(), Path::new("/var")));
        }
        let is_carried = |mount: &&ReadOnlyFolder| self.carry_over.is_none() || mount.folder.is_dir();
        for mount in self.folders.iter().filter(is_carried) {
            mounts.push(("--ro-bind-try", mount.folder.clone(), Path::new(&mount.inside)));
        }
        if let Some(target) = self.carry_over
            && !mounts.is_empty()
        {
            let sources: Vec<PathBuf> = mounts.iter().map(|(_, source, _)| source.clone()).collect();
            let carry = carry(&sources, target)?;
            for ((_, source, _), carried) in mounts.iter_mut().zip(carry.targets()) {
                *source = carried;
            }
            confinement.carry = Some(carry);
        }
        for (option, source, inside) in &mounts {
            line.add([option.as_ref(), source.as_os_str(), inside.as_os_str()]);
        }
        // These are inside the copy, so they come after it.
        for (source, inside) in self.settings.iter().flat_map(|settings| &settings.mounted) {
            line.add(["--ro-bind-try".as_ref(), source.as_os_str(), inside.as_os_str()]);
        }
        Ok(())
    }
}

/// Plans the mounts. A single folder is mounted at `target` itself. Several folders are mounted inside an empty file
/// system at `target`.
fn carry(folders: &[PathBuf], target: &Path) -> io::Result<Carry> {
    let name = |path: &Path| CString::new(path.as_os_str().as_bytes());
    if let [folder] = folders {
        return Ok(Carry {
            below: None,
            mounts: vec![(name(folder)?, name(target)?)],
        });
    }
    let mounts = folders
        .iter()
        .enumerate()
        .map(|(number, folder)| Ok((name(folder)?, name(&target.join(number.to_string()))?)));
    Ok(Carry {
        below: Some(name(target)?),
        mounts: mounts.collect::<io::Result<_>>()?,
    })
}

/// Arguments of bubblewrap, each terminated by NUL.
#[derive(Default)]
struct Line(Vec<u8>);

impl Line {
    fn add<const N: usize, A: AsRef<OsStr>>(&mut self, arguments: [A; N]) {
        for argument in arguments {
            self.0.extend(argument.as_ref().as_bytes());
            self.0.push(0);
        }
    }

    fn tmpfs(&mut self, path: &str, bytes: u64) {
        self.add(["--perms", "1777", "--size", &bytes.to_string(), "--tmpfs", path]);
    }
}

/// Descriptors for bubblewrap. Each is close-on-exec, so that no other child inherits it. The confinement clears this
/// flag in bubblewrap's process.
#[derive(Default)]
struct Files {
    open: Vec<OwnedFd>,
    kept: Vec<RawFd>,
}

impl Files {
    fn add(&mut self, content: &[u8]) -> io::Result<RawFd> {
        let mut file = File::from(rustix::fs::memfd_create("runyard", MemfdFlags::CLOEXEC)?);
        file.write_all(content)?;
        file.rewind()?;
        Ok(self.keep(file.into()))
    }

    fn keep(&mut self, descriptor: OwnedFd) -> RawFd {
        let number = descriptor.as_raw_fd();
        self.open.push(descriptor);
        self.kept.push(number);
        number
    }
}
