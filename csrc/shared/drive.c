/* drive.c - see drive.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "drive.h"

#include <sched.h>

#include "../core/queue.h"
#include "../core/stack.h"
#include "segment.h"

#include <time.h>

static rg_domain *domain_of(uintptr_t d) { return (rg_domain *)d; }

typedef struct at {
    const rg_space *sp;
    int me;
} at;

static at enter(dr_place p)
{
    if (p.segment) {
        rg_segment *s = (rg_segment *)p.segment;
        return (at){ &s->space, s->slot(s) };
    }
    rg_slot *s = rg_slot_get(domain_of(p.domain));
    return (at){ &domain_of(p.domain)->space, s ? (int)s->index : -1 };
}

static rg_word *word(int64_t *w) { return (rg_word *)w; }

uintptr_t dr_open(void) { return (uintptr_t)rg_domain_open(); }
void dr_close(uintptr_t d) { rg_domain_close(domain_of(d)); }
int64_t dr_enter(dr_place p) { return enter(p).me; }
int64_t dr_active(uintptr_t d) { return (int64_t)rg_load(&domain_of(d)->active); }

/* ---- words ------------------------------------------------------------------------------------- */

int64_t dr_read(dr_place p, int64_t *w)
{
    at a = enter(p);
    return (int64_t)rg_read(a.sp, (unsigned)a.me, word(w));
}

int dr_cas(dr_place p, int64_t *w, int64_t old, int64_t new_)
{
    at a = enter(p);
    return rg_cas1(a.sp, (unsigned)a.me, word(w), (uint64_t)old, (uint64_t)new_);
}

int dr_kcas(dr_place p, int64_t n, int64_t **words, int64_t *olds, int64_t *news)
{
    at a = enter(p);
    rg_cas_entry *e = malloc((size_t)n * sizeof *e + 1);
    if (!e) return -1;
    for (int64_t i = 0; i < n; i++) e[i] = (rg_cas_entry){ word(words[i]), (uint64_t)olds[i], (uint64_t)news[i] };
    int r = rg_kcas(a.sp, (unsigned)a.me, e, (size_t)n);
    free(e);
    return r < 0 ? -1 : r == RG_SUCCEEDED;
}

int64_t dr_count(dr_place p, int64_t *words, int64_t n, int64_t times)
{
    at a = enter(p);
    int64_t lost = 0;
    for (int64_t t = 0; t < times; t++) {
        rg_backoff b = RG_BACKOFF_INIT;
        for (;;) {
            rg_cas_entry e[64];
            for (int64_t i = 0; i < n; i++) {
                uint64_t v = rg_read(a.sp, (unsigned)a.me, word(&words[i]));
                e[i] = (rg_cas_entry){ word(&words[i]), v, v + 1 };
            }
            if (rg_kcas(a.sp, (unsigned)a.me, e, (size_t)n) == RG_SUCCEEDED) break;
            lost++;
            rg_backoff_wait(&b);
        }
    }
    return lost;
}

static uint64_t next_random(uint64_t *x) /* xorshift64*: Marsaglia (2003), Vigna (2016) */
{
    *x ^= *x >> 12;
    *x ^= *x << 25;
    *x ^= *x >> 27;
    return *x * 0x2545F4914F6CDD1DULL >> 33;
}

void dr_transfer(dr_place p, int64_t *words, int64_t n, int64_t times, uint64_t seed)
{
    at a = enter(p);
    seed = seed * 2 + 1;
    for (int64_t t = 0; t < times;) {
        uint64_t i = next_random(&seed) % (uint64_t)n, j = next_random(&seed) % (uint64_t)n;
        if (i == j) continue;
        uint64_t from = rg_read(a.sp, (unsigned)a.me, word(&words[i])), to = rg_read(a.sp, (unsigned)a.me, word(&words[j]));
        rg_cas_entry e[2] = { { word(&words[i]), from, from - 1 }, { word(&words[j]), to, to + 1 } };
        t += rg_kcas(a.sp, (unsigned)a.me, e, 2) == RG_SUCCEEDED;
    }
}

int64_t dr_audit(dr_place p, int64_t *words, int64_t n, int64_t sum, int64_t times)
{
    at a = enter(p);
    int64_t wrong = 0;
    for (int64_t t = 0; t < times;) {
        rg_cas_entry e[32];
        int64_t found = 0;
        for (int64_t i = 0; i < n; i++) {
            uint64_t v = rg_read(a.sp, (unsigned)a.me, word(&words[i]));
            e[i] = (rg_cas_entry){ word(&words[i]), v, v };
            found += (int64_t)v;
        }
        if (rg_kcas(a.sp, (unsigned)a.me, e, (size_t)n) != RG_SUCCEEDED) continue;
        wrong += found != sum;
        t++;
    }
    return wrong;
}

