/* slots.c - which thread of which process uses which descriptor of a segment.
 *
 * The owner word of a slot is 0, or  pid << 32 | birth  of a process. Invariants:
 *   Only a thread of that process changes it, or, once the process is gone for good, whoever wins
 *   the CAS from the dead owner to itself; the winner settles what was in flight before anything else.
 *   Within the process the slot belongs to one thread, which remembers it (rg_seg_tls, and a list
 *   that ends with the thread).
 *
 * `birth` is when the process began: a pid comes back, a pid with a birth does not. Where it cannot
 * be learned it is 0, and a slot whose pid came back is merely not recovered until that process ends.
 *
 * Not given back at the process's exit: daemon threads may be in the middle of an operation then.
 * A gone process's slots are settled by the next that claims a slot.
 *
 * After fork the child has the mapping but no slot: they stay the parent's. Its handles forget
 * them by a new generation.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Thread_local rg_seg_cache rg_seg_tls __attribute__((tls_model("initial-exec")));
rg_segment *rg_segments;

/* ---- processes ------------------------------------------------------------------------------ */

/* The 20th (threads) and 22nd (start) field of /proc/pid/stat, and the state; false: not to be had. */
static bool look_up(pid_t pid, char *state, long *threads, uint32_t *birth)
{
#ifdef __linux__
    char path[40], text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return false;
    text[n] = 0;
    char *p = strrchr(text, ')'); /* the name before it may hold anything */
    unsigned long long start;
    if (!p || sscanf(p + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %ld %*s %llu", state, threads,
                     &start) != 3)
        return false;
    *birth = (uint32_t)start | 1u; /* never 0; two clock ticks are as good as one */
    return true;
#else
    (void)pid, (void)state, (void)threads, (void)birth;
    return false;
#endif
}

static uint64_t self; /* under the lock; 0: not known yet */

static uint64_t self_owner(void)
{
    if (!self) {
        char state;
        long threads;
        uint32_t birth = 0;
        if (!look_up(getpid(), &state, &threads, &birth)) birth = 0;
        self = (uint64_t)getpid() << 32 | birth;
    }
    return self;
}

static bool gone(uint64_t owner)
{
    pid_t pid = (pid_t)(owner >> 32);
    uint32_t born = (uint32_t)owner, birth;
    char state;
    long threads;
    if (owner == self_owner()) return false;
    if (kill(pid, 0) < 0 && errno == ESRCH) return true;
    if (!look_up(pid, &state, &threads, &birth)) return false;
    if (born && born != birth) return true;
    /* Killed, and its parent has not asked yet. A first thread that has merely ended before the
     * others looks the same, but for their number. */
    return (state == 'Z' || state == 'X') && threads <= 1;
}

/* ---- this process's threads ----------------------------------------------------------------- */

typedef struct record {
    struct record *next;
    rg_segment *segment;
    uint64_t generation;
    unsigned slot;
} record;

static pthread_key_t thread_key; /* value: this thread's records */
static bool have_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool current(const record *r) { return rg_load_rlx(&r->segment->generation) == r->generation; }

static void thread_ended(void *list)
{
    rg_seg_lock();
    for (record *r = list, *next; r; r = next) {
        next = r->next;
        if (current(r)) {
            r->segment->claimed[r->slot / 64] &= ~(1ULL << (r->slot % 64));
            rg_store(&r->segment->head->slots[r->slot].desc.owner, 0);
        }
        free(r);
    }
    rg_seg_tls = (rg_seg_cache){ NULL, 0, -1 };
    rg_seg_unlock();
}

static void forget_slots(rg_segment *s)
{
    rg_fetch_add(&s->generation, 1);
    memset(s->claimed, 0, sizeof s->claimed);
}

/* The child of a fork. The forking thread holds the lock (before_fork). */
static void in_child(void)
{
    self = 0;
    for (rg_segment *s = rg_segments; s; s = s->next) forget_slots(s);
    pthread_mutex_unlock(&lock);
}
static void before_fork(void) { pthread_mutex_lock(&lock); }
static void in_parent(void) { pthread_mutex_unlock(&lock); }

