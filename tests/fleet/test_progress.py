"""Where a job is, read from what DVC and the training write."""

import pytest

from pipeline.fleet.progress import position

TRAIN = "Running stage 'train_proposed@encoder2-0':\n> python -m stages.train\n"
EPOCH = "epoch 5/10: loss/total 3.1\n"


@pytest.mark.parametrize(
    ("log", "where", "share"),
    [
        ("", "begins", 0.0),
        ("A       data/prepared\n", "begins", 0.0),
        (TRAIN, "train", 0.0),
        (TRAIN + "epoch 4/10: x\n" + EPOCH, "train 5/10", 0.45),
        (TRAIN + EPOCH + "Running stage 'export@encoder2-proposed-0':\n", "export", 0.9),
        ("Stage 'train_proposed@encoder2-0' is cached - skipping run\n", "train", 0.0),
        # An attempt that was killed, then the next.
        (TRAIN + EPOCH + TRAIN, "train", 0.0),
        (TRAIN + EPOCH + TRAIN + "epoch 6/10: x\n", "train 6/10", 0.54),
    ],
)
def test_position(log: str, where: str, share: float) -> None:
    assert position(log) == (where, pytest.approx(share))
