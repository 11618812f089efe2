#!/usr/bin/env bash
# A whole grid of trainings on one machine with a GPU and without this project's environment: both
# arms, several seeds, 512x256, on the built-in streets or on Cityscapes.
#
#   experiments/one_gpu.sh FOLDER [--minutes 9] [--weights 0.3 1 3] [-S key=value ...]
#   experiments/one_gpu.sh FOLDER -S data.root=/data/cityscapes -S 'encoders=["encoder1","encoder2"]'
#
# Needs: this repository, and Python 3.11 or later with torch 2.11 or later, torchvision, numpy,
#   Pillow and safetensors. No network, no uv, no DVC, no MLflow. PYTHON=/path/python names another
#   interpreter than python3. Disk under FOLDER/work: 6 GB for the built-in streets and their
#   frames, and 0.3 GB for each model. Both are computed from runs with few frames.
# Settings: experiments/one_gpu.toml, all of them.
# Costs: not known on a GPU yet, where it has not run. Two cores draw the built-in streets in
#   2.4 minutes (benchmarks/RESULTS.md).
#   --minutes N measures a few steps of each kind of model first. Then it fixes one number of epochs
#   for all models, so that the whole run takes about N minutes, and writes it to FOLDER/plan.json.
# Resume: give the same command again. What is finished stays, a training goes on from its
#   checkpoint, the number of epochs stays. It may be killed at any moment.
# Leaves: FOLDER/results/weight-1.0, a folder for each weight of the rate loss. With three seeds and
#   500 frames to test on it takes about 20 MB for each encoder (computed from a run with 8 frames).
#   After each seed it is written anew with the seeds that are done. Carry it home, where the
#   project is installed. There
#       uv run python -m stages.report --from results/weight-1.0
#   writes the page to results/weight-1.0/reports/index.html. Weights, features, bitstreams and
#   frames stay in FOLDER/work; their hashes travel, and the report checks them.
# Expect: the page says which differences are larger than the noise of training. What the rate loss
#   saves at this scale is not known.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-python3}" -m stages.one_gpu --settings "$root/experiments/one_gpu.toml" "$@"
