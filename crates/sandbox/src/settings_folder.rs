//! A copy of the shared settings (module `settings`), so that a sandbox needs two mounts for /etc and /var instead of
//! one for each file.
//!
//! The copy is in `sandbox/` of the data folder. It contains only files that every user of the host can read. If the
//! host's settings change, later sandboxes get a new copy. Invariant: a copy is removed when the last sandbox that has
//! it mounted has ended.

mod plan;

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use self::plan::Plan;
use super::records;

/// Time for which the host's settings are assumed to be unchanged.
const FRESH: Duration = Duration::from_secs(10);
/// Age after which copies of another boot are removed. Another host that shares the data folder may use a younger one.
const MAX_FOREIGN_AGE: Duration = Duration::from_hours(7 * 24);

/// Numbers the copies. In tests, several services run in one process.
static MADE: AtomicU64 = AtomicU64::new(1);

/// Copies of the settings, one for each root.
#[derive(Debug)]
pub struct SettingsFolders {
    parent: PathBuf,
    /// Start of the names of this service's copies.
    prefix: String,
    kept: Mutex<HashMap<PathBuf, Current>>,
}

#[derive(Debug)]
struct Current {
    copy: Arc<SettingsFolder>,
    plan: Plan,
    checked: Instant,
}

/// One copy. Dropping this value removes it.
#[derive(Debug)]
pub struct SettingsFolder {
    folder: PathBuf,
    /// Settings that are not copied, as pairs of host path and path in the sandbox. The copy has mount points for
    /// them.
    pub mounted: Vec<(PathBuf, PathBuf)>,
}

impl SettingsFolders {
    /// Removes the copies that killed services left behind, in a thread, because a copy has about a thousand files.
    /// `prefix` identifies this service.
    pub fn clear(data_dir: &Path, prefix: &str) -> Self {
        let parent = data_dir.join("sandbox");
        let (folder, own) = (parent.clone(), prefix.to_owned());
        let removal = thread::Builder::new().name("sandbox-clear".into());
        if let Err(error) = removal.spawn(move || remove_left(&folder, &own)) {
            // The next start tries again.
            tracing::debug!(%error, "old copies of the settings are not removed");
        }
        Self {
            parent,
            prefix: prefix.to_owned(),
            kept: Mutex::default(),
        }
    }

    /// Returns a copy of the settings of a root; `None` if it cannot be made. Blocks.
    pub fn current(&self, root: &Path) -> Option<Arc<SettingsFolder>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = kept.get(root)
            && current.checked.elapsed() < FRESH
            && current.copy.folder.is_dir()
        {
            return Some(Arc::clone(&current.copy));
        }
        let plan = Plan::of(root);
        if let Some(current) = kept.get_mut(root)
            && current.plan == plan
            && current.copy.folder.is_dir()
        {
            current.checked = Instant::now();
            // Other hosts that share the data folder remove old copies. If this fails, a new copy is made then.
            let _ = fs::File::open(&current.copy.folder).and_then(|folder| folder.set_modified(SystemTime::now()));
            return Some(Arc::clone(&current.copy));
        }
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = self.parent.join(format!("{}{number}", self.prefix));
        let copy = match plan.copy_to(&self.parent, folder) {
            Ok(copy) => Arc::new(copy),
            Err(error) => {
                tracing::debug!(%error, "the settings of the sandbox cannot be copied, so each file is mounted");
                return None;
            }
        };
        let current = Current {
            copy: Arc::clone(&copy),
            plan,
            checked: Instant::now(),
        };
        kept.insert(root.to_owned(), current);
        Some(copy)
    }
}

fn remove_left(parent: &Path, prefix: &str) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|folder| folder.modified());
        let is_old = age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > MAX_FOREIGN_AGE));
        if records::is_left(&entry.file_name().to_string_lossy(), prefix).unwrap_or(is_old) {
            // If this fails, the next start tries again.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl SettingsFolder {
    pub fn etc(&self) -> PathBuf {
        self.folder.join("etc")
    }

    pub fn var(&self) -> PathBuf {
        self.folder.join("var")
    }
}

impl Drop for SettingsFolders {
    fn drop(&mut self) {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        kept.clear();
        // `runyard doctor` leaves nothing in a folder that it examines. A folder that is in use is not empty.
        let _ = fs::remove_dir(&self.parent);
    }
}

