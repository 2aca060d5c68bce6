#!/usr/bin/env bash
# The extension under sanitizers, driven by tests in Python.
#
#   tests/sanitized.sh PYTHON [TEST]...
#
# PYTHON has pytest, hypothesis and pytest-timeout. If it was built with ThreadSanitizer (./configure --disable-gil
# --with-thread-sanitizer), so is the extension, by the compiler that built PYTHON. Any report of a race fails the run,
# of a process that a test started as well; nothing is suppressed. Fences are what csrc/core/access.h makes of them for
# ThreadSanitizer, which does not know the real ones. It takes ten to thirty minutes. Not for it: tests/test_fork*.py, as
# ThreadSanitizer gives up where a forked child starts threads; tests/test_signals.py, whose timer is faster than its
# handlers then are; and tests/test_subinterpreter.py, as CPython 3.14 races when it makes several interpreters at once.
#
# Under any other it is AddressSanitizer and UndefinedBehaviorSanitizer. With the GIL, objects are taken from malloc,
# so that a late look at one is seen as well; without it only what the library itself allocates is. Leaks are not
# looked for: the interpreter keeps a good deal until it ends, and tests/test_refleaks.py counts.
#
# Without the GIL and a list of tests, those of the stack run once more, with an extension in which most of its
# operations believe that they have lost a race (tests/losing.h).
set -u
[ $# -gt 0 ] || { sed -n '2,19s/^# \{0,1\}//p' "$0" >&2; exit 2; }
python=$(command -v "$1") || { echo "no $1"; exit 2; }
[[ $python = /* ]] || python=$PWD/$python # this script goes elsewhere; a link of a virtual environment stays a link
shift
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Memory maps of newer kernels are more random than ThreadSanitizer of older compilers knows.
no_aslr=()
setarch -R true 2>/dev/null && no_aslr=(setarch -R)

{ read -r include && read -r suffix && read -r free_threaded && read -r tsan && read -r its_cc; } < <("${no_aslr[@]}" "$python" -c '
import sysconfig as s
print(s.get_path("include"), s.get_config_var("EXT_SUFFIX"), s.get_config_var("Py_GIL_DISABLED") or 0,
      int("-fsanitize=thread" in (s.get_config_var("PY_CORE_CFLAGS") or "")), s.get_config_var("CC") or "cc", sep="\n")') ||
    { echo "$python does not say how it was built"; exit 2; }
if [ "$tsan" = 1 ]; then
    # A process has one runtime of ThreadSanitizer, which is that of the compiler of PYTHON.
    read -ra cc <<<"${CC:-$its_cc}"
    flags=(-fsanitize=thread)
else
    cc=("${CC:-cc}")
    flags=(-fsanitize=address -fsanitize=undefined -fno-sanitize-recover=undefined)
    runtimes=()
    for library in libasan.so libubsan.so; do
        path=$("${cc[@]}" -print-file-name=$library)
        [ -e "$path" ] || { echo "${cc[*]} has no $library"; exit 2; }
        runtimes+=("$path")
    done
fi

tree=$(mktemp -d) || exit 2
trap 'rm -rf "$tree"' EXIT
(cd "$root" && tar -cf - csrc tests reagents/*.py* reagents/testing lockfree/*.py* lockfree/sync README.md pyproject.toml) | tar -xf - -C "$tree"
cd "$tree" || exit 2
rm -f ./*/*.so
build() { # build FLAG...
    "${cc[@]}" -shared -fPIC -std=gnu11 -O1 -g "${flags[@]}" -fno-omit-frame-pointer \
        -fvisibility=hidden -fno-strict-aliasing -fwrapv -w "$@" -Icsrc/core -Icsrc/objects -isystem "$include" csrc/objects/*.c \
        csrc/core/*.c csrc/shared/{segment,slots,mapping,array,shared_word}.c -o "reagents/_core$suffix" -pthread
}
build || exit 1
whole_list=0
if [ $# = 0 ]; then
    whole_list=1
    set -- tests/test_{stack,elimination,queue,ref,atomic_int,counter,conservation,collector,log,blocking,payloads,aba,linearizability,reentrancy,interrupt,interrupted_waits,thread_death,rendezvous,rendezvous_ends,catalyst,map,map_memory,set,sortedmap,deque,bag,work_stealing,bounded_queue,queue_shutdown,priority_queue,lru,thread_local,sync,sync_threads,wake_one,fairness}.py
fi
export PYTHONPATH=$tree

if [ "$tsan" = 0 ]; then
    [ "$free_threaded" = 1 ] || export PYTHONMALLOC=malloc
    export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1
    echo "Left out: what looks at how much memory the process has, of which AddressSanitizer keeps what is given back."
    LD_PRELOAD="${runtimes[*]}" "$python" -m pytest -q -p no:cacheprovider -k 'not takes_no_room' "$@"
    status=$?
    if [ "$whole_list$free_threaded" = 11 ]; then
        echo "The stack, with operations that believe they have lost:"
        build -include tests/losing.h || exit 1
        LD_PRELOAD="${runtimes[*]}" "$python" -m pytest -q -p no:cacheprovider -k 'not Queue and not Ref and not Counter and not AtomicInt and not Gauge' \
            tests/test_{stack,elimination,conservation,payloads,aba,linearizability,reentrancy}.py || status=1
    fi
    exit "$status"
fi

left_out=()
if [ $whole_list = 1 ]; then
    echo 'Left out: a million elements and long chains, of one thread, which take too long under ThreadSanitizer;'
    echo 'and what tests the tests with structures that are broken in Python, where it is left to chance to show it.'
    left_out=(-k 'not million_elements and not long_chain and not broken_ones_are_caught and not smallest_program_that_breaks')
fi
# Reports go to files, one a process: pytest would keep standard error to itself, and a process may end by _exit().
# history_size: a report is worth little when the other thread's stack has been forgotten. Threads that nobody has joined
# are no races, and tests of what never returns leave some.
mkdir "$tree/reports" || exit 2
cat >"$tree/unhurried.py" <<'PYTHON' # Five to fifteen times slower than usual is as slow as it is.
from hypothesis import HealthCheck, settings

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
PYTHON
TSAN_OPTIONS="halt_on_error=0:exitcode=66:die_after_fork=0:report_thread_leaks=0:history_size=7:log_path=$tree/reports/of" \
    "${no_aslr[@]}" "$python" -m pytest -q -p no:cacheprovider -p unhurried -o timeout=600 "$@" "${left_out[@]}"
status=$?
if [ -n "$(ls "$tree/reports")" ]; then
    cat "$tree"/reports/*
    echo "ThreadSanitizer: $(cat "$tree"/reports/* | grep -c '^WARNING: ThreadSanitizer:') reports, and what else is above"
    exit 1
fi
echo "ThreadSanitizer: no reports"
exit "$status"
