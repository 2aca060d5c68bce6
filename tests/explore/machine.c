/* machine.c - see machine.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "weak.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define STACK_BYTES (128u << 10)
#define GUARD_BYTES (16u << 10)
#define SEQUENTIAL (-1) /* set-up and the final check: steps are not scheduled */

x_thread x_threads[X_THREADS];
x_history x_hist;
const x_scenario *x_now;
uint8_t x_log[X_MAX_STEPS + 1];
size_t x_logged;
int (*x_choose)(void);
x_outcome x_outcome_now;
char x_error[256];
bool x_learnt, x_replaying;
size_t x_step_bound = 3000;

static x_thread alone; /* the context of set-up and of the final check */
static x_context outside;
static int running = SEQUENTIAL;
static bool starting, in_setup;
static unsigned setup_ops; /* in the history of every execution */
static uint8_t sharing[X_WORDS]; /* a bit for each thread that touched it; WRITTEN */

#define WRITTEN 0x80
_Static_assert(X_THREADS <= 7, "threads have a bit each in `sharing`");

static inline bool is_shared(uint8_t s)
{
    unsigned by = s & (WRITTEN - 1);
    return (s & WRITTEN) && (by & (by - 1));
}

void x_sharing_clear(void) { memset(sharing, 0, sizeof sharing); }

/* Notes the access; whether the word is shared. */
static inline bool touch(unsigned w, bool write)
{
    uint8_t was = sharing[w], is = (uint8_t)(was | 1u << running | (write ? WRITTEN : 0));
    if (is != was) {
        sharing[w] = is;
        if (is_shared(is) && !is_shared(was)) x_learnt = true;
    }
    return is_shared(is);
}

/* ---- errors and ends ------------------------------------------------------------------------ */

_Noreturn void x_fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(x_error, sizeof x_error, format, ap);
    va_end(ap);
    x_outcome_now = X_FAILED;
    x_context dead;
    x_switch(&dead, &outside);
    abort(); /* nobody comes back to what has failed */
}

/* ---- memory --------------------------------------------------------------------------------- */

uint64_t x_memory(unsigned w) { return *(const uint64_t *)(x_arena + 8 * (size_t)w); }

static unsigned index_of(const void *p, const char *what)
{
    unsigned w = x_word_index(p);
    if (w >= X_WORDS) x_fail("%s of memory never allocated: %p", what, p);
    return w;
}

static void check(unsigned w, const char *what)
{
    uint8_t s = x_shadow[w];
    if (__builtin_expect(s == X_DENSE || s == X_SPARSE, 1)) return;
    char name[64];
    x_block_name(w, name, sizeof name);
    x_fail("%s of %s: %s", what, s == X_FREED ? "freed memory" : "memory never allocated", name);
}

static void put(unsigned w, uint64_t v)
{
    if (x_shadow[w] == X_SPARSE) x_undo_push(w);
    *(uint64_t *)(x_arena + 8 * (size_t)w) = v;
}

static uint64_t get(unsigned w)
{
    if (running >= 0)
        for (unsigned i = x_threads[running].buffered; i-- > 0;)
            if (x_threads[running].buffer[i].word == w) return x_threads[running].buffer[i].value;
    return x_memory(w);
}

static void flush_oldest(unsigned t)
{
    x_thread *me = &x_threads[t];
    x_buffered b = me->buffer[0];
    memmove(me->buffer, me->buffer + 1, --me->buffered * sizeof b);
    check(b.word, "flush of a store");
    put(b.word, b.value);
}

/* ---- steps ------------------------------------------------------------------------------------ */

bool x_drains(x_kind k)
{
    return k == X_K_STORE || k == X_K_CAS || k == X_K_ADD || k == X_K_FENCE || k == X_K_FREE || k == X_K_AWAIT;
}

/* Whether the caller runs under weak memory; set-up and the final check do not. */
static bool weakly(void) { return x_weak && running >= 0; }
int x_weak_thread(void) { return weakly() ? running : -1; }

static bool ready(const x_thread *t)
{
    if (t->finished) return false;
    if (t->next.kind == X_K_AWAIT && x_memory(t->next.word) == t->next.expect) return false;
    return !(t->buffered && x_drains(t->next.kind));
}

uint32_t x_enabled(void)
{
    uint32_t m = 0;
    for (unsigned t = 0; t < x_now->threads; t++) {
        if (ready(&x_threads[t])) m |= 1u << t;
        if (x_threads[t].buffered) m |= 1u << (X_THREADS + t);
    }
    return m;
}

x_step x_next_step(unsigned process)
{
    if (process < X_THREADS) return x_threads[process].next;
    const x_buffered *b = &x_threads[process - X_THREADS].buffer[0];
    return (x_step){ X_K_FLUSH, b->word, 0, 0, b->value };
}

bool x_writes(const x_step *s)
{
    if (s->kind == X_K_CAS) return x_memory(s->word) == s->expect; /* one that fails is a read */
    return s->kind == X_K_STORE || s->kind == X_K_ADD || s->kind == X_K_FLUSH;
}

