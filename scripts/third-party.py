#!/usr/bin/env python3
"""Writes the licences of all third-party code in the program: `scripts/third-party.py [--console] >THIRD-PARTY`.

The output covers the linked Rust packages (no macros, no build tools), Rust's standard library, third-party protobuf files and, with
--console, the npm packages in the console. Names come from cargo and the lock files, texts from the packages as cargo and npm
unpacked them. The output is sorted and does not depend on the machine: the same sources give the same file. Called by
scripts/dist.sh and the Dockerfile. Fails if it cannot determine a licence.
"""

import html
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Names of licence files. Any folder of a package may contain one, because bundled C libraries have their own licences.
LICENCE_FILE = re.compile(r"(un)?licen[cs]e|copying|copyright|notice|patents", re.IGNORECASE)
# Source files are not licence texts, even if they are named after a licence.
SOURCE_FILE = re.compile(r"\.(rs|c|h|py|js|ts|json|toml|html|S|pl|go|cc|sh)$")

# Licence files that do not apply to this program, each with the reason.
LEFT_OUT = {
    ("libsqlite3-sys", "sqlcipher/LICENSE"): "SQLCipher is not compiled in",
    ("zstd-sys", "zstd/COPYING"): "zstd has two licences; this program uses it under the BSD licence",
}
# Names of packages that Rust's standard library needs only on systems other than Linux.
OTHER_SYSTEMS = re.compile(r"dlmalloc|fortanix|hermit|moto-|r-efi|unwinding|vex-|wasi|windows|wit-")
# Packages whose licence text is only in the header of a source file, each with the path of that file.
IN_SOURCES = {"@bufbuild/protobuf": ["dist/esm/wire/varint.js"]}

MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files \
(the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, \
publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, \
subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF \
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE \
FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION \
WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


class Failure(Exception):
    """The licences cannot be determined, or the arguments are wrong. The message describes the problem."""


class Package:
    """An included package: the licence that its authors declare, and the licence texts."""

    def __init__(self, kind, name, version, licence, texts):
        self.kind, self.name, self.version, self.licence = kind, name, version, licence
        self.texts = [text for text in map(tidy, texts) if text]
        if not self.licence or not self.texts:
            raise Failure(f"{name} {version} declares no licence; find out under which licence it is")

    def __str__(self):
        return f"{self.name} {self.version}"


def tidy(text):
    """Removes invisible differences such as trailing blanks."""
    lines = [line.rstrip() for line in text.lstrip("\ufeff").replace("\f", "\n").splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def run(*command):
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def texts_in(folder, name):
    found = []
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).as_posix()
        if not LICENCE_FILE.match(path.name) or SOURCE_FILE.search(path.name) or "node_modules" in path.parts[len(folder.parts) :]:
            continue
        if (name, place) in LEFT_OUT or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if "GNU GENERAL PUBLIC LICENSE" in text[:500]:
            raise Failure(f"{name} has the GNU General Public License in {place}: check whether it may be included")
        found.append(text)
    for place in IN_SOURCES.get(name, []):
        head = re.match(r"(//.*\n)+", (folder / place).read_text(encoding="utf-8"))
        if head is None:
            raise Failure(f"{name} no longer has a licence in the header of {place}")
        found.append(re.sub(r"^// ?", "", head[0], flags=re.MULTILINE))
    return found


def standard_texts(licence, holders):
    """Standard licence texts, for packages that name a licence without including its text."""
    if "Apache-2.0" in licence:
        return [(ROOT / "LICENSE").read_text(encoding="utf-8")]
    if licence == "MIT":
        return [f"Copyright (c) {holders}\n\n{MIT}"]
    return []


def rust_packages():
    host = re.search(r"^host: (.*)$", run("rustc", "-vV"), re.MULTILINE)[1]
    tree = run("cargo", "tree", "--locked", "--package=runyard", "--edges=normal,no-proc-macro", f"--target={host}", "--prefix=none")
    inside = {tuple(line.split()[:2]) for line in tree.splitlines()}
    metadata = json.loads(run("cargo", "metadata", "--locked", "--format-version=1", f"--filter-platform={host}"))
    packages = []
    for found in metadata["packages"]:
        name, version = found["name"], found["version"]
        # A package without a source is part of this repository, so skip it.
        if (name, f"v{version}") not in inside or found["source"] is None:
            continue
        licence = (found["license"] or "").replace("/", " OR ")
        texts = texts_in(Path(found["manifest_path"]).parent, name)
        texts = texts or standard_texts(licence, ", ".join(found["authors"]) or f"the authors of {name}")
        packages.append(Package("rust", name, version, licence, texts))
    return packages


def standard_library():
    """Reads the dependencies of Rust's standard library from a page that is installed with the compiler."""
    documents = Path(run("rustc", "--print=sysroot").strip()) / "share/doc/rust"
    version = run("rustc", "--version").split()[1]
    page = documents / "COPYRIGHT-library.html"
    if not page.is_file():
        raise Failure(f"{page} is missing; it comes with compilers installed by rustup")
    text = page.read_text(encoding="utf-8")
    plain = lambda part: html.unescape(re.sub(r"<[^>]*>", "", part))
    own, _, others = text.partition('<h2 id="out-of-tree-dependencies">')
    own = re.sub(r"\n\s*", "\n", plain(own.partition('<h2 id="short-version">')[2].partition(">")[2]))
    licences = [documents / "licenses" / f"{name}.txt" for name in ("Apache-2.0", "MIT", "Unicode-3.0")]
    texts = [own] + [licence.read_text(encoding="utf-8") for licence in licences if licence.is_file()]
    packages = [Package("standard", "std", version, "MIT OR Apache-2.0", texts)]
    for part in others.split("<h3>")[1:]:
        name, version = re.match(r"\W*(.*?)-(\d.*?)</h3>", part).groups()
        if OTHER_SYSTEMS.match(name):
            continue
        licence = plain(re.search(r"<b>License:</b>(.*?)</p>", part)[1]).strip().replace("/", " OR ")
        authors = re.search(r"<b>Authors:</b>(.*?)</p>", part, re.DOTALL)
        holders = " ".join(plain(authors[1]).split()) if authors else f"the authors of {name}"
        texts = [plain(notice) for notice in re.findall(r"<pre>(.*?)</pre>", part, re.DOTALL)]
        packages.append(Package("standard", name, version, licence, texts or standard_texts(licence, holders)))
    return packages


def npm_packages():
    packages = []
    for client in ("clients/web", "clients/typescript"):
        lock = json.loads((ROOT / client / "package-lock.json").read_text(encoding="utf-8"))
        for place, found in lock["packages"].items():
            if not place.startswith("node_modules/") or found.get("dev") or found.get("link"):
                continue
            # Optional packages are native code for Node.js, which no bundle for browsers contains.
            if found.get("optional"):
                continue
            name = place.rpartition("node_modules/")[2]
            folder = ROOT / client / place
            if not (folder / "package.json").is_file():
                raise Failure(f"{client}/{place} is missing; run npm ci in {client}")
            described = json.loads((folder / "package.json").read_text(encoding="utf-8"))
            licence = described.get("license", "")
            author = described.get("author", "")
            author = author if isinstance(author, str) else author.get("name", "")
            texts = texts_in(folder, name)
            if not texts or name in IN_SOURCES:
                texts += standard_texts(licence, author or f"the authors of {name}")
            packages.append(Package("npm", name, found["version"], licence, texts))
    return packages


def protocol_files():
    text = (ROOT / "proto/google/LICENSE").read_text(encoding="utf-8")
    return [Package("protocol", "googleapis", "(google/api, google/rpc)", "Apache-2.0", [text])]


TITLES = {
    "rust": "Rust packages",
    "standard": "Rust's standard library and its dependencies",
    "protocol": "Protocol files",
    "npm": "npm packages, in the console",
}


def write(packages, out):
    """Writes the list of packages with the numbers of their texts, then every text once."""
    # Texts that differ only in white space are written once.
    numbers, texts, owners = {}, [], []
    lines = {kind: [] for kind in TITLES}
    for package in sorted(packages, key=lambda package: (list(TITLES).index(package.kind), package.name, package.version)):
        mine = []
        for text in package.texts:
            number = numbers.setdefault(" ".join(text.split()), len(texts))
            if number == len(texts):
                texts.append(text)
                owners.append([])
            if number + 1 not in mine:
                mine.append(number + 1)
                owners[number].append(str(package))
        lines[package.kind].append(f"  {package} — {package.licence} — {', '.join(map(str, mine))}")
    out.write(
        "Runyard includes third-party packages. This file names each package, the licence that its authors declare, and\n"
        "the numbers of its licence texts below. Runyard itself is under the Apache License 2.0 (the file LICENSE).\n"
    )
    for kind, title in TITLES.items():
        if lines[kind]:
            out.write(f"\n{title}\n\n" + "\n".join(lines[kind]) + "\n")
    for number, (text, of) in enumerate(zip(texts, owners), start=1):
        shown = ", ".join(of) if len(of) <= 6 else f"{', '.join(of[:5])} and {len(of) - 5} more"
        out.write(f"\n{'─' * 100}\nText {number}, of {shown}\n{'─' * 100}\n\n{text}\n")


def main():
    options = sys.argv[1:]
    if options not in ([], ["--console"]):
        raise Failure(__doc__)
    packages = rust_packages() + standard_library() + protocol_files()
    if options:
        packages += npm_packages()
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    write(packages, sys.stdout)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))
