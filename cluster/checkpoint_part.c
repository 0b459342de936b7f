// SPDX-License-Identifier: Apache-2.0
// One part of a checkpoint as an HDF5 file. It is made in memory and written as plain bytes by us:
// HDF5 never meets a full disk (it loses data silently there), and we know the hash of what should
// be on disk. In memory means the earliest file format: the others' images cannot be opened again
// (HDF5 1.10.8).
#include <fcntl.h>
#include <hdf5.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "checkpoint_write.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are little-endian on disk");

enum { IMAGE_STEP_BYTES = 16 << 20 };

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void tame_hdf5(void)
{
    H5dont_atexit(); // its exit handler crashes after a failed flush
}

static void start_hdf5(void)
{
    pthread_once(&once, tame_hdf5);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); // per thread: errors are told by us, in one line
}

int fct_part_may_use_thread(void)
{
    hbool_t is_safe = 0;
    start_hdf5();
    return H5is_library_threadsafe(&is_safe) >= 0 && is_safe;
}

static hid_t disk_type(int type)
{
    const hid_t types[] = { H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_STD_I64LE, H5T_STD_U8LE };
    return types[type];
}

static fct_status set_number(hid_t file, const char *name, int64_t value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(file, name, H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    int is_good = attribute >= 0 && H5Awrite(attribute, H5T_NATIVE_INT64, &value) >= 0;
    is_good &= attribute >= 0 && H5Aclose(attribute) >= 0;
    is_good &= space >= 0 && H5Sclose(space) >= 0;
    return is_good ? FCT_OK
                   : FCT_FAIL(FCT_E_NOMEM, "checkpoint: HDF5 cannot write attribute %s", name);
}

// Contiguous and allocated at once, so that the bytes lie in one known place.
static fct_status write_blob(hid_t file, hid_t links, hid_t layout, const fct_blob *b,
                             uint64_t *offset)
{
    hsize_t dim[4] = { 0 };
    for (int i = 0; i < b->ndim; i++)
        dim[i] = (hsize_t)b->dim[i];
    hid_t type = disk_type((int)b->type);
    hid_t space = b->ndim ? H5Screate_simple(b->ndim, dim, NULL) : H5Screate(H5S_SCALAR);
    hid_t set = H5Dcreate2(file, b->name, type, space, links, layout, H5P_DEFAULT);
    size_t bytes = fct_blob_bytes(b);
    int is_good = set >= 0;
    *offset = 0;
    if (is_good && bytes > 0) {
        is_good = H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, b->data) >= 0;
        haddr_t at = H5Dget_offset(set);
        is_good &= at != HADDR_UNDEF;
        *offset = at;
    }
    is_good &= set >= 0 && H5Dclose(set) >= 0;
    is_good &= space >= 0 && H5Sclose(space) >= 0;
    return is_good ? FCT_OK
                   : FCT_FAIL(FCT_E_NOMEM, "checkpoint: HDF5 cannot write tensor %s", b->name);
}

static fct_status write_blobs(hid_t file, fct_blobs *state, fct_part_record *out)
{
    hid_t links = H5Pcreate(H5P_LINK_CREATE), layout = H5Pcreate(H5P_DATASET_CREATE);
    fct_status status = FCT_OK;
    if (H5Pset_create_intermediate_group(links, 1) < 0 ||
        H5Pset_layout(layout, H5D_CONTIGUOUS) < 0 ||
        H5Pset_alloc_time(layout, H5D_ALLOC_TIME_EARLY) < 0 ||
        H5Pset_fill_time(layout, H5D_FILL_TIME_NEVER) < 0 || H5Pset_obj_track_times(layout, 0) < 0)
        status = FCT_FAIL(FCT_E_NOMEM, "checkpoint: HDF5 cannot start a file in memory");
    for (int i = 0; i < state->n && status == FCT_OK; i++) {
        fct_blob *b = &state->blob[i];
        fct_tensor_record *t = &out->tensor[i];
        memcpy(t->name, b->name, sizeof t->name);
        t->bytes = fct_blob_bytes(b);
        t->hash = XXH3_64bits(b->data, (size_t)t->bytes);
        status = write_blob(file, links, layout, b, &t->offset);
        free(b->data);
        b->data = NULL;
        fct_save_moved();
    }
    H5Pclose(links);
    H5Pclose(layout);
    return status;
}

