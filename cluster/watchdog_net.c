// SPDX-License-Identifier: Apache-2.0
// Records between nodes, by UDP over sockets of our own: MPI belongs to the main thread. The ranks
// of a node take turns in sending its records, and in being sent to, so that a stopped one costs
// only its turns. What arrives is believed when it names the job's random id, has exactly the right
// size and sane fields, and is newer than what was there.
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "watchdog_parts.h"

enum { RECORDS_MOST = 10, RECEIVE_MOST = 4096 }; // of a datagram, of a turn
static const uint32_t magic = 0x66775231;        // "fwR1" in this machine's byte order

typedef struct {
    int32_t rank, unused;
    fct_watch_record record;
} entry;

typedef struct {
    uint32_t magic;
    int32_t entries;
    fct_watch_job job;
    entry entry[RECORDS_MOST];
} datagram;

struct fct_watch_net {
    int fd;
    fct_watch_job job;
    int ranks, self;
    const fct_watch_card *card;
    uint64_t turn, sent;
};

static void list_addresses(fct_watch_card *card)
{
    struct ifaddrs *all, *at;
    if (getifaddrs(&all) != 0)
        return;
    for (int loopback = 0; loopback < 2 && card->addresses == 0; loopback++)
        for (at = all; at && card->addresses < FCT_WATCH_ADDRESSES; at = at->ifa_next) {
            if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET || !(at->ifa_flags & IFF_UP) ||
                !(at->ifa_flags & IFF_LOOPBACK) != !loopback)
                continue;
            struct sockaddr_in in;
            memcpy(&in, at->ifa_addr, sizeof in);
            card->address[card->addresses++] = in.sin_addr;
        }
    freeifaddrs(all);
}

fct_status fct_watch_net_open(fct_watch_card *card, fct_watch_net **out)
{
    fct_watch_net *n = calloc(1, sizeof *n);
    if (!n)
        return FCT_FAIL_NOMEM(sizeof *n, "the watchdog");
    struct sockaddr_in any = { .sin_family = AF_INET };
    socklen_t size = sizeof any;
    n->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (n->fd < 0 || bind(n->fd, (struct sockaddr *)&any, sizeof any) != 0 ||
        getsockname(n->fd, (struct sockaddr *)&any, &size) != 0) {
        fct_status status = FCT_FAIL(FCT_E_IO, "no UDP socket: %s", strerror(errno));
        fct_watch_net_close(n);
        return status;
    }
    card->port = ntohs(any.sin_port);
    list_addresses(card);
    *out = n;
    return FCT_OK;
}

void fct_watch_net_close(fct_watch_net *n)
{
    if (!n)
        return;
    if (n->fd >= 0)
        close(n->fd);
    free(n);
}

void fct_watch_net_begin(fct_watch_net *n, const fct_watch_job *job, int ranks, int self,
                         const fct_watch_card *card)
{
    n->job = *job;
    n->ranks = ranks;
    n->self = self;
    n->card = card;
}

// How many ranks the node has that begins at `first`, and which of them is rank `r`, in order.
static int place_in_node(const fct_watch_net *n, int r, int *size)
{
    int place = 0;
    *size = 0;
    for (int i = 0; i < n->ranks; i++)
        if (n->card[i].node == n->card[r].node) {
            place = i == r ? *size : place;
            ++*size;
        }
    return place;
}

// A host may have several networks and we do not know which of them reaches it: all are tried.
static void send_to(const fct_watch_net *n, int rank, const datagram *d)
{
    const fct_watch_card *card = &n->card[rank];
    size_t bytes = offsetof(datagram, entry) + (size_t)d->entries * sizeof d->entry[0];
    for (int i = 0; i < card->addresses; i++) {
        struct sockaddr_in to = { .sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)card->port),
                                  .sin_addr = card->address[i] };
        // A datagram that cannot be sent is like one that is lost: the next one says the same.
        if (sendto(n->fd, d, bytes, MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to) < 0)
            continue;
    }
}

// To one rank of each other node, another one each time; to all of them when everyone must know.
static void send_everywhere(const fct_watch_net *n, const datagram *d, int to_all)
{
    for (int r = 0; r < n->ranks; r++) {
        int size, place;
        if (n->card[r].node == n->card[n->self].node)
            continue;
        place = place_in_node(n, r, &size);
        if (to_all || n->sent % (uint64_t)size == (uint64_t)place)
            send_to(n, r, d);
    }
}

void fct_watch_net_send(fct_watch_net *n, const fct_watch_record *record, int now)
{
    int size, place = place_in_node(n, n->self, &size);
    n->turn++;
    if (!now && n->turn % (uint64_t)size != (uint64_t)place)
        return;
    datagram d = { .magic = magic, .job = n->job };
    for (int r = 0; r < n->ranks; r++) {
        if (n->card[r].node != n->card[n->self].node || record[r].state == FCT_WATCH_UNHEARD)
            continue;
        d.entry[d.entries++] = (entry){ .rank = r, .record = record[r] };
        if (d.entries == RECORDS_MOST) {
            send_everywhere(n, &d, now);
            d.entries = 0;
        }
    }
    if (d.entries > 0)
        send_everywhere(n, &d, now);
    n->sent++;
}

static int is_sane(const fct_watch_net *n, const entry *e)
{
    const fct_watch_record *r = &e->record;
    return e->rank >= 0 && e->rank < n->ranks && n->card[e->rank].node != n->card[n->self].node &&
           r->state > FCT_WATCH_UNHEARD && r->state <= FCT_WATCH_ENDED && r->phase >= 0 &&
           r->phase < FCT_PHASES && r->collective[FCT_MARK_NAME - 1] == 0;
}

// Names come from our own sources; a stray byte must not reach a terminal.
static void clean_name(char name[FCT_MARK_NAME])
{
    for (int i = 0; i < FCT_MARK_NAME && name[i]; i++)
        if (name[i] < ' ' || name[i] > '~')
            name[i] = '?';
}

static int is_ours(const fct_watch_net *n, const datagram *d, ssize_t bytes)
{
    size_t head = offsetof(datagram, entry);
    return bytes >= (ssize_t)head && d->magic == magic && d->job.id[0] == n->job.id[0] &&
           d->job.id[1] == n->job.id[1] && d->entries >= 1 && d->entries <= RECORDS_MOST &&
           (size_t)bytes == head + (size_t)d->entries * sizeof d->entry[0];
}

void fct_watch_net_receive(fct_watch_net *n,
                           void (*take)(void *ctx, int rank, const fct_watch_record *record),
                           void *ctx)
{
    for (int i = 0; i < RECEIVE_MOST; i++) {
        datagram d;
        ssize_t bytes = recv(n->fd, &d, sizeof d, MSG_DONTWAIT | MSG_TRUNC);
        if (bytes < 0 && errno == EINTR)
            continue;
        if (bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (bytes < 0 || !is_ours(n, &d, bytes))
            continue; // also what a closed port of a finished rank sends back
        for (int k = 0; k < d.entries; k++)
            if (is_sane(n, &d.entry[k])) {
                clean_name(d.entry[k].record.collective);
                take(ctx, d.entry[k].rank, &d.entry[k].record);
            }
    }
}
