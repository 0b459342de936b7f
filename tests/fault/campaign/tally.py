# SPDX-License-Identifier: Apache-2.0
"""What happened to the faults of each kind, as a table, Markdown and JSON."""
import json
import statistics

# What may go wrong beside the fault itself. `other`: survived, but not as promised: no file named, something left over.
HARMS = ("lost", "wrong", "crash", "other")


class Verdict:
    """What one fault did. No harm: survived."""

    def __init__(self, what):
        self.what, self.harm, self.detect_s, self.resume_s = what, [], None, None

    def add(self, kind, text):
        assert kind in HARMS
        self.harm.append((kind, text))

    def crashed(self, ended):
        crash = ended.crash()
        if crash:
            self.add("crash", crash)
        return crash is not None


class Row:
    def __init__(self):
        self.injected = self.survived = 0
        self.harm = dict.fromkeys(HARMS, 0)
        self.detect_s, self.resume_s = [], []


def spread(seconds):
    """Median and 95 %."""
    if not seconds:
        return ""
    ordered = sorted(seconds)
    return "%.2f / %.2f" % (statistics.median(ordered), ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))])


class Tally:
    def __init__(self):
        self.rows, self.harmed = {}, []

    def take(self, kind, verdict):
        row = self.rows.setdefault(kind, Row())
        row.injected += 1
        row.survived += not verdict.harm
        for harm in {harm for harm, _ in verdict.harm}:
            row.harm[harm] += 1
        for harm, text in verdict.harm:
            self.harmed.append("%s: %s: %s: %s" % (kind, harm, verdict.what, text))
            print("  " + self.harmed[-1], flush=True)
        if verdict.detect_s is not None:
            row.detect_s.append(verdict.detect_s)
        if verdict.resume_s is not None:
            row.resume_s.append(verdict.resume_s)

    def injected(self):
        return sum(row.injected for row in self.rows.values())

    def failed(self):
        return len(self.harmed)

    def lines(self):
        all_rows = Row()
        for row in self.rows.values():
            all_rows.injected += row.injected
            all_rows.survived += row.survived
            for harm in HARMS:
                all_rows.harm[harm] += row.harm[harm]
        for kind, row in list(self.rows.items()) + [("all", all_rows)]:
            yield [kind, str(row.injected), str(row.survived)] + [str(row.harm[h]) for h in HARMS] + [
                spread(row.detect_s), spread(row.resume_s)]

    HEAD = ["kind", "injected", "survived", "data lost", "silent wrong", "crashes", "other", "detect s (median / 95 %)",
            "resume s (median / 95 %)"]

    def markdown(self):
        table = [self.HEAD, ["---"] + ["---:"] * (len(self.HEAD) - 1)] + list(self.lines())
        return "".join("| %s |\n" % " | ".join(line) for line in table)

    def text(self):
        table = [self.HEAD] + list(self.lines())
        width = [max(len(line[i]) for line in table) for i in range(len(self.HEAD))]
        return "\n".join("  ".join(cell.ljust(width[i]) if i == 0 else cell.rjust(width[i])
                                   for i, cell in enumerate(line)) for line in table)

    def json(self, **about):
        rows = {kind: {"injected": row.injected, "survived": row.survived, **row.harm, "detect_s": spread(row.detect_s),
                       "resume_s": spread(row.resume_s)} for kind, row in self.rows.items()}
        return json.dumps(dict(about, injected=self.injected(), kinds=rows, harmed=self.harmed), indent=1)
