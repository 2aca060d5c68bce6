#!/usr/bin/env bash
# Breaks the library on purpose, one way at a time, on copies, and says which test notices.
#
#   tests/mutants/run.sh [--core | --engine] [--jobs N] [NAME]...
#   tests/mutants/run.sh --stale                          names those whose edit changes nothing any more
#
# core.sh lists the mutants of csrc/core, which tests/core and tests/explore kill; engine.sh those of csrc/objects,
# which the tests in Python kill (PYTHON=... with pytest and hypothesis; default .venv/bin/python). N at once, by
# default as many as there are processors. A line each: killed, in how many seconds, by what, after how many
# executions (schedules of the explorer, tests in Python; a test of the core is one) and why it is wrong; or SURVIVED.
# A mutant whose edit changes nothing or does not build is an error, not a kill. Exits non-zero unless all died.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
export RG_WARNINGS='' RG_HANG_SECONDS=${RG_HANG_SECONDS:-4} RG_TEST_SECONDS=${RG_TEST_SECONDS:-0.5}
CC=${CC:-cc}
PYTHON=${PYTHON:-$root/.venv/bin/python}
kinds="core engine" wanted=() jobs=$(nproc) stale=0
while [ $# -gt 0 ]; do
    case $1 in
        --core | --engine) kinds=${1#--} ;;
        --jobs) jobs=$2; shift ;;
        --stale) stale=1 ;;
        -*) sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
        *) wanted+=("$1") ;;
    esac
    shift
done

if [ "$stale" = 1 ]; then
    mutants=0
    looked_at() { # looked_at DIRECTORY NAME FILE SED ...
        mutants=$((mutants + 1))
        ! sed -E "$4" "$1/$3" | cmp -s - "$1/$3" || echo "$2: its edit changes nothing in $3" | tee -a "$work/stale"
    }
    core_mutant() { looked_at "$root/csrc/core" "$@"; }
    engine_mutant() { looked_at "$root/csrc/objects" "$@"; }
    # shellcheck source=/dev/null
    for kind in $kinds; do . "$here/$kind.sh"; done
    echo "$mutants mutants"
    [ ! -e "$work/stale" ]
    exit
fi

