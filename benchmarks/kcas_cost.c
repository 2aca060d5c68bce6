/* What a k-CAS costs at the C level, uncontended: nanoseconds of one CAS instruction, of the library's CAS of one
 * word, and of a k-CAS of 1, 2, 4, 8 and 16 words, taken one after the other and again. A line a repetition. */
#define _GNU_SOURCE
#include "epoch.h"
#include "kcas.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WORDS 16
#define TIMES 200000

/* A line of cache each, as words of different structures have. */
static struct { _Alignas(RG_CACHE_LINE) rg_word word; } at[WORDS];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* a turn is longer than a slice of a busy processor */
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void check(bool ok)
{
    if (ok) return;
    fprintf(stderr, "an uncontended operation failed\n");
    exit(1);
}

static double instruction(void)
{
    atomic_uint_least64_t word = 0;
    double start = now();
    for (uint64_t i = 0; i < TIMES; i++) {
        uint64_t old = i;
        check(atomic_compare_exchange_strong(&word, &old, i + 1));
    }
    return (now() - start) / TIMES;
}

static double one_word(rg_slot *me)
{
    rg_store(&at[0].word, 0);
    double start = now();
    for (uint64_t i = 0; i < TIMES; i++) check(rg_cas1(&me->domain->space, me->index, &at[0].word, i, i + 1));
    return (now() - start) / TIMES;
}

static double words(rg_slot *me, size_t k)
{
    for (size_t j = 0; j < k; j++) rg_store(&at[j].word, 0);
    double start = now();
    for (uint64_t i = 0; i < TIMES; i++) {
        rg_cas_entry entries[WORDS];
        for (size_t j = 0; j < k; j++) entries[j] = (rg_cas_entry){ &at[j].word, i, i + 1 };
        rg_pin(me);
        check(rg_kcas(&me->domain->space, me->index, entries, k) == RG_SUCCEEDED);
        rg_unpin(me);
    }
    return (now() - start) / TIMES;
}

int main(int argc, char **argv)
{
    int repetitions = argc > 1 ? atoi(argv[1]) : 1;
    rg_domain *domain = rg_domain_open();
    rg_slot *me = domain ? rg_slot_get(domain) : NULL;
    check(me && rg_desc_reserve(&domain->space, me->index, WORDS));
    for (int r = 0; r < repetitions; r++) {
        printf("%.3f %.3f", instruction(), one_word(me));
        for (size_t k = 1; k <= WORDS; k *= 2) printf(" %.3f", words(me, k));
        printf("\n");
    }
    return 0;
}
