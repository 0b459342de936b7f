// SPDX-License-Identifier: Apache-2.0
// The watchdog's parts: turn is the thread, end how it ends the job; the rest each do one thing:
// the board shows the node's ranks each other's records, the net carries them between nodes, proc
// asks the kernel about a silent process, judge decides (pure: records and time in, verdict out),
// slow finds slow ranks (pure), words says it, tell warns of what is no reason to end.
#ifndef FACET_WATCHDOG_PARTS_H
#define FACET_WATCHDOG_PARTS_H

#include <netinet/in.h>
#include <pthread.h>

#include "comm_kind.h"
#include "facet/watchdog.h"

// ---- what a rank says of itself, a few times a second; also the form in datagrams
typedef enum {
    FCT_WATCH_UNHEARD,
    FCT_WATCH_ALIVE,
    FCT_WATCH_ENDING,
    FCT_WATCH_ENDED
} fct_watch_state;
typedef struct {
    uint64_t beat; // grows while the watchdog's thread runs
    uint64_t collectives;
    int64_t step;
    char collective[FCT_MARK_NAME];
    int32_t state, phase, is_waiting, is_saving;
    uint32_t stalled_ms;     // since the main thread last moved, as its own rank has measured it
    uint32_t step_us, steps; // own time of a step: median of the last `steps`
    int32_t pid, tid;
    int32_t unused;
} fct_watch_record;
enum { FCT_WATCH_WORDS = sizeof(fct_watch_record) / 8 };
_Static_assert(sizeof(fct_watch_record) == 104, "a record is whole words without padding");

// ---- what is known of every rank from the start
enum { FCT_WATCH_ADDRESSES = 4, FCT_WATCH_HOST = 64 };
typedef struct {
    char host[FCT_WATCH_HOST];
    int32_t node; // the first rank of its node
    int32_t port, addresses;
    struct in_addr address[FCT_WATCH_ADDRESSES];
} fct_watch_card;

// ---- judge: what one rank has seen of another
typedef enum {
    FCT_FATE_UNKNOWN, // on another host, or the kernel does not tell
    FCT_FATE_STARVED, // wants to run, but gets no core
    FCT_FATE_RUNNING,
    FCT_FATE_STOPPED,
    FCT_FATE_GONE
} fct_watch_fate;
typedef struct {
    uint64_t beat;    // the last one seen
    double silence_s; // since then, by own count
    fct_watch_fate fate;
} fct_watch_sight;

typedef enum {
    FCT_VERDICT_NONE,
    FCT_VERDICT_SILENT,   // `rank` is not heard of; its host has ranks that are
    FCT_VERDICT_HOST,     // nobody on `rank`'s host is heard of
    FCT_VERDICT_HANGS,    // `rank` does not move and waits for nobody; `others` neither
    FCT_VERDICT_DEADLOCK, // all wait; none is in an earlier collective than `rank`
} fct_verdict_kind;
typedef struct {
    fct_verdict_kind kind;
    int rank, others; // how many more ranks it is true of
    double seconds;
} fct_verdict;

// Time went on by dt seconds. is_late: this rank itself did not run in time, so that it cannot tell
// how long the others were silent: it starts anew.
void fct_watch_see(int ranks, int self, const fct_watch_record *record, double dt, int is_late,
                   fct_watch_sight *sight);
void fct_watch_judge(const fct_watchdog_spec *spec, int ranks, int self,
                     const fct_watch_record *record, const fct_watch_card *card,
                     const fct_watch_sight *sight, fct_verdict *out);
// From when on a silent rank's process is looked at.
double fct_watch_doubt_s(const fct_watchdog_spec *spec);

// ---- slow: -1, or the rank whose steps take *factor times *median_us
int fct_watch_slowest(double slow_factor, int ranks, const fct_watch_record *record, double *factor,
                      uint32_t *median_us);

// ---- words
enum { FCT_WATCH_TEXT = 1024 };
void fct_watch_say(const fct_verdict *v, const fct_watch_record *record, const fct_watch_card *card,
                   int ranks, fct_watch_fate fate, char out[FCT_WATCH_TEXT]);

