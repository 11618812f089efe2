#!/usr/bin/env bash
# The control: without the rate term the proposed arm is the benchmark, so every BD-rate is 0.
#
#   experiments/control.sh [-S key=value ...]
#
# Costs: one training per encoder and seed (the benchmarks are reused). Expect: exactly 0.00 %
# everywhere on a CPU; anything else means that the arms differ in more than the rate term.
set -euo pipefail
cd "$(dirname "$0")/.."
echo "Trains the proposed arm of every encoder and seed without the rate term." >&2
exec uv run dvc exp run --temp --name "control-$(date +%Y%m%d-%H%M%S)" -S loss.rate=false "$@"
