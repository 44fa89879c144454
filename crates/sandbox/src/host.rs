//! Detects which sandbox features this host supports.
//!
//! If bubblewrap cannot create sandboxes, every command fails with an error that explains the problem. The service
//! itself refuses to start only if commands would be unsafe or files unreachable.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{CWD, OFlags},
    io::Errno,
};
use tokio::sync::Semaphore;

use super::{
    advice::{closed_folder, explain},
    beneath::open_beneath,
    bwrap::{Launch, Layout, Room},
    cgroup::Cgroups,
    confine::{Carry, Confinement},
    convert::{MAX_CONVERSIONS, open_program},
    counts::Counters,
    gate::{self, Gate},
    records::CommandRecords,
    seccomp::{Filters, Memory},
    settings_folder::SettingsFolders,
    spawner::Spawner,
    standby::MAX_STANDBYS,
    workspace::Usage,
};
use crate::{
    config::{self, Network},
    error::{Error, ErrorKind, Result},
};

/// Major and minor number of the oldest supported bubblewrap.
const OLDEST: (u32, u32) = (0, 8);
/// Lowest permitted `uid_base`. Lower uids belong to users and services of the host.
const LOWEST_UID_BASE: u32 = 1000;
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// Mount points that most hosts have and that every uid can traverse. Only bubblewrap sees the mounted workspace.
const CARRY_TARGETS: &[&str] = &["/mnt", "/media", "/srv", "/opt"];

pub struct Host {
    pub config: config::Config,
    pub cgroups: Cgroups,
    pub spawner: Spawner,
    /// Records of running commands. If the service is killed, its next start kills these commands.
    pub remains: CommandRecords,
    /// Copies of the settings in /etc and /var.
    pub settings: SettingsFolders,
    /// The service's own program, for conversions.
    pub program: Option<Arc<OwnedFd>>,
    /// Slots of running conversions.
    pub conversions: Semaphore,
    pub counters: Counters,
    /// Slots of sandboxes that wait for a command.
    pub standbys: Arc<Semaphore>,
    /// Uid of the first project. `None` if the service is not root, so that all projects share its uid.
    uid_base: Option<u32>,
    filters: Filters,
    /// The host's bubblewrap, or the reason why it cannot be used. Detected on first use, because detection would
    /// delay the start of the service.
    bwrap: OnceLock<Result<Bwrap, String>>,
    /// Whether bubblewrap can create a sandbox on this host.
    works: OnceLock<Result<(), String>>,
}

/// A bubblewrap program that runs and is not older than [`OLDEST`].
struct Bwrap {
    path: PathBuf,
    version: String,
    /// Mount point of workspaces; `None` if the service cannot mount.
    carry_over: Option<PathBuf>,
}

impl Host {
    /// Detects the features of the host. Fails for a problem that must stop the service from starting.
    pub fn detect(config: &config::Config, data_dir: &Path) -> Result<Self> {
        check_openat2()?;
        let uid_base = rustix::process::geteuid().is_root().then_some(config.uid_base);
        if uid_base.is_some_and(|base| !(LOWEST_UID_BASE..=u32::MAX / 2).contains(&base)) {
            let range = format!(
                "sandbox.uid_base must be between {LOWEST_UID_BASE} and {}",
                u32::MAX / 2
            );
            return Err(Error::invalid_field("sandbox.uid_base", range));
        }
        let cgroups = Cgroups::detect();
        let memory = if cgroups.bounds_memory() {
            Memory::Grouped
        } else {
            Memory::Metered
        };
        let remains = CommandRecords::clear(data_dir);
        let host = Self {
            config: config.clone(),
            cgroups,
            spawner: Spawner::start()?,
            settings: SettingsFolders::clear(data_dir, remains.prefix()),
            remains,
            program: open_program(config.program.as_deref()),
            conversions: Semaphore::new(MAX_CONVERSIONS),
            counters: Counters::default(),
            standbys: Arc::new(Semaphore::new(MAX_STANDBYS)),
            uid_base,
            filters: Filters::compile(memory)?,
            bwrap: OnceLock::new(),
            works: OnceLock::new(),
        };
        host.check_reach(data_dir)?;
        Ok(host)
    }

    /// Returns the uid of the project with this number; `None` if the service is not root.
    pub fn owner(&self, number: u32) -> Option<u32> {
        self.uid_base.map(|base| base.saturating_add(number).min(u32::MAX - 2))
    }

    /// Checks that there is a uid for the project with this number.
    pub fn check_number(&self, number: u32) -> Result<()> {
        match self
            .uid_base
            .map(|base| base.checked_add(number).filter(|uid| *uid < u32::MAX - 2))
        {
            Some(None) => Err(Error::new(
                ErrorKind::Conflict,
                "no uid is left for another project; lower sandbox.uid_base",
            )),
            _ => Ok(()),
        }
    }

