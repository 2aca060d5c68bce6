/* weak.h - weak memory: an operational model of C11's release, acquire, relaxed and seq_cst accesses.
 *
 * A view machine as of Kang, Hur, Lahav, Vafeiadis, Dreyer ("A promising semantics for relaxed-memory
 * concurrency", POPL 2017), without promises. A word has a history of messages in modification order:
 * a value, a time (the place in that order), a view. A view says, for each word, the earliest time that
 * may still be read. A thread has one (`current`), one that a fence would acquire (`acquired`: of the
 * messages it has read), and one as of its last fence (`fenced`).
 *
 *   load      any message from the thread's view on; its time enters the view, and the message's view
 *             does at once (acquire) or at the next fence (relaxed).
 *   store     at the end of the history, with the thread's whole view (release), or with `fenced`, and
 *             with what the thread last released on this word (the release sequence of C11 and RC11;
 *             C++20 has it no more) (relaxed).
 *   RMW       reads the last message and goes on with its view: a release sequence.
 *   CAS       one that fails is a load, so it may have read an older value than the last.
 *   seq_cst   is acquire and release, and has a place in the order S, a number; those with the same one are
 *             in the order of execution. Fences are executed in the order S. A load, or a CAS that fails,
 *             comes right after the last in S that happens before it (views carry that too), so it may
 *             read what was there before a write, or before what a fence knew, if that has a later place;
 *             but nothing older than another seq_cst load has read, unless S says so too. A write comes last, or, at random,
 *             as early as what happens before it and who has read or written the word so far allow. A
 *             fence learns all that has a place, and gives a place to all that the thread knows; loads
 *             that it happens before read nothing older than what has a place before it.
 *
 *   membarrier is a fence of all threads at one instant.
 *
 * All that can happen here may happen in C11 as RC11 has it (Lahav and others, "Repairing sequential
 * consistency in C/C++11", PLDI 2017), so what fails is wrong: modification order, reads-from and
 * happens-before go forward in the order of execution, and in S; what may go back is the relation from
 * a load to a later write than the one it reads, and the rules for seq_cst are those that keep it
 * forward in S, be it between accesses or by way of fences. It is stronger than C11: nothing is read
 * before it is written (no load buffering), no store takes a place before one of the same word that was
 * executed earlier (nothing of the kind of 2+2W), and what a fence learnt is passed on by later releases.
 * What those would show is not found.
 *
 * Histories of operations are compared with real time, as under the other modes: an operation that is
 * called after another has returned has its seq_cst loads later in S than all that has a place by then.
 *
 * Happens-before proper is kept in the same views, as vector clocks, which seq_cst does not carry on
 * by itself. With it memory is checked:
 *   what happens to a block must happen after its allocation, or its contents may not be there;
 *   a free must happen after every other access to the block;
 *   a word that was never written must not be read, nor its contents from before that;
 *   plain accesses (plain.c), one of them a write, must not race with each other. They are no steps and
 *   have no histories: where nothing races the newest value is the only one. */
#ifndef X_WEAK_H
#define X_WEAK_H

#include "machine.h"

extern bool x_weak; /* the execution is one of weak memory */

void x_weak_setup(void); /* before set-up */
void x_weak_begin(void); /* of an execution */

void x_weak_alloc(int thread, unsigned word, size_t n); /* thread: -1 in set-up */
void x_weak_unwatched(unsigned word); /* the block is the test's own: plain accesses to it are not checked */
void x_weak_free(unsigned thread, unsigned word);
void x_weak_plain(unsigned thread, unsigned word, bool write);
void x_weak_fence(unsigned thread);
/* The thread begins an operation, which is later than those that have returned. */
void x_weak_operation(unsigned thread);
uint64_t x_weak_load(unsigned thread, unsigned word, int order);
/* The last message, as one that synchronizes otherwise gets it (a thread that was parked). */
void x_weak_woken(unsigned thread, unsigned word);
/* The caller writes memory, which holds the last message of each word, afterwards. */
void x_weak_store(unsigned thread, unsigned word, uint64_t value, int order);
bool x_weak_cas(unsigned thread, unsigned word, uint64_t old, uint64_t new_, int order);
void x_weak_add(unsigned thread, unsigned word, uint64_t n, int order);

/* search.c: how many messages before the last one a load takes, of at most so many. */
unsigned x_choose_older(unsigned most);
/* Whether a seq_cst write takes an early place in S. */
bool x_choose_early(void);

#endif
