#!/usr/bin/env bash
# What should the edge send? The whole answer for your own Cityscapes: features of the benchmark, of the
# network with the paper's rate loss and of the learned entropy model, each with every coder, against the
# picture as JPEG, WebP and AVIF. The picture is served by the benchmark, and by a network that was
# trained on coded pictures.
#
#   experiments/what_to_send.sh /data/cityscapes [-S train.epochs=50 ...]
#
# Needs: what experiments/paper.sh needs.
# Costs: for each encoder and seed four trainings instead of the two of paper.sh: 24 of 37,000 steps.
#   One encoder and one seed, -S 'encoders=[encoder2]' -S 'seeds=[0]' -S 'pictures.seeds=[0]', are
#   four. It has not run on a GPU yet, so its time is not known.
# Expect: on the built-in streets the entropy model needs the fewest bytes (benchmarks/RESULTS.md, "What
#   to send"). Nobody has measured it on Cityscapes.
# The rate loss is in units of the deviation, with the weight of experiments/long.sh: with the paper's
# own unit the network can lower it without saving a bit.
set -euo pipefail
exec "$(dirname "$0")/paper.sh" "${1:-}" \
    -S 'arms=[benchmark,proposed,entropy]' -S 'pictures.seeds=[0,1,2]' \
    -S loss.rate_unit=deviation -S loss.weight=0.3 -S train.noise_bits=5 \
    -S 'codecs=[png,jpeg-95,jpeg-90,jpeg-85,jpeg-80,png@4,png@3,webp@4,table@4,table/1.2,klt/0.4,klt/0.8,klt/1.2,klt/1.8]' \
    -S 'pictures.codecs=[jpeg-90,jpeg-60,jpeg-30,jpeg-10,webp-90,webp-60,webp-30,webp-10,avif-75,avif-60,avif-40,avif-25]' \
    "${@:2}"
