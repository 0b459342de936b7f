// SPDX-License-Identifier: Apache-2.0
// What the files of the stand-in of the CUDA runtime share. One lock guards everything; work runs
// under it.
#ifndef FCT_STANDIN_CORE_H
#define FCT_STANDIN_CORE_H

#include <pthread.h>
#include <stdint.h>

#include "standin.h"

// ---- standin_settings.c: the environment, the lock, errors
// An entry of the runtime: takes the lock, runs `work` unless the call is to fail, remembers its
// error as this thread's last one.
#define FCT_STANDIN_API(name, work)                                                                \
    fct_standin_leave(fct_standin_enter(#name) ? fct_standin_refusal() : (work))
int fct_standin_enter(const char *name);
cudaError_t fct_standin_refusal(void);
cudaError_t fct_standin_leave(cudaError_t error);
void fct_standin_lock(void);
void fct_standin_unlock(void);
cudaError_t fct_standin_broken(void); // what a fault left behind
long long fct_standin_setting(const char *name, long long otherwise);
uint64_t fct_standin_draw(uint64_t n); // 0 .. n-1, from FACET_STANDIN_ORDER
double fct_standin_now(void);          // seconds

// ---- standin_arena.c
extern const char *fct_standin_running; // the kernel that runs, or NULL

// ---- cudart_device.c
int fct_standin_device(void); // this thread's

// ---- cudart_graph.c: nodes that wait for nodes
typedef struct { // of indices into the nodes of a graph
    int *at;
    int n;
} fct_standin_set;
typedef struct {
    fct_standin_work work;
    void *arg;
    void (*done)(void *arg);
    void (*launched)(void *arg, cudaStream_t on, uint64_t until); // NULL is fine
    fct_standin_set before;
} fct_standin_node;
struct CUgraph_st { // shared by what was instantiated from it
    int refs, n;
    fct_standin_node *node;
};
struct CUgraphExec_st {
    cudaGraph_t graph;
    cudaStream_t on; // of the last launch, done when `on` is past `until`
    uint64_t until;
};
void fct_standin_set_add(fct_standin_set *s, int index);
void fct_standin_set_join(fct_standin_set *s, const fct_standin_set *other);
void fct_standin_set_clear(fct_standin_set *s);
int fct_standin_graph_add(cudaGraph_t g, fct_standin_work work, void *arg, void (*done)(void *arg),
                          const fct_standin_set *before);
void fct_standin_graph_drop(cudaGraph_t g); // one reference
int fct_standin_graph_joined(cudaGraph_t g, const fct_standin_set *end, const fct_standin_set *s);

// ---- cudart_capture.c
typedef struct fct_standin_capture {
    struct fct_standin_capture *next;
    unsigned long long id;
    cudaStream_t origin;
    cudaGraph_t graph;
    enum cudaStreamCaptureMode mode;
    pthread_t thread;
    int is_invalid;
} fct_standin_capture;
// cudaSuccess, or why a call that might block or reorder is refused by a capture under way; then
// that capture is spoilt.
cudaError_t fct_standin_unsafe(void);
cudaError_t fct_standin_spoil(fct_standin_capture *c, cudaError_t why);
fct_standin_capture *fct_standin_capture_find(unsigned long long id);
// A call that uses the default stream without being put on it by name.
cudaError_t fct_standin_implicit(void);

// ---- standin_stream.c
typedef struct fct_standin_item fct_standin_item;
struct CUstream_st {
    cudaStream_t next;
    fct_standin_item *head, **tail;
    uint64_t put, done; // items
    unsigned flags;
    int device, priority, is_default, is_gone;
    fct_standin_capture *capture;
    fct_standin_set frontier; // what the next node waits for
};
struct CUevent_st {
    unsigned flags;
    int refs;        // the owner, nodes that record it
    cudaStream_t on; // NULL: never recorded; done when `on` is past `until`
    uint64_t until;
    struct fct_standin_moment *moment;
    unsigned long long capture; // 0: was recorded outside of any
    fct_standin_set frontier;
};
cudaStream_t fct_standin_stream(cudaStream_t given); // the default one by its names; NULL: no such
cudaStream_t fct_standin_streams(void);              // all, by next
// `stream` goes on when `on` is past `until`.
void fct_standin_wait_item(cudaStream_t stream, cudaStream_t on, uint64_t until);
// The host waits.
cudaError_t fct_standin_finish(cudaStream_t stream, uint64_t until);
cudaError_t fct_standin_finish_all(void);
// The host asks: does a little; cudaErrorNotReady.
cudaError_t fct_standin_ask(cudaStream_t stream, uint64_t until);
// As fct_standin_put, under the lock. FCT_STANDIN_MORE from work: went on, is not done.
enum { FCT_STANDIN_MORE = 2 };
cudaError_t fct_standin_append(cudaStream_t stream, fct_standin_work work, void *arg,
                               void (*done)(void *arg));

#endif
