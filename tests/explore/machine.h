/* machine.h - what runs a schedule: the threads, their next steps, their store buffers. */
#ifndef X_MACHINE_H
#define X_MACHINE_H

#include "coroutine.h"
#include "explore.h"

/* Processes: the threads, then the flushes of their buffers. */
#define X_PROCESSES (2 * X_THREADS)
#define X_BUFFER 24u
#define X_MAX_STEPS 20000u
#define X_NO_WORD X_WORDS /* calls and returns are accesses of this one */

typedef enum x_kind {
    X_K_LOAD, X_K_STORE, X_K_CAS, X_K_ADD, X_K_FENCE, X_K_FREE, X_K_CALL, X_K_RETURN, X_K_AWAIT, X_K_PAUSE, X_K_FLUSH
} x_kind;

typedef struct x_step {
    x_kind kind;
    unsigned word, words; /* words: of the block that is freed */
    uint64_t expect, value;
} x_step;

typedef struct x_buffered {
    unsigned word;
    uint64_t value;
    int since; /* the thread's last event before the store, -1: none */
} x_buffered;

typedef struct x_thread {
    x_context context;
    char *stack;
    x_step next;
    bool finished;
    bool paused; /* not to be scheduled before somebody else has made a step */
    unsigned buffered;
    x_buffered buffer[X_BUFFER];
} x_thread;

extern x_thread x_threads[X_THREADS];
extern x_history x_hist;

typedef enum x_outcome { X_RUNNING, X_DONE, X_REDUNDANT, X_FAILED } x_outcome;

/* The schedule so far: a byte a step. A step that is private (see below) is marked. Behind a step of weak
 * memory, how many messages before the last one it read (weak.h), if any. */
#define X_PRIVATE 0x80
#define X_OLDER 0x40
#define X_EARLY X_OLDER /* or that its write is early in S */
extern uint8_t x_log[X_MAX_STEPS + 1];
extern size_t x_logged;

/* Whose step is next: a process that x_enabled names, or -1 to end the execution with x_outcome_now. */
extern int (*x_choose)(void);
extern x_outcome x_outcome_now;
extern char x_error[256];

/* Privacy. A word that only one thread touches, or that nobody writes, needs no scheduling: an access
 * to it commutes with all else. Which words those are is learnt by running; when another one turns out
 * to be shared, what was explored so far was explored with too few steps, and the search begins anew
 * (its executions were real ones all the same). The set only grows, so this ends. */
extern bool x_learnt; /* a word was found shared since this was cleared */
void x_sharing_clear(void);

uint32_t x_enabled(void);
int x_weak_thread(void); /* the running thread, if under weak memory; else -1 */
/* The next step of a process; for a flush, what it would write. */
x_step x_next_step(unsigned process);
/* Whether that step, taken now, writes. */
bool x_writes(const x_step *);
/* Under TSO, what waits for the own buffer to be empty. */
bool x_drains(x_kind);
uint64_t x_memory(unsigned word);
/* dpor.c: the thread's last event in this execution, -1: none */
int x_last_event(unsigned thread);

void x_machine_setup(const x_scenario *);
x_outcome x_machine_run(void);

/* report.c */
void x_names_clear(void);
void x_trace(unsigned process, const x_step *, bool private_step);
/* search.c */
bool x_pauses(void); /* whether this search heeds hints that another thread should run */
/* In a replay, whether the schedule says that this thread's next access is private. */
extern bool x_replaying;
bool x_replay_private(unsigned thread);

#endif
