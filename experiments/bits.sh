#!/usr/bin/env bash
# How many bits should the quantiser have? The same models at 4, 5, 6 and 8 bits.
#
#   experiments/bits.sh [-S key=value ...]
#
# Costs: no training at all; export, encode and evaluate once per depth.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=$(date +%Y%m%d-%H%M%S)
echo "Exports, encodes and evaluates the models at 4 depths; trains only what is not there." >&2
for bits in 4 5 6 8; do
    uv run dvc exp run --temp --name "bits-$bits-$stamp" -S "quantizer.bits=$bits" "$@"
done
experiments/show.sh
