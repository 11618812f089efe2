#!/usr/bin/env bash
# How strong should the rate term be? A grid of its weight, run side by side from DVC's queue.
#
#   experiments/weights.sh [-S key=value ...]
#   JOBS=4 experiments/weights.sh     # four at a time instead of two
#
# Costs: one training of the proposed arm per weight, encoder and seed; the benchmarks are reused,
# or trained once by the first weight, which runs alone. Each job holds its own copy of the
# prepared data while it runs.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${JOBS:-2}
weights=(0.3 1 3 10)
stamp=$(date +%Y%m%d-%H%M%S)
run() { uv run dvc exp run --name "weight-$1-$stamp" -S "loss.weight=$1" "${@:2}"; }
echo "Trains the proposed arm of every encoder and seed ${#weights[@]} times, $jobs at a time." >&2
run "${weights[0]}" --temp "$@"
for weight in "${weights[@]:1}"; do
    run "$weight" --queue "$@"
done
uv run dvc exp run --run-all --jobs "$jobs"
experiments/show.sh
