/* weak.c - see weak.h. */
#include "weak.h"

/* Of a view: the threads' clocks, the last place in S, and that of a fence, then times of locations. */
#define IN_S X_THREADS
#define FENCE_IN_S (X_THREADS + 1u)
#define FIRST (X_THREADS + 2u)
#define LOCATIONS 498u
#define ENTRIES (FIRST + LOCATIONS)
#define MESSAGES 8192u
#define BLOCKS 1024u
/* How often a thread may read one word late: a thread that spins goes on some day. */
#define LATE_READS 6u

typedef int16_t time_type; /* signed: SSE2 has a maximum of these */
typedef time_type lane __attribute__((vector_size(16)));
#define LANE (sizeof(lane) / sizeof(time_type))
_Static_assert(ENTRIES % LANE == 0, "a view is whole lanes");
_Static_assert(X_MAX_STEPS <= INT16_MAX, "a time for each step");

typedef union view {
    lane lanes[ENTRIES / LANE];
    time_type at[ENTRIES];
} view;

/* A word that was accessed since the execution began. */
typedef struct location {
    unsigned word;
    uint16_t last;                /* message */
    time_type in_s;               /* the last place in S of a write, or of who has read: writes come later */
    uint16_t released[X_THREADS]; /* the last message that the thread released; 0: none */
    uint8_t late[X_THREADS];
} location;

typedef struct message {
    uint64_t value;
    time_type time;
    time_type in_s;  /* the first place in S from which on nothing older may be read; 0: none yet */
    uint16_t before; /* the message before it on this word */
    uint16_t lanes;  /* of its view; those past it are 0 */
} message;

typedef struct block {
    int8_t by; /* -1: set-up */
    bool unwatched;
    time_type since;
    time_type last[X_THREADS]; /* clock of the thread's last access */
} block;

bool x_weak;

static view current[X_THREADS], acquired[X_THREADS], fenced[X_THREADS];
static view global; /* of locations: what has a place in S */
static time_type last_in_s;
static time_type loaded[LOCATIONS]; /* by seq_cst loads: no other reads older, wherever in S */
static location locations[LOCATIONS];
static unsigned n_locations;
static uint16_t location_of[X_WORDS]; /* and 1 */
static message messages[MESSAGES];    /* 0: none */
static view views[MESSAGES];
static unsigned n_messages;
static block blocks[BLOCKS];
static unsigned n_blocks, setup_blocks;
static uint16_t block_of[X_WORDS];
static struct {
    uint32_t execution; /* of which the rest is */
    int8_t writer;      /* the last; -1: none */
    time_type written, read[X_THREADS];
} plain[X_WORDS];
static uint32_t execution;

static bool acquires(int order) { return order == X_ACQUIRE || order == X_ACQ_REL || order == X_SEQ_CST; }
static bool releases(int order) { return order == X_RELEASE || order == X_ACQ_REL || order == X_SEQ_CST; }

/* ---- views ------------------------------------------------------------------------------------ */

static unsigned used_lanes(void) { return (unsigned)((FIRST + n_locations + LANE - 1) / LANE); }

static void join(view *v, const view *with, unsigned lanes)
{
    for (unsigned i = 0; i < lanes; i++) {
        lane a = v->lanes[i], b = with->lanes[i], later = (lane)(a > b);
        v->lanes[i] = (a & later) | (b & ~later);
    }
}

static void raise_to(time_type *t, time_type at_least)
{
    if (*t < at_least) *t = at_least;
}

static unsigned entry_of(const location *l) { return FIRST + (unsigned)(l - locations); }

static message *new_message(uint64_t value)
{
    if (++n_messages == MESSAGES) x_fail("more than %u writes", MESSAGES);
    message *m = &messages[n_messages];
    *m = (message){ .value = value };
    return m;
}

/* The word's, with its contents so far as the first message. */
static location *find_or_make(unsigned w)
{
    if (location_of[w]) return &locations[location_of[w] - 1];
    if (n_locations == LOCATIONS) x_fail("more than %u words are accessed", LOCATIONS);
    location *l = &locations[n_locations];
    location_of[w] = (uint16_t)++n_locations;
    *l = (location){ .word = w };
    loaded[l - locations] = 0;
    new_message(x_memory(w));
    l->last = (uint16_t)n_messages;
    return l;
}

void x_weak_setup(void)
{
    n_blocks = setup_blocks = 0;
    execution++;
    n_locations = n_messages = 0;
    memset(location_of, 0, sizeof location_of);
    memset(current, 0, sizeof current);
    memset(acquired, 0, sizeof acquired);
    memset(fenced, 0, sizeof fenced);
    memset(&global, 0, sizeof global);
}

