#!/usr/bin/env bash
# Breaks the library on purpose, one way at a time, on copies, and says which test notices.
#
#   tests/mutants/run.sh [--core | --engine] [NAME]...
#
# core.sh lists the mutants of csrc/core, which tests/core kills; engine.sh those of csrc/objects,
# which the tests in Python kill (PYTHON=... with pytest and hypothesis; default .venv/bin/python).
# A line each: killed, by what, in how many seconds and why it is wrong; or SURVIVED. A mutant whose
# edit changes nothing or does not build is an error, not a kill. Exits non-zero unless all died.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
export RG_WARNINGS='' RG_HANG_SECONDS=${RG_HANG_SECONDS:-4} RG_TEST_SECONDS=${RG_TEST_SECONDS:-0.5}
CC=${CC:-cc}
PYTHON=${PYTHON:-$root/.venv/bin/python}
kinds="core engine" wanted=() killed=0 survived=0 errors=0 skipped=0
while [ $# -gt 0 ]; do
    case $1 in
        --core | --engine) kinds=${1#--} ;;
        -*) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
        *) wanted+=("$1") ;;
    esac
    shift
done

is_wanted() { [ ${#wanted[@]} = 0 ] || [[ " ${wanted[*]} " = *" $1 "* ]]; }

# verdict NAME SECONDS KILLER REASON: an empty killer means that nothing noticed.
verdict() {
    if [ -n "$3" ]; then
        printf 'killed   %-26s %3d s  by %s (%s)\n' "$1" "$2" "$3" "$4"
        killed=$((killed + 1))
    else
        printf 'SURVIVED %-26s %3d s  (%s)\n' "$1" "$2" "$4"
        survived=$((survived + 1))
    fi
}

error() { # error NAME WHAT
    printf 'ERROR    %-26s %s\n' "$1" "$2"
    errors=$((errors + 1))
}

# ---- csrc/core

core_base() {
    cp -r "$root/csrc/core" "$work/base"
    # What fails on the core as it is would count as a kill.
    RG_CORE=$work/base "$root/tests/core/run.sh" --mode plain >"$work/log" 2>&1 && return
    grep -v '^ok' "$work/log"
    echo "the tests of the core fail without any mutant"
    exit 2
}

core_mutant() { # core_mutant NAME FILE SED MODE TEST REASON
    local name=$1 file=$2 edit=$3 mode=$4 test=$5 reason=$6 core=$work/core output began=$SECONDS
    is_wanted "$name" || return
    rm -rf "$core" && cp -r "$work/base" "$core"
    sed -i -E "$edit" "$core/$file"
    if cmp -s "$core/$file" "$work/base/$file"; then
        error "$name" "the edit changes nothing"
        return
    fi
    output=$(RG_CORE=$core "$root/tests/core/run.sh" --mode "$mode" --only "$test" 2>&1)
    # Not that test: a schedule, or any other test?
    if [[ $output != *"does not build"* && $output != *librgcore.a* && $output = *" 0 failed" ]]; then
        output=$(RG_CORE=$core timeout 100 "$root/tests/explore/run.sh" 2>&1)
        [[ $output = *FAIL\ * ]] || output=$(RG_CORE=$core "$root/tests/core/run.sh" 2>&1)
    fi
    if [[ $output = *"does not build"* || $output = *librgcore.a* ]]; then
        error "$name" "does not build: $output"
        return
    fi
    verdict "$name" $((SECONDS - began)) "$(sed -n 's/^FAIL //p' <<<"$output" | head -3 | paste -sd ';')" "$reason"
}

# ---- csrc/objects

FACE="segment slots mapping array shared_word" # the part of csrc/shared that the extension binds
compile() { # compile SOURCE (of the copied tree)
    "$CC" -std=gnu11 -O1 -fPIC -fvisibility=hidden -fno-strict-aliasing -fwrapv -DNDEBUG -w -Icsrc/core -Icsrc/objects \
        -isystem "$include" -c -o "../objects/$(basename "$1" .c).$(basename "$(dirname "$1")").o" "$1"
}
sources() { (cd "$work/tree" && ls csrc/objects/*.c csrc/core/*.c && printf 'csrc/shared/%s.c\n' $FACE); }
link() { "$CC" -shared -o "reagents/_core$suffix" ../objects/*.o -pthread; }
build() { # build SOURCE...
    local file
    (
        cd "$work/tree" || exit
        for file in "$@"; do
            compile "$file" &
            [ "$(jobs -rp | wc -l)" -ge 2 ] && { wait -n || exit; }
        done
        while [ -n "$(jobs -rp)" ]; do wait -n || exit; done
        link
    ) >"$work/build.log" 2>&1
}
python_tests() { # python_tests TEST...: prints what failed; says nothing when all passed
    local status
    (cd "$work/tree" && PYTHONPATH=$work/tree timeout 120 "$PYTHON" -m pytest -x -q -p no:cacheprovider --timeout 10 "$@") >"$work/log" 2>&1
    status=$?
    case $status in
        0) return ;;
        1) sed -n 's/^\(FAILED\|ERROR\) \([^ ]*\).*/\2/p' "$work/log" | head -1 | grep . || echo "$*" ;;
        124) echo "$1: hangs" ;;
        *) [ $status -gt 128 ] && echo "$1: a crash, signal $((status - 128))" || echo "?? exit $status: $(tail -1 "$work/log")" ;;
    esac
}

engine_base() {
    [ -x "$PYTHON" ] || { echo "no $PYTHON: say PYTHON=..., an interpreter with pytest and hypothesis"; exit 2; }
    read -r include suffix free_threaded < <("$PYTHON" -c '
import sysconfig as s
print(s.get_path("include"), s.get_config_var("EXT_SUFFIX"), s.get_config_var("Py_GIL_DISABLED") or 0)')
    mkdir -p "$work/tree" "$work/objects"
    (cd "$root" && tar -cf - csrc tests reagents/*.py* reagents/testing lockfree/*.py* README.md pyproject.toml) | tar -xf - -C "$work/tree"
    rm -f "$work"/tree/*/*.so
    # shellcheck disable=SC2046
    build $(sources) || { cat "$work/build.log"; echo "the extension does not build"; exit 2; }
}

engine_mutant() { # engine_mutant NAME FILE SED NEEDS TEST REASON; NEEDS: any, gil, free
    local name=$1 file=csrc/objects/$2 edit=$3 needs=$4 test=$5 reason=$6 began=$SECONDS by
    is_wanted "$name" || return
    case $needs$free_threaded in
        gil1 | free0)
            printf 'skipped  %-26s another build of Python: %s\n' "$name" "$needs"
            skipped=$((skipped + 1))
            return
            ;;
    esac
    cp "$work/tree/$file" "$work/saved"
    sed -i -E "$edit" "$work/tree/$file"
    local affected=$file
    # shellcheck disable=SC2046
    [[ $file = *.h ]] && affected=$(sources | grep objects/)
    if cmp -s "$work/tree/$file" "$work/saved"; then
        error "$name" "the edit changes nothing"
    elif ! build $affected; then
        error "$name" "does not build: $(grep -m1 error "$work/build.log")"
    else
        # shellcheck disable=SC2086
        by=$(python_tests $test)
        if [[ $by = '??'* ]]; then error "$name" "$by"; else verdict "$name" $((SECONDS - began)) "$by" "$reason"; fi
    fi
    cp "$work/saved" "$work/tree/$file"
    build $affected || { echo "does not build without the mutant either"; exit 2; }
}

for kind in $kinds; do
    "${kind}_base"
    # shellcheck source=/dev/null
    . "$here/$kind.sh"
done
echo "$killed killed, $survived survived, $errors errors, $skipped skipped; $SECONDS s"
[ $survived = 0 ] && [ $errors = 0 ] && [ $killed -gt 0 ]