static fct_status take_image(hid_t file, void **image, size_t *bytes)
{
    if (H5Fflush(file, H5F_SCOPE_GLOBAL) < 0)
        return FCT_FAIL(FCT_E_NOMEM, "checkpoint: HDF5 cannot finish a file in memory");
    ssize_t n = H5Fget_file_image(file, NULL, 0);
    void *copy = n > 0 ? malloc((size_t)n) : NULL;
    if (!copy)
        return FCT_FAIL_NOMEM(n, "a checkpoint");
    if (H5Fget_file_image(file, copy, (size_t)n) != n) {
        free(copy);
        return FCT_FAIL(FCT_E_NOMEM, "checkpoint: HDF5 cannot hand out a file in memory");
    }
    *image = copy;
    *bytes = (size_t)n;
    return FCT_OK;
}

// What HDF5 made of the tensors is what they were: asked of the image, not of HDF5.
static fct_status check_image(const char *image, const fct_part_record *part)
{
    for (int i = 0; i < part->n; i++) {
        const fct_tensor_record *t = &part->tensor[i];
        if (t->offset + t->bytes > part->bytes ||
            XXH3_64bits(image + t->offset, (size_t)t->bytes) != t->hash)
            return FCT_FAIL(FCT_E_IO, "checkpoint: tensor %s changed on its way through HDF5",
                            t->name);
    }
    return FCT_OK;
}

static hid_t create_in_memory(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t file = -1;
    if (H5Pset_fapl_core(access, IMAGE_STEP_BYTES, 0) >= 0 &&
        H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18) >= 0)
        file = H5Fcreate("facet-checkpoint", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    return file;
}

fct_status fct_part_build(fct_blobs *state, int64_t step, int rank, void **image,
                          fct_part_record *out)
{
    size_t bytes = 0;
    *image = NULL;
    *out = (fct_part_record){ .rank = rank, .n = state->n };
    start_hdf5();
    out->tensor = calloc((size_t)state->n + 1, sizeof *out->tensor);
    if (!out->tensor)
        return FCT_FAIL_NOMEM((size_t)state->n * sizeof *out->tensor, "a checkpoint");
    hid_t file = create_in_memory();
    if (file < 0)
        return FCT_FAIL(FCT_E_NOMEM, "checkpoint: HDF5 cannot start a file in memory");
    fct_status status = FCT_OK;
    FCT_TRY_GOTO(set_number(file, "facet_checkpoint_version", FCT_CHECKPOINT_VERSION), status,
                 done);
    FCT_TRY_GOTO(set_number(file, "step", step), status, done);
    FCT_TRY_GOTO(set_number(file, "rank", rank), status, done);
    FCT_TRY_GOTO(write_blobs(file, state, out), status, done);
    FCT_TRY_GOTO(take_image(file, image, &bytes), status, done);
    out->bytes = bytes;
    out->hash = XXH3_64bits(*image, bytes);
    status = check_image(*image, out);
done:
    if (H5Fclose(file) < 0 && status == FCT_OK)
        status = FCT_FAIL(FCT_E_NOMEM, "checkpoint: HDF5 cannot close a file in memory");
    return status;
}

// Hard links all the way: nothing in the file may point outside of it.
static int is_hard_path(hid_t file, const char *name)
{
    char part[128];
    for (size_t i = 0; i <= strlen(name); i++) {
        H5L_info_t info;
        if (name[i] != '/' && name[i] != 0)
            continue;
        memcpy(part, name, i);
        part[i] = 0;
        if (H5Lget_info(file, part, &info, H5P_DEFAULT) < 0 || info.type != H5L_TYPE_HARD)
            return 0;
    }
    return 1;
}

static int type_of(hid_t set)
{
    int found = -1;
    hid_t type = H5Dget_type(set);
    for (int i = 0; i <= FCT_BLOB_U8 && type >= 0; i++)
        if (H5Tequal(type, disk_type(i)) > 0)
            found = i;
    if (type >= 0)
        H5Tclose(type);
    return found;
}

