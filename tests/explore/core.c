/* core.c - the core, unchanged, with its accesses replaced (RG_CHECKED is given by run.sh). One
 * translation unit, so that what is static there can be reached: a thread's end (slot_release), and
 * the domains that were opened. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "explore.h"
#include "subject.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "elimination.c"
#include "epoch.c"
#include "kcas.c"
#include "wait.c"

void s_forget_domains(void)
{
    n_domains = 0;
    pool = NULL;
}

void s_thread_ends(rg_slot *s) { slot_release(s); }
