#!/usr/bin/env bash
# How many bits should the quantiser have? The same models at 4, 5, 6 and 8 bits.
#
#   experiments/bits.sh [-S ...]
#
# Costs: no training at all; export, encode and evaluate once per depth. Compare with
# `uv run dvc exp show` or by the tag quantizer.bits in MLflow.
set -euo pipefail
cd "$(dirname "$0")/.."
for bits in 4 5 6 8; do
    uv run dvc exp run --temp --name "bits-$bits-$(date +%H%M%S)" -S "quantizer.bits=$bits" "$@"
done
