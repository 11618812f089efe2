"""Batches of prepared frames: values, order, and where they lie."""

import numpy as np
import pytest
import torch

from pipeline.data.batches import Batch, Batches, mapped_anew
from pipeline.data.frames import Frames, disparity_px, open_frames
from pipeline.data.prepare import prepare_split
from tests.support.synthetic_release import write_release

SIZE = {"width": 13, "height": 7}


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    root = tmp_path_factory.mktemp("release")
    write_release(root)
    prepare_split(root, "val", root / "out", **SIZE, disparity=True)
    return open_frames(root / "out")


def assert_batch_holds(batch: Batch, frames: Frames, indices: list[int]) -> None:
    image_B3HW, label_BHW, disparity_BHW = batch
    expected_BHW3 = frames.image_NHW3[indices].astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(image_B3HW.permute(0, 2, 3, 1).cpu(), expected_BHW3)
    assert image_B3HW.dtype == torch.float32
    assert image_B3HW.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(label_BHW.cpu(), frames.label_NHW[indices])
    assert label_BHW.dtype == torch.int64
    assert frames.disparity_NHW is not None
    assert frames.disparity_NHW.max() >= 2**15  # where a signed pattern would go wrong
    assert disparity_BHW is not None
    assert disparity_BHW.dtype == torch.float32
    np.testing.assert_array_equal(
        disparity_BHW.cpu(), disparity_px(np.asarray(frames.disparity_NHW[indices]))
    )


@pytest.mark.parametrize("resident", [False, True])
@pytest.mark.parametrize("indices", [[0, 1, 2], [2, 0], [1, 1, 1, 0], []])
def test_values(frames: Frames, resident: bool, indices: list[int]) -> None:
    batches = Batches(frames, device="cpu", resident=resident)
    assert len(batches) == 3
    index_B = np.array(indices, np.int64)
    assert_batch_holds(batches.take(index_B), frames, indices)
    assert_batch_holds(batches.take(torch.from_numpy(index_B)), frames, indices)


@pytest.mark.parametrize("resident", [False, True])
def test_an_order_of_batches(frames: Frames, resident: bool) -> None:
    order = torch.tensor([[2, 0], [1, 2], [0, 1]])
    batches = list(Batches(frames, device="cpu", resident=resident).over(list(order)))
    assert len(batches) == 3
    for batch, indices in zip(batches, order, strict=True):
        assert_batch_holds(batch, frames, indices.tolist())


@pytest.mark.parametrize("resident", [False, True])
def test_an_index_beyond_the_frames(frames: Frames, resident: bool) -> None:
    with pytest.raises(IndexError):
        Batches(frames, device="cpu", resident=resident).take(np.array([0, 3]))


@pytest.mark.parametrize("resident", [False, True])
def test_without_disparity(frames: Frames, resident: bool) -> None:
    bare = Frames(frames.names, frames.image_NHW3, frames.label_NHW, None)
    batch = Batches(bare, device="cpu", resident=resident).take(np.array([1]))
    assert batch.disparity_BHW is None
    assert batch.label_BHW.shape == (1, 7, 13)


def test_the_memory_map_serves_on_the_cpu(frames: Frames) -> None:
    assert not Batches(frames, device="cpu").resident


def test_a_mapping_of_its_own_is_of_whole_files_alone(frames: Frames) -> None:
    whole = frames.image_NHW3
    again = mapped_anew(whole)
    assert again is not whole
    assert isinstance(again, np.memmap)
    np.testing.assert_array_equal(again, whole)
    some = (whole[1:], whole[2:], whole[::2], whole[[0, 2]], whole[:, 1:], whole.T, whole.copy())
    for array in (*some, np.array(whole)):
        assert mapped_anew(array) is array
    # Some frames of a set are batches too.
    two = Frames(frames.names[:2], whole[:2].copy(), frames.label_NHW[:2], None)
    expected = whole[1].astype(np.float32) / 255
    found = Batches(two, device="cpu").take(np.array([1])).image_B3HW[0].permute(1, 2, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("resident", [False, True, None])
def test_on_a_gpu(frames: Frames, resident: bool | None) -> None:
    batches = Batches(frames, device="cuda", resident=resident)
    assert batches.resident == (resident is not False)
    order = torch.tensor([[2, 0], [1, 2], [0, 1]] * 20)
    for indices, batch in zip(order, batches.over(list(order)), strict=True):
        assert batch.image_B3HW.is_cuda
        assert_batch_holds(batch, frames, indices.tolist())
    assert_batch_holds(batches.take(order[0]), frames, [2, 0])
    assert_batch_holds(batches.take(order[0].cuda()), frames, [2, 0])
