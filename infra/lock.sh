#!/bin/sh
# Resolve anew and export the locks: one for the whole workspace, one per service image, two beside.
#
# uv.lock itself stays out of git, because it records where packages were downloaded from.
set -eu
cd "$(dirname "$0")/.."

uv=uv
command -v uv >/dev/null 2>&1 || uv=.tools/bin/uv
export_lock() { "$uv" export --quiet --no-emit-workspace --no-header --no-annotate "$@" >/dev/null; }

"$uv" lock --quiet "$@"
export_lock --all-packages --all-groups --output-file requirements.lock
for folder in services/*; do
    export_lock --package "$(basename "$folder")" --no-default-groups \
        --output-file "$folder/requirements.lock"
done

# What stands beside the product, in its versions where both use a package: the benchmark's peer
# and its plots, and the Node.js that checks contracts (its own packages: infra/node/README.md).
for folder in infra/bench/peers infra/node; do
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
        --no-annotate --constraint requirements.lock \
        --output-file "$folder/requirements.lock" "$@" "$folder/requirements.in"
done
