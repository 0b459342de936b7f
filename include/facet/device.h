// SPDX-License-Identifier: Apache-2.0
// What a backend offers beside its table when its buffers are not the host's memory: streams,
// copies that do not wait, recorded work, and what the host does elsewhere (losses, the identity
// head's element-wise work). Everything here is put on a stream and returns at once, unless it says
// that it waits; an error of the device shows at the next wait.
#ifndef FACET_DEVICE_H
#define FACET_DEVICE_H

#include "backend.h"

// COMPUTE: where the backend's table works. COMM: collectives, of high priority. COPY: from and to
// the host beside all that.
typedef enum { FCT_STREAM_COMPUTE, FCT_STREAM_COMM, FCT_STREAM_COPY, FCT_STREAM_COUNT } fct_stream;

typedef struct fct_recording fct_recording; // work recorded once, to be replayed

typedef struct {
    char name[128];          // "NVIDIA H100 80GB HBM3"
    char uuid[48];           // tells two devices apart, on all hosts
    char versions[160];      // of the libraries and the driver
    int multiprocessors, sm; // sm: 90
    size_t memory_bytes, l2_bytes;
} fct_device_info;

// Asked again and again while the host waits for the device; not OK ends the wait with that status
// (the text is set). NULL: nothing is asked.
typedef fct_status (*fct_idle)(void *ctx);

struct fct_device_loss_ops; // device_losses.h
struct fct_device_head_ops; // device_head.h
struct fct_device_comm_ops; // comm_device.h

typedef struct fct_device_ops {
    // Not collective; before any backend is created. Devices that this process sees. E_BACKEND,
    // with words, when there is no driver.
    fct_status (*count)(int *out);
    fct_status (*info)(int device, fct_device_info *out);

    void (*set_idle)(fct_backend *b, fct_idle idle, void *ctx);
    // Host memory that copies can use while the host does something else. Zeroed.
    fct_status (*pin)(fct_backend *b, size_t bytes, void **out);
    void (*unpin)(fct_backend *b, void *host); // NULL is fine
    void *(*address)(const fct_buffer *m);     // on the device
    // Raw bytes, no change of layout; host memory must be pinned and stay as it is until the stream
    // is past.
    fct_status (*copy_in)(fct_backend *b, fct_slice to, const void *from, size_t bytes,
                          fct_stream on);
    fct_status (*copy_out)(fct_backend *b, void *to, fct_slice from, size_t bytes, fct_stream on);
    fct_status (*copy)(fct_backend *b, fct_slice to, fct_slice from, size_t bytes, fct_stream on);
    // What is put on `then` from now on waits for what is on `first` by now. The host does not.
    fct_status (*order)(fct_backend *b, fct_stream first, fct_stream then);
    fct_status (*wait)(fct_backend *b, fct_stream s); // the host waits
    void *(*stream)(fct_backend *b, fct_stream s);    // cudaStream_t, for the collectives

    // Between begin and end all that is put on COMPUTE, and on streams ordered after it and back,
    // is recorded instead of done; nothing may wait, and whatever is used must have run before.
    fct_status (*record_begin)(fct_backend *b);
    fct_status (*record_end)(fct_backend *b, fct_recording **out);
    // Ends a recording that failed halfway; nothing is kept.
    void (*record_drop)(fct_backend *b);
    fct_status (*replay)(fct_backend *b, fct_recording *r); // on COMPUTE
    void (*recording_destroy)(fct_recording *r);            // NULL is fine

    // Moments on COMPUTE, to measure with: mark `slot` (0 ..); seconds between two marks. elapsed
    // waits for the later one.
    fct_status (*mark)(fct_backend *b, int slot);
    fct_status (*elapsed)(fct_backend *b, int from, int to, double *seconds);

    // FP16: gradients of activations are multiplied by this power of two on their way; gradients of
    // parameters come out without it. 1 at first, and always where another precision is kept.
    fct_status (*set_loss_scale)(fct_backend *b, double scale);

    // What autotuning chose so far, as text to be freed, and back. A rank that is handed another
    // rank's choices before it plans the same operations plans them alike and measures nothing.
    fct_status (*get_choices)(fct_backend *b, char **text);
    fct_status (*put_choices)(fct_backend *b, const char *text);

    const struct fct_device_loss_ops *losses;
    const struct fct_device_head_ops *head;
    const struct fct_device_comm_ops *comm; // NULL: built without NCCL
} fct_device_ops;

#endif