static void log_step(unsigned process)
{
    if (x_logged >= x_step_bound) x_fail("not finished after %zu steps: not lock-free", x_step_bound);
    x_log[x_logged++] = (uint8_t)process;
}

/* Goes on with whoever is next; returns when that is the caller, the context `from`. */
static void dispatch(x_context *from, int me)
{
    for (;;) {
        int p = x_choose();
        if (p < 0) break;
        log_step((unsigned)p);
        if (x_tracing) {
            x_step s = x_next_step((unsigned)p);
            x_trace((unsigned)p, &s, false);
        }
        if (p >= (int)X_THREADS) {
            flush_oldest((unsigned)p - X_THREADS);
            continue;
        }
        if (p == me) return;
        running = p;
        x_switch(from, &x_threads[p].context);
        return;
    }
    x_switch(from, &outside);
}

static void announce(x_step s)
{
    x_thread *me = &x_threads[running];
    int id = running;
    me->next = s;
    if (starting)
        x_switch(&me->context, &outside);
    else
        dispatch(&me->context, id);
    running = id;
}

/* A private access was made. */
static void note_private(x_step s)
{
    log_step((unsigned)running | X_PRIVATE);
    if (x_tracing) x_trace((unsigned)running, &s, true);
}

/* Before an access: waits for its turn if it is a step. */
static void turn(x_step s, bool write)
{
    if (running < 0) return;
    bool step = touch(s.word, write);
    if (x_replaying) step = !x_replay_private((unsigned)running);
    /* What drains the buffer is a step as long as there is something in it. */
    if (step || (x_threads[running].buffered && x_drains(s.kind)))
        announce(s);
    else
        note_private(s);
}

uint64_t x_load(const rg_word *p, int order)
{
    unsigned w = index_of(p, "load");
    turn((x_step){ X_K_LOAD, w, 0, 0, 0 }, false);
    check(w, "load");
    if (weakly()) return x_weak_load((unsigned)running, w, order);
    return get(w);
}

static void buffer_store(unsigned w, uint64_t v)
{
    x_thread *me = &x_threads[running];
    if (me->buffered == X_BUFFER) x_fence();
    me->buffer[me->buffered++] = (x_buffered){ w, v, x_last_event((unsigned)running) };
}

void x_store(rg_word *p, uint64_t v, int order)
{
    unsigned w = index_of(p, "store");
    x_step s = { X_K_STORE, w, 0, 0, v };
    if (running >= 0 && x_now->tso && !x_weak && order != X_SEQ_CST) {
        /* No step: that the store is buffered, nobody sees. Its flush is one. */
        bool shared = touch(w, true);
        if (x_replaying) shared = !x_replay_private((unsigned)running);
        check(w, "store");
        if (shared) {
            buffer_store(w, v);
            return;
        }
        note_private(s);
    } else {
        turn(s, true);
    }
    check(w, "store");
    if (weakly()) x_weak_store((unsigned)running, w, v, order);
    put(w, v);
}

bool x_cas(rg_word *p, uint64_t old, uint64_t new_, int order)
{
    unsigned w = index_of(p, "CAS");
    turn((x_step){ X_K_CAS, w, 0, old, new_ }, true);
    check(w, "CAS");
    if (weakly() ? !x_weak_cas((unsigned)running, w, old, new_, order) : x_memory(w) != old) return false;
    put(w, new_);
    return true;
}

uint64_t x_add(rg_word *p, uint64_t n, int order)
{
    unsigned w = index_of(p, "fetch-and-add");
    turn((x_step){ X_K_ADD, w, 0, 0, n }, true);
    check(w, "fetch-and-add");
    if (weakly()) x_weak_add((unsigned)running, w, n, order);
    uint64_t old = x_memory(w);
    put(w, old + n);
    return old;
}

/* With memory in order, without a buffer or with an empty one, a fence changes nothing and is no step. */
void x_fence(void)
{
    if (running < 0 || !(x_weak || x_threads[running].buffered)) return;
    announce((x_step){ X_K_FENCE, X_NO_WORD, 0, 0, 0 });
    if (x_weak) x_weak_fence((unsigned)running);
}

/* The searches that try every schedule need no hint that another thread should run, and must not take
 * it for one: a bounded wait may run out. The random ones would spin. */
void x_pause(void)
{
    if (running < 0 || !x_pauses()) return;
    x_threads[running].paused = true;
    announce((x_step){ X_K_PAUSE, X_NO_WORD, 0, 0, 0 });
}

static void *allocate(size_t n, size_t align, bool zero, bool sparse)
{
    unsigned part = running >= 0 ? (unsigned)running : in_setup ? X_SETUP_PART : X_THREADS;
    void *p = x_arena_alloc(part, n, align, zero, sparse);
    if (!p) x_fail("the arena is full: raise its size or bound the scenario");
    if (x_weak && (running >= 0 || in_setup)) x_weak_alloc(running, x_word_index(p), n);
    return p;
}

void *x_alloc(size_t n, bool zero) { return allocate(n, 16, zero, false); }

