#!/usr/bin/env bash
# PostgreSQL does not use the order of an index behind a column that is fixed by `IS NULL`. With an index on (deleted_at, id),
# `WHERE deleted_at = '2026-01-01' ORDER BY id LIMIT 10` reads ten entries of the index, but `WHERE deleted_at IS NULL ORDER BY id
# LIMIT 10` reads all matching entries and sorts them: the planner treats only an equality as a constant. A page of the rows that are
# not deleted therefore gets slower as the table grows. A partial index, `ON t (id) WHERE deleted_at IS NULL`, keeps the order.
#
# Observed with PostgreSQL 18.7 (PGlite 0.5.17) on 20,000 rows without a primary key: equality: no sort; IS NULL: sort; partial index: no sort.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --no-audit --no-fund --loglevel=error @electric-sql/pglite@0.5.17 >/dev/null
cat >shows.mjs <<'JAVASCRIPT'
import { PGlite } from "@electric-sql/pglite";

const db = new PGlite();
await db.exec(`
    CREATE TABLE t (id BIGINT NOT NULL, deleted_at DATE);
    INSERT INTO t SELECT n, CASE WHEN n % 2 = 0 THEN DATE '2026-01-01' END FROM generate_series(1, 20000) AS n;
    CREATE INDEX t_order ON t (deleted_at, id);
    ANALYZE t;
`);
const sorts = async (condition) => {
    const plan = await db.query(`EXPLAIN SELECT id FROM t WHERE ${condition} ORDER BY id LIMIT 10`);
    return plan.rows.some((row) => row["QUERY PLAN"].includes("Sort")) ? "sort" : "no sort";
};
const equality = await sorts("deleted_at = DATE '2026-01-01'");
const isNull = await sorts("deleted_at IS NULL");
await db.exec("CREATE INDEX t_partial ON t (id) WHERE deleted_at IS NULL");
const partial = await sorts("deleted_at IS NULL");
const version = (await db.query("SHOW server_version")).rows[0].server_version;
console.error(`PostgreSQL ${version}`);
console.log(`equality: ${equality}, IS NULL: ${isNull}, partial index: ${partial}`);
JAVASCRIPT
seen=$(node shows.mjs)
echo "$seen"
if [ "$seen" != 'equality: no sort, IS NULL: sort, partial index: no sort' ]; then
    echo "changed" >&2
    exit 1
fi
