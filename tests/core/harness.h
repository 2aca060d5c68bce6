/* harness.h - what the tests of csrc/core share.
 *
 * Each test of a program runs in a process of its own: a crash, a sanitizer's report or a hang
 * (an alarm) fails that test and no other. A test runs its workers for RG_TEST_SECONDS (0.3),
 * then says what must hold. Output: one line a test, "ok   program.test" or "FAIL program.test".
 */
#ifndef RG_HARNESS_H
#define RG_HARNESS_H

#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#include "node.h"
#include "queue.h"
#include "stack.h"
#include "wait.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HANG_SECONDS 40
#define MAX_WORKERS 16

#define CHECK(cond, ...)                                                              \
    do {                                                                              \
        if (!(cond)) {                                                                \
            fprintf(stderr, "     %s:%d: %s is false: ", __FILE__, __LINE__, #cond);  \
            fprintf(stderr, __VA_ARGS__);                                             \
            fputc('\n', stderr);                                                      \
            _exit(1);                                                                 \
        }                                                                             \
    } while (0)

typedef struct test {
    const char *name;
    void (*run)(void);
} test;

static rg_domain *dom; /* opened anew for each test */
#define SPACE (&dom->space)

static inline rg_slot *here(void)
{
    rg_slot *s = rg_slot_get(dom);
    CHECK(s != NULL, "no slot");
    return s;
}

/* ---- workers ------------------------------------------------------------------------------ */

typedef struct worker {
    void (*run)(struct worker *);
    unsigned id;
    uint64_t seed;
    uint64_t count[8];
    void *arg;
    pthread_t thread;
} worker;

static atomic_bool stopped;
static pthread_barrier_t start_line;

static inline bool running(void) { return !atomic_load_explicit(&stopped, memory_order_relaxed); }

static inline uint64_t random_of(worker *w)
{
    uint64_t x = w->seed; /* xorshift64*: Marsaglia 2003, Vigna 2016 */
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    w->seed = x;
    return x * 0x2545F4914F6CDD1DULL >> 11;
}

static inline double test_seconds(void)
{
    const char *s = getenv("RG_TEST_SECONDS");
    return s ? atof(s) : 0.3;
}

static inline void nap(double seconds)
{
    struct timespec t = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {}
}

static void *worker_main(void *p)
{
    worker *w = p;
    pthread_barrier_wait(&start_line);
    w->run(w);
    return NULL;
}

/* Starts n workers; worker i runs f[i % nf]. */
static inline void workers_start(worker *w, unsigned n, void (**f)(worker *), unsigned nf)
{
    atomic_store(&stopped, false);
    pthread_barrier_init(&start_line, NULL, n);
    for (unsigned i = 0; i < n; i++) {
        w[i] = (worker){ .run = f[i % nf], .id = i, .seed = 0x9E3779B97F4A7C15ULL * (i + 1) ^ (uint64_t)getpid(),
                         .arg = w[i].arg };
        CHECK(pthread_create(&w[i].thread, NULL, worker_main, &w[i]) == 0, "pthread_create");
    }
}

static inline void workers_join(worker *w, unsigned n)
{
    for (unsigned i = 0; i < n; i++) pthread_join(w[i].thread, NULL);
    pthread_barrier_destroy(&start_line);
}

static inline void workers_run(worker *w, unsigned n, void (**f)(worker *), unsigned nf)
{
    workers_start(w, n, f, nf);
    nap(test_seconds());
    atomic_store(&stopped, true);
    workers_join(w, n);
}

/* A barrier that spins a little and then yields: rounds of a microsecond. */
typedef struct spin_barrier {
    _Atomic unsigned arrived, round;
} spin_barrier;

static inline void spin_barrier_wait(spin_barrier *b, unsigned n)
{
    unsigned round = atomic_load(&b->round);
    if (atomic_fetch_add(&b->arrived, 1) + 1 == n) {
        atomic_store(&b->arrived, 0);
        atomic_fetch_add(&b->round, 1);
        return;
    }
    for (unsigned i = 0; atomic_load(&b->round) == round; i++)
        if (i > 200) sched_yield();
}

/* ---- running ------------------------------------------------------------------------------- */

static int tests_main(const char *program, const test *tests, size_t n, const char *only)
{
    int failed = 0;
    const char *base = strrchr(program, '/');
    base = base ? base + 1 : program;
    for (size_t i = 0; i < n; i++) {
        if (only && strcmp(only, tests[i].name) != 0) continue;
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            const char *hang = getenv("RG_HANG_SECONDS");
            alarm(hang ? (unsigned)atoi(hang) : HANG_SECONDS);
            dom = rg_domain_open();
            tests[i].run();
            exit(0); /* with the leak check, where there is one */
        }
        int status = 0;
        waitpid(pid, &status, 0);
        if (status == 0)
            printf("ok   %s.%s\n", base, tests[i].name);
        else if (WIFSIGNALED(status))
            printf("FAIL %s.%s: %s\n", base, tests[i].name,
                   WTERMSIG(status) == SIGALRM ? "hangs" : strsignal(WTERMSIG(status)));
        else
            printf("FAIL %s.%s: exit %d\n", base, tests[i].name, WEXITSTATUS(status));
        failed += status != 0;
    }
    return failed != 0;
}

#define TESTS(...)                                                                         \
    int main(int argc, char **argv)                                                        \
    {                                                                                      \
        static const test tests[] = { __VA_ARGS__ };                                       \
        return tests_main(argv[0], tests, sizeof tests / sizeof *tests, argc > 1 ? argv[1] : NULL); \
    }

#endif
