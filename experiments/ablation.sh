#!/usr/bin/env bash
# Which part of the rate loss does the work? Without prediction, without transform, without both.
#
#   experiments/ablation.sh [-S key=value ...]
#
# Costs: three trainings of the proposed arm per encoder and seed; the benchmarks are reused.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=$(date +%Y%m%d-%H%M%S)
run() { uv run dvc exp run --temp --name "$1-$stamp" "${@:2}"; }
echo "Trains the proposed arm of every encoder and seed 3 times." >&2
run no-prediction -S loss.prediction=false "$@"
run no-transform -S loss.transform=false "$@"
run neither -S loss.prediction=false -S loss.transform=false "$@"
experiments/show.sh
