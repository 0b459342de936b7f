# SPDX-License-Identifier: Apache-2.0
# Shards made to harm their reader: each is refused with its reason, quickly and in little memory.
import os

import h5py
import numpy as np

from evil_shards import evil, evil_bytes, finish, plist, replace


# ---- the file as a whole
@evil_bytes("not an HDF5 file")
def text(path):
    open(path, "w").write("hello " * 100)


@evil_bytes("only 0 bytes long")
def nothing(path):
    open(path, "w").close()


@evil_bytes("truncated")
def half(path):
    os.truncate(path, os.path.getsize(path) // 2)


@evil_bytes("truncated")
def one_byte_less(path):
    os.truncate(path, os.path.getsize(path) - 1)


@evil_bytes("open for writing")
def writer_killed(path):
    with open(path, "r+b") as f:
        f.seek(11)
        f.write(b"\x05")


@evil_bytes("superblock version 0")
def earliest_format(path):
    os.unlink(path)
    h5py.File(path, "w", libver="earliest").close()


@evil_bytes("user block")
def user_block(path):
    os.unlink(path)
    h5py.File(path, "w", libver=("v110", "v110"), userblock_size=512).close()
    with open(path, "r+b") as f:  # a signature in the user block as well
        whole = f.read()
        f.seek(0)
        f.write(whole[512:512 + 48])


@evil_bytes("the root group: its header is damaged")
def superblock_changed(path):
    with open(path, "r+b") as f:
        f.seek(36)  # address of the root group
        f.write(b"\x01")


# ---- heaps and trees beside an object, on which HDF5 1.10 crashes when they are forged
def dense(path, attributes, links):
    """The shard's first `links` datasets again, in a root group that keeps as many attributes in its
    header, and HDF5's default of 8 links."""
    os.rename(path, path + ".compact")
    create = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    create.set_attr_phase_change(attributes, 0)
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    made = h5py.h5f.create(path.encode(), h5py.h5f.ACC_TRUNC, create, access)
    with h5py.File(path + ".compact", "r") as good, h5py.File(made) as h:
        for name, value in good.attrs.items():
            h.attrs[name] = value
        for name in list(good)[:links]:
            good.copy(name, h)


@evil_bytes("the root group: dense attribute storage")
def dense_attributes(path):
    dense(path, 8, 4)


@evil_bytes("the root group: dense link storage")
def dense_links(path):
    dense(path, 64, 9)


@evil("dataset checksum: dense attribute storage")
def dense_attributes_of_a_column(h):
    for i in range(9):
        h["checksum"].attrs["a%d" % i] = i


@evil_bytes("the root group: dense attribute storage")
def forged_heap(path):
    dense(path, 8, 4)
    with open(path, "r+b") as f:
        whole = f.read()
        f.seek(whole.index(b"FRHP") + 5)
        f.write(b"\xff" * 16)


@evil_bytes("the root group: its header is damaged")
def endless_header(path):  # a continuation that leads back to the first block
    with open(path, "r+b") as f:
        whole = f.read()
        root = int.from_bytes(whole[36:44], "little")
        at = whole.index(b"OCHK", root)
        where = whole.index(at.to_bytes(8, "little"), root)
        f.seek(where)
        f.write((root + 6).to_bytes(8, "little") + (1 << 16).to_bytes(8, "little"))


# ---- attributes
@evil("attribute format: missing")
def no_format(h):
    del h.attrs["format"]


@evil("\"other\" where \"facet-shard\"")
def other_format(h):
    h.attrs["format"] = np.bytes_("other")


@evil("shard version 2")
def version_2(h):
    h.attrs["version"] = np.int32(2)


@evil("attribute version: not a single whole number")
def version_text(h):
    h.attrs["version"] = np.bytes_("1")


@evil("attribute split: not of a null-padded fixed-length")
def vlen_attribute(h):
    h.attrs["split"] = "train"


@evil("attribute class_names: not of a null-padded fixed-length")
def vlen_names(h):
    h.attrs["class_names"] = ["neutral", "happy"]


@evil("the same name twice")
def twin_classes(h):
    h.attrs["class_names"] = np.array([b"happy", b"happy"])


@evil("an empty name")
def empty_class(h):
    h.attrs["class_names"] = np.array([b"happy", b""])


@evil("too many or too long names")
def many_classes(h):
    h.attrs["class_names"] = np.array([b"%d" % i for i in range(5000)])


@evil("a control character")
def terminal_escape(h):
    h.attrs["source"] = np.bytes_("\x1b]0;owned\x07")


@evil("is not in 0..0")
def index_beyond_count(h):
    h.attrs["shard_index"] = np.int32(1)


@evil("is not in 1..8192")
def height_huge(h):
    h.attrs["height"] = np.int64(1 << 40)


@evil("dimension 1 is 8 where 9")
def height_wrong(h):
    h.attrs["height"] = np.int32(9)


@evil("\"BGR\" where \"RGB\"")
def colour_order(h):
    h.attrs["color_order"] = np.bytes_("BGR")


@evil("\"png\" where \"raw\"")
def encoding(h):
    h.attrs["encoding"] = np.bytes_("png")


@evil("\"extra\" is no attribute")
def unknown_attribute(h):
    h.attrs["extra"] = np.int32(1)


@evil("data_hash differs")
def other_hash(h):
    h.attrs["data_hash"] = np.uint64(1)


# ---- links and storage elsewhere
@evil("its data is in another file")
def external_storage(h):
    del h["images"]
    p = plist()
    p.set_external(b"/etc/passwd", 0, 7 * 8 * 9 * 3)
    space = h5py.h5s.create_simple((7, 8, 9, 3))
    h5py.h5d.create(h.id, b"images", h5py.h5t.STD_U8LE, space, p)


@evil("a external link")
def external_link(h):
    del h["images"]
    h["images"] = h5py.ExternalLink("/tmp/other.h5", "/images")


@evil("a soft link")
def soft_link(h):
    del h["expression"]
    h["expression"] = h5py.SoftLink("/identity")


@evil("a soft link")
def soft_link_to_itself(h):
    del h["images"]
    h["images"] = h5py.SoftLink("/images")


@evil("a soft link")
def link_inside_a_path(h):
    h.create_group("sub")["out"] = h5py.ExternalLink("/etc/passwd", "/")
    del h["expression"]
    h["expression"] = h5py.SoftLink("/sub/out/expression")


@evil("not a dataset of its own")
def hard_link_twice(h):
    del h["valence_arousal"]
    h["valence_arousal"] = h["landmarks"]


@evil("not a dataset of its own")
def cycle(h):
    del h["images"]
    h["images"] = h["/"]


@evil("not a dataset of its own")
def group_in_place(h):
    del h["checksum"]
    h.create_group("checksum")


@evil("\"extra\" is no dataset")
def unknown_dataset(h):
    h["extra"] = np.zeros(3)


@evil("dataset images: not contiguous")
def virtual_pictures(h):
    del h["images"]
    layout = h5py.VirtualLayout((7, 8, 9, 3), "u1")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "images", (7, 8, 9, 3))
    h.create_virtual_dataset("images", layout)


