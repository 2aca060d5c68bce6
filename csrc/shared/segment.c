/* segment.c - making, mapping and closing segments, and their directory. See segment.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof(rg_seg_slot) == 1024, "no padding that could differ");
_Static_assert(RG_INLINE_ENTRIES + 8 + 16 == RG_SEG_ENTRIES, "two chunks");
_Static_assert(RG_SEG_SLOTS % RG_BLOCK_SLOTS == 0, "whole blocks");
_Static_assert(sizeof(rg_seg_array) == 128, "two lines");

/* Slots are recovered by asking whether a process lives, which only means something among
 * processes that number each other alike. 0: cannot tell. */
static uint64_t pid_namespace(void)
{
    struct stat st;
    return stat("/proc/self/ns/pid", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/* ---- handles ------------------------------------------------------------------------------- */

static void fill(rg_segment *s, rg_seg_header *h, size_t mapped, const struct stat *st)
{
    s->head = h;
    s->mapped = mapped;
    s->dev = (uint64_t)st->st_dev;
    s->ino = (uint64_t)st->st_ino;
    s->layout = RG_SEG_LAYOUT;
    s->slot = rg_segment_slot;
    s->refs = 1;
    memset(s->claimed, 0, sizeof s->claimed);
    s->space = (rg_space){ (char *)h, s->blocks, sizeof(rg_seg_slot), &h->high, RG_SEG_ENTRIES, false };
    for (unsigned b = 0; b < RG_MAX_BLOCKS; b++) {
        unsigned first = b * RG_BLOCK_SLOTS < RG_SEG_SLOTS ? b * RG_BLOCK_SLOTS : 0;
        rg_store(&s->blocks[b], (uint64_t)(uintptr_t)&h->slots[first]);
    }
}

/* A handle of this object, one reference more; NULL when it is not mapped. The lock is held. */
static rg_segment *known(const struct stat *st)
{
    for (rg_segment *s = rg_segments; s; s = s->next) {
        if (s->refs && s->dev == (uint64_t)st->st_dev && s->ino == (uint64_t)st->st_ino) {
            s->refs++;
            return s;
        }
    }
    return NULL;
}

/* Maps fd unless it is mapped already. */
static int map(int fd, const struct stat *st, rg_segment **out)
{
    rg_seg_lock();
    rg_segment *s = known(st);
    int error = 0;
    if (!s) {
        for (s = rg_segments; s && s->refs; s = s->next) {}
        if (!s && (s = calloc(1, sizeof *s))) {
            s->next = rg_segments;
            rg_segments = s;
        }
        size_t n = (size_t)st->st_size;
        void *p = s ? mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : NULL;
        if (!s)
            error = ENOMEM;
        else if (p == MAP_FAILED)
            error = errno;
        else
            fill(s, p, n, st);
    }
    rg_seg_unlock();
    *out = error ? NULL : s;
    return error;
}

void rg_segment_close(rg_segment *s)
{
    rg_seg_lock();
    if (--s->refs == 0) {
        rg_segment_release_all(s);
        munmap(s->head, s->mapped);
        s->head = NULL;
    }
    rg_seg_unlock();
}

/* ---- create, attach, unlink ---------------------------------------------------------------- */

static void make(rg_seg_header *h, uint64_t total)
{
    h->version = RG_SEG_VERSION;
    h->layout = RG_SEG_LAYOUT;
    h->total = total;
    h->pids = pid_namespace();
    rg_store(&h->used, offsetof(rg_seg_header, room));
    for (unsigned i = 0; i < RG_SEG_SLOTS; i++) {
        rg_seg_slot *s = &h->slots[i];
        for (unsigned j = 0, at = 0; j < 2; at += RG_INLINE_ENTRIES << j, j++)
            rg_store(&s->desc.chunks[j], (uint64_t)((char *)&s->more[at] - (char *)h));
    }
    rg_store(&h->magic, RG_SEG_MAGIC);
}

/* The pages are taken now: a store to one that is not to be had would be a SIGBUS later. */
static int reserve(int fd, uint64_t total)
{
    if (ftruncate(fd, (off_t)total) < 0) return errno;
#ifdef __linux__
    int e;
    do e = posix_fallocate(fd, 0, (off_t)total);
    while (e == EINTR);
    return e;
#else
    return 0;
#endif
}

int rg_segment_create(const char *name, uint64_t room, rg_segment **out)
{
    uint64_t total = (offsetof(rg_seg_header, room) + room + 4095) & ~4095ULL;
    struct stat st;
    int fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
    if (fd < 0) return errno;
    int error = reserve(fd, total);
    if (!error && fstat(fd, &st) < 0) error = errno;
    if (!error) error = map(fd, &st, out);
    if (!error)
        make((*out)->head, total);
    else
        shm_unlink(name);
    close(fd);
    return error;
}

static int judge(rg_segment *s)
{
    rg_seg_header *h = s->head;
    uint64_t magic = rg_load(&h->magic);
    if (!magic) return RG_SEG_UNFINISHED;
    if (magic != RG_SEG_MAGIC) return RG_SEG_FOREIGN;
    if (h->version != RG_SEG_VERSION || h->layout != RG_SEG_LAYOUT || h->total != s->mapped) return RG_SEG_OTHER_LAYOUT;
    uint64_t pids = pid_namespace();
    return h->pids && pids && h->pids != pids ? RG_SEG_OTHER_PIDS : 0;
}

int rg_segment_attach(const char *name, rg_segment **out)
{
    struct stat st;
    int fd = shm_open(name, O_RDWR, 0);
    if (fd < 0) return errno;
    int error = fstat(fd, &st) < 0 ? errno : 0;
    if (!error && st.st_size == 0) error = RG_SEG_UNFINISHED;
    if (!error && (uint64_t)st.st_size < sizeof(rg_seg_header)) error = RG_SEG_FOREIGN;
    if (!error) error = map(fd, &st, out);
    close(fd);
    if (!error && (error = judge(*out))) rg_segment_close(*out);
    return error;
}

int rg_segment_unlink(const char *name, uint64_t dev, uint64_t ino)
{
    struct stat st;
    int fd = shm_open(name, O_RDONLY, 0);
    if (fd < 0) return errno;
    int error = fstat(fd, &st) < 0 ? errno : 0;
    close(fd);
    if (error) return error;
    if ((uint64_t)st.st_dev != dev || (uint64_t)st.st_ino != ino) return ENOENT; /* another one has the name now */
    return shm_unlink(name) < 0 ? errno : 0;
}

/* ---- the directory ------------------------------------------------------------------------- *
 * An array is added by one k-CAS of count, used and the words of its entry. It fails if any other
 * array was added since the directory was read, so no name is there twice; it is finished by
 * whoever meets it, so no half-made entry is ever seen; and the room was zero from the start. */

static uint64_t name_word(const char *name, size_t len, size_t i)
{
    uint64_t w = 0;
    for (size_t k = 7 * i; k < 7 * i + 7 && k < len; k++) w = w << 8 | (unsigned char)name[k];
    return w;
}

static bool same_name(rg_segment *s, unsigned me, rg_seg_array *a, const char *name, size_t len)
{
    for (size_t i = 0; i < RG_SEG_NAME_WORDS; i++)
        if (rg_read(&s->space, me, &a->name[i]) != name_word(name, len, i)) return false;
    return true;
}

static size_t entries_to_add(rg_seg_array *a, const char *name, size_t len, const rg_array_info *info, rg_cas_entry *e)
{
    size_t n = 0;
    for (size_t i = 0; i < RG_SEG_NAME_WORDS; i++) {
        uint64_t w = name_word(name, len, i);
        if (w) e[n++] = (rg_cas_entry){ &a->name[i], 0, w };
    }
    e[n++] = (rg_cas_entry){ &a->type, 0, info->type };
    e[n++] = (rg_cas_entry){ &a->length, 0, info->length };
    e[n++] = (rg_cas_entry){ &a->offset, 0, info->offset };
    return n;
}

int rg_segment_array(rg_segment *s, const char *name, size_t len, rg_array_info *info)
{
    int slot = rg_segment_slot(s);
    if (slot < 0) return RG_ARRAY_NO_SLOT;
    unsigned me = (unsigned)slot;
    rg_seg_header *h = s->head;
    for (;;) {
        uint64_t count = rg_read(&s->space, me, &h->count);
        for (uint64_t i = 0; i < count; i++) {
            rg_seg_array *a = &h->arrays[i];
            if (!same_name(s, me, a, name, len)) continue;
            uint64_t type = rg_read(&s->space, me, &a->type), length = rg_read(&s->space, me, &a->length);
            bool same = type == info->type && length == info->length;
            *info = (rg_array_info){ type, length, rg_read(&s->space, me, &a->offset), 0 };
            return same ? RG_ARRAY_OK : RG_ARRAY_DIFFERS;
        }
        if (count == RG_SEG_ARRAYS) return RG_ARRAY_NO_ENTRY;
        uint64_t used = rg_read(&s->space, me, &h->used);
        uint64_t start = (used + RG_SEG_LINE - 1) & ~(uint64_t)(RG_SEG_LINE - 1);
        uint64_t left = h->total > start ? h->total - start : 0;
        if (info->length > left / sizeof(rg_word)) {
            info->left = left;
            return RG_ARRAY_NO_ROOM;
        }
        info->offset = start;
        rg_cas_entry e[RG_SEG_NAME_WORDS + 5];
        size_t n = entries_to_add(&h->arrays[count], name, len, info, e);
        e[n++] = (rg_cas_entry){ &h->count, count, count + 1 };
        e[n++] = (rg_cas_entry){ &h->used, used, start + info->length * sizeof(rg_word) };
        if (rg_kcas(&s->space, me, e, n) == RG_SUCCEEDED) return RG_ARRAY_OK;
    }
}
