/* actors.h - threads that do one operation each and are stopped before accesses of the test's choice,
 * so that only one runs at a time. For checked builds (gate.h). */
#ifndef RG_ACTORS_H
#define RG_ACTORS_H

#include "harness.h"

#include <semaphore.h>

enum { NOWHERE, LOAD, STORE, CAS };

typedef struct actor {
    pthread_t thread;
    rg_slot *slot;
    sem_t go, stopped;
    int kind; /* where to stop: before the access of this kind to this word, after `skip` of them */
    const rg_word *at;
    unsigned skip;
    bool finished;
    rg_cas_entry e[32];
    size_t n;
    int result;
    uint64_t value;
} actor;

static _Thread_local actor *self;

static void gate(int kind, const rg_word *p)
{
    actor *a = self;
    if (!a || a->kind != kind || a->at != p || a->skip-- > 0) return;
    a->kind = NOWHERE;
    sem_post(&a->stopped);
    while (sem_wait(&a->go) != 0) {}
}

uint64_t gate_load(const rg_word *p)
{
    gate(LOAD, p);
    return atomic_load(p);
}
void gate_store(rg_word *p, uint64_t v, bool ordered)
{
    (void)ordered;
    gate(STORE, p);
    atomic_store(p, v);
}
bool gate_cas(rg_word *p, uint64_t old, uint64_t new_)
{
    gate(CAS, p);
    return atomic_compare_exchange_strong(p, &old, new_);
}
uint64_t gate_add(rg_word *p, uint64_t n) { return atomic_fetch_add(p, n); }
void gate_fence(void) { atomic_thread_fence(memory_order_seq_cst); }

/* An actor with entries does a k-CAS, one without reads the word e[0].word. */
static void *act(void *p)
{
    actor *a = self = p;
    while (sem_wait(&a->go) != 0) {}
    if (a->n)
        a->result = rg_kcas(SPACE, a->slot->index, a->e, a->n);
    else
        a->value = rg_read(SPACE, a->slot->index, a->e[0].word);
    a->finished = true;
    sem_post(&a->stopped);
    return NULL;
}

/* Lets it go on until it is about to do that; false when it has finished instead. */
static bool run_to(actor *a, int kind, const rg_word *at, unsigned skip)
{
    a->kind = kind;
    a->at = at;
    a->skip = skip;
    sem_post(&a->go);
    while (sem_wait(&a->stopped) != 0) {}
    return !a->finished;
}

static void finish(actor *a)
{
    CHECK(!run_to(a, NOWHERE, NULL, 0), "stopped");
    pthread_join(a->thread, NULL);
}

static void start(actor *a, size_t n)
{
    if (!a->slot) a->slot = rg_slot_claim(dom);
    a->n = n;
    a->finished = false;
    sem_init(&a->go, 0, 0);
    sem_init(&a->stopped, 0, 0);
    CHECK(pthread_create(&a->thread, NULL, act, a) == 0, "pthread_create");
}

static rg_word w[5]; /* A, B, C, D, E: in address order */
#define A (&w[0])
#define B (&w[1])
#define C (&w[2])
#define D (&w[3])
#define E (&w[4])
#define STATUS(a) (&(a).slot->desc.status)

static actor g, h;

#endif
