// SPDX-License-Identifier: Apache-2.0
// Verification of a checkpoint on a pair set: the trunk and its embedding, whatever heads it had.
#include "facet/checkpoint.h"
#include "trainer.h"
#include "verifier.h"

typedef struct {
    const fct_verify_spec *spec;
    char taken[FCT_PATH_MAX];
    fct_blobs state;
    fct_options *options;
    fct_cores cores;
    fct_pair_set *set;
    fct_net *net;
    fct_verifier *verifier;
    fct_watchdog *watchdog;
} job;

static fct_status open_set(job *j)
{
    const fct_blob *config = fct_blobs_find(&j->state, "meta/config");
    const fct_pair_set_spec s = { .path = j->spec->set,
                                  .split = j->spec->split,
                                  .pairs = j->spec->pairs };
    FCT_TRY(fct_options_parse(config ? config->data : "", "the checkpoint's configuration",
                              &j->options));
    return fct_pair_set_open(&s, &j->set);
}

// Collective.
static fct_status make_net(job *j)
{
    fct_net_spec s = { .comm = j->spec->comm,
                       .backend = j->spec->backend,
                       .threads = j->cores.threads,
                       .device = fct_net_device_of(j->options),
                       .eval_rows = j->spec->batch };
    s.device.is_wish = 1;
    FCT_TRY(fct_comm_agree(j->spec->comm,
                           fct_state_describe_model(&j->state, j->options, j->taken, &s.model),
                           "reading the checkpoint"));
    FCT_TRY(fct_net_create(&s, &j->net));
    if (j->net->place.ops)
        fct_cores_for_device(j->spec->workers, &j->cores);
    return FCT_OK;
}

static fct_status prepare(job *j)
{
    FCT_TRY(fct_state_read_weights(&j->state, j->net->params));
    if (fct_state_has_ema(&j->state)) // verified as in training
        FCT_TRY(fct_state_read_ema(&j->state, j->net->params));
    const fct_verifier_spec v = { .set = j->set,
                                  .net = j->net,
                                  .comm = j->spec->comm,
                                  .workers = j->cores.workers,
                                  .is_rank1 = 1 };
    return fct_verifier_create(&v, &j->verifier);
}

static fct_status report_all(const job *j, const fct_verification *v, fct_text *out)
{
    if (j->spec->roc)
        FCT_TRY(fct_verifier_write_roc(j->verifier, j->spec->roc));
    if (j->spec->distances)
        FCT_TRY(fct_verifier_write_distances(j->verifier, j->spec->distances));
    const fct_pair_set_info *set = fct_pair_set_describe(j->set);
    if (j->spec->json) {
        fct_text_add(out, "{\"checkpoint\": ");
        fct_text_add_json(out, j->taken);
        fct_text_add(out, ", \"set\": ");
        fct_text_add_json(out, set->name);
        fct_text_add(out, ", ");
        fct_verification_json(v, out);
        fct_text_add(out, "}\n");
    } else {
        fct_text_add(out, "%s on %s, %lld pictures\n\n", j->taken, set->name,
                     (long long)set->pictures);
        fct_verification_print(v, out);
    }
    return out->failed ? FCT_FAIL_NOMEM(out->size, "the report") : FCT_OK;
}

static fct_status run(job *j, fct_text *report)
{
    fct_verification v;
    fct_comm *c = j->spec->comm;
    FCT_TRY(fct_cores_find(c, 1, j->spec->threads, j->spec->workers, &j->cores));
    FCT_TRY(fct_checkpoint_load_same(c, j->spec->checkpoint, &j->state, j->taken));
    FCT_TRY(fct_comm_agree(c, open_set(j), "opening checkpoint and pairs"));
    FCT_TRY(fct_comm_same(c, fct_pair_set_describe(j->set)->hash, "the pictures and pairs"));
    FCT_TRY(fct_watch_start(c, j->options, &j->watchdog));
    FCT_TRY(make_net(j));
    FCT_TRY(fct_comm_agree(c, prepare(j), "loading the weights"));
    fct_watchdog_phase(c, FCT_PHASE_EVAL, 0);
    FCT_TRY(fct_verifier_run(j->verifier, &v));
    return fct_comm_agree(c, fct_comm_rank(c) == 0 ? report_all(j, &v, report) : FCT_OK,
                          "reporting");
}

fct_status fct_verify(const fct_verify_spec *spec, fct_text *report)
{
    job j = { .spec = spec };
    fct_status status = run(&j, report);
    fct_watchdog_stop(j.watchdog);
    fct_verifier_destroy(j.verifier);
    fct_net_destroy(j.net);
    fct_pair_set_close(j.set);
    fct_options_destroy(j.options);
    fct_blobs_release(&j.state);
    return status;
}
