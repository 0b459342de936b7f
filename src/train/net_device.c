// SPDX-License-Identifier: Apache-2.0
// A network on a device: which backend and which device, whether it has room, how gradients travel.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "facet/log.h"
#include "facet/path.h"
#include "net.h"

static const char *const precisions[] = { "auto", "f32", "tf32", "bf16", "fp16" };

const char *fct_precision_name(fct_precision p)
{
    return precisions[p];
}

const char *fct_net_words(const fct_net *n, char words[64])
{
    snprintf(words, 64, "%s, %s", n->backend->ops->name,
             fct_precision_name(n->place.ops ? n->spec.device.precision : FCT_PRECISION_F32));
    return words;
}

void fct_net_tell_place(const fct_net *n, char *words, size_t size)
{
    char kind[64];
    snprintf(words, size, "%s%s%s", fct_net_words(n, kind), n->place.ops ? ": " : "",
             n->place.info.name);
}

static fct_precision precision_of(const char *name)
{
    int p = FCT_PRECISION_FP16;
    while (p > FCT_PRECISION_AUTO && strcmp(precisions[p], name))
        p--;
    return (fct_precision)p;
}

fct_net_device fct_net_device_of(const fct_options *o)
{
    return (fct_net_device){ .precision = precision_of(o->train_precision),
                             .is_deterministic = o->train_deterministic,
                             .is_autotuned = o->cluster_autotune && !o->train_deterministic,
                             .plan_cache = o->cluster_plan_cache,
                             .transport = o->cluster_transport,
                             .is_bf16 = !strcmp(o->cluster_reduce, "bfloat16"),
                             .link_limit_s = o->cluster_link_limit };
}

// ---- which backend

// Loading the library takes a while, and most machines have no device: looks for a driver first.
static int has_device(void)
{
    const char *given = getenv("FACET_CUDA_LIBRARY");
    int count = 0;
    if (!(given && *given) && access("/dev/nvidiactl", F_OK) != 0)
        return 0;
    const fct_backend_ops *ops = fct_backend_find("cuda");
    return ops && ops->device && ops->device->count(&count) == FCT_OK && count > 0;
}

static fct_status choose_backend(const fct_net *n, const char **name)
{
    int64_t seen[2] = { has_device(), 0 };
    seen[1] = -seen[0];
    FCT_TRY(fct_comm_reduce_i64(n->spec.comm, seen, 2, FCT_MIN));
    *name = seen[0] ? "cuda" : "cpu";
    if (!seen[0] && seen[1] && fct_comm_rank(n->spec.comm) == 0)
        FCT_WARN("cluster.backend=auto: some ranks have a device and some have none: all compute "
                 "on their processors");
    return FCT_OK;
}

// The file of the plans, its folder made; "" for none.
static fct_status cache_path(const char *option, char out[FCT_PATH_MAX])
{
    const char *home = getenv("XDG_CACHE_HOME"), *below = "";
    char folder[FCT_PATH_MAX];
    out[0] = 0;
    if (!option || !strcmp(option, "none"))
        return FCT_OK;
    if (*option)
        return snprintf(out, FCT_PATH_MAX, "%s", option) < FCT_PATH_MAX
                   ? FCT_OK
                   : FCT_FAIL(FCT_E_ARG, "cluster.plan_cache: the path is too long");
    if (!home || !*home) {
        home = getenv("HOME");
        below = "/.cache";
    }
    if (!home || !*home ||
        snprintf(folder, sizeof folder, "%s%s/facet", home, below) >= (int)sizeof folder)
        return FCT_OK; // nowhere to keep it
    if (fct_path_make_folders(folder) != FCT_OK) {
        FCT_WARN("cluster.plan_cache: %s; nothing is kept", fct_fail_text());
        return FCT_OK;
    }
    return fct_path_join(out, folder, "plans.txt");
}

static fct_status check_precision(fct_net *n, const fct_backend_ops *ops)
{
    fct_net_device *d = &n->spec.device;
    if (ops->device || d->precision == FCT_PRECISION_AUTO || d->precision == FCT_PRECISION_F32)
        return FCT_OK;
    if (d->is_wish) {
        d->precision = FCT_PRECISION_AUTO;
        return FCT_OK;
    }
    return FCT_FAIL(FCT_E_ARG,
                    "train.precision is %s, but backend %s computes in float32 only\n"
                    "set train.precision=auto, or cluster.backend=cuda on a machine with a device",
                    fct_precision_name(d->precision), ops->name);
}

