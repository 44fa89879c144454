#!/usr/bin/env python3
"""Writes the bill of materials of the program as CycloneDX JSON: `scripts/sbom.py [--console] VERSION PROGRAM >FILE`.

It lists the packages that scripts/third-party.py finds in the program, each with its package URL, its declared licence and, from the
lock files, the checksum of its archive. The same sources and program give the same output. Called by scripts/dist.sh.
"""

import base64
import binascii
import datetime
import hashlib
import importlib.util
import json
import os
import re
import sys
import uuid
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
# The namespace of the serial numbers: any fixed UUID.
NAMESPACE = uuid.UUID("5c1b8d0e-6d0f-4f0c-9f5c-2f3a4f0d7b11")


def load_packages(with_console):
    spec = importlib.util.spec_from_file_location("third_party", ROOT / "scripts" / "third-party.py")
    third_party = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(third_party)
    try:
        found = third_party.rust_packages() + third_party.standard_library() + third_party.protocol_files()
        return found + (third_party.npm_packages() if with_console else [])
    except third_party.Failure as failure:
        sys.exit(str(failure))


def checksums():
    """Returns the checksums in the lock files: algorithm and hexadecimal digest by kind, name and version."""
    found = {}
    lock = (ROOT / "Cargo.lock").read_text(encoding="utf-8")
    for name, version, digest in re.findall(r'name = "(.*)"\nversion = "(.*)"\nsource = ".*"\nchecksum = "(.*)"', lock):
        found["rust", name, version] = ("SHA-256", digest)
    for client in ("clients/web", "clients/typescript"):
        lock = json.loads((ROOT / client / "package-lock.json").read_text(encoding="utf-8"))
        for place, package in lock["packages"].items():
            algorithm, _, digest = package.get("integrity", "").partition("-")
            if algorithm == "sha512":
                name = place.rpartition("node_modules/")[2]
                found["npm", name, package["version"]] = ("SHA-512", binascii.hexlify(base64.b64decode(digest)).decode())
    return found


def package_url(package):
    if package.kind == "protocol":
        return "pkg:github/googleapis/googleapis"
    if package.kind == "standard" and package.name == "std":
        return f"pkg:generic/rust-std@{package.version}"
    # The scope of an npm package is a namespace, whose @ is encoded.
    name = "/".join(quote(part, safe="") for part in package.name.split("/"))
    return f"pkg:{'npm' if package.kind == 'npm' else 'cargo'}/{name}@{quote(package.version, safe='')}"


def component(package, known):
    url = package_url(package)
    described = {
        "type": "library",
        # The standard library contains packages that the program also links itself.
        "bom-ref": f"{url}#standard-library" if package.kind == "standard" else url,
        "name": package.name,
        "purl": url,
        "licenses": [{"expression": package.licence}],
    }
    if package.kind != "protocol":
        described["version"] = package.version
    checksum = known.get((package.kind, package.name, package.version))
    if checksum:
        described["hashes"] = [{"alg": checksum[0], "content": checksum[1]}]
    return described


def main():
    options = sys.argv[1:]
    with_console = "--console" in options
    if with_console:
        options.remove("--console")
    if len(options) != 2:
        sys.exit(__doc__)
    version, program = options
    known = checksums()
    components = {described["bom-ref"]: described for described in (component(package, known) for package in load_packages(with_console))}
    digest = hashlib.sha256(Path(program).read_bytes()).hexdigest()
    time = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.timezone.utc)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": "runyard",
                "name": "runyard",
                "version": version,
                "licenses": [{"expression": "Apache-2.0"}],
                "hashes": [{"alg": "SHA-256", "content": digest}],
            },
        },
        "components": [components[reference] for reference in sorted(components)],
    }
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(NAMESPACE, content)}"
    json.dump(document, sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
