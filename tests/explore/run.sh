#!/usr/bin/env bash
# Explores the schedules of csrc/core, compiled as it is with the accesses of checked.h.
#
#   tests/explore/run.sh [--only PREFIX] [--seconds S] [--seed N] [--list] [--first] [--show]
#   tests/explore/run.sh --histories [--only PREFIX]      DPOR against brute force: the same histories?
#   tests/explore/run.sh --replay NAME SCHEDULE           one schedule, as a failure prints it, step by step
#   tests/explore/run.sh --build FILE                     only the program; it has the options above
#   tests/explore/run.sh --mode dpor|brute|bound|pct|random|weak [--executions N] [--preemptions N] [--depth N] ...
#
# Without --mode and --histories: each scenario as far as it goes (complete by DPOR; where that is too
# large, complete to a number of preemptions, then DPOR and PCT for S seconds of
# processor time each, by default 1), then each under weak memory for an eighth of a second (weak.h), then
# the comparison with brute force. --show: prints each history. --first: stops at the first failure.
# RG_CORE: another core than csrc/core (mutants). Exits with 1 if anything fails.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
core=$(cd "${RG_CORE:-$here/../../csrc/core}" && pwd) || exit 2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2206
flags=(-std=gnu11 -O2 -g ${RG_WARNINGS--Wall -Wextra -Werror} -fno-strict-aliasing "-DRG_CHECKED=\"$here/checked.h\"" "-I$core" "-I$here")
shopt -s extglob
objects=() plain=() told=()
compile() { # compile OBJECT FLAG... SOURCE
    "${CC:-cc}" "${flags[@]}" "${@:2}" -c -o "$work/$1.o" || { echo "explore: does not build"; exit 2; }
}
# What is explored tells of its plain accesses too (plain.c), where weak memory looks at them; elsewhere that would
# cost a third of the speed.
prepare() { # prepare plain | told
    local file name
    for file in "$here"/*.c; do
        name=$(basename "$file" .c)
        if [[ $name != @(core|subject|scenarios_*) ]]; then
            [ -e "$work/$name.o" ] || { compile "$name" "$file"; objects+=("$work/$name.o"); }
        elif [ "$1" = told ]; then
            compile "$name.told" -fsanitize=thread "$file"
            told+=("$work/$name.told.o")
        else
            compile "$name" "$file"
            plain+=("$work/$name.o")
        fi
    done
    if [ "$1" = told ]; then
        "${CC:-cc}" "${objects[@]}" "${told[@]}" -o "$work/explore-weak" -pthread
    else
        "${CC:-cc}" "${objects[@]}" "${plain[@]}" -o "$work/explore" -pthread
    fi
}
case " $* " in
    " --build "*) prepare plain; mv "$work/explore" "$2" ;;
    *" --mode weak "* | *" --replay "*" w,"*) prepare told; "$work/explore-weak" "$@" ;;
    *" --mode "* | *" --histories "* | *" --replay "* | *" --list "*) prepare plain; "$work/explore" "$@" ;;
    *)
        prepare plain
        "$work/explore" "$@"
        status=$?
        [[ $status != 0 && " $* " = *" --first "* ]] && exit "$status"
        prepare told
        "$work/explore-weak" "$@" --mode weak --seconds 0.125 || status=1
        [[ $status != 0 && " $* " = *" --first "* ]] && exit "$status"
        "$work/explore" --histories "$@" || status=1
        exit "$status"
        ;;
esac