// ---- proc: what the kernel says of a process of this host
fct_watch_fate fct_watch_probe(int pid, int tid);

// ---- board
typedef struct fct_watch_board fct_watch_board;
// Collective. Every rank's table of all ranks' records, seen by all of its node.
fct_status fct_watch_board_create(fct_comm *c, fct_watch_board **out);
// Collective unless the communicator was cancelled.
void fct_watch_board_destroy(fct_watch_board *b);
// Not collective, one thread of this rank. Writes into this rank's own table.
void fct_watch_board_put(fct_watch_board *b, int rank, const fct_watch_record *record);
// Not collective, any thread. The newest that any table of the node has of `rank`; *record stays
// where nothing newer is there.
void fct_watch_board_get(const fct_watch_board *b, int rank, fct_watch_record *record);
// Not collective. True for the first rank of the node that asks: it may speak.
int fct_watch_board_claim(fct_watch_board *b);
int fct_watch_board_is_claimed(const fct_watch_board *b);

// ---- net: records between nodes, by UDP; only where there is more than one node
typedef struct {
    uint64_t id[2]; // of the job; strangers do not know it
} fct_watch_job;
typedef struct fct_watch_net fct_watch_net;
// Not collective. Opens a socket and says in `card` where it can be reached.
fct_status fct_watch_net_open(fct_watch_card *card, fct_watch_net **out);
void fct_watch_net_close(fct_watch_net *n);
// Not collective. `card` of all ranks must outlive it.
void fct_watch_net_begin(fct_watch_net *n, const fct_watch_job *job, int ranks, int self,
                         const fct_watch_card *card);
// Sends the records of this node to the other nodes: to all at once when `now`, else when it is
// this rank's turn among its node's.
void fct_watch_net_send(fct_watch_net *n, const fct_watch_record *record, int now);
// Takes in what has arrived: calls `take` for each valid record of another node.
void fct_watch_net_receive(fct_watch_net *n,
                           void (*take)(void *ctx, int rank, const fct_watch_record *record),
                           void *ctx);

// ---- the watchdog itself: all of it belongs to its thread between start and stop
struct fct_watchdog {
    fct_comm *c;
    fct_watchdog_spec spec;
    fct_watch_board *board;
    fct_watch_net *net;       // NULL on one node, or where there is no UDP
    fct_watch_card *card;     // [size]
    fct_watch_record *record; // [size]
    fct_watch_sight *sight;   // [size]
    char *was_seen;           // [size] the kernel knows this process by the number that it gave us
    fct_watch_record mine;
    int wake, has_thread; // wake: an eventfd
    pthread_t thread;
    double turn_s;       // when the last turn was
    double clock_s;      // time by own count
    uint64_t moves;      // of the main thread, at the last turn
    double stalled_s;    // since they changed
    double verdict_s;    // how long the verdict has stood
    double ending_s;     // since somebody began to end the job
    int slow, slow_rank; // turns in a row; the last one told
    double slow_told_s;
    int unheard_is_told;
    char text[FCT_WATCH_TEXT];
};

static inline int fct_watch_is_local(const fct_watchdog *w, int rank)
{
    return w->card[rank].node == w->card[w->c->rank].node;
}

// tell: what rank 0 warns of while the job goes on.
void fct_watch_tell(fct_watchdog *w);
// Not collective, any thread. Never waits: a thread of its own writes the warning. 0 while the one
// before is still on its way.
int fct_watch_warn(const char *text);
// -1, or a rank of another host of which nothing has come in all this time (pure).
int fct_watch_unheard(double silence_s, double clock_s, int ranks, int self,
                      const fct_watch_record *record, const fct_watch_card *card);

// turn: the thread.
void *fct_watch_run(void *watchdog);
// Shows the others this rank's record as it is now; `now`: all other nodes, not only by turns.
void fct_watch_publish(fct_watchdog *w, int now);

// end: how long this rank leaves it to others to speak of the verdict; and the end, from which it
// returns only when another rank of this node was first.
double fct_watch_patience_s(const fct_watchdog *w, const fct_verdict *v);
void fct_watch_end_job(fct_watchdog *w, const fct_verdict *v);

#endif