@evil("dataset checksum: not chunked")
def virtual_column(h):
    del h["checksum"]
    layout = h5py.VirtualLayout((7,), "<u8")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "checksum", (7,))
    h.create_virtual_dataset("checksum", layout)


@evil("dataset identity: not chunked")
def compact_column(h):
    del h["identity"]
    h5py.h5d.create(h.id, b"identity", h5py.h5t.STD_I32LE, h5py.h5s.create_simple((7,)),
                    plist(h5py.h5d.COMPACT))


# ---- sizes
@evil("dataset images: not contiguous")
def lying_rows(h):
    del h["images"]
    h.create_dataset("images", (1 << 40, 8, 9, 3), "u1", chunks=(64, 8, 9, 3))


@evil("dataset images: declares more than the file holds")
def pictures_never_written(h):
    del h["images"]
    h.create_dataset("images", (1 << 40, 8, 9, 3), "u1")


@evil("declares more than its pictures can need", "jpeg")
def column_never_written(h):
    del h["checksum"]
    h.create_dataset("checksum", (1 << 40,), "<u8", chunks=(1 << 20,))


@evil("is not stored whole")
def chunk_missing(h):
    del h["expression"]
    d = h.create_dataset("expression", (7,), "<i2", chunks=(2,), fletcher32=True)
    d[0:4] = 0


def direct_chunks(h, data, mask):
    del h["expression"]
    d = h.create_dataset("expression", (7,), "<i2", chunks=(2,), fletcher32=True)
    for row in (0, 2, 4, 6):
        d.id.write_direct_chunk((row,), data, filter_mask=mask)


@evil("is not stored whole")
def short_chunks(h):  # HDF5 1.10 would read beyond them
    direct_chunks(h, b"\0" * 5, 0)


@evil("is not stored whole")
def long_chunks(h):
    direct_chunks(h, b"\0" * 4096, 0)


@evil("is not stored whole")
def checksum_skipped(h):
    direct_chunks(h, b"\0" * 8, 1)


@evil("chunks that are too large")
def chunk_bomb(h):
    del h["expression"]
    d = h.create_dataset("expression", (7,), "<i2", chunks=(1 << 28,), maxshape=(None,))
    assert d.chunks == (1 << 28,)


@evil("chunks that are too large")
def many_rows_a_chunk(h):
    del h["identity"]
    h.create_dataset("identity", (7,), "<i4", chunks=(1 << 25,), maxshape=(None,))


@evil("a filter other than fletcher32")
def deflate_bomb(h):
    replace(h, "expression", np.zeros(7, "<i2"), chunks=(1 << 24,), maxshape=(None,),
            compression="gzip", compression_opts=9)


@evil("a filter other than fletcher32")
def scale_offset(h):
    replace(h, "expression", np.zeros(7, "<i2"), scaleoffset=0, fletcher32=False)