# in_turn FUNCTION NAME ARGUMENT...: in the background, in a directory of its own, $work/NAME.
in_turn() {
    [ ${#wanted[@]} = 0 ] || [[ " ${wanted[*]} " = *" $2 "* ]] || return
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
    (
        mkdir "$work/$2"
        "$@"
        rm -rf "${work:?}/$2"
    ) &
}

say() { # say WORD NAME SECONDS WHAT: one write, for others print too
    printf '%-8s %-26s %3s s  %s\n' "$1" "$2" "$3" "$4"
    echo "$1" >>"$work/verdicts"
}

verdict() { # verdict NAME SECONDS KILLER EXECUTIONS REASON: an empty killer means that nothing noticed
    if [ -n "$3" ]; then say killed "$1" "$2" "by $3, $4 ($5)"; else say SURVIVED "$1" "$2" "($5)"; fi
}

error() { say ERROR "$1" - "$2"; } # error NAME WHAT

# ---- csrc/core

core_base() {
    mkdir "$work/base"
    cp -r "$root/csrc/core" "$work/base/core"
    # What fails on the core as it is would count as a kill.
    RG_CORE=$work/base/core "$root/tests/core/run.sh" --mode plain >"$work/log" 2>&1 && return
    grep -v '^ok' "$work/log"
    echo "the tests of the core fail without any mutant"
    exit 2
}

try_core() { # try_core CORE MODE TEST: what the tests print
    if [ "$2" = explore ]; then
        RG_CORE=$1 timeout 100 "$root/tests/explore/run.sh" --first --only "$3" 2>&1
    elif [[ $2 = weak && $3 = *' '* ]]; then # a scenario and a schedule, which the core as it is does not allow
        local end
        # shellcheck disable=SC2086
        end=$(RG_CORE=$1 timeout 100 "$root/tests/explore/run.sh" --replay $3 2>&1 | tail -1)
        [[ $end = *"does not fit"* || $end = "no error" ]] || echo "FAIL ${3%% *}, as told: $end"
    elif [ "$2" = weak ]; then
        RG_CORE=$1 timeout 100 "$root/tests/explore/run.sh" --first --mode weak --seconds 5 --only "$3" 2>&1
    else
        RG_CORE=$1 "$root/tests/core/run.sh" --mode "$2" --only "$3" 2>&1
    fi
}

core_mutant() { in_turn one_core_mutant "$@"; }
one_core_mutant() { # core_mutant NAME FILE SED MODE TEST REASON; MODE: plain, tsan, asan, explore or weak
    local name=$1 file=$2 edit=$3 mode=$4 test=$5 reason=$6 core=$work/$1/core output began=$SECONDS
    cp -r "$work/base/core" "$core"
    sed -i -E "$edit" "$core/$file"
    if cmp -s "$core/$file" "$work/base/core/$file"; then
        error "$name" "the edit changes nothing"
        return
    fi
    output=$(try_core "$core" "$mode" "$test")
    # Not that test: a schedule, or any other test?
    if [[ $output != *"does not build"* && $output != *librgcore.a* && $output != *FAIL\ * ]]; then
        output=$(RG_CORE=$core timeout 100 "$root/tests/explore/run.sh" --first 2>&1)
        [[ $output = *FAIL\ * ]] || output=$(RG_CORE=$core "$root/tests/core/run.sh" 2>&1)
    fi
    if [[ $output = *"does not build"* || $output = *librgcore.a* ]]; then
        error "$name" "does not build: $output"
        return
    fi
    local killer executions
    killer=$(sed -n 's/^FAIL //p' <<<"$output" | head -1)
    executions=$(grep -o '[0-9]* executions' <<<"$killer")
    verdict "$name" $((SECONDS - began)) "$(sed -E 's/ +[0-9]+ executions.*//; s/  +/ /' <<<"$killer")" "${executions:-1 execution}" "$reason"
}

# ---- csrc/objects

FACE="segment slots mapping array shared_word" # the part of csrc/shared that the extension binds
compile() { # compile SOURCE (of the copied tree)
    "$CC" -std=gnu11 -O1 -fPIC -fvisibility=hidden -fno-strict-aliasing -fwrapv -DNDEBUG -w -Icsrc/core -Icsrc/objects \
        -isystem "$include" -c -o "../objects/$(basename "$1" .c).$(basename "$(dirname "$1")").o" "$1"
}
sources() { (cd "$root" && ls csrc/objects/*.c csrc/core/*.c && printf 'csrc/shared/%s.c\n' $FACE); }
link() { "$CC" -shared -o "reagents/_core$suffix" ../objects/*.o -pthread; }
build() { # build DIRECTORY SOURCE...: in its tree, and links
    local file directory=$1
    shift
    (
        cd "$directory/tree" || exit
        for file in "$@"; do
            compile "$file" &
            [ "$(jobs -rp | wc -l)" -ge 2 ] && { wait -n || exit; }
        done
        while [ -n "$(jobs -rp)" ]; do wait -n || exit; done
        link
    ) >"$directory/build.log" 2>&1
}
python_tests() { # python_tests DIRECTORY TEST...: prints what failed; says nothing when all passed
    local status directory=$1
    shift
    (cd "$directory/tree" && PYTHONPATH=$directory/tree timeout 120 "$PYTHON" -m pytest -x -v -p no:cacheprovider --timeout "$((10 * REAGENTS_STRESS))" "$@") >"$directory/log" 2>&1
    status=$?
    local last
    last=$(grep -oE '^tests/[^ ]+::[^ ]+' "$directory/log" | tail -1)
    case $status in
        0) return ;;
        1) grep -q '^\(FAILED\|ERROR\) ' "$directory/log" && echo "$last" || echo "$last: hangs" ;;
        124) echo "$last: hangs" ;;
        *) [ $status -gt 128 ] && echo "$last: a crash, signal $((status - 128))" || echo "?? exit $status: $(tail -1 "$directory/log")" ;;
    esac
}

engine_base() {
    [ -x "$PYTHON" ] || { echo "no $PYTHON: say PYTHON=..., an interpreter with pytest and hypothesis"; exit 2; }
    read -r include suffix free_threaded < <("$PYTHON" -c '
import sysconfig as s
print(s.get_path("include"), s.get_config_var("EXT_SUFFIX"), s.get_config_var("Py_GIL_DISABLED") or 0)')
    mkdir -p "$work/whole/tree" "$work/whole/objects"
    (cd "$root" && tar -cf - csrc tests reagents/*.py* reagents/testing lockfree README.md pyproject.toml) | tar -xf - -C "$work/whole/tree"
    rm -f "$work"/whole/tree/*/*.so
    # shellcheck disable=SC2046
    build "$work/whole" $(sources) || { cat "$work/whole/build.log"; echo "the extension does not build"; exit 2; }
}

engine_mutant() { in_turn one_engine_mutant "$@"; }
one_engine_mutant() { # engine_mutant NAME FILE SED NEEDS TEST REASON; NEEDS: any, gil, free
    local name=$1 file=csrc/objects/$2 edit=$3 needs=$4 test=$5 reason=$6 began=$SECONDS by directory=$work/$1
    case $needs$free_threaded in
        gil1 | free0)
            say skipped "$name" - "another build of Python: $needs"
            return
            ;;
    esac
    cp -r "$work"/whole/* "$directory"
    sed -i -E "$edit" "$directory/tree/$file"
    local affected=$file
    # shellcheck disable=SC2046
    [[ $file = *.h ]] && affected=$(sources | grep objects/)
    if cmp -s "$directory/tree/$file" "$work/whole/tree/$file"; then
        error "$name" "the edit changes nothing"
    elif ! build "$directory" $affected; then
        error "$name" "does not build: $(grep -m1 error "$directory/build.log")"
    else
        # On a busy machine threads meet less often than they should: what came through goes on for longer.
        local try executions=0
        for try in 1 2 3; do
            # shellcheck disable=SC2086
            by=$(REAGENTS_STRESS=$((3 * try - 2)) python_tests "$directory" $test)
            executions=$((executions + $(grep -c ' PASSED' "$directory/log")))
            [ -n "$by" ] && break
        done
        if [[ $by = '??'* ]]; then
            error "$name" "$by"
        else
            verdict "$name" $((SECONDS - began)) "$by" "$((executions + 1)) tests" "$reason"
        fi
    fi
}

: >"$work/verdicts"
for kind in $kinds; do
    "${kind}_base"
    # shellcheck source=/dev/null
    . "$here/$kind.sh"
done
wait
count() { grep -c "^$1$" "$work/verdicts"; }
echo "$(count killed) killed, $(count SURVIVED) survived, $(count ERROR) errors, $(count skipped) skipped; $SECONDS s"
[ "$(count SURVIVED)" = 0 ] && [ "$(count ERROR)" = 0 ] && [ "$(count killed)" -gt 0 ]
