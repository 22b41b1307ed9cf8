#!/bin/sh
# Suites that others wrote, pinned by version and hash: `conformance/run.sh kosoku|schemathesis [ARGUMENT]…`.
#
# They are fetched once, from PyPI, into ~/.cache/volery/<suite>-<version>-py<version>. Needs `python3` 3.11 or later, with pip.
# Ends with 69 if the suite cannot be had here, else as the suite does.
#
# Another version: write `kosoku==0.2.0` into a file, then
# `uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header FILE -o kosoku-0.2.0.txt`.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

unavailable() { echo "$*" >&2; exit 69; }

suite=${1:?name a suite}; shift
lock=$(echo "$here/$suite"-*.txt)
[ -f "$lock" ] || unavailable "there is no suite called $suite"
python=$(python3 -c 'import sys; print("py%d.%d" % sys.version_info[:2])' 2>/dev/null) || unavailable "python3 is missing"
lib=${XDG_CACHE_HOME:-$HOME/.cache}/volery/$(basename "$lock" .txt)-$python

# What is there was made from this very lock, to the end.
complete() { cmp -s "$lock" "$lib/lock"; }

fetch() {
  python3 -m pip --version >/dev/null 2>&1 || unavailable "pip is missing: install python3-pip"
  mkdir -p "$(dirname "$lib")"
  new=$(mktemp -d "$lib.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
    --only-binary :all: --require-hashes --target "$new" --requirement "$lock" >&2 \
    || unavailable "$suite could not be fetched"
  cp "$lock" "$new/lock"
  # Another run may have been faster.
  complete || { rm -rf "$lib" && mv "$new" "$lib"; }
  rm -rf "$new"
}

complete || fetch
PYTHONPATH=$lib exec python3 "$lib/bin/$suite" "$@"
