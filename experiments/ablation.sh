#!/usr/bin/env bash
# Which part of the rate loss does the work? Trains it without prediction, without transform, and
# without both.
#
#   experiments/ablation.sh [-S key=value ...]
#
# Costs: three trainings of the proposed arm for each encoder and seed, and what comes after them.
#   Run `uv run dvc repro` first: then the benchmarks are not trained again.
# Expect: if the bits at one codec setting stay the same without a part, that part is not needed.
#   With one seed, small differences are noise of the training.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=$(date +%Y%m%d-%H%M%S)
run() { uv run dvc exp run --temp --name "$1-$stamp" "${@:2}"; }
echo "Trains the proposed arm of every encoder and seed 3 times." >&2
run no-prediction -S loss.prediction=false "$@"
run no-transform -S loss.transform=false "$@"
run neither -S loss.prediction=false -S loss.transform=false "$@"
experiments/show.sh
