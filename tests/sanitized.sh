#!/usr/bin/env bash
# The extension under AddressSanitizer and UndefinedBehaviorSanitizer, driven by tests in Python.
#
#   tests/sanitized.sh PYTHON [TEST]...
#
# PYTHON has pytest and hypothesis. With the GIL, objects are taken from malloc, so that a late look at
# one is seen as well; without it only what the library itself allocates is. Leaks are not looked for:
# the interpreter keeps a good deal until it ends, and tests/test_refleaks.py counts.
set -u
[ $# -gt 0 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
python=$(command -v "$1") || { echo "no $1"; exit 2; }
[[ $python = /* ]] || python=$PWD/$python # this script goes elsewhere; a link of a virtual environment stays a link
shift
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CC=${CC:-cc}
runtimes=()
for library in libasan.so libubsan.so; do
    path=$("$CC" -print-file-name=$library)
    [ -e "$path" ] || { echo "$CC has no $library"; exit 2; }
    runtimes+=("$path")
done
tree=$(mktemp -d) || exit 2
trap 'rm -rf "$tree"' EXIT
(cd "$root" && tar -cf - csrc tests reagents/*.py* reagents/testing lockfree/*.py* README.md pyproject.toml) | tar -xf - -C "$tree"
cd "$tree" || exit 2
rm -f ./*/*.so
read -r include suffix free_threaded < <("$python" -c '
import sysconfig as s
print(s.get_path("include"), s.get_config_var("EXT_SUFFIX"), s.get_config_var("Py_GIL_DISABLED") or 0)')
"$CC" -shared -fPIC -std=gnu11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer \
    -fvisibility=hidden -fno-strict-aliasing -fwrapv -w -Icsrc/core -Icsrc/objects -isystem "$include" csrc/objects/*.c csrc/core/*.c \
    csrc/shared/{segment,slots,mapping,array,shared_word}.c -o "reagents/_core$suffix" -pthread || exit 1
if [ $# = 0 ]; then
    set -- tests/test_{stack,queue,ref,atomic_int,counter,conservation,collector,log,blocking,payloads,aba,linearizability,reentrancy}.py
fi
[ "$free_threaded" = 1 ] || export PYTHONMALLOC=malloc
LD_PRELOAD="${runtimes[*]}" ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 PYTHONPATH=$tree \
    "$python" -m pytest -q -p no:cacheprovider "$@"
