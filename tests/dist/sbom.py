"""Checks the bill of materials of a release: sbom.py BILL PROGRAM THIRD-PARTY. See run.sh."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def fail(text):
    sys.exit(f"the bill of materials {text}")


def names(bill):
    return {(component["name"], component.get("version")) for component in bill["components"]}


def main():
    text, program, third_party = (Path(path).read_bytes() for path in sys.argv[1:4])
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    problem = validator.validate_str(text.decode())
    if problem:
        fail(f"does not match the schema: {problem.data}")
    bill = json.loads(text)
    # Controls: the schema refuses an unknown field and a malformed digest.
    for change in ({"nosuch": 1}, {"components": [{"type": "library", "name": "a", "hashes": [{"alg": "SHA-256", "content": "x"}]}]}):
        if not validator.validate_str(json.dumps({**bill, **change})):
            fail(f"cannot be checked: the validator accepts {change}")

    digest = bill["metadata"]["component"]["hashes"][0]["content"]
    if digest != hashlib.sha256(program).hexdigest():
        fail("names the digest of another program")
    references = [component["bom-ref"] for component in bill["components"]]
    if len(references) != len(set(references)):
        fail("lists a package twice")

    # THIRD-PARTY lists the same packages: "  NAME VERSION — LICENCE — NUMBERS".
    listed = {(name, version) for name, version in re.findall(r"^  (\S+) (\S+) — ", third_party.decode(), re.MULTILINE)}
    missing = listed - names(bill)
    if missing:
        fail(f"lacks {missing}")
    # Every package that the compiler links is in the lock file, so all of them have a checksum. cargo tree is a second source.
    tree = subprocess.run(
        ["cargo", "tree", "--locked", "--package=runyard", "--edges=normal,no-proc-macro", "--prefix=none"],
        check=True, capture_output=True, text=True,
    ).stdout
    linked = {tuple(line.split()[:2]) for line in tree.splitlines() if line and "(/" not in line}
    linked = {(name, version.lstrip("v")) for name, version in linked}
    if len(linked) < 100 or linked - names(bill):
        fail(f"lacks linked packages: {linked - names(bill)}")
    for component in bill["components"]:
        is_archive = component["purl"].startswith(("pkg:cargo/", "pkg:npm/")) and "#" not in component["bom-ref"]
        if is_archive and not component.get("hashes"):
            fail(f"has no digest of {component['name']}")
    print(f"{len(references)} packages, {len(linked)} of them linked from crates.io")


if __name__ == "__main__":
    main()