    pub fn workspace_limit(&self) -> Usage {
        Usage {
            bytes: self.config.max_workspace_bytes,
            files: self.config.max_workspace_files,
        }
    }

    /// Returns the layout of a command. The first call tests bubblewrap and blocks for some milliseconds.
    ///
    /// # Errors
    /// UNAVAILABLE if bubblewrap does not work. The message describes the problem and its solution.
    pub fn layout<'a>(&'a self, workspace: Option<&'a Path>) -> Result<Layout<'a>> {
        let broken = |why: &String| Error::new(ErrorKind::Unavailable, format!("commands cannot be run: {why}"));
        self.works.get_or_init(|| self.probe()).as_ref().map_err(broken)?;
        self.untried_layout(workspace).map_err(broken)
    }

    /// Value of RLIMIT_NPROC for a command. `None` if a control group limits the processes, and on kernels before
    /// 5.14, where the count would include the service's own processes.
    fn max_processes(&self) -> Option<u64> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let counted_apart = parse_version(&release).is_some_and(|version| version >= (5, 14));
        (counted_apart && !self.cgroups.bounds_processes()).then_some(self.config.max_processes)
    }

    fn untried_layout<'a>(&'a self, workspace: Option<&'a Path>) -> Result<Layout<'a>, &'a String> {
        let bwrap = self.bwrap()?;
        Ok(Layout {
            bwrap: &bwrap.path,
            root: self.config.rootfs.as_deref().unwrap_or(Path::new("/")),
            workspace,
            carry_over: bwrap.carry_over.as_deref(),
            settings: None,
            tmp_bytes: self.config.tmp_bytes,
            folders: &[],
            has_proxy: false,
            max_processes: self.max_processes(),
            mark: self.remains.mark(),
            filters: &self.filters,
        })
    }

    pub fn describe(&self) -> Vec<String> {
        let config = &self.config;
        let mut lines = Vec::new();
        match (self.layout(None), self.bwrap()) {
            (Ok(_), Ok(bwrap)) => {
                lines.push(format!(
                    "{} at {} creates the sandboxes",
                    bwrap.version,
                    bwrap.path.display()
                ));
            }
            (Err(error), _) => lines.push(error.message().to_owned()),
            (Ok(_), Err(_)) => {}
        }
        lines.push(match self.uid_base {
            Some(base) => format!("each project has its own uid, starting at {base}"),
            None => {
                "weak: the service is not root, so all projects share its uid and only namespaces separate them; run it as \
                 root to separate projects by uid"
                    .into()
            }
        });
        lines.push(self.cgroups.describe());
        lines.push(format!(
            "limits of a command: {} of memory, {} processes, {} s; limits of a workspace: {} in {} files, checked once a second, \
             so a command can exceed them briefly",
            mebibytes(config.max_memory_bytes),
            config.max_processes,
            config.max_timeout_seconds,
            mebibytes(config.max_workspace_bytes),
            config.max_workspace_files,
        ));
        lines.push(match config.network {
            Network::None => "commands have no network".into(),
            Network::Proxy => format!(
                "commands reach {} (sandbox.allowed_hosts) through a proxy, and no other host",
                match config.allowed_hosts.len() {
                    1 => "1 host".to_owned(),
                    count => format!("{count} hosts"),
                }
            ),
        });
        lines.push(match &config.rootfs {
            Some(root) => format!("programs come from {}", root.display()),
            None => "programs come from the host's /usr, read-only".into(),
        });
        lines
    }

    fn bwrap(&self) -> Result<&Bwrap, &String> {
        self.bwrap.get_or_init(|| self.find_bwrap()).as_ref()
    }

    fn find_bwrap(&self) -> Result<Bwrap, String> {
        let path = find_program(&self.config.bwrap).ok_or_else(|| {
            format!(
                "{} was not found; install bubblewrap {}.{} or newer (Debian, Ubuntu: apt-get install bubblewrap) and restart",
                self.config.bwrap.display(),
                OLDEST.0,
                OLDEST.1
            )
        })?;
        // If bubblewrap runs with a project's uid after a bind mount, the service can mount.
        let target = CARRY_TARGETS.iter().map(PathBuf::from).find(|target| target.is_dir());
        let target = target.filter(|_| self.uid_base.is_some());
        let carried = target
            .as_ref()
            .and_then(|target| self.version(&path, Some(target)).ok());
        let carry_over = target.filter(|_| carried.is_some());
        let version = carried.map_or_else(|| self.version(&path, None), Ok);
        match version {
            Ok(version) if parse_version(&version).is_some_and(|version| version >= OLDEST) => Ok(Bwrap {
                path,
                version,
                carry_over,
            }),
            Ok(version) => Err(format!(
                "{version} is too old; install {}.{} or newer",
                OLDEST.0, OLDEST.1
            )),
            Err(error) => Err(format!("{} cannot be run: {error}", path.display())),
        }
    }

    fn version(&self, bwrap: &Path, carry_over: Option<&PathBuf>) -> io::Result<String> {
        let mut confinement = Confinement {
            become_user: self.owner(0),
            ..Confinement::default()
        };
        if let Some(target) = carry_over {
            use std::os::unix::ffi::OsStrExt as _;
            let target = std::ffi::CString::new(target.as_os_str().as_bytes())?;
            confinement.carry = Some(Carry {
                below: None,
                mounts: vec![(c"/usr".into(), target)],
            });
        }
        let mut command = Command::new(bwrap);
        command
            .arg("--version")
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        confinement.apply_to(&mut command);
        let (success, text) = finish(self.spawner.spawn(command)?)?;
        if success { Ok(text) } else { Err(io::Error::other(text)) }
    }

    fn probe(&self) -> Result<(), String> {
        let mut layout = self.untried_layout(None).map_err(Clone::clone)?;
        // The commands use this copy too.
        let settings = self.settings.current(layout.root);
        layout.settings = settings.as_deref();
        let confinement = Confinement {
            become_user: self.owner(0),
            ..Confinement::default()
        };
        let tried = layout
            .prepare(Launch::Command, confinement, Stdio::piped(), Stdio::piped())
            .and_then(|prepared| {
                // The pipe has room for the script before the first process reads it.
                if let Gate::Script(gate) = prepared.gate {
                    File::from(gate).write_all(gate::assignments("exit 0", Room::Free).as_bytes())?;
                }
                let (child, _files) = (self.spawner.spawn(prepared.command)?, prepared.status);
                finish(child)
            });
        match tried {
            Ok((true, _)) => Ok(()),
            Ok((false, text)) => Err(explain(&text)),
            Err(error) => Err(format!("bubblewrap does not start: {error}")),
        }
    }

    /// Checks that projects' uids can traverse the paths to their workspaces and programs.
    fn check_reach(&self, data_dir: &Path) -> Result<()> {
        let Some(base) = self.uid_base else { return Ok(()) };
        if let Some(closed) = closed_folder(data_dir)
            && self.bwrap().is_ok_and(|bwrap| bwrap.carry_over.is_none())
        {
            return Err(Error::invalid_field(
                "data_dir",
                format!(
                    "the service runs as root, so commands run as uids from {base}, which cannot enter {closed}, a folder above \
                     the data folder {data}: run chmod o+x {closed}, or set RUNYARD_DATA_DIR to a folder such as \
                     /var/lib/runyard",
                    closed = closed.display(),
                    data = data_dir.display(),
                ),
            ));
        }
        match self.config.rootfs.as_deref().and_then(closed_folder) {
            None => Ok(()),
            Some(closed) => Err(Error::invalid_field(
                "sandbox.rootfs",
                format!(
                    "uids from {base} cannot traverse {}: run chmod o+x on that folder",
                    closed.display()
                ),
            )),
        }
    }
}

