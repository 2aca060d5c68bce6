/* search.c - which schedules are tried, and in what order. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "dpor.h"
#include "weak.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static x_mode mode;
static const x_limits *limits;

/* ---- depth first: DPOR, brute force, bounded preemptions -------------------------------------- */

static int depth;          /* steps taken in this execution */
static int redo;           /* the step at which it leaves the last one; -1: the first execution */
static uint16_t asleep;    /* at the next step */
static unsigned preferred; /* the last step's process */

static bool reduces(void) { return mode == X_DPOR; }

/* The processes that may be tried at a new node. */
static uint16_t allowed(int i, uint16_t enabled)
{
    if (mode != X_BOUND || i == 0) return enabled;
    const x_node *before = &x_nodes[i - 1];
    uint16_t same = (uint16_t)(1u << before->process);
    return (enabled & same) && x_nodes[i].preemptions >= limits->preemptions ? same : enabled;
}

/* Of the i steps so far: how many were taken although the process of the step before could go on. */
static uint8_t preemptions_before(int i)
{
    if (i < 2) return 0;
    const x_node *last = &x_nodes[i - 1], *before = &x_nodes[i - 2];
    bool could = last->enabled >> before->process & 1;
    return (uint8_t)(last->preemptions + (could && last->process != before->process));
}

static int new_node(int i)
{
    x_node *n = &x_nodes[i];
    n->enabled = (uint16_t)x_enabled();
    if (!n->enabled) {
        for (unsigned t = 0; t < x_now->threads; t++)
            if (!x_threads[t].finished) x_fail("deadlock: thread %u waits for ever", t);
        x_outcome_now = X_DONE;
        return -1;
    }
    n->preemptions = preemptions_before(i);
    n->sleep = asleep;
    uint16_t may = (uint16_t)(allowed(i, n->enabled) & ~asleep);
    if (!may) {
        x_outcome_now = X_REDUNDANT;
        return -1;
    }
    unsigned p = may >> preferred & 1 ? preferred : (unsigned)__builtin_ctz(may);
    n->process = (uint8_t)p;
    n->backtrack = reduces() ? (uint16_t)(1u << p) : may;
    return (int)p;
}

static int choose_depth_first(void)
{
    int i = depth, p;
    if (i <= redo) {
        p = x_nodes[i].process;
        if (!(x_enabled() >> p & 1)) x_fail("the scenario is not deterministic: step %d is not what it was", i);
    } else if ((p = new_node(i)) < 0) {
        return -1;
    }
    if (reduces()) {
        if (i < redo) {
            x_dpor_again(i);
        } else {
            x_dpor_event(i, (unsigned)p);
            asleep = x_dpor_still_asleep(i, x_nodes[i].sleep);
        }
    }
    preferred = (unsigned)p;
    depth = i + 1;
    return p;
}

/* To the deepest node that has something left to try; false: nowhere. */
static bool backtrack(void)
{
    for (int i = depth - 1; i >= 0; i--) {
        x_node *n = &x_nodes[i];
        n->sleep |= (uint16_t)(1u << n->process);
        unsigned left = n->backtrack & n->enabled & ~(unsigned)n->sleep;
        if (!left) continue;
        n->process = (uint8_t)__builtin_ctz(left);
        redo = i;
        return true;
    }
    return false;
}

/* ---- random -------------------------------------------------------------------------------------- */

static uint64_t random_state;

static uint64_t random_next(void) /* splitmix64: Steele, Lea, Flood, OOPSLA 2014 */
{
    uint64_t z = random_state += 0x9E3779B97F4A7C15ULL;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
    return z ^ z >> 31;
}

static unsigned priority[X_PROCESSES];
#define MAX_DEPTH 8
static int change_at[MAX_DEPTH];
static int longest; /* steps of the longest execution so far: PCT's k */

static void pct_begin(void)
{
    for (unsigned p = 0; p < X_PROCESSES; p++) {
        unsigned at = (unsigned)(random_next() % (p + 1));
        priority[p] = priority[at];
        priority[at] = MAX_DEPTH + p;
    }
    for (unsigned d = 1; d < limits->depth && d < MAX_DEPTH; d++)
        change_at[d] = (int)(random_next() % (uint64_t)(longest ? longest : 1));
}

static unsigned highest(uint32_t among)
{
    unsigned best = (unsigned)__builtin_ctz(among);
    for (unsigned p = best + 1; p < X_PROCESSES; p++)
        if ((among >> p & 1) && priority[p] > priority[best]) best = p;
    return best;
}

