#!/bin/sh
# Make .venv hold exactly what requirements.lock says, plus this workspace's own packages.
#
# Needs a Python of 3.11 or newer, or uv; nothing is installed outside this folder and nobody is
# asked anything. When neither the lock nor the list of packages changed it ends at once.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

packages() { for folder in contracts libs/* services/* infra/*; do
    [ -f "$folder/pyproject.toml" ] && printf '%s\n' "$folder"
done; }

fingerprint() { packages | sed 's|$|/pyproject.toml|' | xargs cat requirements.lock infra/bootstrap.sh | cksum; }

stamp=.venv/.seda-setup
wanted="$(fingerprint) $(packages | cksum)"
if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

# pyenv's shims exist for versions that are not installed: a candidate counts when it really runs.
python=''
for candidate in python3.13 python3.12 python3.11 python3 python3.14 python; do
    if "$candidate" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$("$candidate" -c 'import sys; print(sys.executable)')
        break
    fi
done

uv=''
if command -v uv >/dev/null 2>&1; then
    uv=uv
elif [ -x .tools/bin/uv ]; then
    uv=.tools/bin/uv
elif [ -z "$python" ]; then
    fail 'no Python 3.11 or newer and no uv found. Install one of them (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install uv) and run this again.'
else
    say "installing uv into .tools with $python"
    rm -rf .tools
    if "$python" -m venv .tools >/dev/null 2>&1 && .tools/bin/python -m pip install --quiet uv; then
        :
    else
        # Debian without python3-venv: pip alone may still install into a folder of ours.
        rm -rf .tools
        "$python" -m pip install --quiet --target .tools uv ||
            fail "uv could not be installed: $python has neither venv nor pip (Debian, Ubuntu: apt install python3-venv), or the package index cannot be reached."
    fi
    uv=.tools/bin/uv
fi

# uv downloads an interpreter only when this machine has none that is new enough.
if ! .venv/bin/python -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then
    say "creating .venv with ${python:-a downloaded Python}"
    rm -rf .venv
    "$uv" venv --quiet --python "${python:-3.12}" .venv
fi
rm -f "$stamp"
# Compiled at once, our own code below too: services start about three times faster, even where
# Python may not write bytecode by itself (PYTHONDONTWRITEBYTECODE).
say 'installing the locked packages'
"$uv" pip sync --quiet --python .venv/bin/python --compile-bytecode --require-hashes requirements.lock
set --
for folder in $(packages); do set -- "$@" -e "./$folder"; done
"$uv" pip install --quiet --python .venv/bin/python --no-deps "$@"
.venv/bin/python -m compileall -q contracts libs services infra >/dev/null || true
printf '%s\n' "$wanted" >"$stamp"
say 'done'