/// Checks that `openat2` works, because files in workspaces are opened only with `openat2`. Old kernels lack this
/// call, and some containers block it.
fn check_openat2() -> Result<()> {
    match open_beneath(CWD, b"", OFlags::PATH | OFlags::DIRECTORY) {
        Err(errno @ (Errno::NOSYS | Errno::PERM)) => Err(Error::new(
            ErrorKind::Unavailable,
            format!(
                "workspaces cannot be opened because openat2 is not available ({errno}): it needs Linux 5.6 or newer, a \
                 systemd unit without RestrictSUIDSGID=, and in a container a seccomp filter that allows it"
            ),
        )),
        _ => Ok(()),
    }
}

/// Returns the path of a program. A name without a folder is searched in PATH.
fn find_program(name: &Path) -> Option<PathBuf> {
    if name.components().count() > 1 {
        return name.is_file().then(|| name.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// Waits for a short-lived program, and kills the program after [`PROBE_TIMEOUT`]. Returns whether it succeeded, and
/// its output.
fn finish(mut child: Child) -> io::Result<(bool, String)> {
    let until = Instant::now() + PROBE_TIMEOUT;
    while child.try_wait()?.is_none() {
        if Instant::now() > until {
            child.kill()?;
        }
        thread::sleep(Duration::from_millis(1));
    }
    let output = child.wait_with_output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&text).trim().to_owned(),
    ))
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.rsplit(' ').next()?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes / (1024 * 1024))
}