static unsigned nth(uint32_t mask, unsigned n)
{
    while (n--) mask &= mask - 1;
    return (unsigned)__builtin_ctz(mask);
}

static bool by_priority; /* PCT, else uniformly */
static uint64_t late;    /* under weak memory, one load in so many reads late */

static int choose_randomly(void)
{
    uint32_t enabled = x_enabled(), may = enabled;
    if (!enabled) return new_node(0); /* which says how it ends */
    for (unsigned t = 0; t < x_now->threads; t++)
        if (x_threads[t].paused) may &= ~(1u << t);
    if (!may) may = enabled;
    unsigned p;
    if (!by_priority) {
        p = nth(may, (unsigned)(random_next() % (unsigned)__builtin_popcount(may)));
    } else {
        p = highest(may);
        for (unsigned d = 1; d < limits->depth && d < MAX_DEPTH; d++)
            if (change_at[d] == depth) {
                priority[p] = d; /* below all that began, later changes above earlier ones */
                p = highest(may);
            }
    }
    for (unsigned t = 0; t < x_now->threads; t++)
        if (t != p) x_threads[t].paused = false;
    depth++;
    return (int)p;
}


/* ---- replay ---------------------------------------------------------------------------------------- */

static uint8_t script[X_MAX_STEPS + 1];
static size_t script_length, script_at;
static bool script_weak, script_pauses; /* how it was found */

bool x_pauses(void) { return mode == X_RANDOM || mode == X_PCT || mode == X_WEAK || (mode == X_REPLAY && script_pauses); }

void x_script_keep(void)
{
    memcpy(script, x_log, x_logged);
    script_length = x_logged;
    script_weak = x_weak;
    script_pauses = x_pauses();
}

static void log_choice(unsigned n)
{
    if (x_logged < X_MAX_STEPS) x_log[x_logged++] = (uint8_t)(X_OLDER | n);
}

/* Whether the script says how the last step was done: as the next item, which is X_OLDER and a number. */
static bool has_choice(void) { return script_at < script_length && (script[script_at] & (X_PRIVATE | X_OLDER)) == X_OLDER; }

bool x_choose_early(void)
{
    bool early = x_replaying ? has_choice() && script[script_at] == X_EARLY : random_next() % late == 0;
    if (!early) return false;
    script_at += x_replaying;
    log_choice(X_EARLY);
    if (x_tracing) puts("                 early in S");
    return true;
}

unsigned x_choose_older(unsigned most)
{
    unsigned n = 0;
    if (x_replaying) {
        if (has_choice() && script[script_at] != X_EARLY) n = script[script_at++] & (X_OLDER - 1u);
        if (n > most) x_fail("the schedule does not fit the program at step %zu", script_at - 1);
    } else if (random_next() % late == 0) {
        n = (unsigned)(random_next() % most) + 1;
        if (n >= X_OLDER) n = X_OLDER - 1;
    }
    if (n) log_choice(n);
    if (n && x_tracing) printf("                 reads %u before the last\n", n);
    return n;
}

bool x_replay_private(unsigned thread)
{
    if (script_at >= script_length || script[script_at] != (thread | X_PRIVATE)) return false;
    script_at++;
    return true;
}

static int choose_replay(void)
{
    uint32_t enabled = x_enabled();
    if (!enabled) return new_node(0);
    if (script_at >= script_length) return __builtin_ctz(enabled); /* past its end, in order */
    unsigned p = script[script_at++];
    if (p >= X_PROCESSES || !(enabled >> p & 1)) x_fail("the schedule does not fit the program at step %zu", script_at - 1);
    return (int)p;
}

/* A thread ("f": its flush), how many turns; or, of the last step under weak memory, "e": early in S; "r" and
 * how many messages before the last one it has read. */
static bool parse_item(const char **at)
{
    const char *s = *at;
    if (*s == 'e' && script_length < X_MAX_STEPS) {
        script[script_length++] = X_EARLY;
        *at = s + 1;
        return true;
    }
    bool flush = *s == 'f', older = *s == 'r';
    if (flush || older) s++;
    unsigned long n = 1, p = strtoul(s, (char **)at, 10);
    if (*at == s || p >= (older ? X_OLDER : X_THREADS)) return false;
    p |= older ? X_OLDER : 0;
    p += flush ? X_THREADS : 0;
    if (**at == '*' || **at == '~') {
        if (**at == '~') p |= X_PRIVATE;
        n = strtoul(*at + 1, (char **)at, 10);
    }
    while (n--) {
        if (script_length == X_MAX_STEPS) return false;
        script[script_length++] = (uint8_t)p;
    }
    return true;
}

