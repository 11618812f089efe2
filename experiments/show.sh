#!/usr/bin/env bash
# The experiments in one table of 120 columns: the change of bits at equal score with its verdict, bits
# and scores with the first codec, and the settings that differ.
#
#   experiments/show.sh
#
# `dvc exp show` has a column for each setting and for each file that a stage reads.
set -euo pipefail
cd "$(dirname "$0")/.."
exec uv run python -m commands.compare
