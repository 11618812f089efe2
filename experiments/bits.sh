#!/usr/bin/env bash
# How many bits should the quantiser have? Codes the same models at 4, 5, 6 and 8 bits.
#
#   experiments/bits.sh [-S key=value ...]
#
# Costs: no training and no export. Encodes and evaluates each model once for each depth.
# Expect: fewer bits per feature element at a lower depth. The scores show what that costs.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=$(date +%Y%m%d-%H%M%S)
echo "Encodes and evaluates the models at 4 depths; trains and exports only what is not there." >&2
for bits in 4 5 6 8; do
    uv run dvc exp run --temp --name "bits-$bits-$stamp" -S "quantizer.bits=$bits" "$@"
done
experiments/show.sh
