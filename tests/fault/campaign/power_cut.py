# SPDX-License-Identifier: Apache-2.0
"""A power cut, replayed (A7): from the shim's record of a program's changes, every state that a disk may be left in.

The model is the strictest that POSIX allows. What was synced is there. Of the writes to a file since its last fsync
any subset is there, each whole, in part, as zeros, or not. Of a folder's changes since *its* last fsync any subset is
there: a file's fsync does not bring its name to disk, a rename may be there before the data it names."""
import itertools
import os

MOST_SUBSETS = 400  # of one moment; more are sampled
WRITE_FORMS = ("missing", "zeros", "half", "whole")


class File:
    def __init__(self, data=b""):
        self.synced, self.pending = data, []  # pending: (at, bytes), or (size, None) for a truncation
        self.cache = {}

    def sync(self):
        self.synced, self.pending = self.image(("whole",) * len(self.pending)), []
        self.cache.clear()

    def forms(self, change):
        return WRITE_FORMS if change[1] is not None else ("missing", "whole")

    def image(self, forms):
        if forms not in self.cache:
            data = bytearray(self.synced)
            for (at, chunk), form in zip(self.pending, forms):
                if form == "missing":
                    continue
                if chunk is None:
                    del data[at:]
                    continue
                written = {"whole": chunk, "zeros": bytes(len(chunk)), "half": chunk[:len(chunk) // 2]}[form]
                data.extend(bytes(max(0, at + len(written) - len(data))))
                data[at:at + len(written)] = written
            self.cache[forms] = bytes(data)
        return self.cache[forms]


class Folder:
    def __init__(self):
        self.synced, self.pending = {}, []  # pending: {name: node or None} that one change sets at once

    def forms(self, change):
        return ("missing", "whole")

    def now(self):
        return self.image(("whole",) * len(self.pending))

    def sync(self):
        self.synced, self.pending = self.now(), []

    def image(self, forms):
        entries = dict(self.synced)
        for change, form in zip(self.pending, forms):
            if form == "whole":
                entries.update(change)
        return {name: node for name, node in entries.items() if node is not None}


class Disk:
    def __init__(self, root):
        """`root`: what is there before, all of it on disk."""
        self.root_path, self.root, self.opened, self.acknowledged = root, Folder(), {}, 0
        for place, folders, files in os.walk(root):
            folder = self.find(place)
            folder.synced.update({name: Folder() for name in folders})
            for name in files:
                with open(os.path.join(place, name), "rb") as file:
                    folder.synced[name] = File(file.read())

    def find(self, path):
        node = self.root
        for name in os.path.relpath(path, self.root_path).split("/"):
            node = node.now().get(name) if name != "." and node else node
        return node

    def change(self, path, **entries):
        self.find(os.path.dirname(path)).pending.append(entries)

    def apply(self, line, data):
        """One line of the record; True when the disk may look otherwise after it."""
        what, *rest = line.split("\t")
        if what == "ack":
            self.acknowledged += 1
        elif what == "open":
            self.open(*rest)
        elif what == "write":
            node, at, size, begin = int(rest[0]), *map(int, rest[1:])
            self.opened[node].pending.append((at, data[begin:begin + size]))
        elif what == "truncate":
            self.opened[int(rest[0])].pending.append((int(rest[1]), None))
        elif what == "fsync":
            self.opened[int(rest[0])].sync()
        elif what == "mkdir":
            self.change(rest[0], **{os.path.basename(rest[0]): Folder()})
        elif what in ("unlink", "rmdir"):
            self.change(rest[0], **{os.path.basename(rest[0]): None})
        else:
            self.rename(*rest, is_exchange=what == "exchange")

    def open(self, number, path, mode):
        node = self.find(path)
        if node is None:
            node = File()
            self.change(path, **{os.path.basename(path): node})
        elif mode == "trunc" and isinstance(node, File):
            node.pending.append((0, None))
        self.opened[int(number)] = node

    def rename(self, source, target, is_exchange):
        assert os.path.dirname(source) == os.path.dirname(target), "between two folders: not modelled"
        moved, replaced = self.find(source), self.find(target)
        self.change(source, **{os.path.basename(target): moved,
                               os.path.basename(source): replaced if is_exchange else None})

    def unsettled(self):
        """Every node with changes that are not on disk, and every change's forms."""
        found, waiting, seen = [], [self.root], set()
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if node.pending:
                found.append(node)
            if isinstance(node, Folder):  # whatever may be reached: by old names and by new ones
                waiting.extend(n for change in [node.synced] + node.pending for n in change.values() if n is not None)
        return found

    def states(self, rng):
        """Every state that a cut now may leave, as {path: bytes, or None for a folder}; samples when too many."""
        nodes = self.unsettled()
        forms = [node.forms(change) for node in nodes for change in node.pending]
        count = 1
        for form in forms:
            count *= len(form)
        if count <= MOST_SUBSETS:
            choices = itertools.product(*forms)
        else:
            choices = [tuple(rng.choice(form) for form in forms) for _ in range(MOST_SUBSETS)]
            choices += [tuple(form[-1] if i != k else form[0] for i, form in enumerate(forms)) for k in range(len(forms))]
            choices += [tuple(form[0] if i != k else form[-1] for i, form in enumerate(forms)) for k in range(len(forms))]
        for choice in choices:
            at, chosen = 0, {}
            for node in nodes:
                chosen[id(node)] = choice[at:at + len(node.pending)]
                at += len(node.pending)
            yield self.tree(chosen)

    def tree(self, chosen):
        found, waiting = {}, [("", self.root)]
        while waiting:
            path, node = waiting.pop()
            image = node.image(chosen.get(id(node), ()))
            found[path] = image if isinstance(node, File) else None
            if isinstance(node, Folder):
                waiting.extend((os.path.join(path, name), child) for name, child in image.items())
        return found


def write_out(tree, folder):
    os.makedirs(folder)
    for path in sorted(tree):
        if tree[path] is None:
            os.makedirs(os.path.join(folder, path), exist_ok=True)
        else:
            with open(os.path.join(folder, path), "wb") as file:
                file.write(tree[path])
