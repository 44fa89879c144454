#!/usr/bin/env bash
# clients.sh go|java: generates a client package from proto/ with protoc and its plugins.
#
# go   → target/clients-go, a Go module. MODULE is its path; the default is runyard.example/client.
# java → target/clients-java, a Maven project, and a jar if javac and Debian's gRPC libraries are installed.
set -euo pipefail
cd "$(dirname "$0")/.."

language=$1
out=$PWD/target/clients-$language
module=${MODULE:-runyard.example/client}
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)

scripts/install.sh protoc:protobuf-compiler libprotobuf-dev
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r proto "$work/proto"
# The .proto files of the API leave the packages of other languages to their users.
find "$work/proto/runyard" -name '*.proto' -exec sed -i \
    "s#^package runyard\.v1;#&\noption go_package = \"$module/runyard/v1;runyardv1\";\noption java_package = \"com.runyard.v1\";\noption java_multiple_files = true;#" {} +
mapfile -t files < <(cd "$work/proto" && find runyard -name '*.proto' | sort)
mapfile -t google < <(cd "$work/proto" && find google -name '*.proto' | sort)

readme() {
    printf '# Runyard client for %s\n\n%s\n\nGenerated from the .proto files of Runyard %s by `make clients-%s`. docs/clients.md says what every client needs to do.\n' \
        "$1" "$2" "$version" "$language" >"$out/README.md"
    cp LICENSE "$out/LICENSE"
}

generate_go() {
    scripts/install.sh protoc-gen-go:protoc-gen-go protoc-gen-go-grpc:protoc-gen-go-grpc
    protoc --proto_path="$work/proto" --go_out="$out" --go_opt=module="$module" \
        --go-grpc_out="$out" --go-grpc_opt=module="$module" "${files[@]}"
    cat >"$out/go.mod" <<END
module $module

go 1.19

require (
	google.golang.org/genproto/googleapis/api v0.0.0-20240318140521-94a12d6c2237
	google.golang.org/genproto/googleapis/rpc v0.0.0-20240318140521-94a12d6c2237
	google.golang.org/grpc v1.64.1
	google.golang.org/protobuf v1.33.0
)
END
    readme Go "Import \`$module/runyard/v1\`. Run \`go mod tidy\` once; newer versions of the libraries work, too."
}

generate_java() {
    scripts/install.sh grpc_java_plugin:protobuf-compiler-grpc-java-plugin
    local source=$out/src/main/java
    mkdir -p "$source" "$work/imports" "$work/classes"
    protoc --proto_path="$work/proto" --java_out="$source" --plugin=protoc-gen-grpc-java="$(command -v grpc_java_plugin)" \
        --grpc-java_out="$source" "${files[@]}"
    cat >"$out/pom.xml" <<END
<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>com.runyard</groupId>
  <artifactId>runyard-client</artifactId>
  <version>$version</version>
  <packaging>jar</packaging>
  <properties>
    <maven.compiler.release>11</maven.compiler.release>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
    <grpc.version>1.64.0</grpc.version>
  </properties>
  <dependencies>
    <dependency><groupId>io.grpc</groupId><artifactId>grpc-netty-shaded</artifactId><version>\${grpc.version}</version></dependency>
    <dependency><groupId>io.grpc</groupId><artifactId>grpc-protobuf</artifactId><version>\${grpc.version}</version></dependency>
    <dependency><groupId>io.grpc</groupId><artifactId>grpc-stub</artifactId><version>\${grpc.version}</version></dependency>
    <!-- Code of grpc_java_plugin before 1.56 uses this annotation. -->
    <dependency><groupId>javax.annotation</groupId><artifactId>javax.annotation-api</artifactId><version>1.3.2</version></dependency>
  </dependencies>
</project>
END
    readme Java "Messages and stubs are in the package \`com.runyard.v1\`. \`mvn package\` builds the artifact \`com.runyard:runyard-client:$version\`."
    if ! command -v javac >/dev/null || ! [ -e /usr/share/java/grpc-stub.jar ]; then
        echo "SKIPPED: no jar, because javac or Debian's libgrpc-java is missing; build it with mvn package"
        return
    fi
    # Debian has no package of Google's common messages, so they are compiled for the class path only.
    protoc --proto_path="$work/proto" --java_out="$work/imports" "${google[@]}"
    local jars
    jars=$(python3 -c 'import sys; sys.path.insert(0, "tests/clients"); import java; print(":".join(str(java.JARS / f"{name}.jar") for name in java.NEEDED))')
    find "$work/imports" "$source" -name '*.java' >"$work/sources"
    javac -nowarn -proc:none -Xlint:none -d "$work/classes" -cp "$jars" "@$work/sources"
    (cd "$work/classes" && jar --create --file "$out/runyard-client-$version.jar" com/runyard &&
        jar --create --file "$out/google-common-protos-for-tests.jar" com/google)
}

rm -rf "$out"
mkdir -p "$out"
generate_"$language"
echo "target/clients-$language"
