/* arena.c - see arena.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PARTS (X_THREADS + 2)
#define HEADER 16u
#define MAGIC 0x52657341u
#define MAX_FREED 4096u
#define MAX_EXTENTS 512u

typedef struct header {
    uint32_t magic, size;
    uint32_t part, number;
} header;

char *x_arena;
uint8_t x_shadow[X_WORDS];

static char *saved; /* the set-up part, as set-up left it */
static uint32_t begin[PARTS], used[PARTS], blocks[PARTS], setup_used, setup_blocks;
static size_t live, setup_live;
static struct {
    uint32_t at, n;
} extents[MAX_EXTENTS], freed[MAX_FREED];
static unsigned n_extents, n_freed;
static unsigned undo[X_WORDS], n_undo;

static void give_up(const char *why)
{
    fprintf(stderr, "explore: %s\n", why);
    exit(2);
}

/* A user-space address with room above it on every platform; the same in every run, so that what is
 * hashed by address (wait.c) is too. */
static void map(void)
{
    void *at = (void *)(uintptr_t)0x100000000000;
    x_arena = mmap(at, X_ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    saved = malloc(X_SETUP_BYTES);
    if (x_arena == MAP_FAILED || !saved) give_up("out of memory");
    if (x_arena != at) fputs("explore: another address than usual; schedules may not carry over\n", stderr);
}

void x_arena_clear(void)
{
    if (!x_arena) map();
    memset(x_shadow, X_NEVER, sizeof x_shadow);
    for (unsigned p = 0; p < PARTS; p++) {
        begin[p] = p == X_SETUP_PART ? 0 : X_SETUP_BYTES + p * X_THREAD_BYTES;
        used[p] = blocks[p] = 0;
    }
    live = n_extents = n_freed = n_undo = 0;
}

static void set_shadow(uint32_t at, size_t n, int what) { memset(x_shadow + at / 8, what, (n + 7) / 8); }

static void add_extent(uint32_t at, size_t n)
{
    if (n_extents && extents[n_extents - 1].at + extents[n_extents - 1].n == at) {
        extents[n_extents - 1].n += (uint32_t)n;
        return;
    }
    if (n_extents == MAX_EXTENTS) give_up("too many blocks in set-up");
    extents[n_extents].at = at;
    extents[n_extents++].n = (uint32_t)n;
}

void *x_arena_alloc(unsigned part, size_t n, size_t align, bool zero, bool sparse)
{
    uint32_t limit = part == X_SETUP_PART ? X_SETUP_BYTES : X_THREAD_BYTES;
    size_t room = (n + 15) & ~(size_t)15, old = used[part];
    size_t at = (begin[part] + old + HEADER + align - 1) & ~(align - 1);
    if (at - begin[part] + room > limit) return NULL;
    used[part] = (uint32_t)(at - begin[part] + room);
    *(header *)(x_arena + at - HEADER) = (header){ MAGIC, (uint32_t)n, part, blocks[part]++ };
    memset(x_arena + at, zero ? 0 : (int)(X_FRESH & 0xff), room);
    set_shadow((uint32_t)at, n, sparse ? X_SPARSE : X_DENSE);
    /* with its header, so that neighbours make one extent */
    if (part == X_SETUP_PART && !sparse) add_extent((uint32_t)(begin[part] + old), at + room - begin[part] - old);
    live++;
    return x_arena + at;
}

void x_arena_dense(void *p, size_t n)
{
    uint32_t at = (uint32_t)((char *)p - x_arena);
    set_shadow(at, n, X_DENSE);
    add_extent(at, n);
}

void x_arena_snapshot(void)
{
    memcpy(saved, x_arena, X_SETUP_BYTES);
    setup_used = used[X_SETUP_PART];
    setup_blocks = blocks[X_SETUP_PART];
    setup_live = live;
    n_freed = n_undo = 0;
}

void x_arena_restore(void)
{
    for (unsigned i = 0; i < n_extents; i++) memcpy(x_arena + extents[i].at, saved + extents[i].at, extents[i].n);
    for (unsigned i = 0; i < n_undo; i++) memcpy(x_arena + 8 * (size_t)undo[i], saved + 8 * (size_t)undo[i], 8);
    for (unsigned i = 0; i < n_freed; i++)
        if (freed[i].at < X_SETUP_BYTES) set_shadow(freed[i].at, freed[i].n, X_DENSE);
    for (unsigned p = 0; p < X_SETUP_PART; p++) {
        if (!used[p]) continue;
        set_shadow(begin[p], used[p], X_NEVER);
        used[p] = blocks[p] = 0;
    }
    used[X_SETUP_PART] = setup_used;
    blocks[X_SETUP_PART] = setup_blocks;
    live = setup_live;
    n_freed = n_undo = 0;
}

size_t x_block_size(const void *p)
{
    unsigned w = x_word_index(p);
    if (w >= X_WORDS || w < HEADER / 8 || (x_shadow[w] != X_DENSE && x_shadow[w] != X_SPARSE)) return 0;
    if (x_shadow[w - 1] == X_DENSE || x_shadow[w - 1] == X_SPARSE) return 0; /* in the middle of one */
    const header *h = (const header *)((const char *)p - HEADER);
    return h->magic == MAGIC ? h->size : 0;
}

void x_block_free(void *p)
{
    size_t n = x_block_size(p);
    uint32_t at = (uint32_t)((char *)p - x_arena);
    memset(p, (int)(X_POISON & 0xff), n);
    set_shadow(at, n, X_FREED);
    if (n_freed == MAX_FREED) give_up("too many blocks freed");
    freed[n_freed].at = at;
    freed[n_freed++].n = (uint32_t)n;
    live--;
}

const void *x_poison_broken(void)
{
    for (unsigned i = 0; i < n_freed; i++) {
        const unsigned char *b = (const unsigned char *)x_arena + freed[i].at;
        for (uint32_t k = 0; k < freed[i].n; k++)
            if (b[k] != (X_POISON & 0xff)) return b;
    }
    return NULL;
}

size_t x_live_blocks(void) { return live; }

void x_undo_push(unsigned word)
{
    if (n_undo == X_WORDS) give_up("too many writes to sparse memory");
    undo[n_undo++] = word;
}

void x_block_name(unsigned word, char *out, size_t room)
{
    unsigned w = word;
    while (w > 0 && x_shadow[w - 1] != X_NEVER) w--;
    const header *h = (const header *)(x_arena + 8 * (size_t)w - HEADER);
    if (w < HEADER / 8 || x_shadow[word] == X_NEVER || h->magic != MAGIC)
        snprintf(out, room, "arena+%u", 8 * word);
    else if (h->part == X_SETUP_PART)
        snprintf(out, room, "set-up.%u+%u", h->number, 8 * (word - w));
    else
        snprintf(out, room, "t%u.%u+%u", h->part, h->number, 8 * (word - w));
}
