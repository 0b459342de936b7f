# SPDX-License-Identifier: Apache-2.0
# A checkpoint's part as an independent reader sees it: h5py opens it, and finds names, shapes and values.
import os
import subprocess
import sys
import tempfile

import h5py
import numpy

tool = os.environ["CHECKPOINT_TOOL"]
with tempfile.TemporaryDirectory() as folder:
    subprocess.run([tool, "save", folder, "7", "7"], check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(folder, "last")) as last:
        step = last.readline().strip()
    assert step == "step_00000007", step
    with h5py.File(os.path.join(folder, step, "rank_0000.h5"), "r") as part:
        assert part.attrs["facet_checkpoint_version"] == 1
        assert part.attrs["step"] == 7 and part.attrs["rank"] == 0
        assert part["train/step"][()] == 7 and part["train/step"].dtype == numpy.int64
        for t in range(6):
            weight = part[f"model/layer{t}.weight"]
            assert weight.dtype == numpy.float32 and weight.shape == (9000,)
            want = 7000 + t * 100 + numpy.arange(9000) % 97
            assert (weight[:] == want).all(), t
sys.exit(0)
