#!/usr/bin/env bash
# An FTS5 table keeps the words of deleted rows in the database file, also with `PRAGMA secure_delete = ON`. The index records a
# deletion as a marker and keeps the old entries until a later merge. Only FTS5's own option removes the words with the row:
# `INSERT INTO t (t, rank) VALUES ('secure-delete', 1)` (since SQLite 3.42). A program that promises to delete text for good needs both.
#
# Observed with SQLite 3.54.1 (apsw 3.54.1.0), after a word's only row was deleted and the table vacuumed: with the pragma alone the
# word is still in the file; with the option it is not.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check apsw==3.54.1.0
cat >shows.py <<'PYTHON'
import pathlib

import apsw


def is_left(option):
    """Deletes the only row with a word, and tells whether the file still contains the word."""
    path = pathlib.Path(f"option-{option}.db")
    db = apsw.Connection(str(path))
    db.execute("PRAGMA secure_delete = ON")
    db.execute("CREATE VIRTUAL TABLE notes USING fts5(body)")
    db.execute("INSERT INTO notes (notes, rank) VALUES ('secure-delete', ?)", (option,))
    db.execute("INSERT INTO notes (rowid, body) VALUES (1, 'zanzibarpassphrase'), (2, 'another row')")
    db.execute("DELETE FROM notes WHERE rowid = 1")
    assert not list(db.execute("SELECT rowid FROM notes WHERE notes MATCH 'zanzibarpassphrase'"))
    db.execute("VACUUM")
    db.close()
    return b"zanzibarpassphrase" in path.read_bytes()


print(f"SQLite {apsw.sqlite_lib_version()}: pragma only: {is_left(0)}, option: {is_left(1)}")
PYTHON
seen=$(venv/bin/python shows.py)
echo "the deleted word is still in the file: $seen"
if [ "$seen" != 'SQLite 3.54.1: pragma only: True, option: False' ]; then
    echo "changed" >&2
    exit 1
fi
