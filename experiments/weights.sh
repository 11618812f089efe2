#!/usr/bin/env bash
# How strong should the rate loss be? Trains with four weights, side by side from DVC's queue. They
# are tried on the tuning cities (data.tuning_cities), which are held out of the training set. The
# validation set is for the report alone.
#
#   experiments/weights.sh [-S key=value ...]
#   JOBS=4 experiments/weights.sh     # four at a time instead of two
#
# Leaves `reports/family/`: for each encoder the curves of all weights in one figure, and a table of
#   the change of bits.
#
# Costs: four trainings of the proposed arm for each encoder and seed, and what comes after them,
#   and one training of each benchmark and entropy model on the frames that are left.
#   The first weight runs alone and trains the benchmarks if they are not there; the others reuse
#   them. Each job holds its own copy of the prepared frames while it runs.
# Expect: a larger weight sends fewer bits at the same codec setting. At some weight the scores
#   fall; with the built-in streets disparity was the first (benchmarks/LOG.md).
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${JOBS:-2}
weights=(0.1 0.3 1 3)
stamp=$(date +%Y%m%d-%H%M%S)
run() { uv run dvc exp run --name "weight-$1-$stamp" -S data.tuning=true -S "loss.weight=$1" "${@:2}"; }
echo "Trains the proposed arm of every encoder and seed ${#weights[@]} times, $jobs at a time." >&2
run "${weights[0]}" --temp "$@"
for weight in "${weights[@]:1}"; do
    run "$weight" --queue "$@"
done
uv run dvc exp run --run-all --jobs "$jobs"
experiments/show.sh
members=()
for weight in "${weights[@]}"; do members+=("weight $weight=weight-$weight-$stamp"); done
uv run python -m commands.compare "${members[@]}"
