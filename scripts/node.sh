# Puts a sufficiently new Node first on the PATH. Source this file from the repository root.
#
# The console's build tools need Node 20.19 or newer, but Debian 12 and Ubuntu 24.04 have Node 18. If Node is too old,
# npm installs a newer Node in target/node.

scripts/install.sh node:nodejs npm:npm
is_new_enough() {
    "$1" -e 'const [major, minor] = process.versions.node.split("."); process.exit(major > 20 || (major == 20 && minor >= 19) ? 0 : 1)'
}
if ! is_new_enough node; then
    node_wanted=22.23.3
    if ! is_new_enough target/node/node_modules/.bin/node 2>/dev/null; then
        echo "The console needs Node 20.19 or newer; installing Node $node_wanted in target/node, because $(node --version) is older"
        mkdir -p target/node
        scripts/progress.sh "npm install node" npm install --prefix target/node --no-audit --no-fund --loglevel=error "node@$node_wanted"
    fi
    PATH=$PWD/target/node/node_modules/.bin:$PATH
    export PATH
fi
