#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Unpacks what a built facet needs of Debian's packages into a folder, for a GPU machine that has
# none of them and cannot install: the libraries of the programs in the build folder, and Open MPI's
# launcher. On Debian 12, where it was built; nothing is installed.
# usage: packages.sh BUILD FOLDER
set -eu
build=${1:?usage: packages.sh BUILD FOLDER}
folder=${2:?usage: packages.sh BUILD FOLDER}
wanted='libopenmpi3 openmpi-bin openmpi-common libhdf5-103-1 libdnnl2 libconfig9 libturbojpeg0 libspng0
libexif12 libcairo2 libjansson4 libxxhash0 libhwloc15 libgomp1 libcmocka0'
# Every Linux has these, and a C library must be the machine's own.
skipped='^(libc6|libc-bin|libgcc-s1|gcc-12-base|libstdc\+\+6|libcrypt1|dpkg|tar|perl.*|debconf.*|fonts.*|openssh.*)$'
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2086 # a list of names
apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
    --no-enhances $wanted | grep '^[a-z]' | grep -v ':' | sort -u | grep -Ev "$skipped" >"$work/names"
(cd "$work" && xargs apt-get -qq download <names 2>/dev/null) || true # virtual ones cannot be had
for package in $wanted; do
    ls "$work/${package}"_*.deb >/dev/null 2>&1 || {
        echo "packages.sh: $package cannot be had" >&2
        exit 1
    }
done
for deb in "$work"/*.deb; do
    dpkg -x "$deb" "$work/all"
done

# Of all that only what is loaded: by our programs, the launcher, Open MPI's plugins.
lib=usr/lib/x86_64-linux-gnu
search=$work/all/$lib:$work/all/$lib/hdf5/serial:$work/all/$lib/openmpi/lib:$work/all/lib/x86_64-linux-gnu
mkdir -p "$folder/$lib" "$folder/usr/bin" "$folder/usr/share"
cp -a "$work/all/$lib/openmpi" "$work/all/$lib/pmix2" "$folder/$lib/"
cp -a "$work/all/usr/share/openmpi" "$folder/usr/share/"
[ ! -d "$work/all/usr/share/pmix" ] || cp -a "$work/all/usr/share/pmix" "$folder/usr/share/"
[ ! -d "$work/all/usr/share/pmix2" ] || cp -a "$work/all/usr/share/pmix2" "$folder/usr/share/"
cp -a "$work/all/usr/bin/mpirun.openmpi" "$work/all/usr/bin/orterun" "$work/all/usr/bin/orted" "$folder/usr/bin/"
ln -sf orterun "$folder/usr/bin/mpirun"
rm -rf "$folder/$lib/openmpi/include" "$folder/$lib/openmpi/lib/"*.a
find "$build" "$folder/usr/bin" "$folder/$lib/openmpi" "$folder/$lib/pmix2" -type f \
    \( -perm -u+x -o -name '*.so*' \) -print0 |
    LD_LIBRARY_PATH=$search xargs -0 -r ldd 2>/dev/null | awk -v all="$work/all/" 'index($3, all) == 1 {print $3}' |
    sort -u >"$work/loaded"
while read -r path; do
    cp -aL "$path" "$folder/$lib/$(basename "$path")"
done <"$work/loaded"
du -sh "$folder"
