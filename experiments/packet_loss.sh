#!/usr/bin/env bash
# What a lossy link does to each sender: scores over the share of packets that are lost, for bitstreams
# that are cut into packets which decode alone, and for senders that need every packet of a frame.
#
#   experiments/packet_loss.sh [key=value ...]
#
# Built-in streets of 512x256 pixels: a frame of 192x96 is one to four packets. Encoder2, seed 0.
# All outputs lie in runs/packet_loss, the table and the chart in its folder reports.
# Costs: two trainings of 720 images, each seven times as large as those of the default run, and the
#   cloud half for about 14,000 frames: together 70 minutes on one thread of an Intel Xeon with
#   bfloat16 products. Killed, it goes on where it was: give the same command again.
# Expect: of 10 % lost packets, one at a time, the entropy model in slices keeps 51 of 55 % mIoU, a
#   picture as AVIF 19 of 56 % (benchmarks/RESULTS.md).
set -euo pipefail
cd "$(dirname "$0")/.."
# Every setting that changes the result is given: a value changed in params.yaml has no effect here.
settings=(
    'encoders=[encoder2]' 'arms=[benchmark,entropy]' 'seeds=[0]'
    'codecs=[png@4,klt/0.8]' 'entropy.codecs=[table/1]'
    'pictures.codecs=[jpeg-60,webp-60,avif-60]' 'pictures.seeds=[]'
    'tasks=[segmentation,disparity,reconstruction]'
    data.root=data/streets data.width=512 data.height=256 data.tuning=false
    streets.seed=1 streets.train=240 streets.val=64 streets.width=1024 streets.height=512
    model.weights=file model.file=weights/streets.safetensors model.decoder_init=file
    quantizer.bits=8 quantizer.range_percent=100.0
    entropy.components=64 entropy.weight=0.3 entropy.learning_rate=0.002 entropy.step=1.0
    entropy.rounding=noise entropy.freeze_encoder=false
    balance.method=closed-form
    train.epochs=3 train.batch=4 train.learning_rate=0.0003 train.decay_power=0.9
    train.noise=half-step train.noise_bits=5 train.validate_every=3 train.precision=auto
)
uv run experiments/offline.sh runs/packet_loss "${settings[@]}" "$@"
cd runs/packet_loss
PYTHONPATH=../.. uv run --project ../.. python -m commands.packet_loss
