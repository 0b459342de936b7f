# SPDX-License-Identifier: Apache-2.0
"""packages.txt names the package of every library, header, tool and Python module that we use."""
import glob
import importlib.util
import os
import re
import shutil
import subprocess
import sys

SOURCE = os.environ["FACET_SOURCE"]
if not shutil.which("dpkg"):
    print("skipped: not a Debian system")
    sys.exit(77)
wrong = []


def read(*names):
    text = ""
    for name in names:
        with open(name, encoding="utf-8") as f:
            text += f.read()
    return text


def owner(path):
    """The package whose file this is; what alternatives and merged /usr put in between is followed."""
    real = os.path.realpath(path)
    for p in dict.fromkeys([path, real, real.removeprefix("/usr")]):
        done = subprocess.run(["dpkg", "-S", p], capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.split(":")[0]
    return None


def want(path, kinds, what):
    name = path and owner(path)
    if path and not name:
        return # installed by hand: packages.txt cannot know it
    if not path or name not in sum((packages[k] for k in kinds), []):
        wrong.append("%s: %s is not in packages.txt" % (what, name or "it is not installed, or its package"))


packages = {"build": [], "test": []}
for line in read(os.path.join(SOURCE, "packages.txt")).splitlines():
    if line and not line.startswith("#"):
        kind, name = line.split()
        packages[kind].append(name)
        needs = subprocess.run(["dpkg-query", "-W", "-f", "${Depends}", name], capture_output=True, text=True)
        packages[kind] += re.findall(r"(?:^|, )([a-z0-9.+-]+)", needs.stdout) # pkg-config is pkgconf's

cmake = read(os.path.join(SOURCE, "CMakeLists.txt"), os.path.join(SOURCE, "cmake/facet.cmake"))
modules = re.findall(r"pkg_check_modules\(\w+ REQUIRED IMPORTED_TARGET (\S+?)\)", cmake) + ["hdf5-serial"]
assert len(modules) >= 7, modules
for module in modules:
    done = subprocess.run(["pkg-config", "--variable=pcfiledir", module], capture_output=True, text=True)
    found = os.path.join(done.stdout.strip(), module + ".pc") if done.returncode == 0 else None
    want(found, ["build"], "pkg-config " + module)
for header in ("/usr/include/stb/stb_image.h", "/usr/include/dnnl.h", "/usr/include/x86_64-linux-gnu/mpi.h",
               "/usr/include/stdio.h"):
    at = [p for p in [header] + glob.glob("/usr/include/*/" + os.path.basename(header)) +
          glob.glob("/usr/lib/*/openmpi/include/" + os.path.basename(header)) if os.path.exists(p)]
    want(at[0] if at else None, ["build"], os.path.basename(header))
want("/usr/include/cmocka.h", ["test"], "cmocka.h")
for tool in ("gcc", "cmake", "ninja", "pkg-config", "mpirun"):
    want(shutil.which(tool), ["build"], tool)

tests = glob.glob(os.path.join(SOURCE, "tests/**/*.sh"), recursive=True)
scripts = read(*tests)
for tool in ("clang-format-14", "pmccabe", "shellcheck", "codespell", "strace", "nm", "ip", "clang-14"):
    if re.search(r"\b%s\b" % tool, scripts):
        want(shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin"), ["build", "test"], tool)
judges = read(*glob.glob(os.path.join(SOURCE, "tests/**/*.py"), recursive=True))
for module in sorted(set(re.findall(r"^\s*(?:import|from) (\w+)", judges, re.M))):
    spec = importlib.util.find_spec(module)
    if spec and spec.origin and "/dist-packages/" in spec.origin:
        want(spec.origin, ["test"], "python module " + module)
print("\n".join(wrong))
sys.exit(bool(wrong))
