# SPDX-License-Identifier: Apache-2.0
"""Verification .bin files as Python's own pickle writes them, in every protocol and from every kind
of producer, give the same pictures and flags; hostile and torn ones one clear line, and nothing is
called."""
import io
import os
import pickle
import struct
import subprocess
import sys
import tempfile

import numpy as np

PROBE = os.path.join(os.environ["FACET_BUILD"], "tests", "unit", "pairs_probe")
folder = tempfile.TemporaryDirectory(prefix="facet-pair-bin-")
failures = 0


def check(claim, ok, found=""):
    global failures
    if not ok:
        failures += 1
        print(f"FAILED: {claim}: {found}")


def probe(data):
    path = os.path.join(folder.name, "set.bin")
    with open(path, "wb") as file:
        file.write(data)
    return subprocess.run([PROBE, path], capture_output=True, text=True, timeout=50)


def good(claim, data, pictures, flags):
    run = probe(data)
    want = "".join(bytes(p).hex() + "\n" for p in pictures)
    want += "flags " + "".join(str(int(f)) for f in flags) + "\n"
    check(claim, run.returncode == 0 and run.stdout == want, (run.stderr or run.stdout)[:200])


def bad(claim, data, *words):
    run = probe(data)
    ok = run.returncode == 1 and all(w in run.stderr for w in words) and "ERROR" not in run.stderr
    check(claim, ok, f"{run.returncode} {run.stderr[:300]}")
    return run.stderr


