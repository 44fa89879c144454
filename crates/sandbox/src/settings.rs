//! The files in /etc and /var that commands can read. `bwrap` mounts them read-only.
//!
//! Programs such as javac, LaTeX and Chromium need settings in /etc and /var to start. /etc also contains secrets, so
//! [`SHARED`] lists each shared file. A file may be listed if
//!
//! - a package installs it for programs that ordinary users run, not for a service; and
//! - neither the package nor its documentation puts passwords, tokens or keys into the file.
//!
//! This excludes `npmrc`, `wgetrc`, `pip.conf`, `maven/settings.xml`, `R/Renviron.site` and `php/*/fpm`. A listed
//! file is skipped if it is not readable for all users of the host. A link to a target outside /etc, /usr and /var is
//! skipped too.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Shared files and folders, relative to the root. A component that ends with `*` matches every name with that
/// prefix.
const SHARED: &[&str] = &[
    // The dynamic linker, and the links that select between alternative programs.
    "etc/alternatives",
    "etc/ld.so.cache",
    "etc/ld.so.conf",
    "etc/ld.so.conf.d",
    "etc/debian_version",
    "etc/lsb-release",
    "etc/os-release",
    "etc/locale.alias",
    "etc/localtime",
    "etc/timezone",
    "etc/magic",
    "etc/mime.types",
    "etc/protocols",
    "etc/services",
    "etc/terminfo",
    // CA certificates and TLS settings; never /etc/ssl/private.
    "etc/ssl/certs",
    "etc/ssl/openssl.cnf",
    "etc/ca-certificates/extracted",
    "etc/crypto-policies",
    "etc/pki/ca-trust/extracted",
    "etc/pki/java",
    "etc/pki/tls/cert.pem",
    "etc/pki/tls/certs",
    "etc/pki/tls/openssl.cnf",
    // Programming languages.
    "etc/ant",
    "etc/common-lisp",
    "etc/erlang",
    "etc/ghc",
    "var/lib/ghc",
    "etc/groovy",
    "etc/java",
    "etc/java-*",
    "etc/jvm-*",
    "etc/maven/logging",
    "etc/maven/m2.conf",
    "etc/maven/toolchains.xml",
    "etc/mono",
    "etc/nodejs",
    "etc/octave*",
    "etc/perl",
    "etc/php/*/cli",
    "etc/php/*/mods-available",
    "etc/python2*",
    "etc/python3*",
    "etc/R/Makeconf",
    "etc/R/Renviron",
    "etc/R/Rprofile.site",
    "etc/R/javaconf",
    "etc/R/ldpaths",
    "etc/R/repositories",
    "etc/scala",
    // Documents, pictures and fonts.
    "etc/ImageMagick-*",
    "etc/dictionaries-common",
    "etc/fonts",
    "var/cache/fontconfig",
    "etc/ghostscript",
    "var/lib/ghostscript",
    "etc/gimp",
    "etc/groff",
    "etc/gtk-*",
    "etc/inkscape",
    "etc/libpaper.d",
    "etc/libreoffice",
    "etc/matplotlibrc",
    "etc/mecabrc",
    "etc/papersize",
    "etc/paperspecs",
    "etc/sgml",
    "etc/texmf",
    "var/lib/texmf",
    "etc/xml",
    "var/lib/aspell",
    "var/lib/dictionaries-common",
    "var/lib/ispell",
    "var/lib/mecab",
    "var/lib/sgml-base",
    "var/lib/xml-core",
    // Browsers and graphics. The files of etc/chromium.d are listed individually, because the service adds a file to
    // the folder.
    "etc/chromium",
    "etc/chromium.d/*",
    "etc/firefox",
    "etc/firefox-esr",
    "etc/OpenCL",
    "etc/drirc",
    "etc/glvnd",
    "etc/vulkan",
];

/// Folders that may contain the target of a shared link. A link to any other folder is skipped.
const HOMES: &[&str] = &["etc", "usr", "var"];

