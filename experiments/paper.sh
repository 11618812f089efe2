#!/usr/bin/env bash
# The paper's experiment: both encoders, both arms, Cityscapes at 512x256, 250 epochs of batch 20.
#
#   experiments/paper.sh /data/cityscapes [-S train.epochs=50 ...]
#
# Needs: the three official zip files (or their folders) in that place, a GPU, and 10 GB of disk for
#   the prepared frames and DVC's copy of them.
# Costs: decodes 3,475 frames once, then 4 trainings of 37,000 steps. It has not run on a GPU yet,
#   so its time is not known.
# Expect: the paper's Table 1 gives these BD-rates. Encoder1: mIoU -7.81 %, IRMSE -2.12 %,
#   PSNR -4.37 %. Encoder2: mIoU -20.68 %, IRMSE -5.15 %, PSNR -6.09 %.
# The rate term has the paper's own form: L_r of the raw features, and weights that Adam moves once
# an epoch.
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
