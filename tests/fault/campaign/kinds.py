# SPDX-License-Identifier: Apache-2.0
"""The kinds of faults: how each begins, its share of the time, and how many the short form tries at most."""
from collections import namedtuple

import kind_damage
import kind_logs
import kind_memory
import kind_pack
import kind_power
import kind_save
import kind_strace
import kind_train

Kind = namedtuple("Kind", "faults share short in_order", defaults=(False,))
KINDS = {
    "strace": Kind(kind_strace.kills, 1, 12, True),  # in its order: the comparison comes first
    "kill": Kind(kind_save.kills, 2, 60),
    "errno": Kind(kind_save.errnos, 4, 100),
    "load": Kind(kind_save.loads, 1, 30),
    "power": Kind(kind_power.cuts, 2, 200),
    "checkpoint": Kind(kind_damage.checkpoints, 2, 100, True),
    "set": Kind(kind_damage.sets, 3, 100, True),
    "config": Kind(kind_damage.configurations, 1, 30, True),
    "pack": Kind(kind_pack.packs, 4, 40),
    "logs": Kind(kind_logs.refused, 2, 60),
    "texts": Kind(kind_logs.damaged, 1, 40, True),
    "memory": Kind(kind_memory.shortages, 4, 60),
    "train": Kind(kind_train.kills, 6, 1, True),
    "disk": Kind(kind_train.refusals, 4, 1, True),
    "signal": Kind(kind_train.signals, 5, 1, True),
    "trainmem": Kind(kind_memory.train_shortages, 5, 1, True),
    "twice": Kind(kind_save.twice, 3, 20, True),
}
