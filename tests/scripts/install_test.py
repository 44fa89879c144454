"""Tests scripts/install.sh on machines that already have some of the packages.

dpkg-query and apt-get are fakes that keep the list of installed packages in a file.
"""

import itertools
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
INSTALL = ROOT / "scripts" / "install.sh"
TOOLS = ("bash", "env", "awk", "cat", "grep", "mktemp", "rm", "sleep", "sort", "tail", "touch")

DPKG_QUERY = """#!/usr/bin/env bash
grep -qx "${!#}" "$MACHINE/installed" && echo installed
"""
# A fake apt-get. It installs the packages whose names follow the word `install`. Each package contains a program with
# the name of the package.
APT_GET = """#!/usr/bin/env bash
echo "$*" >>"$MACHINE/asked"
[ ! -f "$MACHINE/locks" ] || { read -r left <"$MACHINE/locks"; [ "$left" = 0 ] || {
    echo $((left - 1)) >"$MACHINE/locks"; echo "E: Could not get lock /var/lib/apt/lists/lock" >&2; exit 100; }; }
case " $* " in
*" update "*) touch "$MACHINE/lists"; exit 0 ;;
esac
[ -f "$MACHINE/lists" ] || { echo "E: Unable to locate package" >&2; exit 100; }
seen=
for word in "$@"; do
    if [ -n "$seen" ] && [[ $word != -* ]]; then
        [ "$word" != unknown ] || { echo "E: Unable to locate package unknown" >&2; exit 100; }
        echo "$word" >>"$MACHINE/installed"
        touch "$MACHINE/bin/$word"; chmod 755 "$MACHINE/bin/$word"
    fi
    [ "$word" != install ] || seen=1
done
"""
ID = "#!/usr/bin/env bash\necho ${MACHINE_UID:-0}\n"


class Machine:
    """A machine with some packages and programs. Each package has a program of the same name. `programs` are
    programs without a package."""

    def __init__(self, test, packages=(), programs=(), lists=True, debian=True, locks=0):
        folder = tempfile.TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        bin = self.path / "bin"
        bin.mkdir()
        for tool in TOOLS:
            where = subprocess.run(["which", tool], check=True, capture_output=True, text=True).stdout.strip()
            (bin / tool).symlink_to(where)
        scripts = {"id": ID, **({"dpkg-query": DPKG_QUERY, "apt-get": APT_GET} if debian else {})}
        for name, text in {**scripts, **{name: "" for name in (*packages, *programs)}}.items():
            (bin / name).write_text(text)
            (bin / name).chmod(0o755)
        (self.path / "installed").write_text("".join(f"{name}\n" for name in packages))
        if lists:
            (self.path / "lists").touch()
        if locks:
            (self.path / "locks").write_text(f"{locks}\n")

    def install(self, *needs, uid=0):
        environment = {"PATH": str(self.path / "bin"), "MACHINE": str(self.path), "MACHINE_UID": str(uid)}
        return subprocess.run(
            [INSTALL, *needs], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )

    def installed(self):
        return set((self.path / "installed").read_text().split())

    def asked(self):
        asked = self.path / "asked"
        return asked.read_text().splitlines() if asked.exists() else []


class InstallTest(unittest.TestCase):
    def test_any_subset_of_the_packages_may_be_installed(self):
        needs = ["one", "two", "three:three", "four"]
        names = [need.rpartition(":")[2] for need in needs]
        for count in range(len(names) + 1):
            for there in itertools.combinations(names, count):
                with self.subTest(there=there):
                    machine = Machine(self, packages=there)
                    done = machine.install(*needs)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertEqual(machine.installed(), set(names))
                    self.assertEqual(len(machine.asked()), 0 if count == len(names) else 1, "one call of apt-get if anything is missing")

    def test_a_program_from_another_source_is_kept(self):
        machine = Machine(self, programs=["npm"])
        self.assertEqual(machine.install("npm:npm").returncode, 0)
        self.assertEqual(machine.asked(), [])
        # An argument without a colon names only a package. A program of the same name does not count as installed.
        self.assertEqual(machine.install("npm").returncode, 0)
        self.assertEqual(machine.installed(), {"npm"})

    def test_a_need_may_name_a_path(self):
        machine = Machine(self)
        self.assertEqual(machine.install(f"{machine.path}/lists:libc6-dev").returncode, 0)
        self.assertEqual(machine.asked(), [])
        needs = [f"{machine.path}/bin/cc:cc", "cc:cc"]
        self.assertEqual(machine.install(*needs).returncode, 0)
        self.assertEqual(machine.installed(), {"cc"})

    def test_old_lists_are_updated_and_locks_are_retried(self):
        machine = Machine(self, lists=False)
        self.assertEqual(machine.install("one").returncode, 0)
        self.assertEqual(machine.installed(), {"one"})
        machine = Machine(self, locks=2)
        self.assertEqual(machine.install("one").returncode, 0)
        self.assertEqual(machine.installed(), {"one"})
        self.assertEqual(len(machine.asked()), 3)

    def test_an_error_names_the_next_step(self):
        for machine, needs, uid, words in (
            (Machine(self), ["unknown"], 0, "Unable to locate package unknown"),
            (Machine(self), ["cc:gcc"], 0, "not where they are needed"),
            (Machine(self), ["one", "two"], 1000, "requires root. Install with: apt-get install one two"),
            (Machine(self, debian=False), ["one"], 0, "not Debian or Ubuntu"),
        ):
            with self.subTest(words=words):
                done = machine.install(*needs, uid=uid)
                self.assertEqual(done.returncode, 1)
                self.assertIn(words, done.stderr)

    def test_no_script_passes_program_and_package_separately(self):
        """No call may use the old form, which names a package twice: `install.sh npm npm`."""
        found = subprocess.run(
            ["git", "grep", "-hoE", r"^[^#]*scripts/install\.sh .*", "--", ":/scripts", ":/tests", ":/Makefile", ":/Dockerfile"],
            cwd=ROOT, check=True, capture_output=True, text=True,
        ).stdout
        for line in found.splitlines():
            words = re.findall(r"[\w.+:/-]+", line.rpartition("scripts/install.sh ")[2])
            self.assertEqual(len(words), len(set(words)), line)


if __name__ == "__main__":
    unittest.main()