static void forget(view *v, unsigned lanes) { memset(v, 0, lanes * sizeof(lane)); }

void x_weak_begin(void)
{
    unsigned lanes = used_lanes();
    for (unsigned t = 0; t < X_THREADS; t++) {
        forget(&current[t], lanes);
        forget(&acquired[t], lanes);
        forget(&fenced[t], lanes);
    }
    forget(&global, lanes);
    for (unsigned i = 0; i < n_locations; i++) location_of[locations[i].word] = 0;
    n_locations = n_messages = 0;
    last_in_s = 0;
    n_blocks = setup_blocks;
    execution++;
    for (unsigned i = 0; i < n_blocks; i++) memset(blocks[i].last, 0, sizeof blocks[i].last);
}

/* ---- blocks ------------------------------------------------------------------------------------- */

void x_weak_alloc(int t, unsigned w, size_t n)
{
    if (n_blocks == BLOCKS) x_fail("more than %u blocks", BLOCKS);
    for (size_t i = 0; i < (n + 7) / 8; i++) block_of[w + i] = (uint16_t)n_blocks;
    block *b = &blocks[n_blocks++];
    *b = (block){ .by = (int8_t)t };
    if (t < 0)
        setup_blocks = n_blocks;
    else
        b->since = b->last[t] = ++current[t].at[t];
}

void x_weak_unwatched(unsigned w) { blocks[block_of[w]].unwatched = true; }

static void access_to(unsigned t, unsigned w)
{
    block *b = &blocks[block_of[w]];
    b->last[t] = ++current[t].at[t];
    if (b->by < 0 || current[t].at[(unsigned)b->by] >= b->since) return;
    char name[64];
    x_block_name(w, name, sizeof name);
    x_fail("access to %s, whose allocation by thread %d does not happen before", name, b->by);
}

void x_weak_free(unsigned t, unsigned w)
{
    access_to(t, w);
    const block *b = &blocks[block_of[w]];
    for (unsigned u = 0; u < X_THREADS; u++) {
        if (b->last[u] <= current[t].at[u]) continue;
        char name[64];
        x_block_name(w, name, sizeof name);
        x_fail("free of %s races with an access of thread %u, which does not happen before", name, u);
    }
}

_Noreturn static void race(unsigned w, unsigned with)
{
    char name[64];
    x_block_name(w, name, sizeof name);
    x_fail("data race on %s, with thread %u", name, with);
}

void x_weak_plain(unsigned t, unsigned w, bool write)
{
    if (blocks[block_of[w]].unwatched) return;
    access_to(t, w);
    if (plain[w].execution != execution) {
        plain[w].execution = execution;
        plain[w].writer = -1;
        memset(plain[w].read, 0, sizeof plain[w].read);
    }
    const time_type *seen = current[t].at;
    if (plain[w].writer >= 0 && plain[w].written > seen[(unsigned)plain[w].writer]) race(w, (unsigned)plain[w].writer);
    plain[w].read[t] = seen[t];
    if (!write) return;
    for (unsigned u = 0; u < X_THREADS; u++)
        if (plain[w].read[u] > seen[u]) race(w, u);
    plain[w].writer = (int8_t)t;
    plain[w].written = seen[t];
}

/* ---- accesses ----------------------------------------------------------------------------------- */

static void check_written(unsigned w, uint64_t v)
{
    if (v != X_FRESH) return;
    char name[64];
    x_block_name(w, name, sizeof name);
    x_fail("load of %s from before it was written", name);
}

/* From that place in S on nothing older than m may be read. */
static void place_in_s(unsigned entry, message *m, time_type place)
{
    raise_to(&global.at[entry], m->time);
    for (; !m->in_s && m->time; m = &messages[m->before]) m->in_s = place;
}

/* A place in S for a write to the word: a new one, or the first that is free. */
static time_type choose_place(unsigned t, const location *l)
{
    time_type first = current[t].at[IN_S];
    raise_to(&first, l->in_s);
    return first && x_choose_early() ? first : ++last_in_s;
}

/* The thread takes the message. */
static void take(unsigned t, location *l, const message *m, int order)
{
    unsigned entry = entry_of(l);
    raise_to(&current[t].at[entry], m->time);
    join(acquires(order) ? &current[t] : &acquired[t], &views[m - messages], m->lanes);
    bool placed = m->in_s && m->in_s <= current[t].at[IN_S]; /* who reads older is earlier in S anyway */
    if (order == X_SEQ_CST && !placed) raise_to(&loaded[entry - FIRST], m->time);
    raise_to(&l->in_s, current[t].at[IN_S]);
}

