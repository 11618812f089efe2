#!/usr/bin/env bash
# The control: does the arm "proposed" equal the benchmark if the rate loss is switched off?
#
#   experiments/control.sh [-S key=value ...]
#
# Costs: one training for each encoder and seed. Run `uv run dvc repro` first: then the benchmarks are
#   not trained again.
# Expect: on a CPU every change of the proposed arm is exactly 0.00 %. Any other value means that the
#   arms differ in more than the rate loss, or were trained with another number of threads (see
#   OMP_NUM_THREADS in docs/troubleshooting.md).
set -euo pipefail
cd "$(dirname "$0")/.."
echo "Trains the proposed arm of every encoder and seed without the rate term." >&2
exec uv run dvc exp run --temp --name "control-$(date +%Y%m%d-%H%M%S)" -S loss.rate=false "$@"
