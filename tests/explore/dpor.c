/* dpor.c - see dpor.h. */
#include "dpor.h"

/* Happens-before as vector clocks: clock[q] is how many events of q happen before this one, or are it. */
typedef struct event {
    uint8_t process, kind;
    bool write;
    uint16_t number; /* among those of its process, from 1 */
    int previous;    /* on the same word; -1: none */
    unsigned word, words;
    uint64_t before; /* the word's value */
    uint16_t clock[X_PROCESSES];
} event;

x_node x_nodes[X_MAX_STEPS + 1];
static event events[X_MAX_STEPS + 1];
static int last_on[X_WORDS + 1];     /* index + 1 of the last event on the word */
static int last_of[X_PROCESSES];     /* likewise of the process */
static int races[X_MAX_STEPS], n_races;

int x_last_event(unsigned thread) { return last_of[thread] - 1; }

void x_dpor_begin(void) { memset(last_of, 0, sizeof last_of); }

static void link_event(int i)
{
    events[i].previous = last_on[events[i].word] - 1;
    last_on[events[i].word] = i + 1;
    last_of[events[i].process] = i + 1;
}

void x_dpor_again(int i) { link_event(i); }

void x_dpor_end(int n)
{
    for (int i = 0; i < n; i++) last_on[events[i].word] = 0;
}

static bool happens_before(const event *e, const uint16_t *clock) { return clock[e->process] >= e->number; }

static void join(uint16_t *clock, const uint16_t *other)
{
    for (unsigned q = 0; q < X_PROCESSES; q++)
        if (clock[q] < other[q]) clock[q] = other[q];
}

static bool is_access(unsigned kind) { return kind != X_K_CALL && kind != X_K_RETURN && kind != X_K_FENCE && kind != X_K_PAUSE; }

static bool dependent(const event *e, unsigned kind, unsigned word, unsigned words, bool write)
{
    if (!is_access(e->kind) || !is_access(kind))
        return (e->kind == X_K_CALL && kind == X_K_RETURN) || (e->kind == X_K_RETURN && kind == X_K_CALL);
    if (e->kind == X_K_FREE) return word - e->word < e->words || word == e->word;
    if (kind == X_K_FREE) return e->word - word < words;
    return e->word == word && (e->write || write);
}

/* Events i and j are in a race: nothing between them orders them, so they can be exchanged. Let v be
 * what came after i without being ordered after it, and then j: v can run before i. One of the
 * processes that can begin v must be tried where i was taken, unless one is, or sleeps, already. */
static void reverse(int i, int j)
{
    const event *e = &events[i];
    x_node *at = &x_nodes[i];
    unsigned in = 0, initials = 0;
    int first[X_PROCESSES];
    for (int k = i + 1; k <= j; k++) {
        const event *f = &events[k];
        if (in >> f->process & 1) continue;
        if (k < j && happens_before(e, f->clock)) continue;
        bool initial = true;
        for (unsigned q = 0; q < X_PROCESSES; q++)
            if ((in >> q & 1) && happens_before(&events[first[q]], f->clock)) initial = false;
        in |= 1u << f->process;
        first[f->process] = k;
        if (initial) initials |= 1u << f->process;
    }
    if (initials & (at->backtrack | at->sleep)) return;
    unsigned mine = 1u << events[j].process;
    at->backtrack |= (uint16_t)(initials & mine ? mine : initials & -initials);
}

/* A wait that could not have been taken before this write. */
static bool enables(const event *e, const x_step *s) { return s->kind == X_K_AWAIT && e->before == s->expect; }

static void meet(event *now, int k, const x_step *s)
{
    const event *e = &events[k];
    if (happens_before(e, now->clock) || !dependent(e, s->kind, s->word, s->words, now->write)) return;
    if (!enables(e, s)) races[n_races++] = k;
    join(now->clock, e->clock);
}

void x_dpor_event(int i, unsigned p)
{
    event *now = &events[i];
    x_step s = x_next_step(p);
    bool has_word = s.word != X_NO_WORD;
    now->process = (uint8_t)p;
    now->kind = (uint8_t)s.kind;
    now->write = is_access(s.kind) && x_writes(&s);
    now->word = s.word;
    now->words = s.words;
    now->before = has_word ? x_memory(s.word) : 0;
    if (last_of[p]) {
        memcpy(now->clock, events[last_of[p] - 1].clock, sizeof now->clock);
        now->number = (uint16_t)(events[last_of[p] - 1].number + 1);
    } else {
        memset(now->clock, 0, sizeof now->clock);
        now->number = 1;
    }
    if (p >= X_THREADS) {
        int since = x_threads[p - X_THREADS].buffer[0].since;
        if (since >= 0) join(now->clock, events[since].clock);
    } else if (last_of[X_THREADS + p] && x_drains(s.kind)) {
        join(now->clock, events[last_of[X_THREADS + p] - 1].clock);
    }
    n_races = 0;
    if (s.kind == X_K_FREE) {
        for (int k = i - 1; k >= 0; k--) meet(now, k, &s);
    } else {
        /* Back to the last write: what came before that on this word happens before it. */
        for (int k = last_on[s.word] - 1; k >= 0; k = events[k].previous) {
            meet(now, k, &s);
            if (has_word && events[k].write) break;
        }
    }
    now->clock[p] = now->number;
    for (int r = 0; r < n_races; r++) reverse(races[r], i);
    link_event(i);
}

uint16_t x_dpor_still_asleep(int i, uint16_t sleep)
{
    for (unsigned q = 0; q < X_PROCESSES; q++) {
        if (!(sleep >> q & 1)) continue;
        x_step s = x_next_step(q);
        if (q == events[i].process || dependent(&events[i], s.kind, s.word, s.words, is_access(s.kind) && x_writes(&s)))
            sleep &= (uint16_t)~(1u << q);
    }
    return sleep;
}
