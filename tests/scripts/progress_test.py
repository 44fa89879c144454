"""Tests that long steps of the scripts show that they continue: scripts/progress.sh, and the scripts that must use it."""

import os
import pathlib
import pty
import re
import shutil
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRESS = ROOT / "scripts" / "progress.sh"
# Maximum time in seconds between two lines of output that the scripts are designed for.
LONGEST_SILENCE = 20
EVERY = 0.2
DEADLINE = 60
# Commands that print nothing for a long time. cargo build prints a line for each package, but the last one takes long.
SLOW = re.compile(r"\b(npm (ci|install|run)|cargo (build|install)|mmdebstrap --mode)\b")
# Scripts of `make demo`, `make dist` and `make sandbox-rootfs`, and the steps before the tests.
SCRIPTS = ("demo", "console", "node", "dist", "web", "lint", "sandbox-rootfs", "fuzz")


def run(*command, **options):
    environment = {**os.environ, "RUNYARD_PROGRESS_SECONDS": str(EVERY), **options.pop("environment", {})}
    return subprocess.run(
        [str(part) for part in command], env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False, **options
    )


def program(path, text):
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)


class ProgressTest(unittest.TestCase):
    def test_a_silent_command_gets_lines_with_the_elapsed_time(self):
        done = run(PROGRESS, "a step", "sleep", str(5 * EVERY))
        lines = done.stderr.splitlines()
        self.assertGreaterEqual(len(lines), 3, done.stderr)
        for line in lines:
            self.assertRegex(line, r"^   … a step: \d+ s$")

    def test_output_and_exit_status_are_those_of_the_command(self):
        done = run(PROGRESS, "a step", "bash", "-c", "echo out; echo err >&2; cat; exit 7", input="in")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (7, "out\nin", "err\n"))

    def test_the_lines_end_with_the_command(self):
        begun = time.monotonic()
        # The pipes of the output close only when no process holds them, so a remaining process would delay this call.
        done = run(PROGRESS, "a step", "true", environment={"RUNYARD_PROGRESS_SECONDS": "30"})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertLess(time.monotonic() - begun, 15)

    def test_on_a_terminal_a_command_can_show_its_own_progress(self):
        command = [str(PROGRESS), "--terminal", "a step", "sleep", str(5 * EVERY)]
        self.assertIn("a step", run(*command).stderr)
        leader, follower = pty.openpty()
        environment = {**os.environ, "RUNYARD_PROGRESS_SECONDS": str(EVERY)}
        done = subprocess.run(command, env=environment, stderr=follower, timeout=DEADLINE, check=False)
        os.set_blocking(leader, False)
        with self.assertRaises(BlockingIOError, msg="the terminal got output"):
            os.read(leader, 100)
        os.close(leader)
        os.close(follower)
        self.assertEqual(done.returncode, 0)

    def test_the_interval_is_shorter_than_the_longest_silence(self):
        default = re.search(r"RUNYARD_PROGRESS_SECONDS:-(\d+)", PROGRESS.read_text())
        self.assertLess(int(default[1]), LONGEST_SILENCE)


class ScriptsTest(unittest.TestCase):
    def test_every_slow_command_of_the_scripts_shows_progress(self):
        found = 0
        for name in SCRIPTS:
            for number, line in enumerate((ROOT / "scripts" / f"{name}.sh").read_text().splitlines(), start=1):
                code = line.split(" #")[0]
                if SLOW.search(code) and not code.lstrip().startswith(("#", "echo")):
                    found += 1
                    self.assertIn("progress.sh", code, f"scripts/{name}.sh:{number}")
        self.assertGreaterEqual(found, 8)

    def test_make_demo_is_never_silent_on_a_fresh_machine(self):
        """Runs scripts/demo.sh with fake, slow and silent programs: apt-get, npm and cargo."""
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            shutil.copytree(ROOT / "scripts", root / "scripts")
            for client in ("typescript", "web"):
                (root / "clients" / client).mkdir(parents=True)
            (root / "proto").mkdir()
            (root / "Cargo.lock").write_text("[[package]]\n")
            programs = root / "bin"
            programs.mkdir()
            for tool in ("bash", "awk", "cat", "chmod", "env", "find", "grep", "head", "mktemp", "rm", "sleep", "sort", "tail", "dirname"):
                (programs / tool).symlink_to(shutil.which(tool))
            for tool in ("bwrap", "curl", "node", "npm"):
                program(programs / tool, "sleep 1" if tool == "npm" else "")
            # apt-get installs the missing compiler.
            program(programs / "id", "echo 0")
            program(programs / "dpkg-query", "")
            program(programs / "apt-get", f'sleep 1; echo >"{programs}/cc"; chmod 755 "{programs}/cc"')
            program(programs / "cargo", "sleep 1; exit 101")
            done = subprocess.Popen(
                [str(root / "scripts" / "demo.sh")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                env={"PATH": str(programs), "RUNYARD_PROGRESS_SECONDS": str(EVERY), "HOME": folder},
            )
            lines = done.communicate(timeout=DEADLINE)[0].splitlines()
        self.assertEqual(done.returncode, 101, lines)
        text = "\n".join(lines)
        for step in ("apt-get install", "npm ci in clients/web", "npm run build in clients/typescript", "cargo build"):
            self.assertGreaterEqual(sum(f"… {step}" in line for line in lines), 2, f"{step} was silent:\n{text}")
        for step in ("── 1/3", "── 2/3"):
            self.assertIn(step, text)


if __name__ == "__main__":
    unittest.main()