/* Items separated by commas or spaces; after a colon what the thread did, which is not looked at. */
bool x_schedule_parse(const char *s)
{
    script_length = 0;
    script_weak = *s == 'w';
    script_pauses = *s == 'w' || *s == 'p';
    if (script_pauses) s++;
    s += strspn(s, ", ");
    while (*s) {
        if (!parse_item(&s)) return false;
        if (*s == ':') s += strcspn(s, ", ");
        if (*s && !strspn(s, ", ")) return false;
        s += strspn(s, ", ");
    }
    return true;
}

/* ---- the search -------------------------------------------------------------------------------------- */

/* Of this process: what else the machine does changes neither rates nor how far a search goes. */
static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool x_show_histories;

/* What every complete execution must satisfy; a history is judged when it is first seen. */
static bool judge(x_found *f)
{
    x_outcome out = x_machine_run();
    f->executions++;
    if (out == X_REDUNDANT) {
        f->redundant++;
        return true;
    }
    if (out == X_DONE) {
        if (!x_set_add(&f->histories, x_history_hash(&x_hist))) return true;
        if (x_show_histories && x_now->model) x_history_print(&x_hist, x_now->model);
        if (!x_now->model || x_linearizable(&x_hist, x_now->model)) return true;
        snprintf(x_error, sizeof x_error, "the history is not linearizable");
    }
    f->failed = true;
    memcpy(f->error, x_error, sizeof f->error);
    f->failing_steps = x_logged;
    x_script_keep();
    return false;
}

static bool exhausted_limits(const x_found *f, double begun)
{
    if (limits->executions && f->executions >= limits->executions) return true;
    return limits->seconds > 0 && (f->executions & 255) == 0 && seconds_now() - begun > limits->seconds;
}

static void search_depth_first(x_found *f, double begun)
{
    do { /* anew when a word was found shared: see machine.h */
        x_learnt = false;
        redo = -1;
        do {
            depth = 0;
            asleep = 0;
            preferred = 0;
            if (reduces()) x_dpor_begin();
            bool good = judge(f);
            if (reduces()) x_dpor_end(depth);
            if (!good || exhausted_limits(f, begun)) return;
        } while (!x_learnt && backtrack());
    } while (x_learnt);
    f->complete = true;
}

static void search_randomly(x_found *f, double begun)
{
    longest = 0;
    for (uint64_t i = 0; !exhausted_limits(f, begun); i++) {
        random_state = limits->seed * 0xD1342543DE82EF95ULL + i;
        depth = 0;
        by_priority = mode == X_PCT || (mode == X_WEAK && i % 2);
        if (by_priority) pct_begin();
        if (mode == X_WEAK) late = 2ULL << random_next() % 4;
        if (!judge(f)) return;
        if (depth > longest) longest = depth;
    }
}

x_found x_explore(const x_scenario *sc, x_mode m, const x_limits *l)
{
    x_found f = { 0 };
    double begun = seconds_now();
    mode = m;
    limits = l;
    x_weak = m == X_WEAK || (m == X_REPLAY && script_weak);
    x_machine_setup(sc);
    x_replaying = m == X_REPLAY;
    script_at = 0;
    x_choose = m == X_REPLAY ? choose_replay : m == X_PCT || m == X_RANDOM || m == X_WEAK ? choose_randomly : choose_depth_first;
    if (m == X_REPLAY)
        judge(&f);
    else if (x_choose == choose_depth_first)
        search_depth_first(&f, begun);
    else
        search_randomly(&f, begun);
    f.seconds = seconds_now() - begun;
    return f;
}

static void print_run(uint8_t p, size_t n)
{
    if ((p & (X_PRIVATE | X_OLDER)) == X_OLDER) {
        p == X_EARLY ? putchar('e') : printf("r%u", p & (X_OLDER - 1u));
        return;
    }
    unsigned id = p & (X_PRIVATE - 1u);
    printf("%s%u", id >= X_THREADS ? "f" : "", id % X_THREADS);
    if (p & X_PRIVATE)
        printf("~%zu", n);
    else if (n > 1)
        printf("*%zu", n);
}

void x_schedule_print(void)
{
    if (script_pauses) fputs(script_weak ? "w," : "p,", stdout);
    for (size_t i = 0, n; i < script_length; i += n) {
        for (n = 1; i + n < script_length && script[i + n] == script[i]; n++) {}
        if (i) putchar(',');
        print_run(script[i], n);
    }
    putchar('\n');
}
