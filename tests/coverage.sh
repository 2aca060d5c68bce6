#!/usr/bin/env bash
# Which lines the tests execute: of C, by the tests in Python and those of the core together; of Python.
#
#   tests/coverage.sh PYTHON [TEST]...
#
# PYTHON has pytest, hypothesis and coverage. Needs gcov. What children execute that end by _exit (after a fork) or by
# a signal is not counted; nor is what the explorer and the mutants do. Without optimization: takes some minutes.
set -u
[ $# -gt 0 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
python=$(command -v "$1") || { echo "no $1"; exit 2; }
[[ $python = /* ]] || python=$PWD/$python
shift
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CC=${CC:-gcc}
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
(cd "$root" && tar -cf - csrc tests reagents lockfree README.md pyproject.toml docs) | tar -xf - -C "$work"
cd "$work" || exit 2
rm -f ./reagents/*.so
measured=(-O0 -g --coverage -fprofile-update=atomic)

echo "=== tests in Python"
read -r include suffix < <("$python" -c 'import sysconfig as s; print(s.get_path("include"), s.get_config_var("EXT_SUFFIX"))')
mkdir objects
for source in csrc/objects/*.c csrc/core/*.c csrc/shared/{segment,slots,mapping,array,shared_word}.c; do
    "$CC" -std=gnu11 -fPIC "${measured[@]}" -fvisibility=hidden -fno-strict-aliasing -fwrapv -w -Icsrc/core -Icsrc/objects \
        -isystem "$include" -c "$source" -o "objects/$(basename "$(dirname "$source")").$(basename "$source" .c).o" || exit 1
done
"$CC" -shared --coverage objects/*.o -o "reagents/_core$suffix" -pthread || exit 1
status=0
PYTHONPATH=$work "$python" -m coverage run --branch --source=reagents,lockfree -m pytest -q -p no:cacheprovider --timeout 600 "$@" || status=1

echo "=== tests of the core"
for source in tests/core/test_*.c tests/core/gated_*.c; do
    program=$(basename "$source" .c) more=()
    [ "$program" = test_membarrier ] && more=(-Wl,--wrap=syscall)
    [[ $program = gated_* ]] && more=('-DRG_CHECKED="gate.h"')
    mkdir "$program"
    (cd "$program" && "$CC" -std=c11 "${measured[@]}" -w -I"$work/csrc/core" -I"$work/tests/core" "$work/$source" "$work"/csrc/core/*.c \
        "${more[@]}" -o program -pthread && ./program | grep -v '^ok') && status=1
done

echo "=== C"
find . -name '*.gcda' | while read -r data; do
    (cd "$(dirname "$data")" && gcov --json-format --stdout "$(basename "$data")" 2>/dev/null)
done | "$python" tests/coverage_of_c.py "$work" || status=1
echo "=== Python"
"$python" -m coverage report --show-missing || status=1
exit $status