static fct_status create_backend(fct_net *n, const fct_backend_ops *ops)
{
    char cache[FCT_PATH_MAX] = "";
    fct_net_device *d = &n->spec.device;
    if (ops->device && d->precision == FCT_PRECISION_AUTO)
        d->precision = FCT_PRECISION_BF16;
    fct_backend_spec s = { .threads = n->spec.threads,
                           .device = n->place.number,
                           .precision = d->precision,
                           .is_deterministic = d->is_deterministic,
                           .autotune = d->is_autotuned && !d->is_wish };
    if (ops->device) {
        FCT_TRY(ops->device->info(s.device, &n->place.info));
        FCT_TRY(cache_path(d->plan_cache, cache));
        s.plan_cache = cache[0] ? cache : NULL;
    }
    FCT_TRY(ops->create(&s, &n->backend));
    n->place.ops = ops->device;
    return FCT_OK;
}

static fct_status find_backend(fct_net *n, const char *name, const fct_backend_ops **ops,
                               int *devices)
{
    *ops = fct_backend_find(name);
    if (!*ops)
        return FCT_E_UNSUPPORTED; // the text is set
    FCT_TRY(check_precision(n, *ops));
    return (*ops)->device ? (*ops)->device->count(devices) : FCT_OK;
}

fct_status fct_net_choose(fct_net *n)
{
    const char *name = n->spec.backend, *transport = n->spec.device.transport;
    const fct_backend_ops *ops;
    int devices = 0;
    if (!strcmp(name, "auto"))
        FCT_TRY(choose_backend(n, &name));
    FCT_TRY(fct_comm_agree(n->spec.comm, find_backend(n, name, &ops, &devices),
                           "looking for the backend"));
    if (ops->device) // nothing travels when nothing trains
        FCT_TRY(fct_device_choose(n->spec.comm, devices,
                                  n->spec.batch == 0 || (transport && !strcmp(transport, "mpi")),
                                  &n->place.number));
    return fct_comm_agree(n->spec.comm, create_backend(n, ops), "starting the backend");
}

static fct_status share_text(fct_net *n, char *text)
{
    int64_t bytes = text ? (int64_t)strlen(text) + 1 : 0;
    char *copy = text;
    FCT_TRY(fct_comm_reduce_i64(n->spec.comm, &bytes, 1, FCT_MAX));
    if (bytes == 0)
        return FCT_OK;
    if (!text)
        copy = calloc(1, (size_t)bytes);
    fct_status status = copy ? FCT_OK : FCT_FAIL_NOMEM(bytes, "choices of algorithms");
    status = fct_comm_agree(n->spec.comm, status, "choices of algorithms");
    if (status == FCT_OK)
        status = fct_comm_broadcast(n->spec.comm, copy, (size_t)bytes, 0);
    if (status == FCT_OK && !text)
        status = n->place.ops->put_choices(n->backend, copy);
    if (!text)
        free(copy);
    return status;
}

fct_status fct_net_share_choices(fct_net *n)
{
    char *text = NULL;
    fct_status status = FCT_OK;
    if (fct_comm_rank(n->spec.comm) == 0)
        status = n->place.ops->get_choices(n->backend, &text);
    status = fct_comm_agree(n->spec.comm, status, "choices of algorithms");
    if (status == FCT_OK)
        status = fct_comm_agree(n->spec.comm, share_text(n, text), "choices of algorithms");
    free(text);
    return status;
}

// ---- room and links

static int is_wide(fct_precision p)
{
    return p == FCT_PRECISION_F32 || p == FCT_PRECISION_TF32;
}