/* ---- stack and queue ----------------------------------------------------------------------------- */

uintptr_t dr_stack_new(uintptr_t d)
{
    (void)d;
    return (uintptr_t)calloc(1, sizeof(rg_stack));
}

int dr_stack_push(uintptr_t d, uintptr_t stack, int64_t first, int64_t n)
{
    rg_slot *s = rg_slot_get(domain_of(d));
    for (int64_t i = 0; s && i < n; i++) {
        rg_node *node = rg_node_new(s, (uint64_t)(first + i));
        if (!node) return 0;
        rg_pin(s);
        rg_stack_push(s, (rg_stack *)stack, node, RG_TRIED_BUSY);
        rg_unpin(s);
    }
    return s != NULL;
}

int64_t dr_stack_pop(uintptr_t d, uintptr_t stack, int64_t n, int64_t *out)
{
    rg_slot *s = rg_slot_get(domain_of(d));
    int64_t got = 0;
    while (s && got < n && rg_reserve(s, 1)) {
        rg_pin(s);
        rg_node *node;
        rg_tried t = rg_stack_pop(s, (rg_stack *)stack, &node, RG_TRIED_BUSY);
        if (t != RG_TRIED_EMPTY) out[got++] = (int64_t)node->value;
        if (t == RG_TRIED_DONE) rg_retire_lazily(s, node, rg_node_expired);
        if (t == RG_TRIED_MET) rg_node_free(s, node);
        rg_unpin(s);
        if (t == RG_TRIED_EMPTY) break;
    }
    return got;
}

void dr_stack_free(uintptr_t d, uintptr_t stack)
{
    (void)d;
    rg_stack_close((rg_stack *)stack);
    free((void *)stack);
}

uintptr_t dr_queue_new(uintptr_t d)
{
    rg_slot *s = rg_slot_get(domain_of(d));
    rg_queue *q = calloc(1, sizeof *q);
    rg_node *dummy = s && q ? rg_node_new(s, 0) : NULL;
    if (!dummy) {
        free(q);
        return 0;
    }
    rg_queue_open(q, dummy, 0);
    return (uintptr_t)q;
}

int dr_queue_put(uintptr_t d, uintptr_t queue, int64_t first, int64_t n)
{
    rg_slot *s = rg_slot_get(domain_of(d));
    for (int64_t i = 0; s && i < n; i++) {
        rg_node *node = rg_node_new(s, (uint64_t)(first + i));
        if (!node) return 0;
        rg_pin(s);
        rg_word *changed;
        rg_queue_put(s, (rg_queue *)queue, node, &changed, RG_TRIED_BUSY);
        rg_unpin(s);
    }
    return s != NULL;
}

int64_t dr_queue_get(uintptr_t d, uintptr_t queue, int64_t n, int64_t *out)
{
    rg_slot *s = rg_slot_get(domain_of(d));
    int64_t got = 0;
    while (s && got < n && rg_reserve(s, 1)) {
        uint64_t value;
        rg_pin(s);
        rg_node *old = NULL;
        bool any = rg_queue_get(s, (rg_queue *)queue, &old, &value, RG_TRIED_BUSY) == RG_TRIED_DONE;
        if (any) {
            out[got++] = (int64_t)value;
            rg_retire_lazily(s, old, rg_node_expired);
        }
        rg_unpin(s);
        if (!any) break;
    }
    return got;
}

void dr_queue_free(uintptr_t d, uintptr_t queue)
{
    rg_slot *s = rg_slot_get(domain_of(d));
    rg_queue *q = (rg_queue *)queue;
    if (s) rg_node_free(s, rg_node_of(rg_load(&q->head)));
    free(q);
}

int dr_meet(int64_t *w, int64_t parties, double seconds)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    double end = (double)t.tv_sec + (double)t.tv_nsec * 1e-9 + seconds;
    rg_fetch_add(word(w), 1);
    while ((int64_t)rg_load(word(w)) < parties) {
        sched_yield();
        clock_gettime(CLOCK_MONOTONIC, &t);
        if ((double)t.tv_sec + (double)t.tv_nsec * 1e-9 > end) return 0;
    }
    return 1;
}
