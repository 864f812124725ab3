#!/bin/sh
# Install what the product is measured beside into .tools/faststream, where no part of it looks.
set -eu
cd "$(dirname "$0")/../../.."

lock=infra/bench/peers/requirements.lock
target=.tools/faststream
cmp -s "$lock" "$target/requirements.lock" && exit 0

uv=uv
command -v uv >/dev/null 2>&1 || uv=.tools/bin/uv
rm -rf "$target"
"$uv" pip install --quiet --python .venv/bin/python --target "$target" \
    --no-deps --require-hashes --requirement "$lock"
cp "$lock" "$target/requirements.lock"
