//! Explains why bubblewrap cannot create a sandbox on this host, and how to solve this.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

pub fn explain(output: &str) -> String {
    let setting = |name: &str| fs::read_to_string(Path::new("/proc/sys").join(name)).map(|text| text.trim().to_owned());
    if setting("kernel/apparmor_restrict_unprivileged_userns").is_ok_and(|value| value != "0") {
        return format!(
            "AppArmor does not allow bubblewrap to create user namespaces ({output}). Write this to /etc/apparmor.d/bwrap, run \
             apparmor_parser -r /etc/apparmor.d/bwrap, and restart Runyard:\n{APPARMOR_PROFILE}"
        );
    }
    if setting("kernel/unprivileged_userns_clone").is_ok_and(|value| value == "0") {
        return format!(
            "user namespaces are disabled ({output}): run sysctl -w kernel.unprivileged_userns_clone=1 and restart Runyard"
        );
    }
    if setting("user/max_user_namespaces").is_ok_and(|value| value == "0") {
        return format!(
            "user namespaces are disabled ({output}): run sysctl -w user.max_user_namespaces=10000 and restart Runyard"
        );
    }
    if ["/.dockerenv", "/run/.containerenv"]
        .iter()
        .any(|mark| Path::new(mark).exists())
    {
        return format!(
            "this container does not allow bubblewrap to create a sandbox ({output}): start it with \
             --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined"
        );
    }
    format!("bubblewrap cannot create a sandbox here: {output}")
}

const APPARMOR_PROFILE: &str = "abi <abi/4.0>,
include <tunables/global>
profile bwrap /usr/bin/bwrap flags=(unconfined) {
  userns,
  include if exists <local/bwrap>
}";

/// Returns the first folder of the path that other users may not traverse. The path itself is included.
pub fn closed_folder(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let path = path.ancestors().find_map(|folder| folder.canonicalize().ok())?;
    let mut folders: Vec<&Path> = path.ancestors().collect();
    folders.reverse();
    let closed = |folder: &&&Path| fs::metadata(folder).is_ok_and(|metadata| metadata.mode() & 0o001 == 0);
    folders.iter().find(closed).map(|folder| folder.to_path_buf())
}