static void init_once(void)
{
    have_key = pthread_key_create(&thread_key, thread_ended) == 0 && pthread_atfork(before_fork, in_parent, in_child) == 0;
}

void rg_seg_lock(void)
{
    pthread_once(&once, init_once);
    pthread_mutex_lock(&lock);
}
void rg_seg_unlock(void) { pthread_mutex_unlock(&lock); }

void rg_segment_release_all(rg_segment *s)
{
    for (unsigned i = 0; i < RG_SEG_SLOTS; i++)
        if (s->claimed[i / 64] >> (i % 64) & 1) rg_store(&s->head->slots[i].desc.owner, 0);
    forget_slots(s);
}

/* ---- claiming ------------------------------------------------------------------------------- */

/* The slot's process is gone, and we have it now: finish what it left. The slot serves as our own
 * meanwhile; should we die here, the next one finds it owned by us and repeats this. */
static bool take_over(rg_segment *s, unsigned i, uint64_t dead)
{
    if (!rg_cas(&s->head->slots[i].desc.owner, dead, self_owner())) return false;
    rg_desc_abandon(&s->space, i, i);
    return true;
}

/* The lock is held. Also makes the clock of one who died between odd and even go on, without
 * which no read of several words succeeds at the first try. */
static unsigned recover(rg_segment *s)
{
    unsigned n = 0, high = (unsigned)rg_load(&s->head->high);
    uint64_t alive = self_owner();
    for (unsigned i = 0; i < high && i < RG_SEG_SLOTS; i++) {
        uint64_t o = rg_load(&s->head->slots[i].desc.owner);
        if (!o || o == alive || o == self_owner()) continue;
        if (!gone(o)) {
            alive = o; /* a process has its slots side by side, as a rule */
            continue;
        }
        if (take_over(s, i, o)) {
            rg_store(&s->head->slots[i].desc.owner, 0);
            n++;
        }
    }
    return n;
}

unsigned rg_segment_recover(rg_segment *s)
{
    rg_seg_lock();
    unsigned n = recover(s);
    rg_seg_unlock();
    return n;
}

/* The lock is held. Slots from the lowest up: reading the clocks costs one line for each below high. */
static int claim(rg_segment *s)
{
    uint64_t me = self_owner();
    recover(s);
    for (unsigned i = 0; i < RG_SEG_SLOTS; i++) {
        rg_word *owner = &s->head->slots[i].desc.owner;
        if (rg_load(owner) || !rg_cas(owner, 0, me)) continue;
        rg_word *high = s->space.high;
        for (uint64_t h = rg_load(high); h <= i && !rg_cas(high, h, i + 1); h = rg_load(high)) {}
        s->claimed[i / 64] |= 1ULL << (i % 64);
        return (int)i;
    }
    return -1;
}

/* This thread's record of s, or NULL; records of what was closed go. */
static record *recall(rg_segment *s)
{
    record *list = pthread_getspecific(thread_key), *found = NULL;
    for (record **at = &list; *at;) {
        record *r = *at;
        if (!current(r)) {
            *at = r->next;
            free(r);
            continue;
        }
        if (r->segment == s) found = r;
        at = &r->next;
    }
    /* Fails only where the first value of a thread finds no memory; this one is not the first, or is NULL. */
    pthread_setspecific(thread_key, list);
    return found;
}

int rg_segment_slot_slow(rg_segment *s)
{
    rg_seg_lock();
    record *r = have_key ? recall(s) : NULL;
    if (have_key && !r && (r = malloc(sizeof *r))) {
        record *list = pthread_getspecific(thread_key);
        int i = claim(s);
        *r = (record){ list, s, rg_load(&s->generation), (unsigned)i };
        if (i < 0 || pthread_setspecific(thread_key, r) != 0) {
            if (i >= 0) {
                s->claimed[i / 64] &= ~(1ULL << (i % 64));
                rg_store(&s->head->slots[i].desc.owner, 0);
            }
            free(r);
            r = NULL;
        }
    }
    int slot = r ? (int)r->slot : -1;
    if (r) rg_seg_tls = (rg_seg_cache){ s, r->generation, slot };
    rg_seg_unlock();
    return slot;
}
