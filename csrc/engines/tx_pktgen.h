/*
 * What the files of pktgen share: tx_pktgen.c sets a generator up, tx_pktgen_run.c has it run,
 * tx_pktgen_thread.c finds the kernel's thread of it.
 */
#ifndef TX_PKTGEN_H
#define TX_PKTGEN_H

#include <net/if.h>

#include "../engine.h"

#define PKTGEN_FOLDER "/proc/thread-self/net/pktgen"
#define PKTGEN_NAME_SIZE (IF_NAMESIZE + 16)

struct pktgen {
	int control;			/* pgctrl */
	int worker;			/* kpktgend_N */
	int device;			/* the file of ours, which the thread got with add_device */
	char name[PKTGEN_NAME_SIZE];	/* of that file */
	char cpu[24];			/* the thread's name */
	uint64_t started;		/* of the last run, as the device's file has it */
	uint64_t sent, errors;		/* in all runs before */
	uint64_t calls;
};

struct pktgen_progress {
	uint64_t started;		/* us; another one in each run */
	uint64_t sent, errors;		/* of this run */
	bool running, ended;		/* neither: it has not begun */
};

/* tx_pktgen_run.c: a command is a line, written into a file of the folder */
int pktgen_file_open(const char *name, int flags, struct core_error *error);
int pktgen_file_write(int fd, const char *command);
int pktgen_tell(const struct pktgen *pktgen, const char *command, struct core_error *error);
struct pktgen_progress pktgen_progress(const struct pktgen *pktgen);
int pktgen_run(struct tx_thread *thread, uint64_t frames);
void pktgen_look(struct tx_thread *thread);
void pktgen_nap(void);

/*
 * tx_pktgen_thread.c: the id of the kernel's thread that sends for this one, or -errno. It has sent
 * frames when this returns. "burst" is the option pktgen_burst.
 */
int pktgen_thread_find(struct tx_thread *thread, unsigned int burst, struct core_error *error);

#endif
