#!/usr/bin/env bash
# The paper's experiment: both encoders, both arms, Cityscapes at 512x256, 250 epochs of batch 20.
#
#   experiments/paper.sh /data/cityscapes [-S train.epochs=50 ...]
#
# Needs: the three official zip files (or their folders) in that place, a GPU, 10 GB of disk
#   (prepared arrays, and DVC's copy of them).
# Costs: one pass over 3,475 frames to prepare (PNG decoding bounds it), then 4 x 37,000 training
#   steps; see benchmarks/RESULTS.md for what a GPU makes of them.
# Expect: Table 1 of the paper is -7.81 % (Encoder1) and -20.68 % (Encoder2) for segmentation.
# The rate term is the paper's own form: L_r of the raw features, weights moved once an epoch.
set -euo pipefail
if [ $# -lt 1 ] || [ ! -d "$1" ]; then
    echo "usage: experiments/paper.sh <folder with Cityscapes> [-S key=value ...]" >&2
    exit 2
fi
root=$(realpath "$1")
shift
cd "$(dirname "$0")/.."
echo "Prepares 3,475 frames, then trains 2 encoders x 2 arms x 250 epochs of 2,975 frames." >&2
exec uv run dvc exp run --temp --name "paper-$(date +%Y%m%d-%H%M%S)" \
    -S "data.root='$root'" -S data.width=512 -S data.height=256 \
    -S model.weights=imagenet \
    -S 'codecs=[png,jpeg-95,jpeg-90,jpeg-85,jpeg-80]' \
    -S loss.rate=true -S loss.rate_of=features -S loss.weight=learned \
    -S loss.balance=adam-epoch -S loss.balance_learning_rate=0.001 \
    -S train.epochs=250 -S train.batch=20 -S train.learning_rate=0.001 -S train.decay_power=0.9 \
    -S train.noise=fixed -S train.noise_amplitude=0.002 -S train.validate_every=10 \
    "$@"
