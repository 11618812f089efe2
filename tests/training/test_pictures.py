"""Training on coded pictures: what the encoder sees, and that a training that goes on sees it."""

from pathlib import Path

import numpy as np
import torch

from benchmarks.made_up import noise_frames
from pipeline.coding.pictures import decode_picture, encode_picture
from pipeline.data.batches import Batches
from pipeline.training.pictures import CodedPictures

ORDER = [np.array([2, 0]), np.array([1, 3])]


def test_the_encoder_sees_the_coded_picture_and_the_losses_the_truth(tmp_path: Path) -> None:
    batches = Batches(noise_frames(tmp_path / "train", 4, width=32, height=16), device="cpu")
    coded = CodedPictures(batches, (7, 7))
    assert len(coded) == 4
    for indices, batch in zip(ORDER, coded.over(ORDER), strict=True):
        truth = batches.take(indices)
        assert all(torch.equal(a, b) for a, b in zip(batch[:3], truth, strict=True))
        for index, seen_3HW in zip(indices, batch.seen_B3HW, strict=True):
            sent = encode_picture(batches.frames.image_NHW3[index], "webp-7")
            expected = torch.from_numpy(decode_picture(sent)).permute(2, 0, 1) / 255
            torch.testing.assert_close(seen_3HW, expected)


def test_after_a_checkpoint_the_same_pictures_follow(tmp_path: Path) -> None:
    batches = Batches(noise_frames(tmp_path / "train", 4, width=32, height=16), device="cpu")
    coded = CodedPictures(batches, (1, 100))
    torch.manual_seed(0)
    course = coded.over(ORDER)
    first = next(course)
    state = torch.get_rng_state()
    second = next(course)
    torch.set_rng_state(state)
    again = next(coded.over(ORDER[1:]))
    assert torch.equal(again.seen_B3HW, second.seen_B3HW)
    torch.manual_seed(2)
    assert not torch.equal(next(coded.over(ORDER)).seen_B3HW, first.seen_B3HW)
