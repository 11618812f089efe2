#!/usr/bin/env bash
# Makes weights/streets.safetensors, the backbone that the other trainings start from.
#
#   experiments/backbone.sh [-S key=value ...]
#
# It trains the benchmark of Encoder1, which is all of ResNet-34, from random weights on streets of
# other worlds than those of the experiments: another seed of the generator. Then it trains the
# benchmark of Encoder2 from that. The file holds all of ResNet-34, of which
# Encoder2 is all but the last block, and the decoders of Encoder2. A machine with a network can
# start from ImageNet weights instead, as the paper does: -S model.weights=imagenet.
#
# Costs: 72,000 training images. At 14 images per second (one core with bfloat16 products) that is
#   about one hour and a half, on two cores half of it. A killed training goes on where it was.
# Expect: on 100 streets that they were not trained on, mIoU about 0.55, IRMSE about 0.25 1/px and
#   PSNR about 21 dB. All models that start from the file train again.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=$(date +%Y%m%d-%H%M%S)
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
train() { # train <encoder> <epochs> <weights> <bits of noise>
    uv run dvc exp run --temp --name "backbone-$1-$stamp" \
        -S "encoders=[$1]" -S 'seeds=[0]' -S "model.weights=$3" -S model.decoder_init=variance \
        -S streets.seed=1000 -S streets.train=4000 -S streets.val=100 \
        -S streets.width=384 -S streets.height=192 -S data.root=data/streets \
        -S data.width=192 -S data.height=96 -S data.tuning=false \
        -S "train.epochs=$2" -S train.batch=8 -S train.learning_rate=0.001 \
        -S train.decay_power=0.9 -S train.noise=half-step -S "train.noise_bits=$4" \
        -S balance.method=closed-form "${@:5}" "train_benchmark@$1-0"
    uv run dvc get . "models/$1-benchmark-0" --rev "backbone-$1-$stamp" --out "$made/$1"
}
train encoder1 12 none 8 "$@"
uv run python -m commands.weights weights/streets.safetensors "$made/encoder1"
train encoder2 6 file 5 "$@"
uv run python -m commands.weights weights/streets.safetensors "$made/encoder1" "$made/encoder2"
