#!/usr/bin/env bash
# Makes weights/streets.safetensors, the backbone that the other trainings start from.
#
#   experiments/backbone.sh [-S key=value ...]
#
# It trains the benchmark of Encoder1, which is all of ResNet-34, from random weights on streets of
# other worlds than those of the experiments: another seed of the generator. Then it takes the
# encoder out of that model. A machine with a network can start from ImageNet weights instead, as
# the paper does: -S model.weights=imagenet.
#
# Costs: 48,000 training images. At 14 images per second (one core with bfloat16 products) that is
#   about one hour, on two cores half of it. A killed training goes on where it was.
# Expect: on 100 streets that it was not trained on, mIoU about 0.6, IRMSE about 0.28 1/px and PSNR
#   about 21 dB. All models that start from the file train again.
set -euo pipefail
cd "$(dirname "$0")/.."
name=backbone-$(date +%Y%m%d-%H%M%S)
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
uv run dvc exp run --temp --name "$name" \
    -S 'encoders=[encoder1]' -S 'seeds=[0]' -S model.weights=none \
    -S streets.seed=1000 -S streets.train=4000 -S streets.val=100 \
    -S streets.width=384 -S streets.height=192 -S data.root=data/streets \
    -S data.width=192 -S data.height=96 -S data.tuning=false \
    -S train.epochs=12 -S train.batch=8 -S train.learning_rate=0.001 -S train.decay_power=0.9 \
    -S train.noise=half-step -S train.noise_bits=8 -S loss.balance=closed-form \
    "$@" train_benchmark@encoder1-0
uv run dvc get . models/encoder1-benchmark-0 --rev "$name" --out "$made/model"
uv run python -m stages.backbone "$made/model" weights/streets.safetensors