/// Path and content of small files that every sandbox gets.
const MADE: &[(&str, &str)] = &[
    (
        "/etc/passwd",
        "agent:x:1000:1000::/workspace:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    ),
    ("/etc/group", "agent:x:1000:\nnogroup:x:65534:\n"),
    ("/etc/hosts", "127.0.0.1 localhost runyard\n::1 localhost\n"),
    ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    ("/etc/gitconfig", GIT),
];

/// Git's system configuration. A repository can override it. Automatic garbage collection is off, because it would
/// run in the background and be killed with the command.
const GIT: &str = "\
[user]
\tname = Runyard agent
\temail = agent@runyard.invalid
[init]
\tdefaultBranch = main
[gc]
\tautoDetach = false
";

/// Settings of Debian's Chromium launcher. They turn off Chromium's own sandbox, which cannot run inside another
/// sandbox.
const CHROMIUM: (&str, &str) = (
    "/etc/chromium.d/runyard",
    "export CHROMIUM_FLAGS=\"$CHROMIUM_FLAGS --no-sandbox\"\n",
);

/// Returns the public files and folders that match [`SHARED`], as pairs of host path and path in the sandbox.
pub fn shared(root: &Path) -> Vec<(PathBuf, PathBuf)> {
    let Ok(root) = root.canonicalize() else {
        return Vec::new();
    };
    let homes: Vec<PathBuf> = HOMES.iter().map(|home| root.join(home)).collect();
    let found = SHARED.iter().flat_map(|pattern| matches(&root, pattern));
    found
        .filter_map(|path| {
            let source = root.join(&path).canonicalize().ok()?;
            let is_home = homes.iter().any(|home| source.starts_with(home));
            (is_home && is_public(&source)).then(|| (source, Path::new("/").join(path)))
        })
        .collect()
}

/// Returns path and content of each file to create. Chromium's settings are included only if its folder is in
/// `shared`.
pub fn made(shared: &[(PathBuf, PathBuf)]) -> impl Iterator<Item = (&'static str, &'static str)> {
    let has_chromium = shared.iter().any(|(_, inside)| inside.starts_with("/etc/chromium.d"));
    MADE.iter().copied().chain(has_chromium.then_some(CHROMIUM))
}

/// Returns the paths that match the pattern, relative to the root. A returned path may not exist.
fn matches(root: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.split('/') {
        let Some(prefix) = part.strip_suffix('*') else {
            for path in &mut found {
                path.push(part);
            }
            continue;
        };
        found = found
            .iter()
            .flat_map(|path| names(&root.join(path), prefix).into_iter().map(|name| path.join(name)))
            .collect();
    }
    found
}

fn names(folder: &Path, prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort_unstable();
    names
}

/// Returns whether every user of the host may read the file or list the folder.
fn is_public(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| {
        let needed = if metadata.is_dir() { 0o005 } else { 0o004 };
        (metadata.is_dir() || metadata.is_file()) && metadata.mode() & needed == needed
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn only_listed_public_names_are_shared() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let put = |path: &str, mode: u32| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "x").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        put("etc/java-17-openjdk/security/java.security", 0o644);
        put("etc/php/8.2/cli/php.ini", 0o644);
        put("etc/php/8.2/fpm/pool.d/www.conf", 0o644);
        put("etc/npmrc", 0o644);
        put("etc/shadow", 0o640);
        put("etc/timezone", 0o640);
        put("etc/services", 0o644);
        put("usr/share/zoneinfo/UTC", 0o644);
        put("root/secret", 0o644);
        put("etc/ssl/private/key.pem", 0o644);
        put("etc/ssl/certs/ca.pem", 0o644);
        symlink("../usr/share/zoneinfo/UTC", root.join("etc/localtime")).unwrap();
        symlink("../root/secret", root.join("etc/magic")).unwrap();
        put("etc/texmf/texmf.cnf", 0o644);
        fs::set_permissions(root.join("etc/texmf"), fs::Permissions::from_mode(0o750)).unwrap();

        let inside: Vec<String> = shared(root)
            .into_iter()
            .map(|(_, inside)| inside.display().to_string())
            .collect();
        assert_eq!(
            inside,
            [
                "/etc/localtime",
                "/etc/services",
                "/etc/ssl/certs",
                "/etc/java-17-openjdk",
                "/etc/php/8.2/cli"
            ]
        );
        assert!(shared(&root.join("missing")).is_empty());
    }

    #[test]
    fn chromium_flags_are_added_only_if_chromium_is_installed() {
        let names = |shared: &[(PathBuf, PathBuf)]| made(shared).map(|(path, _)| path).collect::<Vec<_>>();
        assert!(names(&[]).contains(&"/etc/gitconfig"));
        assert!(!names(&[]).contains(&CHROMIUM.0));
        let flags = (
            PathBuf::from("/etc/chromium.d/flags"),
            PathBuf::from("/etc/chromium.d/flags"),
        );
        assert!(names(&[flags]).contains(&CHROMIUM.0));
    }
}
