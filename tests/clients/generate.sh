#!/usr/bin/env bash
# Generates Java and Go code in target/generated, as configured in buf.gen.yaml.
set -euo pipefail
cd "$(dirname "$0")/../.."

scripts/install.sh python3:python3 npm:npm javac:default-jdk-headless protobuf-compiler protobuf-compiler-grpc-java-plugin \
    libprotobuf-java libgrpc-java libnetty-java libperfmark-java libguava-java libgeronimo-annotation-1.3-spec-java \
    protoc-gen-go:protoc-gen-go protoc-gen-go-grpc:protoc-gen-go-grpc
npm exec --yes --package=@bufbuild/buf@1.75.0 -- buf generate