/* The last message, or one before it that the thread may still read. */
static const message *choose(unsigned t, location *l, int order)
{
    unsigned entry = entry_of(l);
    const message *m = &messages[l->last], *f = m;
    time_type first = current[t].at[entry], in_s = current[t].at[order == X_SEQ_CST ? IN_S : FENCE_IN_S];
    if (order == X_SEQ_CST) raise_to(&first, loaded[l - locations]);
    while (f->time > first && (!f->in_s || f->in_s > in_s)) f = &messages[f->before];
    first = f->time;
    if (m->time == first || l->late[t] == LATE_READS) return m;
    unsigned older = x_choose_older((unsigned)(m->time - first));
    l->late[t] = (uint8_t)(l->late[t] + (older != 0));
    while (older--) m = &messages[m->before];
    return m;
}

/* At the end of the word's history; `after` is what a read-modify-write has read. */
static void append(unsigned t, location *l, uint64_t value, int order, const message *after)
{
    unsigned entry = entry_of(l);
    message *m = new_message(value);
    m->before = l->last;
    m->time = (time_type)(messages[l->last].time + 1);
    m->lanes = (uint16_t)used_lanes();
    l->last = (uint16_t)n_messages;
    current[t].at[entry] = m->time;
    raise_to(&l->in_s, current[t].at[IN_S]);
    if (order == X_SEQ_CST) {
        l->in_s = current[t].at[IN_S] = choose_place(t, l);
        place_in_s(entry, m, l->in_s);
    }
    view *v = &views[n_messages];
    memcpy(v, releases(order) ? &current[t] : &fenced[t], m->lanes * sizeof(lane));
    if (after) join(v, &views[after - messages], after->lanes);
    if (releases(order))
        l->released[t] = (uint16_t)n_messages;
    else if (l->released[t])
        join(v, &views[l->released[t]], messages[l->released[t]].lanes);
    raise_to(&v->at[entry], m->time);
}

uint64_t x_weak_load(unsigned t, unsigned w, int order)
{
    access_to(t, w);
    location *l = find_or_make(w);
    const message *m = choose(t, l, order);
    take(t, l, m, order);
    check_written(w, m->value);
    return m->value;
}

void x_weak_woken(unsigned t, unsigned w)
{
    access_to(t, w);
    location *l = find_or_make(w);
    take(t, l, &messages[l->last], X_SEQ_CST);
}

void x_weak_store(unsigned t, unsigned w, uint64_t v, int order)
{
    access_to(t, w);
    append(t, find_or_make(w), v, order, NULL);
}

bool x_weak_cas(unsigned t, unsigned w, uint64_t old, uint64_t new_, int order)
{
    access_to(t, w);
    location *l = find_or_make(w);
    const message *last = &messages[l->last], *m = choose(t, l, order);
    /* What it reads is not `old`, or is the last one. */
    if (m->value == old) m = last;
    take(t, l, m, order);
    check_written(w, m->value);
    if (m->value != old) return false;
    append(t, l, new_, order, last);
    return true;
}

void x_weak_add(unsigned t, unsigned w, uint64_t n, int order)
{
    access_to(t, w);
    location *l = find_or_make(w);
    const message *last = &messages[l->last];
    take(t, l, last, order);
    check_written(w, last->value);
    append(t, l, last->value + n, order, last);
}

void x_weak_fence(unsigned t)
{
    unsigned lanes = used_lanes();
    join(&current[t], &acquired[t], lanes);
    join(&current[t], &global, lanes);
    current[t].at[IN_S] = current[t].at[FENCE_IN_S] = ++last_in_s;
    for (unsigned i = 0; i < n_locations; i++) {
        unsigned entry = FIRST + i;
        raise_to(&current[t].at[entry], loaded[i]);
        if (current[t].at[entry] <= global.at[entry]) continue;
        message *m = &messages[locations[i].last];
        while (m->time > current[t].at[entry]) m = &messages[m->before];
        place_in_s(entry, m, last_in_s);
    }
    memcpy(&fenced[t], &current[t], lanes * sizeof(lane));
}

void x_weak_operation(unsigned t) { raise_to(&current[t].at[IN_S], last_in_s); }

/* A fence in every thread, wherever it is, between two of the caller. */
void x_membarrier(void)
{
    x_fence();
    int me = x_weak_thread();
    if (me < 0) return;
    for (unsigned t = 0; t < X_THREADS; t++) x_weak_fence(t);
    x_weak_fence((unsigned)me);
}