fct_status fct_net_check_room(const fct_net *n, double head)
{
    fct_graph_memory m;
    char need[32], have[32], act[32], par[32], beside[64] = "", text[32];
    fct_net_memory(n, &m);
    const double copies = (n->spec.batch > 0 ? 2.0 : 1.0) + n->spec.device.copies;
    const double acts = (double)m.activations + (double)m.workspace,
                 all = acts + copies * (double)m.parameters + head,
                 room = (double)n->place.info.memory_bytes;
    if (all <= room || room <= 0)
        return FCT_OK;
    fct_text_bytes(all, need);
    fct_text_bytes(room, have);
    fct_text_bytes(acts, act);
    fct_text_bytes(copies * (double)m.parameters, par);
    fct_text_bytes(head, text);
    if (head > 0)
        snprintf(beside, sizeof beside, ", %s for the identity head", text);
    return FCT_FAIL(FCT_E_NOMEM,
                    "a step needs %s on %s, which has %s: %s for activations, %s for weights, "
                    "gradients and what the optimiser keeps%s\n"
                    "a smaller data.batch_size, more ranks%s train.accumulate%s less",
                    need, n->place.info.name, have, act, par, beside,
                    is_wide(n->spec.device.precision) ? "," : " or",
                    is_wide(n->spec.device.precision) ? ", or train.precision=bf16 needs"
                                                      : " needs");
}

static fct_status choose_transport(const fct_net *n, int *is_nccl)
{
    const char *how = n->spec.device.transport;
    *is_nccl = n->place.ops->comm && (!how || strcmp(how, "mpi"));
    if (*is_nccl || (how && !strcmp(how, "mpi")))
        return FCT_OK;
    if (how && !strcmp(how, "nccl"))
        return FCT_FAIL(FCT_E_UNSUPPORTED, "cluster.transport is nccl, but libfacet_cuda.so was "
                                           "built without it\nset cluster.transport=mpi");
    if (fct_comm_rank(n->spec.comm) == 0)
        FCT_WARN("this build has no NCCL: gradients travel through the hosts, which is slow");
    return FCT_OK;
}

fct_status fct_net_connect(fct_net *n)
{
    const fct_device_ops *d = n->place.ops;
    int is_nccl = 0;
    FCT_TRY(
        fct_comm_agree(n->spec.comm, fct_net_check_room(n, 0), "looking for room on the devices"));
    if (n->spec.batch == 0 || fct_comm_size(n->spec.comm) == 1)
        return FCT_OK;
    FCT_TRY(choose_transport(n, &is_nccl));
    if (!is_nccl)
        return FCT_OK;
    const fct_comm_device_spec s = { .ops = d->comm,
                                     .device = n->place.number,
                                     .uuid = n->place.info.uuid,
                                     .compute = d->stream(n->backend, FCT_STREAM_COMPUTE),
                                     .comm = d->stream(n->backend, FCT_STREAM_COMM),
                                     .limit_s = n->spec.device.link_limit_s };
    FCT_TRY(fct_comm_device_create(n->spec.comm, &s, &n->place.links));
    d->set_idle(n->backend, fct_comm_device_idle, n->place.links);
    return FCT_OK;
}

fct_status fct_net_make_buckets(fct_net *n)
{
    size_t cut[FCT_MODEL_CUTS];
    const size_t bytes = fct_params_bytes(n->params);
    if (n->spec.batch == 0 || fct_comm_size(n->spec.comm) == 1)
        return FCT_OK;
    if (!n->place.links)
        return fct_comm_agree(
            n->spec.comm,
            fct_buckets_create(n->spec.comm, bytes, n->spec.bucket_bytes, &n->buckets),
            "gradient buckets");
    const fct_device_buckets_spec s = { .gradients =
                                            n->place.ops->address(fct_params_grads(n->params)),
                                        .bytes = bytes,
                                        .cut = cut,
                                        .cuts = fct_model_cuts(n->params, cut),
                                        .is_bf16 = n->spec.device.is_bf16 };
    return fct_device_buckets_create(n->place.links, &s, &n->buckets);
}

void fct_net_disconnect(fct_net *n)
{
    if (!n->place.links)
        return;
    if (n->buckets)
        fct_buckets_destroy(n->buckets);
    n->buckets = NULL;
    n->place.ops->set_idle(n->backend, NULL, NULL);
    fct_comm_device_destroy(n->place.links);
    n->place.links = NULL;
}
