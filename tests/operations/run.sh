#!/usr/bin/env bash
# Tests what operators use: run.sh [PART...]. The default is all parts.
#
#   metrics   packaging/prometheus and packaging/grafana, with promtool and the metrics of the program
#   deploy    packaging/docker with Docker Compose, packaging/helm with Helm and the schemas of Kubernetes
#   backup    the recipes for backups in docs/operations.md, with SQLite and PostgreSQL
#
# RUNYARD_BIN is the path of the server. Missing tools are installed from Debian and PyPI. A part whose tools cannot be
# installed is skipped; the last line counts these parts.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
export RUNYARD_BIN=${RUNYARD_BIN:-$target/debug/runyard}
export RUNYARD_CLIENTS=$target/clients
mkdir -p "$RUNYARD_CLIENTS"

parts=("$@")
if [ ${#parts[@]} = 0 ]; then
    parts=(metrics deploy backup)
fi

export PATH=$PATH:/usr/sbin:/sbin PYTHONPATH=tests/clients PYTHONDONTWRITEBYTECODE=1
scripts/install.sh python3:python3 bwrap:bubblewrap
skipped=()
for part in "${parts[@]}"; do
    echo "── operations: $part"
    case $part in
    metrics)
        scripts/install.sh python3-yaml
        if ! scripts/install.sh promtool:prometheus; then
            echo "SKIPPED: the alert rules are not tested without promtool"
            skipped+=(promtool)
        fi
        /usr/bin/python3 -m unittest --verbose tests/operations/metrics_test.py
        ;;
    deploy)
        if ! venv=$(tests/clients/venv.sh operations tests/operations/requirements.txt); then
            echo "SKIPPED: Docker Compose, Helm or the schemas of Kubernetes cannot be installed on this machine"
            skipped+=(deploy)
            continue
        fi
        "$venv/bin/python" -m unittest --verbose tests/operations/deploy_test.py
        ;;
    backup)
        scripts/install.sh sqlite3:sqlite3 curl:curl
        if ! scripts/postgres.sh version >/dev/null 2>&1; then
            scripts/install.sh postgresql
        fi
        python3 -m unittest --verbose tests/operations/backup_test.py
        ;;
    *)
        echo "unknown part: $part" >&2
        exit 2
        ;;
    esac
done
echo "operations: ${#skipped[@]} skipped${skipped[*]:+: ${skipped[*]}}"
