"""The cloud: bitstream -> features -> predictions -> sums."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline.artifacts import Sums
from pipeline.coding.bitstream import BitstreamError, decode_features
from pipeline.coding.fitted import Fitted
from pipeline.inference.edge import BATCH
from pipeline.inference.pictures import PICTURES
from pipeline.nets.split import SplitNet
from pipeline.scoring.sums import collect, sums_of
from pipeline.source import Source, in_order


class Served(NamedTuple):
    """What the cloud makes of the features of N frames."""

    sums: Mapping[str, Sums]
    """task -> its sums over the N images."""
    pictures: dict[str, np.ndarray]
    """task -> its predictions of the first frames as pictures, K x H x W x 3, uint8."""


def decode(
    streams: Sequence[bytes],
    shape_Chw: tuple[int, ...],
    device: torch.device,
    fitted: Fitted | None = None,
) -> Iterator[Tensor]:
    """Yield the features B x C x h x w of the bitstreams, float32, `BATCH` at a time.

    fitted: what the edge coded them with, at a fitted point. The next batch is decoded while this
    one is used. Raises BitstreamError, naming the bitstream
    by its place, for one that is damaged or holds features of another shape.
    """

    def decoded(index: int) -> np.ndarray:
        try:
            features_Chw = decode_features(streams[index], fitted)
        except BitstreamError as error:
            raise BitstreamError(f"bitstream {index}: {error}") from error
        if features_Chw.shape != shape_Chw:
            raise BitstreamError(
                f"bitstream {index} holds features of shape {features_Chw.shape}; the "
                f"model's have {shape_Chw}"
            )
        return features_Chw

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        ahead: list[Future[np.ndarray]] = []
        for indices in [*in_order(len(streams), BATCH), np.arange(0)]:
            waiting, ahead = ahead, [threads.submit(decoded, i) for i in indices]
            if waiting:
                yield torch.from_numpy(np.stack([x.result() for x in waiting])).to(device)


def serve(net: SplitNet, batches: Source, features: Iterable[Tensor], *, shown: int = 0) -> Served:
    """Run the back of the net on the features of all frames, in order, and add up its errors.

    features: batches of `BATCH` frames each, as `decode` and `pipeline.inference.edge.features`
    give them. shown: how many of the first frames are kept as pictures.
    """
    pictures: dict[str, list[np.ndarray]] = {}

    def served() -> Iterator[dict[str, dict[str, Tensor]]]:
        left = shown
        pairs = zip(batches.over(in_order(len(batches), BATCH)), features, strict=True)
        for batch, features_BChw in pairs:
            predictions = net.back(features_BChw)
            if left > 0:
                for task, prediction in predictions.items():
                    seen_B3HW = PICTURES[task].of_prediction(prediction[:left])
                    pictures.setdefault(task, []).append(seen_B3HW)
                left -= len(features_BChw)
            yield sums_of(predictions, batch)

    with torch.no_grad():
        sums = collect(served(), len(batches))
    return Served(sums, {task: np.concatenate(parts) for task, parts in pictures.items()})