@evil("a filter other than fletcher32")
def lzf(h):
    replace(h, "expression", np.zeros(7, "<i2"), compression="lzf", fletcher32=False)


@evil("do not span rows")
def split_rows(h):
    replace(h, "landmarks", h["landmarks"][:], chunks=(7, 2, 2))


@evil("dataset path: strings of unreasonable length")
def long_paths(h):
    replace(h, "path", np.array([b"x" * 5000] * 7))


# ---- types, shapes, columns
@evil("dataset expression: wrong type")
def wide_expression(h):
    replace(h, "expression", h["expression"][:].astype("<i4"))


@evil("dataset expression: wrong type")
def big_endian(h):
    replace(h, "expression", h["expression"][:].astype(">i2"))


@evil("dataset images: wrong type")
def float_pictures(h):
    replace(h, "images", h["images"][:].astype("<f4"), chunks=None, fletcher32=False)


@evil("dataset images: wrong type")
def opaque_pictures(h):
    replace(h, "images", h["images"][:].view("V1"), chunks=None, fletcher32=False)


@evil("dataset identity: wrong type")
def compound(h):
    replace(h, "identity", np.zeros(7, [("a", "<i2"), ("b", "<i2")]))


@evil("dataset identity: wrong type")
def references(h):
    refs = np.array([h["images"].ref] * 7, dtype=h5py.ref_dtype)
    replace(h, "identity", refs, fletcher32=False)


@evil("dataset path: not of a null-padded fixed-length")
def vlen_paths(h):
    del h["path"]
    h.create_dataset("path", data=["a"] * 7, dtype=h5py.string_dtype(), chunks=(2,))


@evil("dataset expression: wrong type")
def vlen_expression(h):
    del h["expression"]
    h.create_dataset("expression", (7,), dtype=h5py.vlen_dtype("i2"), chunks=(2,))


@evil("dataset landmarks: wrong number of dimensions")
def flat_landmarks(h):
    replace(h, "landmarks", h["landmarks"][:].reshape(7, 10))


@evil("dataset expression: dimension 0 is 8 where 7")
def one_label_more(h):
    replace(h, "expression", np.zeros(8, "<i2"))


@evil("dataset landmarks: dimension 1 is 4 where 5")
def one_point_less(h):
    replace(h, "landmarks", h["landmarks"][:, :4])


@evil("dataset images: empty")
def no_pictures(h):
    replace(h, "images", np.zeros((0, 8, 9, 3), "u1"), chunks=None, fletcher32=False)


@evil("dataset images: missing")
def missing_images(h):
    del h["images"]


@evil("dataset checksum: missing")
def missing_checksum(h):
    del h["checksum"]


@evil("dataset path: missing")
def missing_path(h):
    del h["path"]


@evil("dataset offset: missing", "jpeg")
def missing_offset(h):
    del h["offset"]


@evil("dataset expression: missing")
def missing_expression(h):
    del h["expression"]


@evil("dataset landmarks_valid: missing")
def missing_valid(h):
    del h["landmarks_valid"]


@evil("dataset landmarks: does not belong")
def landmarks_without_names(h):
    del h.attrs["landmark_names"]


@evil("dataset bytes: does not belong")
def two_kinds_of_pictures(h):
    h["bytes"] = np.zeros(10, "u1")


# ---- values
@evil("dataset offset, row 3: does not rise", "jpeg")
def offset_falls(h):
    o = h["offset"][:]
    o[3] = o[1]
    h["offset"][:] = o


@evil("dataset offset, row 4: does not rise", "jpeg")
def offset_beyond(h):
    o = h["offset"][:]
    o[4] = 1 << 62
    h["offset"][:] = o


@evil("dataset offset, row 0: does not begin", "jpeg")
def offset_begins_late(h):
    h["offset"][0] = 1


@evil("dataset offset, row 7: does not end", "jpeg")
def offset_ends_early(h):
    h["offset"][7] = h["offset"][7] - np.uint64(1)


@evil("dataset landmarks, row 4: not a finite number")
def nan_landmark(h):
    h["landmarks"][4, 2, 1] = np.nan


@evil("dataset landmarks, row 2: not a finite number")
def infinite_landmark(h):
    h["landmarks"][2, 0, 0] = -np.inf


@evil("dataset landmarks_valid, row 1")
def valid_2(h):
    h["landmarks_valid"][1] = 2


@evil("dataset expression, row 6: no class")
def class_beyond(h):
    h["expression"][6] = 2


@evil("dataset expression, row 0: no class")
def class_below(h):
    h["expression"][0] = -2


@evil("dataset identity, row 5")
def identity_below(h):
    h["identity"][5] = -7


@evil("dataset action_units, row 3")
def unit_5(h):
    h["action_units"][3, 0] = 5


@evil("dataset valence_arousal, row 2")
def valence_3(h):
    h["valence_arousal"][2, 1] = 3


finish()
