// SPDX-License-Identifier: Apache-2.0
// facet pack: picture folders -> shards, on all ranks of the job.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "facet/comm.h"
#include "facet/lifecycle.h"
#include "facet/log.h"
#include "facet/pack.h"

enum { SIDE = 224, ALIGNED_SIDE = 112 };
enum { RAW_SHARD_BYTES = 512 << 20, JPEG_SHARD_PICTURES = 16384 };

typedef struct {
    fct_pack_spec spec;
    const char *split, *fit, *encoding, *on_bad, *align, *no_landmarks, *landmarks_size;
    int64_t size, points, width, height, shard_pictures, max_megapixels, max_mebibytes;
    int64_t quality, threads, seed;
} options;

static fct_status peer_agree(void *ctx, fct_status mine, const char *what)
{
    return fct_comm_agree(ctx, mine, what);
}

static fct_status peer_sum(void *ctx, int64_t *values, size_t n)
{
    return fct_comm_reduce_i64(ctx, values, n, FCT_SUM);
}

static fct_status peer_gather(void *ctx, const void *mine, size_t n, void **out, size_t *total)
{
    return fct_comm_gather(ctx, mine, n, out, total);
}

static int peer_stop(void *ctx)
{
    (void)ctx;
    return fct_lifecycle_asked();
}

// "val=0.25", or the name that all pictures' split gets.
static fct_status read_split(options *o)
{
    if (!o->split)
        return FCT_OK;
    if (strncmp(o->split, "val=", 4) != 0) {
        o->spec.split = o->split;
        return FCT_OK;
    }
    if (fct_text_to_f64(o->split + 4, &o->spec.val_share) != FCT_OK)
        return FCT_FAIL(FCT_E_ARG, "--split %s: %s is no number", o->split, o->split + 4);
    return FCT_OK;
}

// "250x250", width first.
static fct_status read_landmarks_size(options *o)
{
    int width, height, n = 0;
    if (!o->landmarks_size)
        return FCT_OK;
    if (sscanf(o->landmarks_size, "%5dx%5d%n", &width, &height, &n) != 2 || o->landmarks_size[n] ||
        width < 1 || height < 1)
        return FCT_FAIL(FCT_E_ARG, "--landmarks-size %s: is not WIDTHxHEIGHT, such as 250x250",
                        o->landmarks_size);
    o->spec.landmarks_width = width;
    o->spec.landmarks_height = height;
    return FCT_OK;
}

static int choose(const char *word, const char *const *words, int n)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(word, words[i]))
            return i;
    return 0;
}

static fct_status fill_spec(options *o)
{
    static const char *const fits[] = { "crop", "pad", "stretch" };
    fct_pack_spec *s = &o->spec;
    s->quality = (int)o->quality;
    s->threads = (int)o->threads;
    s->seed = (uint64_t)o->seed;
    FCT_TRY(read_split(o));
    FCT_TRY(read_landmarks_size(o));
    s->is_aligned = !strcmp(o->align, "arcface");
    s->keeps_unmarked = !strcmp(o->no_landmarks, "centre");
    s->landmark_points = (int)o->points;
    if (s->landmark_points != 5 && s->landmark_points != 10)
        return FCT_FAIL(FCT_E_ARG, "--points %d: 5 or 10 are kept", s->landmark_points);
    if (!o->size)
        o->size = s->is_aligned ? ALIGNED_SIDE : SIDE;
    s->fit = (fct_fit)choose(o->fit, fits, 3);
    s->is_jpeg = !strcmp(o->encoding, "jpeg");
    s->stop_on_bad = !strcmp(o->on_bad, "stop");
    s->height = (int)(o->height ? o->height : o->size);
    s->width = (int)(o->width ? o->width : o->size);
    s->shard_pictures = o->shard_pictures;
    if (!s->shard_pictures)
        s->shard_pictures = s->is_jpeg ? JPEG_SHARD_PICTURES
                                       : RAW_SHARD_BYTES / ((int64_t)s->height * s->width * 3) + 1;
    s->limits = fct_image_default_limits;
    s->limits.max_pixels = o->max_megapixels * 1000000;
    s->limits.max_bytes = (size_t)o->max_mebibytes << 20;
    return FCT_OK;
}

