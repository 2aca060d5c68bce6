/* explore.h - the schedule explorer: one scenario under every interleaving, or many of them.
 *
 * A scenario is set up once; then its threads run as coroutines of one OS thread, again and again,
 * each time from the same memory and under another schedule. Each thread announces a step (an access
 * by the macros of checked.h, a call or return of an operation, a wait) and the schedule says whose
 * step is next. What lies between two steps of a thread is private to it and runs with the former.
 *
 * Under TSO (x86; Sewell and others, CACM 2010) relaxed and release stores go into a FIFO buffer of
 * the thread. The flush of its oldest entry is a step too, of a process of its own ("f0" for thread
 * 0). Fences, sequentially consistent stores, read-modify-writes, frees and waits happen only when the
 * own buffer is empty.
 *
 * Weak memory is a mode of its own: weak.h.
 *
 * Memory is checked at each access: it must be inside a live block.
 */
#ifndef X_EXPLORE_H
#define X_EXPLORE_H

#include "access.h"
#include "arena.h"
#include "history.h"

typedef enum x_mode {
    X_DPOR,   /* one execution at least for each Mazurkiewicz trace: complete */
    X_BRUTE,  /* every interleaving: complete, and only for the smallest */
    X_BOUND,  /* every interleaving with at most so many preemptions (CHESS: Musuvathi and Qadeer, PLDI 2007) */
    X_PCT,    /* random priorities, changed at a few random points (Burckhardt and others, ASPLOS 2010) */
    X_RANDOM, /* uniform */
    X_WEAK,   /* weak memory (weak.h): each load reads at random; schedules by X_RANDOM and X_PCT in turn */
    X_REPLAY
} x_mode;

typedef struct x_scenario {
    const char *name;
    unsigned threads;
    bool tso;
    bool must_fail;    /* a control of the explorer itself: an error has to be found */
    bool brute;        /* small enough for every interleaving to be tried, and compared with DPOR */
    bool weak, strong; /* of weak memory alone; not of weak memory */
    bool large;        /* complete, but takes DPOR seconds: not explored twice */
    unsigned bound;    /* 0: DPOR runs to the end; else it does not, and so many preemptions are exhausted */
    const x_model *model;
    void (*setup)(void);
    void (*run)(unsigned thread);
    void (*after)(void); /* the final drain and the invariants, sequentially */
    const void *arg;
} x_scenario;

typedef struct x_limits {
    uint64_t executions; /* 0: no limit */
    double seconds;      /* of processor time; 0: no limit */
    unsigned preemptions, depth; /* of X_BOUND; of X_PCT */
    uint64_t seed;
} x_limits;

typedef struct x_found {
    uint64_t executions, redundant; /* redundant: given up because a sleep set covered what was left */
    double seconds;
    bool complete;
    bool failed;
    char error[256];
    size_t failing_steps;
    x_set histories;
} x_found;

/* ---- for scenarios ------------------------------------------------------------------------ */

extern const x_scenario *x_now;

/* Set-up memory: zeroed, named. */
void *x_new(size_t n, const char *name);
void x_name(const void *p, size_t n, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* An operation begins, ends. In the final check these are not steps. */
x_op *x_call(unsigned code, int64_t a, int64_t b);
void x_return(x_op *, int64_t result);

/* Waits until the word differs from `value`: the thread is not scheduled before. */
void x_await_change(const rg_word *, uint64_t value);

/* Ends the execution as an error. */
_Noreturn void x_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define X_REQUIRE(cond, ...) ((cond) ? (void)0 : x_fail(__VA_ARGS__))

/* ---- for the runner ------------------------------------------------------------------------- */

x_found x_explore(const x_scenario *, x_mode, const x_limits *);
/* The schedule of the execution that failed (or was last), as --replay reads it: "0*3,1,f0*2"; of weak memory
 * "w,0*3,1,r2": the last step reads the second message before the last; of other random ones "p,0*3". */
void x_schedule_print(void);
bool x_schedule_parse(const char *);
void x_script_keep(void); /* in a signal handler: what has run so far is the schedule */
extern bool x_show_histories; /* print each one, when it is first seen */
extern bool x_tracing; /* X_REPLAY prints each step */
extern size_t x_step_bound;
const x_history *x_last_history(void);

#endif
