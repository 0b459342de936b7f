#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# For run.sh: the programs of a build, each a script of two lines that sets where its libraries are.
# Only for these: Python and its libraries are the machine's own, and others would break them.

# The folder of library $1: nothing where the loader finds it by itself, else where toolkits and
# Python's packages put it. Fails where it is nowhere.
fct_folder_of() {
    for folder in $(echo "${LD_LIBRARY_PATH:-}" | tr : ' '); do
        [ ! -e "$folder/$1" ] || return 0
    done
    # shellcheck disable=SC2086 # folders of Python
    for folder in /usr/local/cuda/lib64 /usr/local/cuda/lib /usr/local/cuda-*/lib64 /usr/local/cuda-*/lib \
        $fct_python_folders /usr/local/nvidia/lib64 /usr/lib/x86_64-linux-gnu /usr/lib64; do
        [ -e "$folder/$1" ] || continue
        echo "$folder"
        return 0
    done
    PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null | grep -q "^[[:space:]]*$1 "
}

# Sets fct_found to ":folder:folder" of NVIDIA's libraries; what is missing is told.
fct_find_nvidia() {
    fct_found='' missing=''
    fct_python_folders=$("${python:-python3}" -c 'import glob, site, sys
roots = set(sys.path + site.getsitepackages() + [site.getusersitepackages()])
print(*(f for r in sorted(roots) if r for f in sorted(glob.glob(r + "/nvidia/*/lib")) if " " not in f))' 2>/dev/null)
    for library in libcudnn.so.9 libnccl.so.2 libcublasLt.so.13 libcudart.so.13 libnvrtc.so.13 libcuda.so.1; do
        if ! folder=$(fct_folder_of $library); then
            missing="$missing $library"
        elif [ -n "$folder" ]; then
            case "$fct_found:" in
            *":$folder:"*) ;;
            *) fct_found="$fct_found:$folder" ;;
            esac
        fi
    done
    [ -z "$missing" ] || say "missing of NVIDIA's libraries:$missing
    (looked in LD_LIBRARY_PATH, ldconfig -p, /usr/local/cuda*, the nvidia packages of ${python:-python3})"
}

# fct_wrap FILE PROGRAM: FILE runs PROGRAM with $fct_environment.
fct_wrap() {
    mkdir -p "$(dirname "$1")"
    printf '#!/bin/sh\n%s\nexec "%s" "$@"\n' "$fct_environment" "$2" >"$1"
    chmod +x "$1"
}

# fct_programs BUILD PACKAGES FOLDER: FOLDER/facet, FOLDER/tests/.. and, with packages, FOLDER/bin/mpirun.
fct_programs() {
    fct_found=''
    ! command -v nvidia-smi >/dev/null || fct_find_nvidia
    fct_path=$fct_found fct_environment=''
    if [ -n "$2" ]; then
        root=$(cd "$2" && pwd) || return 1
        lib=$root/usr/lib/x86_64-linux-gnu
        if [ ! -x "$root/usr/bin/orterun" ]; then
            say "$2: no usr/bin/orterun in it: this is not what packages.sh makes"
            return 1
        fi
        fct_path=$lib:$lib/openmpi/lib$fct_path
        fct_environment="export OPAL_PREFIX='$root/usr' OPAL_LIBDIR='$lib/openmpi/lib'
export OMPI_MCA_mca_base_component_path='$lib/openmpi/lib/openmpi3' PMIX_MCA_mca_base_component_path='$lib/pmix2/lib/pmix'
export PMIX_MCA_pmix_pcompress_base_silence_warning=1 PATH=\"$root/usr/bin:\$PATH\""
    fi
    fct_path=${fct_path#:}
    [ -z "$fct_path" ] || fct_environment="$fct_environment
export LD_LIBRARY_PATH=\"$fct_path\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}\""
    for program in "$1"/facet "$1"/tests/interop/dump_steps "$1"/tests/*/test_*; do
        [ ! -f "$program" ] || [ ! -x "$program" ] || fct_wrap "$3/${program#"$1/"}" "$program"
    done
    [ -z "$2" ] || fct_wrap "$3/bin/mpirun" "$root/usr/bin/mpirun"
    lost=$(LD_LIBRARY_PATH="$fct_path${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" ldd "$1/facet" "$FACET_CUDA_LIBRARY" 2>/dev/null |
        awk '/not found/ { print $1 }' | sort -u | tr '\n' ' ')
    [ -z "$lost" ] || say "not found by the loader: $lost"
    "$3/facet" --version >/dev/null 2>"$3/error" && return 0
    say "facet does not start here: $(head -3 "$3/error")"
    return 1
}