static fct_status pack_on_all_ranks(options *o, fct_comm **out)
{
    FCT_TRY(fct_comm_create("auto", out));
    fct_comm *comm = *out;
    fct_text summary = { 0 };
    fct_log_set_rank(fct_comm_rank(comm), fct_comm_size(comm));
    if (!o->spec.threads) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN) / fct_comm_local_size(comm);
        o->spec.threads = cores < 1 ? 1 : (int)cores;
    }
    const fct_pack_peers peers = { .rank = fct_comm_rank(comm),
                                   .ranks = fct_comm_size(comm),
                                   .ctx = comm,
                                   .agree = peer_agree,
                                   .sum = peer_sum,
                                   .stop = peer_stop,
                                   .gather = peer_gather };
    FCT_TRY(fct_lifecycle_install(NULL, 0));
    fct_status status;
    if (!fct_text_ends_with(o->spec.output, ".bin"))
        status = fct_pack(&o->spec, &peers, &summary);
    else if (peers.ranks > 1)
        status = FCT_FAIL(FCT_E_ARG, "%s: one rank writes a .bin\nrun it without mpirun or srun",
                          o->spec.output);
    else
        status = fct_pack_bin(&o->spec, &peers, &summary);
    if (status == FCT_OK && peers.rank == 0)
        printf("%s", summary.data);
    fct_text_release(&summary);
    return status;
}

static options default_options(void)
{
    return (options){ .spec = { .format = "auto" },
                      .fit = "crop",
                      .encoding = "raw",
                      .on_bad = "skip",
                      .align = "none",
                      .no_landmarks = "skip",
                      .points = 5,
                      .quality = 95,
                      .seed = 1,
                      .max_megapixels = fct_image_default_limits.max_pixels / 1000000,
                      .max_mebibytes = (int64_t)(fct_image_default_limits.max_bytes >> 20) };
}