impl Drop for SettingsFolder {
    fn drop(&mut self) {
        // If this fails, the next start tries again.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Creates the folders between `folder` and `target`.
fn make_parents(folder: &Path, target: &Path) -> io::Result<()> {
    let Some(parent) = target.parent() else { return Ok(()) };
    if parent.is_dir() {
        return Ok(());
    }
    let mut missing: Vec<&Path> = parent.ancestors().take_while(|path| *path != folder).collect();
    missing.reverse();
    missing.into_iter().try_for_each(|path| make_folder(path, 0o755))
}

/// Creates a folder, unless it exists. The umask has no effect.
fn make_folder(folder: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.and_then(|()| fs::set_permissions(folder, Permissions::from_mode(mode))),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::{
        plan::{MANY, MAX_COPY_BYTES},
        *,
    };

    fn put(path: &Path, content: &str, mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_copy_contains_public_files_and_links_and_is_removed_after_its_last_use() {
        let (data, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let etc = root.path().join("etc");
        put(&etc.join("ssl/certs/ca.pem"), "ca", 0o644);
        put(&etc.join("ssl/certs/private.pem"), "secret", 0o640);
        symlink("/usr/share/ca.crt", etc.join("ssl/certs/link.pem")).unwrap();
        let large = usize::try_from(MAX_COPY_BYTES).unwrap() + 1;
        put(&etc.join("fonts/large"), &"x".repeat(large), 0o644);

        let folders = SettingsFolders::clear(data.path(), "this-1-2-");
        let copy = folders.current(root.path()).unwrap();
        let certificates = copy.etc().join("ssl/certs");
        assert_eq!(fs::read_to_string(certificates.join("ca.pem")).unwrap(), "ca");
        assert!(fs::symlink_metadata(certificates.join("private.pem")).is_err());
        assert_eq!(
            fs::read_link(certificates.join("link.pem")).unwrap(),
            Path::new("/usr/share/ca.crt")
        );
        assert!(copy.etc().join("passwd").is_file());
        assert_eq!(fs::read_link(copy.var().join("tmp")).unwrap(), Path::new("/tmp"));
        let mounted: Vec<_> = copy.mounted.iter().map(|(_, inside)| inside.as_path()).collect();
        assert_eq!(mounted, [Path::new("/etc/fonts")]);
        assert!(copy.etc().join("fonts").is_dir());

        let etc = copy.etc();
        drop(folders);
        assert!(etc.is_dir(), "a sandbox still uses the copy");
        drop(copy);
        assert!(!etc.exists());
    }

    #[test]
    fn a_folder_with_many_files_is_mounted_unless_some_are_private() {
        let (data, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let etc = root.path().join("etc");
        for number in 0..=MANY {
            put(&etc.join(format!("ssl/certs/{number}.pem")), "", 0o644);
            put(&etc.join(format!("alternatives/{number}")), "", 0o644);
        }
        put(&etc.join("alternatives/private"), "", 0o640);
        let folders = SettingsFolders::clear(data.path(), "this-1-2-");
        let copy = folders.current(root.path()).unwrap();
        let mounted: Vec<_> = copy.mounted.iter().map(|(_, inside)| inside.as_path()).collect();
        assert_eq!(mounted, [Path::new("/etc/ssl/certs")]);
        let copied = copy.etc().join("alternatives");
        assert!(copied.join("0").is_file() && !copied.join("private").exists());
    }

    #[test]
    fn a_change_on_the_host_makes_a_new_copy() {
        let (data, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let services = root.path().join("etc/services");
        put(&services, "old", 0o644);
        let folders = SettingsFolders::clear(data.path(), "this-1-2-");
        let is_stale = || {
            let mut kept = folders.kept.lock().unwrap();
            for current in kept.values_mut() {
                current.checked -= FRESH;
            }
        };
        let first = folders.current(root.path()).unwrap();
        is_stale();
        let second = folders.current(root.path()).unwrap();
        assert!(Arc::ptr_eq(&first, &second), "nothing has changed");
        put(&services, "newer", 0o644);
        is_stale();
        let third = folders.current(root.path()).unwrap();
        assert_eq!(fs::read_to_string(third.etc().join("services")).unwrap(), "newer");
        assert_eq!(fs::read_to_string(first.etc().join("services")).unwrap(), "old");
    }

    #[test]
    fn nothing_is_left_when_the_service_ends() {
        let (root, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = SettingsFolders::clear(data.path(), "boot-1-");
        drop(folders.current(root.path()).unwrap());
        assert!(data.path().join("sandbox").is_dir());
        drop(folders);
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
    }

    #[test]
    fn only_copies_of_ended_services_are_removed() {
        let data = tempfile::tempdir().unwrap();
        let prefix = "boot-4026531836-";
        let own = std::process::id();
        let started = records::start_time(own).unwrap();
        let alive = format!("{prefix}{own}-{started}-1");
        let over = format!("{prefix}{own}-1-1");
        let foreign = "otherboot-1-2-3-1";
        for name in [alive.as_str(), over.as_str(), foreign] {
            fs::create_dir_all(data.path().join("sandbox").join(name)).unwrap();
        }
        remove_left(&data.path().join("sandbox"), &format!("{prefix}{own}-{started}-"));
        let mut left: Vec<_> = fs::read_dir(data.path().join("sandbox"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort_unstable();
        assert_eq!(left, [alive.as_str(), foreign]);
    }
}