/* The core's large tables. */
void *x_alloc_lines(size_t n) { return allocate(n, 64, false, true); }

void x_free(void *p)
{
    if (!p) return;
    unsigned w = index_of(p, "free"), words = 0;
    if (running >= 0) {
        words = (unsigned)((x_block_size(p) + 7) / 8);
        for (unsigned i = 0; i < words; i++) touch(w + i, true);
        announce((x_step){ X_K_FREE, w, words, 0, 0 });
    }
    if (x_shadow[w] == X_FREED) x_fail("double free");
    if (!x_block_size(p)) x_fail("free of what is no block: %p", p);
    if (weakly()) x_weak_free((unsigned)running, w);
    x_block_free(p);
}

void x_await_change(const rg_word *p, uint64_t value)
{
    unsigned w = index_of(p, "wait");
    if (running < 0) {
        X_REQUIRE(x_memory(w) != value, "the final check waits for ever");
        return;
    }
    touch(w, false);
    announce((x_step){ X_K_AWAIT, w, 0, value, 0 });
    check(w, "wait");
    if (x_weak) x_weak_woken((unsigned)running, w);
}

void *x_new(size_t n, const char *name)
{
    void *p = allocate(n, 64, true, false);
    if (x_weak) x_weak_unwatched(x_word_index(p));
    x_name(p, n, "%s", name);
    return p;
}

x_op *x_call(unsigned code, int64_t a, int64_t b)
{
    if (running >= 0) announce((x_step){ X_K_CALL, X_NO_WORD, 0, 0, 0 });
    if (weakly()) x_weak_operation((unsigned)running);
    return x_history_call(&x_hist, running >= 0 ? (unsigned)running : X_THREADS, code, a, b);
}

void x_return(x_op *op, int64_t result)
{
    if (running >= 0) announce((x_step){ X_K_RETURN, X_NO_WORD, 0, 0, 0 });
    x_history_return(&x_hist, op, result);
}

const x_history *x_last_history(void) { return &x_hist; }

/* ---- executions ------------------------------------------------------------------------------- */

static void thread_entry(void)
{
    int me = running;
    x_now->run((unsigned)me);
    x_threads[me].finished = true;
    if (starting)
        x_switch(&x_threads[me].context, &outside);
    else
        dispatch(&x_threads[me].context, SEQUENTIAL);
    abort(); /* nobody comes back to what has finished */
}

static void (*sequential)(void);

static void sequential_entry(void)
{
    sequential();
    x_switch(&alone.context, &outside);
    abort();
}

static void run_alone(void (*f)(void))
{
    sequential = f;
    running = SEQUENTIAL;
    x_context_make(&alone.context, alone.stack, STACK_BYTES, sequential_entry);
    x_switch(&outside, &alone.context);
}

static char *new_stack(void)
{
    char *p = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p, GUARD_BYTES, PROT_NONE) != 0) {
        perror("explore: a stack");
        exit(2);
    }
    return p + GUARD_BYTES;
}

void x_machine_setup(const x_scenario *sc)
{
    if (!alone.stack) {
        alone.stack = new_stack();
        for (unsigned t = 0; t < X_THREADS; t++) x_threads[t].stack = new_stack();
    }
    x_now = sc;
    x_arena_clear();
    x_names_clear();
    x_sharing_clear();
    x_weak_setup();
    x_outcome_now = X_RUNNING;
    x_history_clear(&x_hist, 0);
    in_setup = true;
    run_alone(sc->setup);
    in_setup = false;
    if (x_outcome_now == X_FAILED) {
        fprintf(stderr, "explore: set-up of %s: %s\n", sc->name, x_error);
        exit(2);
    }
    setup_ops = x_hist.n[X_THREADS];
    x_arena_snapshot();
}

static void begin(void) { dispatch(&alone.context, SEQUENTIAL); }

x_outcome x_machine_run(void)
{
    x_arena_restore();
    if (x_weak) x_weak_begin();
    x_history_clear(&x_hist, setup_ops);
    x_logged = 0;
    x_outcome_now = X_RUNNING;
    for (unsigned t = 0; t < x_now->threads; t++) {
        x_thread *me = &x_threads[t];
        me->finished = me->paused = false;
        me->buffered = 0;
    }
    starting = true;
    for (unsigned t = 0; t < x_now->threads && x_outcome_now == X_RUNNING; t++) {
        running = (int)t;
        x_context_make(&x_threads[t].context, x_threads[t].stack, STACK_BYTES, thread_entry);
        x_switch(&outside, &x_threads[t].context);
    }
    starting = false;
    if (x_outcome_now == X_RUNNING) run_alone(begin);
    if (x_outcome_now == X_DONE) {
        if (x_now->after) run_alone(x_now->after);
        const void *broken = x_outcome_now == X_DONE ? x_poison_broken() : NULL;
        if (broken) {
            x_outcome_now = X_FAILED;
            snprintf(x_error, sizeof x_error, "a freed block was written to, at %p", broken);
        }
    }
    return x_outcome_now;
}