random = np.random.default_rng(4)
sizes = [1, 3, 255, 256, 257, 70000] + [int(n) for n in random.integers(2, 300, 1200)]
pictures = [random.bytes(n) for n in sizes]  # more than a pickler's batch of 1000
flags = [bool(i % 3) for i in range(len(pictures) // 2)]
numpy_flags = [np.bool_(f) for f in flags]


def as_array(p, flat):
    a = np.frombuffer(p, np.uint8).copy()
    return a if flat else a.reshape(-1, 1)


class NewNumpy(pickle._Pickler):
    """Names numpy's modules as numpy 2 does."""

    def save_global(self, obj, name=None):
        module = getattr(obj, "__module__", None) or ""
        if not module.startswith("numpy.core."):
            return pickle._Pickler.save_global(self, obj, name)
        new = module.replace("numpy.core", "numpy._core")
        if self.proto >= 4:
            self.save(new)
            self.save(name or obj.__name__)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(f"c{new}\n{name or obj.__name__}\n".encode())
        self.memoize(obj)

    dispatch = {**pickle._Pickler.dispatch, type(as_array): save_global}


def new_numpy(what, protocol):
    out = io.BytesIO()
    NewNumpy(out, protocol).dump(what)
    assert b"numpy._core" in out.getvalue() and b"numpy.core" not in out.getvalue()
    return out.getvalue()


for protocol in range(2, 6):
    for kind, items in (("bytes", pictures), ("bytearray", [bytearray(p) for p in pictures]),
                        ("arrays of (n, 1)", [as_array(p, False) for p in pictures]),
                        ("arrays of (n)", [as_array(p, True) for p in pictures])):
        for how, f in (("bool", flags), ("numpy bool", numpy_flags), ("array", np.array(flags)),
                       ("int", [int(x) for x in flags])):
            good(f"{kind}, flags {how}, protocol {protocol}",
                 pickle.dumps((items, f), protocol), pictures, flags)
    good(f"a tuple of pictures, protocol {protocol}",
         pickle.dumps((tuple(pictures), tuple(flags)), protocol), pictures, flags)
    good(f"numpy 2, protocol {protocol}",
         new_numpy(([as_array(p, False) for p in pictures], numpy_flags), protocol), pictures, flags)
    readonly = [np.frombuffer(p, np.uint8) for p in pictures]
    good(f"arrays that cannot be written, protocol {protocol}",
         pickle.dumps((readonly, flags), protocol), pictures, flags)
    same = [pictures[5]] * 4
    good(f"one picture several times, protocol {protocol}", pickle.dumps((same, [True, False]), protocol),
         same, [1, 0])


def python2(items, bools):
    """Python 2's pickle of (list of str, list of bool), protocol 2 (or 1 for the flags)."""
    out = b"\x80\x02]q\x01("
    for i, p in enumerate(items):
        out += b"U" + bytes([len(p)]) + p if len(p) < 256 else b"T" + struct.pack("<i", len(p)) + p
        out += b"r" + struct.pack("<I", 2 + i)
    out += b"e]r" + struct.pack("<I", 2 + len(items)) + b"("
    return out + b"".join(bools) + b"e\x86r" + struct.pack("<I", 3 + len(items)) + b"."


true_false = [b"\x89", b"\x88"]
good("Python 2's str", python2(pictures, [true_false[f] for f in flags]), pictures, flags)
assert pickle.loads(python2(pictures[:4], true_false), encoding="bytes") == (pictures[:4], [False, True])
old = [b"I00\n", b"I01\n"]
good("flags of protocol 1", python2(pictures, [old[f] for f in flags]), pictures, flags)


class Call:
    def __init__(self, function, *args):
        self.how = (function, args)

    def __reduce__(self):
        return self.how


marker = os.path.join(folder.name, "called")
for protocol in range(2, 6):
    text = bad(f"os.system, protocol {protocol}",
               pickle.dumps(([Call(os.system, f"touch {marker}")], [True]), protocol),
               "the pickle calls", ".system: refused")
    check("one line and a hint", text.count("\n") == 2, text)
    bad(f"eval, protocol {protocol}",
        pickle.dumps((Call(eval, "1"), [True]), protocol), ".eval: refused")
bad("os.system by INST", b"(S'touch'\nios\nsystem\n.", "opcode STRING: refused")
bad("os.system by INST", b"(ios\nsystem\n.", "the pickle calls os.system: refused")
bad("an object", pickle.dumps(([NewNumpy], [True]), 2), "NewNumpy: refused")
bad("a persistent id", b"\x80\x02K\x01Q.", "opcode BINPERSID: refused")
bad("an extension", b"\x80\x02\x82\x01.", "opcode EXT1: refused")
bad("a dict", pickle.dumps({"a": 1}, 2), "opcode EMPTY_DICT: refused")
bad("protocol 0", pickle.dumps((["a"], [True]), 0), "refused", "protocol 2 or newer")
bad("no pickle", b"\xff\xd8\xff\xe0", "0xff is no opcode")
bad("nothing", b"", "cut off")
check("nothing was called", not os.path.exists(marker))

whole = pickle.dumps(([pictures[i] for i in range(6)], [True, False, True]), 4)
for cut in list(range(0, 200)) + list(range(200, len(whole), 9973)) + [len(whole) - 1]:
    bad(f"cut off at {cut}", whole[:cut], "set.bin: ")
for opcode, width in ((b"T", 4), (b"U", 1), (b"B", 4), (b"C", 1), (b"\x8e", 8), (b"\x96", 8), (b"X", 4),
                      (b"\x8c", 1), (b"\x8d", 8), (b"\x95", 8)):
    bad(f"a length that lies, {opcode}", b"\x80\x04" + opcode + b"\xff" * width + b"abc.", "cut off")
bad("LONG_BINPUT far away", b"\x80\x02Nr\xff\xff\xff\x7f.", "memo place 2147483647")
bad("BINGET of nothing", b"\x80\x02h\x05.", "memo place 5 was never filled")
bad("an empty stack", b"\x80\x02.", "STOP finds nothing")
bad("a pop below the mark", b"\x80\x02N(\x85.", "TUPLE1 finds only 0")
bad("no mark", b"\x80\x02Nt.", "TUPLE without a MARK")
bad("APPEND to a number", b"\x80\x02K\x01K\x02a.", "APPEND to what is no list")
bad("BUILD of a number", b"\x80\x02K\x01K\x02b.", "BUILD of what is no numpy array")
bad("REDUCE of a number", b"\x80\x02K\x01)R.", "REDUCE of what is no name")
bad("deep nesting", b"\x80\x02]" + b"\x85" * 3000000 + b".", "refused")
bad("nesting that fits", b"\x80\x02]" + b"\x85" * 20000 + b".", "holds something else")
bad("a list in itself", b"\x80\x02]q\x00h\x00ah\x00h\x00\x86.", "1 pictures and 1 flags")
laughs = b"\x80\x02]q\x00" + b"".join(b"](" + b"h" + bytes([i]) * 1 + (b"h" + bytes([i])) * 9 + b"eq"
                                      + bytes([i + 1]) for i in range(30)) + b"."
bad("a memo bomb", laughs, "holds something else")
bomb = b"\x80\x02c_codecs\nencode\nq\x00X" + struct.pack("<I", 1000000) + b"a" * 1000000 + \
    b"q\x01X\x06\x00\x00\x00latin1q\x02" + b"h\x00h\x01h\x02\x86R0" * 5000 + b"."
bad("bytes made again and again", bomb, "much more than its")
bad("text that is no bytes", b"\x80\x02c_codecs\nencode\nX\x03\x00\x00\x00\xe2\x82\xacX\x06\x00\x00\x00latin1\x86R.",
    "character 0xe2")
bad("floats as pictures", pickle.dumps(([np.ones(3, np.float32)] * 2, [True]), 3), "type f4")
bad("int32 pictures", pickle.dumps(([np.ones(3, np.int32)] * 2, [True]), 3), "picture 0 is neither")
bad("text as pictures", pickle.dumps((["a", "b"], [True]), 3), "picture 0 is neither")
bad("more flags than pairs", pickle.dumps(([b"a", b"b"], [True, False]), 3), "2 pictures and 2 flags")
bad("odd pictures", pickle.dumps(([b"a", b"b", b"c"], [True]), 3), "3 pictures and 1 flags")
bad("no pictures", pickle.dumps(([], []), 3), "0 pictures")
bad("a flag of 2", pickle.dumps(([b"a", b"b"], [2]), 3), "flag 0 is neither True nor False")
bad("a flag of text", pickle.dumps(([b"a", b"b"], ["x"]), 3), "flag 0 is neither True nor False")
bad("three lists", pickle.dumps(([b"a", b"b"], [True], []), 3), "something else than two lists")
sys.exit(1 if failures else 0)