static fct_status parse(int argc, char **argv, options *out, int *done)
{
    options o = default_options();
    const fct_arg args[] = {
        { "-o|--output", FCT_ARG_STR, &o.spec.output, "DIR", 0, 0,
          "the folder of the packed set, or with --pairs a NAME.bin; needed" },
        { "--format", FCT_ARG_STR, &o.spec.format, "auto|expression|identity|flat|affectnet", 0, 0,
          "a folder a class, a folder a person, pictures without labels, AffectNet as given out" },
        { "--class-map", FCT_ARG_STR, &o.spec.class_map, "MAP", 0, 0,
          "classes of the folders: a=happy,b=sad,c=null or a JSON file" },
        { "--min-pictures", FCT_ARG_INT, &o.spec.min_pictures, "N", 0, 1e9,
          "persons with fewer pictures are left out" },
        { "--leave-out", FCT_ARG_STR, &o.spec.leave_out, "FILE", 0, 0,
          "persons to leave out, one a line: names of folders, or labels of a .rec" },
        { "--pairs", FCT_ARG_STR, &o.spec.pairs, "FILE", 0, 0,
          "LFW's pairs.txt: kept beside the set; with -o NAME.bin it becomes a verification .bin" },
        { "--split", FCT_ARG_STR, &o.split, "val=SHARE|NAME", 0, 0,
          "val=0.25 gives that share of each class to val; a name is the only split's" },
        { "--seed", FCT_ARG_INT, &o.seed, "N", 0, 9e15, "chooses who goes to val" },
        { "--size", FCT_ARG_INT, &o.size, "PIXELS", 0, 8192,
          "sides of the stored pictures; 0: 224, aligned 112" },
        { "--height", FCT_ARG_INT, &o.height, "PIXELS", 0, 8192, "instead of --size" },
        { "--width", FCT_ARG_INT, &o.width, "PIXELS", 0, 8192, "instead of --size" },
        { "--fit", FCT_ARG_STR, &o.fit, "crop|pad|stretch", 0, 0,
          "fill and cut the middle, fit with black around, or distort; landmarks follow" },
        { "--align", FCT_ARG_STR, &o.align, "none|arcface", 0, 0,
          "arcface turns, scales and shifts each face to the template by its landmarks" },
        { "--no-landmarks", FCT_ARG_STR, &o.no_landmarks, "skip|centre", 0, 0,
          "pictures that --align cannot: skip lists them in bad.csv, centre applies --fit" },
        { "--encoding", FCT_ARG_STR, &o.encoding, "raw|jpeg", 0, 0,
          "raw is faster to read, jpeg smaller" },
        { "--quality", FCT_ARG_INT, &o.quality, "N", 1, 100, "of --encoding jpeg" },
        { "--shard-size", FCT_ARG_INT, &o.shard_pictures, "PICTURES", 0, 1e9,
          "most pictures in a shard; 0: about 512 MiB of raw ones" },
        { "--landmarks", FCT_ARG_STR, &o.spec.landmarks, "FILE[,FILE]", 0, 0,
          "of each picture: JSON cache, .csv, .txt list, .npy, or a folder of .pts or .npy" },
        { "--landmarks-size", FCT_ARG_STR, &o.landmarks_size, "WxH", 0, 0,
          "landmarks in pixels are those of pictures of this size, not of the ones here" },
        { "--points", FCT_ARG_INT, &o.points, "5|10", 5, 10, "kept of 68 landmarks" },
        { "--au", FCT_ARG_STR, &o.spec.action_units, "FILE", 0, 0,
          "csv: path,AU1,AU2,... of 0, 1 or empty" },
        { "--on-bad", FCT_ARG_STR, &o.on_bad, "skip|stop", 0, 0,
          "skip lists bad pictures in bad.csv" },
        { "--max-megapixels", FCT_ARG_INT, &o.max_megapixels, "N", 1, 1000,
          "larger pictures are bad" },
        { "--max-mebibytes", FCT_ARG_INT, &o.max_mebibytes, "N", 1, 1000, "larger files are bad" },
        { "--force", FCT_ARG_FLAG, &o.spec.force, NULL, 0, 0,
          "removes what a pack with other options or pictures left in DIR" },
        { "--threads", FCT_ARG_INT, &o.threads, "N", 0, 1024,
          "decoding threads of each rank; 0: all cores" },
        { "--quiet", FCT_ARG_FLAG, &o.spec.quiet, NULL, 0, 0, "no progress bar" },
    };
    const fct_arg_table table = {
        .usage = "facet pack INPUT -o DIR [options]",
        .about = "Turns pictures into HDF5 shards. INPUT is a folder of pictures, a train.rec "
                 "(RecordIO) or its folder, or a .bin of verification pairs. Under mpirun or srun, "
                 "all ranks take part.",
        .arg = args,
        .n = sizeof args / sizeof *args,
        .min_positional = 1,
        .max_positional = 1,
    };
    int n;
    FCT_TRY(fct_args_parse(&table, argc, argv, &n, done));
    if (*done)
        return FCT_OK;
    if (!o.spec.output)
        return FCT_FAIL(FCT_E_ARG, "-o: the folder of the packed set is missing\nusage: %s",
                        table.usage);
    o.spec.input = argv[1];
    *out = o;
    return fill_spec(out);
}

fct_status fct_cmd_pack_check(int argc, char **argv)
{
    options o;
    int done;
    return parse(argc, argv, &o, &done);
}

int fct_cmd_pack(int argc, char **argv)
{
    options o;
    int done;
    fct_comm *comm = NULL;
    fct_status status = parse(argc, argv, &o, &done);
    if (status != FCT_OK || done)
        return fct_cmd_exit(status);
    status = pack_on_all_ranks(&o, &comm);
    return fct_cmd_end(comm, status);
}
