/* report.c - words by name, steps in words. */
#include "machine.h"

#include <stdarg.h>
#include <stdio.h>

#define MAX_NAMES 512u

bool x_tracing;

static struct {
    unsigned word, words;
    char name[40];
} names[MAX_NAMES];
static unsigned n_names;

void x_names_clear(void) { n_names = 0; }

void x_name(const void *p, size_t n, const char *format, ...)
{
    unsigned w = x_word_index(p);
    if (w == X_WORDS || n_names == MAX_NAMES) return;
    names[n_names].word = w;
    names[n_names].words = (unsigned)((n + 7) / 8);
    va_list ap;
    va_start(ap, format);
    vsnprintf(names[n_names++].name, sizeof names->name, format, ap);
    va_end(ap);
}

static void name_of(unsigned w, char *out, size_t room)
{
    /* the latest one: parts are named after the whole */
    for (unsigned i = n_names; i-- > 0;)
        if (w - names[i].word < names[i].words) {
            unsigned off = 8 * (w - names[i].word);
            if (off)
                snprintf(out, room, "%s+%u", names[i].name, off);
            else
                snprintf(out, room, "%s", names[i].name);
            return;
        }
    x_block_name(w, out, room);
}

/* A number, an address of the arena by name, or a reference to a descriptor (word.h). */
static void value_of(uint64_t v, char *out, size_t room)
{
    unsigned w = x_word_index((void *)(uintptr_t)v);
    if (w < X_WORDS)
        name_of(w, out, room);
    else if (v == X_FRESH || v == X_POISON)
        snprintf(out, room, "%s", v == X_FRESH ? "(not yet written)" : "(freed)");
    else if (v >> 62 == 1 || v >> 62 == 2)
        snprintf(out, room, "%s(slot %u, %llu)", v >> 62 == 1 ? "rdcss" : "kcas", (unsigned)(v >> 50) & 0xfff,
                 (unsigned long long)(v & ((1ULL << 50) - 1)));
    else if (v < 1u << 20)
        snprintf(out, room, "%llu", (unsigned long long)v);
    else
        snprintf(out, room, "%#llx", (unsigned long long)v);
}

void x_trace(unsigned process, const x_step *s, bool private_step)
{
    char word[64] = "", now[64] = "", expect[64], value[64];
    if (s->word != X_NO_WORD) {
        name_of(s->word, word, sizeof word);
        value_of(x_memory(s->word), now, sizeof now);
    }
    value_of(s->expect, expect, sizeof expect);
    value_of(s->value, value, sizeof value);
    printf("  %4zu  %s%u %c ", x_logged, process >= X_THREADS ? "f" : " ", process % X_THREADS, private_step ? '.' : ' ');
    switch (s->kind) {
    case X_K_LOAD: printf("load   %-24s %s\n", word, now); break;
    case X_K_STORE: printf("store  %-24s %s -> %s\n", word, now, value); break;
    case X_K_CAS: printf("CAS    %-24s %s -> %s%s%s\n", word, expect, value, x_writes(s) ? "" : "  FAILS: ", x_writes(s) ? "" : now); break;
    case X_K_ADD: printf("add    %-24s %s + %lld\n", word, now, (long long)s->value); break;
    case X_K_FENCE: puts("fence"); break;
    case X_K_FREE: printf("free   %s\n", word); break;
    case X_K_CALL: puts("CALL"); break;
    case X_K_RETURN: puts("RETURN"); break;
    case X_K_AWAIT: printf("wait   %-24s %s\n", word, now); break;
    case X_K_PAUSE: puts("pause"); break;
    case X_K_FLUSH: printf("flush  %-24s %s -> %s\n", word, now, value); break;
    }
}
