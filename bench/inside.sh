#!/usr/bin/env bash
# Runs a program of the bench in a network and process namespace of its own, with libtorrent's Python:
#
#   bench/inside.sh main.py --cases far
set -euo pipefail
# Debian keeps `ip` and the daemons out of a plain user's path.
PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "$0")/.." && pwd)
program=$1
shift

python=$here/.parts/venv/bin/python
[[ -x $python ]] || { echo "bench: \`$python\` is missing: run scripts/parts bench" >&2; exit 3; }

# A network of its own, and processes of its own: what is started in there ends with it.
inside=(--net --pid --fork --kill-child=TERM --mount-proc)
if ! unshare "${inside[@]}" true 2>/dev/null; then
    inside+=(--map-root-user)
    unshare "${inside[@]}" true || { echo "bench: this kernel gives us no namespaces: run it as root" >&2; exit 3; }
fi
# `unshare` itself heeds no signal; when it goes, the bench inside is told to clean up and end.
unshare "${inside[@]}" "$python" -B "$here/bench/$program" --root "$here" "$@" &
child=$!
trap 'kill -KILL $child; exit 130' INT TERM
wait $child
