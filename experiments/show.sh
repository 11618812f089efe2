#!/usr/bin/env bash
# The experiments in one small table: BD-rates, bits and scores at the first codec, what was changed.
#
#   experiments/show.sh [--sort-by png.encoder2-proposed-0.bpfe ...]
#
# `dvc exp show` alone has a column for each setting and each file that a stage reads. Left out here
# are what is the same in all experiments, the files, and the benchmark's own scores.
set -euo pipefail
cd "$(dirname "$0")/.."
exec uv run dvc exp show --only-changed \
    --drop '.*/' --drop '(models|features|streams|evaluation|Executor)$' \
    --drop '.*-benchmark-' "$@"
