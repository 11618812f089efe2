#!/usr/bin/env bash
# The experiments in one table: BD-rates, bits and scores with the first codec, and what changed.
#
#   experiments/show.sh [--sort-by png.encoder2-proposed-0.bpfe ...]
#
# `dvc exp show` alone has a column for each setting and for each file that a stage reads. This
# script leaves out what is the same in all experiments, the files, and the benchmark's own scores.
set -euo pipefail
cd "$(dirname "$0")/.."
exec uv run dvc exp show --only-changed \
    --drop '.*/' --drop '(models|features|streams|evaluation|Executor)$' \
    --drop '.*-benchmark-' "$@"
