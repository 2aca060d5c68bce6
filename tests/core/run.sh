#!/usr/bin/env bash
# The tests of csrc/core: built as a static library and run plain, under ThreadSanitizer, and under
# AddressSanitizer with UBSan.
#
#   tests/core/run.sh [--mode plain|tsan|asan]... [--only PROGRAM[.TEST]]... [--cost]
#
# --cost: what a k-CAS costs, uncontended, in single CASes (medians of 15 turns), and nothing else.
# RG_CORE: another core than csrc/core (tests/mutants). RG_TEST_SECONDS: how long a stress runs.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
core=$(cd "${RG_CORE:-$here/../../csrc/core}" && pwd) || exit 2
CC=${CC:-gcc}
modes=() only=() cost=0
while [ $# -gt 0 ]; do
    case $1 in
        --mode) modes+=("$2"); shift ;;
        --only) only+=("$2"); shift ;;
        --cost) cost=1 ;;
        *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2206
warnings=(-std=c11 ${RG_WARNINGS--Wall -Wextra -Werror})

if [ $cost = 1 ]; then
    make -s -C "$core" OUT="$work" CC="$CC" CFLAGS=-O2 &&
        "$CC" -std=c11 -O2 -I"$core" "$here/../../benchmarks/kcas_cost.c" "$work/librgcore.a" -o "$work/cost" -pthread &&
        "$work/cost" 15 | awk '
            { for (i = 1; i <= NF; i++) { ns[i, NR] = $i; ratio[i, NR] = $i / $1; ours[i, NR] = $i / $2 } }
            function median(what, i, n,   j, k, x, at) {
                for (j = 1; j <= n; j++) at[j] = what[i, j]
                for (j = 2; j <= n; j++) { x = at[j]; for (k = j; k > 1 && at[k - 1] > x; k--) at[k] = at[k - 1]; at[k] = x }
                return at[int((n + 1) / 2)]
            }
            END {
                split("one CAS instruction|rg_cas1|k = 1|k = 2|k = 4|k = 8|k = 16", name, "|")
                for (i = 1; i <= NF; i++) printf "%-20s %8.1f ns  %6.2f CAS instructions  %6.2f rg_cas1\n",
                    name[i], median(ns, i, NR), median(ratio, i, NR), median(ours, i, NR)
                exit median(ratio, 4, NR) > 10
            }' || { echo "k = 2 costs more than 10 CAS instructions"; exit 1; }
    exit
fi
[ ${#modes[@]} = 0 ] && modes=(plain tsan asan)

passed=0 failed=0
fail() { echo "FAIL $1"; failed=$((failed + 1)); }

# Memory maps of newer kernels are more random than ThreadSanitizer of older compilers knows.
no_aslr=()
setarch -R true 2>/dev/null && no_aslr=(setarch -R)

wanted() { # wanted PROGRAM: is it, or one of its tests, asked for?
    [ ${#only[@]} = 0 ] && return
    local o
    for o in "${only[@]}"; do [ "${o%%.*}" = "$1" ] && return; done
    return 1
}

run_program() { # run_program MODE PROGRAM
    local mode=$1 program=$2 o tests=() line any=0
    [ ${#only[@]} != 0 ] && for o in "${only[@]}"; do
        [[ $o = "$program".* ]] && tests+=("${o#*.}")
    done
    [ ${#tests[@]} = 0 ] && tests=("")
    for o in "${tests[@]}"; do
        while IFS= read -r line; do
            case $line in
                "ok   "*) passed=$((passed + 1)) any=1 ;;
                "FAIL "*) failed=$((failed + 1)) any=1 ;;
            esac
            [[ $line = "ok   "* || $line = "FAIL "* ]] && line="${line/ $program./ $mode $program.}"
            printf '%s\n' "$line"
        done < <("${no_aslr[@]}" "$work/$mode/$program" ${o:+"$o"} 2>&1)
    done
    [ $any = 1 ] || fail "$mode $program: said nothing"
}

for mode in "${modes[@]}"; do
    case $mode in
        plain) flags=(-O2 -g) ;;
        tsan) flags=(-O1 -g -fsanitize=thread) ;;
        asan) flags=(-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer) ;;
        *) echo "no mode $mode" >&2; exit 2 ;;
    esac
    export TSAN_OPTIONS="halt_on_error=1 die_after_fork=0" ASAN_OPTIONS="detect_leaks=1"
    out=$work/$mode
    mkdir -p "$out"
    if ! make -s -C "$core" OUT="$out" CC="$CC" CFLAGS="${flags[*]}" WARNINGS="${RG_WARNINGS--Wall -Wextra -Werror}"; then
        fail "$mode librgcore.a"
        continue
    fi
    build() { # build SOURCE
        local program wrap=() sources=("$out/librgcore.a")
        program=$(basename "$1" .c)
        [ "$program" = test_membarrier ] && wrap=(-Wl,--wrap=syscall)
        [[ $program = gated_* ]] && sources=('-DRG_CHECKED="gate.h"' "$core"/*.c)
        "$CC" "${warnings[@]}" "${flags[@]}" -I"$core" -I"$here" "$1" "${sources[@]}" "${wrap[@]}" -o "$out/$program" -pthread
    }
    for source in "$here"/test_*.c "$here"/gated_*.c; do
        wanted "$(basename "$source" .c)" || continue
        build "$source" & # two at a time: all at once would need the memory of all
        [ "$(jobs -rp | wc -l)" -ge 2 ] && wait -n
    done
    wait
    for source in "$here"/test_*.c "$here"/gated_*.c; do
        program=$(basename "$source" .c)
        wanted "$program" || continue
        if [ -x "$out/$program" ]; then
            run_program "$mode" "$program"
        else
            fail "$mode $program: does not build"
        fi
    done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
