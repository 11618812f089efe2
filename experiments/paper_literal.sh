#!/usr/bin/env bash
# The paper's experiment by the letter: Adam moves the logarithms of the loss weights once an epoch,
# with the networks' own learning rate of 0.001, and the noise is that of the authors' code.
#
#   experiments/paper_literal.sh /data/cityscapes [-S key=value ...]
#
# Costs: as experiments/paper.sh.
# Expect: no effect of the rate loss. In 250 epochs a weight moves by a factor of 1.3 at most. The
#   loss of disparity is a thousand times the others; the rate term stays under 1 % of the loss.
set -euo pipefail
exec "$(dirname "$0")/paper.sh" "${1:-}" \
    -S balance.method=adam-epoch -S balance.learning_rate=0.001 -S balance.initial_weight=1.0 \
    -S train.noise=fixed -S train.noise_amplitude=0.002 -S train.precision=float32 "${@:2}"
