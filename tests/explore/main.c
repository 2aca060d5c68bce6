/* main.c - runs the scenarios; see run.sh for the options. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "controls.h"
#include "subject.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const x_scenario *const lists[] = {
    s_structures,
    s_bounded,
    s_kcas,
    s_epoch,
    s_list,
    s_wait,
    s_controls,
    s_litmus,
    s_records,
    s_deque,
    s_stealing,
    s_bag,
    s_skiplist,
    s_hash,
};
static const char *only, *replay, *mode_name;
static double seconds = 1;
static unsigned preemptions = 2, pct_depth = 3;
static uint64_t seed = 1, max_executions;
static unsigned failures;

/* ---- what is printed -------------------------------------------------------------------------- */

static void explain(const x_scenario *sc, const x_found *f)
{
    printf("  %s\n  schedule (%zu steps): --replay %s ", f->error, f->failing_steps, sc->name);
    x_schedule_print();
    x_limits none = { 0 };
    x_tracing = true;
    x_found again = x_explore(sc, X_REPLAY, &none);
    x_tracing = false;
    if (x_now->model) x_history_print(x_last_history(), x_now->model);
    if (!again.failed || strcmp(again.error, f->error) != 0)
        printf("  NOT DETERMINISTIC: the replay ends with: %s\n", again.failed ? again.error : "no error");
    x_set_clear(&again.histories);
}

static void report(const x_scenario *sc, const char *how, x_found *f, const char *extent)
{
    bool good = f->failed == sc->must_fail;
    printf("%-4s %-28s %-9s %9llu executions", good ? "ok" : "FAIL", sc->name, how, (unsigned long long)f->executions);
    if (f->redundant) printf(" (%llu cut)", (unsigned long long)f->redundant);
    printf(", %s, %.0f/s, %.2f s", extent, (double)f->executions / (f->seconds > 1e-9 ? f->seconds : 1e-9), f->seconds);
    if (f->failed && good)
        printf("; finds: %s\n", f->error);
    else
        printf(", %zu histories\n", f->histories.n);
    if (!good) {
        failures++;
        if (f->failed)
            explain(sc, f);
        else
            puts("  no error was found, and there is one");
    }
    fflush(stdout);
}

/* ---- how a scenario is explored ---------------------------------------------------------------- */

static const char *extent_of(const x_found *f, const char *complete)
{
    return f->failed ? "stopped" : f->complete ? complete : "NOT complete";
}

static bool run_mode(const x_scenario *sc, x_mode m, const char *how, const x_limits *l)
{
    char complete[48] = "complete";
    if (m == X_BOUND) snprintf(complete, sizeof complete, "complete to %u preemptions", l->preemptions);
    x_found f = x_explore(sc, m, l);
    bool stop = f.failed;
    report(sc, how, &f, m == X_PCT || m == X_RANDOM || m == X_WEAK ? "random" : extent_of(&f, complete));
    x_set_clear(&f.histories);
    return !stop;
}

static void run_one_mode(const x_scenario *sc)
{
    static const char *const names[] = { "dpor", "brute", "bound", "pct", "random", "weak" };
    x_limits l = { max_executions, seconds, preemptions, pct_depth, seed };
    for (unsigned m = 0; m < sizeof names / sizeof *names; m++)
        if (!strcmp(mode_name, names[m])) {
            run_mode(sc, (x_mode)m, names[m], &l);
            return;
        }
    fprintf(stderr, "explore: no mode %s\n", mode_name);
    exit(2);
}

static void run_default(const x_scenario *sc)
{
    x_limits l = { 0, seconds, preemptions, pct_depth, seed };
    if (!sc->bound) {
        l.seconds = 0;
        run_mode(sc, X_DPOR, "dpor", &l);
        return;
    }
    l.preemptions = sc->bound;
    if (sc->must_fail) l.seconds = 0; /* an error within the bound ends it, however fast the machine is */
    (void)(run_mode(sc, X_BOUND, "bound", &l) && run_mode(sc, X_DPOR, "dpor", &l) && run_mode(sc, X_PCT, "pct", &l));
}

/* ---- DPOR against brute force ---------------------------------------------------------------------- */

/* Every history that brute force finds must be one that DPOR finds; and where brute force ends, none
 * may be DPOR's alone. Where all interleavings are too many, those with two preemptions are compared. */
static void same_histories(const x_scenario *sc)
{
    x_limits l = { .preemptions = 2 };
    x_found all = x_explore(sc, sc->brute ? X_BRUTE : X_BOUND, &l), few = x_explore(sc, X_DPOR, &l);
    size_t missed = 0;
    for (size_t i = 0; i < all.histories.room; i++)
        if (all.histories.at[i] && !x_set_has(&few.histories, all.histories.at[i])) missed++;
    bool good = !missed && all.complete && few.complete && (!sc->brute || few.histories.n == all.histories.n);
    if (!good) failures++;
    printf("%-4s %-28s %s %llu executions, %zu histories, %.2f s; DPOR %llu, %zu\n", good ? "ok" : "FAIL", sc->name,
           sc->brute ? "brute force" : "2 preemptions", (unsigned long long)all.executions, all.histories.n, all.seconds,
           (unsigned long long)few.executions, few.histories.n);
    fflush(stdout);
    x_set_clear(&all.histories);
    x_set_clear(&few.histories);
}

