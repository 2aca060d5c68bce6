/* coroutine.h - a stack of its own for each thread of a scenario, and the switch between two.
 *
 * x_switch saves what the ABI says a call preserves, changes the stack pointer, restores. A coroutine
 * may be abandoned at any time: nothing but its stack belongs to it. (The floating-point control
 * words are the same for all, and not saved.) 16 ns where ucontext, which enters the kernel for the
 * signal mask, takes 475; that is the
 * fallback elsewhere (and with -DX_UCONTEXT). */
#ifndef X_COROUTINE_H
#define X_COROUTINE_H

#include <stddef.h>

typedef struct x_context x_context;

#if (defined(__x86_64__) || defined(__aarch64__)) && !defined(X_UCONTEXT)

struct x_context {
    void *sp;
};

/* Saves the running context into *from, goes on with *to. */
void x_switch(x_context *from, const x_context *to);

/* *c will begin with entry(), which must not return. */
static inline void x_context_make(x_context *c, char *stack, size_t size, void (*entry)(void))
{
    void **top = (void **)(((size_t)stack + size) & ~(size_t)15);
#if defined(__x86_64__)
    *--top = NULL; /* where entry would return to; leaves sp as after a call */
    *--top = (void *)entry;
    top -= 6;
#else
    top -= 20; /* x19 to x30, d8 to d15 */
    top[11] = (void *)entry; /* x30 */
#endif
    c->sp = top;
}

#else

#include <ucontext.h>

struct x_context {
    ucontext_t u;
};

static inline void x_switch(x_context *from, const x_context *to) { swapcontext(&from->u, &to->u); }

static inline void x_context_make(x_context *c, char *stack, size_t size, void (*entry)(void))
{
    getcontext(&c->u);
    c->u.uc_stack.ss_sp = stack;
    c->u.uc_stack.ss_size = size;
    c->u.uc_link = NULL;
    makecontext(&c->u, entry, 0);
}

#endif
#endif