static int is_plain_layout(hid_t set, const fct_tensor_record *t)
{
    hid_t layout = H5Dget_create_plist(set);
    int is_plain = layout >= 0 && H5Pget_layout(layout) == H5D_CONTIGUOUS &&
                   H5Pget_external_count(layout) == 0 && H5Pget_nfilters(layout) == 0;
    if (layout >= 0)
        H5Pclose(layout);
    if (t->bytes > 0)
        is_plain &= H5Dget_offset(set) == t->offset && H5Dget_storage_size(set) == t->bytes;
    return is_plain;
}

static int shape_of(hid_t set, fct_blob *b)
{
    hsize_t dim[4];
    hid_t space = H5Dget_space(set);
    int ndim = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
    int is_good = ndim >= 0 && ndim <= 4 && H5Sget_simple_extent_dims(space, dim, NULL) == ndim;
    for (int i = 0; i < ndim && is_good; i++)
        b->dim[i] = (int64_t)dim[i];
    b->ndim = ndim;
    if (space >= 0)
        H5Sclose(space);
    return is_good;
}

// HDF5 tells type and shape; only what we write ourselves is accepted.
static fct_status describe(hid_t file, const char *path, const fct_tensor_record *t, fct_blob *b)
{
    hid_t set = is_hard_path(file, t->name) ? H5Dopen2(file, t->name, H5P_DEFAULT) : -1;
    if (set < 0)
        return FCT_FAIL(FCT_E_FORMAT, "%s: tensor %s is not there", path, t->name);
    int type = type_of(set);
    int is_good = type >= 0 && shape_of(set, b) && is_plain_layout(set, t);
    memcpy(&b->type, &type, sizeof b->type);
    is_good &= H5Dclose(set) >= 0;
    if (!is_good || fct_blob_bytes(b) != t->bytes)
        return FCT_FAIL(FCT_E_FORMAT, "%s: tensor %s is not stored the way facet stores it", path,
                        t->name);
    return FCT_OK;
}

static fct_status read_tensor(int fd, const char *path, const fct_tensor_record *t, void *data)
{
    for (size_t done = 0; done < t->bytes;) {
        ssize_t k =
            pread(fd, (char *)data + done, (size_t)t->bytes - done, (off_t)(t->offset + done));
        if (k <= 0)
            return FCT_FAIL(FCT_E_IO, "%s: tensor %s: cannot read at byte %" PRIu64, path, t->name,
                            t->offset + done);
        done += (size_t)k;
    }
    if (XXH3_64bits(data, (size_t)t->bytes) != t->hash)
        return FCT_FAIL(FCT_E_FORMAT,
                        "%s: tensor %s (bytes %" PRIu64 " to %" PRIu64
                        ") does not have its checksum",
                        path, t->name, t->offset, t->offset + t->bytes);
    return FCT_OK;
}

static fct_status add_tensor(hid_t file, int fd, const char *path, const fct_tensor_record *t,
                             fct_blobs *out)
{
    fct_blob b = { 0 };
    FCT_TRY(describe(file, path, t, &b));
    void *data = malloc((size_t)t->bytes + 1);
    if (!data)
        return FCT_FAIL_NOMEM(t->bytes, t->name);
    ((char *)data)[t->bytes] = 0; // texts are read as strings
    fct_status status = read_tensor(fd, path, t, data);
    if (status != FCT_OK) {
        free(data);
        return status;
    }
    return fct_blobs_adopt(out, t->name, (int)b.type, b.ndim, b.dim, data);
}

fct_status fct_part_read(const char *path, const fct_part_record *record, const char *prefix,
                         fct_blobs *out)
{
    start_hdf5();
    fct_status status = FCT_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (fd < 0 || file < 0)
        FCT_TRY_GOTO(FCT_FAIL(FCT_E_FORMAT, "%s: cannot be opened as HDF5", path), status, done);
    for (int i = 0; i < record->n; i++)
        if (!strncmp(record->tensor[i].name, prefix, strlen(prefix)))
            FCT_TRY_GOTO(add_tensor(file, fd, path, &record->tensor[i], out), status, done);
done:
    if (file >= 0 && H5Fclose(file) < 0 && status == FCT_OK)
        status = FCT_FAIL(FCT_E_IO, "%s: cannot be closed", path);
    if (fd >= 0)
        close(fd);
    return status;
}
