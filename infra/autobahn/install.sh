#!/bin/sh
# Install wstest, the Autobahn test suite, into .tools/autobahn. Nothing to do when it is current.
#
# The suite was never ported from Python 2.7, so that one thing must be on the machine; PYTHON2 may
# name it. Everything else is pinned by hash, like every other tool, and stays out of .venv.
set -eu
cd "$(dirname "$0")/../.."

here=infra/autobahn
target=.tools/autobahn
wanted=$(cat "$here"/*.lock "$here/install.sh" | cksum)
[ -x "$target/python2/bin/wstest" ] && [ "$(cat "$target/stamp" 2>/dev/null)" = "$wanted" ] && exit 0

say() { printf 'autobahn: %s\n' "$*" >&2; }

# pyenv's shims exist for versions that are not installed: a candidate counts when it really runs.
python2=''
for candidate in "${PYTHON2:-python2.7}" python2 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python2.7; do
    if "$candidate" -c 'import sys; raise SystemExit(sys.version_info[:2] != (2, 7))' 2>/dev/null; then
        python2=$("$candidate" -c 'import sys; print(sys.executable)')
        break
    fi
done
if [ -z "$python2" ]; then
    say 'no Python 2.7 found, and the suite runs on no other. Get it (`pyenv install 2.7.18`; Ubuntu 22.04: apt install python2.7), or name it with PYTHON2=/path/to/python2.7, and run this again.'
    exit 2
fi

uv=uv
command -v uv >/dev/null 2>&1 || uv=$PWD/.tools/bin/uv
log=$target/install.log
missing() {
    say "$1 could not be installed: is the package index reachable, and is there a C compiler? $log says more."
    exit 2
}

say "installing the suite into $target with $python2"
rm -rf "$target"
mkdir -p "$target"
"$uv" pip install --quiet --python .venv/bin/python --target "$target/virtualenv" --no-deps \
    --require-hashes --requirement "$here/virtualenv.lock" >"$log" 2>&1 || missing virtualenv
PYTHONPATH="$target/virtualenv" .venv/bin/python -m virtualenv --quiet --python "$python2" \
    "$target/python2" >>"$log" 2>&1 || missing 'its environment'
"$target/python2/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --requirement "$here/python2.lock" >>"$log" 2>&1 || missing wstest
printf '%s\n' "$wanted" >"$target/stamp"