static void random_programs(unsigned which, unsigned n, unsigned steps, unsigned words)
{
    const x_scenario *sc = &control_random[which];
    x_limits none = { 0 };
    uint64_t brute = 0, dpor = 0, cut = 0;
    size_t histories = 0, wrong = 0;
    for (unsigned i = 0; i < n; i++) {
        control_program(seed * 1000 + i, sc->threads, steps, words);
        x_found all = x_explore(sc, X_BRUTE, &none), few = x_explore(sc, X_DPOR, &none);
        bool same = few.histories.n == all.histories.n;
        for (size_t k = 0; k < all.histories.room; k++)
            if (all.histories.at[k] && !x_set_has(&few.histories, all.histories.at[k])) same = false;
        if (!same) {
            wrong++;
            printf("  program %llu: DPOR sees %zu histories of %zu\n", (unsigned long long)seed * 1000 + i, few.histories.n, all.histories.n);
        }
        brute += all.executions;
        dpor += few.executions;
        cut += few.redundant;
        histories += all.histories.n;
        x_set_clear(&all.histories);
        x_set_clear(&few.histories);
    }
    failures += wrong != 0;
    printf("%-4s %u programs %-13s brute force %llu executions, %zu histories; DPOR %llu (%llu cut), the same\n", wrong ? "FAIL" : "ok", n,
           sc->name, (unsigned long long)brute, histories, (unsigned long long)dpor, (unsigned long long)cut);
    fflush(stdout);
}

/* ---- the command line ------------------------------------------------------------------------------ */

static const x_scenario *current;

/* A mutant may follow a wild pointer between two accesses, where nothing checks it. */
static void crashed(int sig)
{
    printf("FAIL %s: signal %d after the schedule\n  --replay %s ", current ? current->name : "?", sig, current ? current->name : "?");
    x_script_keep();
    x_schedule_print();
    fflush(stdout);
    _exit(1);
}

static void catch_crashes(void)
{
    static char stack[64 << 10];
    stack_t s = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction a = { .sa_handler = crashed, .sa_flags = SA_ONSTACK };
    sigaltstack(&s, NULL);
    sigaction(SIGSEGV, &a, NULL);
    sigaction(SIGBUS, &a, NULL);
    sigaction(SIGFPE, &a, NULL);
    sigaction(SIGABRT, &a, NULL);
}

static bool wanted(const char *name) { return !only || !strncmp(name, only, strlen(only)); }

/* Under weak memory store buffers are nothing of their own. */
static bool is_of_mode(const x_scenario *sc, bool weak) { return weak ? !sc->tso && !sc->strong : !sc->weak; }

static unsigned cost_of(const x_scenario *sc) { return sc->large ? 2 : sc->bound ? 1 : 0; }

static int usage(void)
{
    fputs("explore [--only PREFIX] [--list] [--seconds S] [--seed N] [--histories] [--first] [--show]\n"
          "        [--mode dpor|brute|bound|pct|random|weak] [--executions N] [--preemptions N] [--depth N]\n"
          "        [--replay NAME SCHEDULE]\n",
          stderr);
    return 2;
}

static int run_replay(const char *schedule)
{
    for (unsigned k = 0; k < sizeof lists / sizeof *lists; k++)
        for (const x_scenario *sc = lists[k]; sc->name; sc++) {
            if (strcmp(sc->name, replay) != 0) continue;
            if (!x_schedule_parse(schedule)) return usage();
            x_limits none = { 0 };
            x_tracing = true;
            x_found f = x_explore(sc, X_REPLAY, &none);
            if (sc->model) x_history_print(x_last_history(), sc->model);
            printf("%s\n", f.failed ? f.error : "no error");
            return f.failed;
        }
    fprintf(stderr, "explore: no scenario %s\n", replay);
    return 2;
}

int main(int argc, char **argv)
{
    bool list = false, histories = false, first = false;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(a, "--list")) { list = true; continue; }
        if (!strcmp(a, "--histories")) { histories = true; continue; }
        if (!strcmp(a, "--first")) { first = true; continue; }
        if (!strcmp(a, "--show")) { x_show_histories = true; continue; }
        if (!v) return usage();
        i++;
        if (!strcmp(a, "--only")) only = v;
        else if (!strcmp(a, "--seconds")) seconds = atof(v);
        else if (!strcmp(a, "--seed")) seed = strtoull(v, NULL, 10);
        else if (!strcmp(a, "--mode")) mode_name = v;
        else if (!strcmp(a, "--executions")) max_executions = strtoull(v, NULL, 10);
        else if (!strcmp(a, "--preemptions")) preemptions = (unsigned)atoi(v);
        else if (!strcmp(a, "--depth")) pct_depth = (unsigned)atoi(v);
        else if (!strcmp(a, "--replay") && i + 1 < argc) {
            replay = v;
            catch_crashes();
            return run_replay(argv[i + 1]);
        } else return usage();
    }
    catch_crashes();
    for (unsigned cost = 0; cost < 3; cost++) /* the quick ones first */
        for (unsigned k = 0; k < sizeof lists / sizeof *lists; k++)
            for (const x_scenario *sc = lists[k]; sc->name; sc++) {
                if (!wanted(sc->name) || cost_of(sc) != cost) continue;
                if (!list && !is_of_mode(sc, mode_name && !strcmp(mode_name, "weak"))) continue;
                current = sc;
                if (list) puts(sc->name);
                else if (histories) {
                    if (sc->model && cost == 0) same_histories(sc);
                } else if (mode_name) run_one_mode(sc);
                else run_default(sc);
                if (first && failures) return 1;
            }
    if (histories && wanted("random")) {
        current = NULL;
        random_programs(0, 300, 4, 2);
        random_programs(1, 40, 2, 2);
        random_programs(2, 100, 3, 2);
    }
    return failures != 0;
}
