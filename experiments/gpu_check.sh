#!/usr/bin/env bash
# Check one GPU in under ten minutes: the packed trainer against a loop in PyTorch, the share of matrix products that a
# 100M Transformer reaches, the metered grid of number formats, the quick calibration, and the studies that have a preset
# for GPUs, each for as long as its share of the time lasts.
#
#   experiments/gpu_check.sh [--small] [--wheels DIR] OUT
#
# OUT gets report.md, report.json, runs.csv and runs/ (the store). --small takes four minutes, on a CPU too. The exit
# status is 0 where all parts ran (what this machine cannot measure, or not in time, is left out, with the reason), 1
# where one failed, 2 for wrong arguments or no GPU.
#
# The code runs from this checkout. PYTHON (python3 when left out) needs jax, equinox, numpyro and optax; the rest can be
# carried as wheels in the folder that --wheels names, as far as it is missing: msgspec, polars, polars-runtime-32, tomli,
# nvidia-ml-py, scikit-learn with cloudpickle, joblib, narwhals and threadpoolctl, and, for tests of the energy of number
# formats, statsmodels with pandas, patsy and formulaic. Fetch them for Python 3.12 on a machine with internet by
#
#   pip download --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux2014_x86_64 \
#       --platform manylinux_2_28_x86_64 -d DIR NAME...
set -euo pipefail

usage() {
    echo "usage: experiments/gpu_check.sh [--small] [--wheels DIR] OUT" >&2
    exit 2
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
path=$root:$root/api:$root/experiments:$root/fitted_laws
small=
wheels=
while [[ ${1:-} == --* ]]; do
    case $1 in
    --small) small=--small && shift ;;
    --wheels) [[ $# -ge 2 ]] || usage && wheels=$2 && shift 2 ;;
    *) usage ;;
    esac
done
[[ $# -eq 1 ]] || usage

if [[ -n $wheels ]]; then
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    "$python" -m pip install --quiet --no-index --no-deps --target "$site" "$wheels"/*.whl
    path=$path:$site
fi

# PyTorch needs room beside JAX, which else takes most of the memory at its start
export XLA_PYTHON_CLIENT_PREALLOCATE=${XLA_PYTHON_CLIENT_PREALLOCATE:-false}
PYTHONPATH=$path${PYTHONPATH:+:$PYTHONPATH} "$python" "$root/tools/gpu_check.py" ${small:+"$small"} "$1"
