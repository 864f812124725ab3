#!/bin/sh
# Resolve anew and export the locks: the whole workspace's, one per service image, the benchmark's.
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

# What the benchmark measures us beside, in the versions that we have where we share a package.
peers=infra/bench/peers
"$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
    --no-annotate --constraint requirements.lock --output-file "$peers/requirements.lock" \
    "$@" "$peers/requirements.in"
