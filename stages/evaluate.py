"""Decode the bitstreams, run the cloud half on them, and keep the sums every score is made of."""

import io
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from pipeline.arms import ARM_COLORS, ARMS
from pipeline.artifacts import (
    ArtifactError,
    Evaluation,
    Examples,
    ModelName,
    evaluation_folder,
    model_folder,
    prepared_folder,
    read_json,
    read_streams,
    streams_file,
    write_evaluation,
    write_examples,
)
from pipeline.coding.bitstream import BitstreamError, decode_features, read_header
from pipeline.data.batches import Batches
from pipeline.data.frames import open_frames
from pipeline.data.labels import CLASSES
from pipeline.files import write_json
from pipeline.nets.encoder import ENCODERS
from pipeline.nets.split import SplitNet
from pipeline.params import Params
from pipeline.scoring.metrics import SCORES, bits_per_element, iou_per_class
from pipeline.scoring.sums import SUMS
from pipeline.tracking import start as tracking
from pipeline.tracking.views import RUN_COLOR
from pipeline.training.device import open_runtime
from stages.models import open_model
from stages.settings import load, run

# On a CPU larger batches leave its caches, on a GPU smaller ones leave it idle.
BATCH = 8
Sums = dict[str, dict[str, np.ndarray]]


def main(encoder: str, arm: str, seed: int) -> None:
    """Evaluate one model at every codec point."""
    params = load()
    name = ModelName(encoder, arm, seed)
    evaluation, examples = evaluate(name, params)
    folder = evaluation_folder(name)
    write_evaluation(folder / "sums.safetensors", evaluation)
    write_examples(folder / "examples.safetensors", examples)
    figures = {codec: figures_at(evaluation, codec) for codec in params.codecs}
    train_run = read_json(model_folder(name) / "run.json")["run_id"]
    with tracking.start(
        enabled=params.tracking.enabled,
        experiment=params.tracking.experiment,
        name=f"evaluate {name}",
        params={
            **name._asdict(),
            "scale": f"{params.data.width}x{params.data.height}",
            "quantizer.bits": params.quantizer.bits,
            "codecs": params.codecs,
        },
        tags={
            "stage": "evaluate",
            "encoder": encoder,
            "arm": arm,
            "seed": str(seed),
            RUN_COLOR: ARM_COLORS[arm],
        },
        parent=train_run,
    ) as tracked:
        # Under the bare names a chart of a score over bpfe draws the curve. The last step is what
        # the runs table shows: the first codec, as in the metrics file.
        for step, values in enumerate(reversed(figures.values())):
            tracked.log(values, step=step)
        # Under the codec's name each point is a column of the runs table.
        for codec, values in figures.items():
            tracked.log({f"{codec}/{key}": value for key, value in values.items()})
        confusion = evaluation.sums[params.codecs[0]].get("segmentation")
        if confusion:
            iou_K = iou_per_class(confusion)
            seen = {c: x for c, x in zip(CLASSES, iou_K.tolist(), strict=True) if np.isfinite(x)}
            tracked.log({f"iou/{c}": x for c, x in seen.items()})
        digest = tracking.data_md5(Path("dvc.lock"), "prepare")
        if digest:
            source = params.data.root
            tracked.dataset(Path(source).name, digest=digest, source=source, context="evaluation")
        tracked.table(image_table(evaluation), "images")
        tracked.file(folder / "sums.safetensors")
        write_json(folder / "run.json", {"run_id": tracked.id})
    first = figures[params.codecs[0]].items()
    print(f"{name} {params.codecs[0]}: " + ", ".join(f"{k} {v:.4g}" for k, v in first))


def evaluate(name: ModelName, params: Params) -> tuple[Evaluation, Examples]:
    """Per-image sums at every codec point, and the predictions of the first frames."""
    net = open_model(name, params)
    frames = open_frames(prepared_folder("val"))
    spec, (_, height, width, _) = ENCODERS[name.encoder], frames.image_NHW3.shape
    shape_Chw = (spec.channels, height // spec.stride, width // spec.stride)
    sums: dict[str, Sums] = {}
    picture_sums: dict[str, Sums] = {}
    picture_bytes: dict[str, np.ndarray] = {}
    header: dict[str, np.ndarray] = {}
    payload: dict[str, np.ndarray] = {}
    examples: Examples = {}
    with open_runtime(params.train.device, "float32", "off") as runtime, torch.no_grad():
        # The memory layout that convolutions are fastest in.
        net.to(runtime.device).to(memory_format=torch.channels_last)
        batches = Batches(frames, device=runtime.device)
        for codec in params.codecs:
            path = streams_file(name, codec)
            streams, names = read_streams(path)
            if names != frames.names:
                raise ArtifactError(f"{path} is of other frames than {prepared_folder('val')}")
            header[codec] = headers(streams, path, codec)
            payload[codec] = np.array([len(x) for x in streams], np.int64) - header[codec]
            features = decoded(streams, path, shape_Chw, runtime.device)
            sums[codec], examples[codec] = score(net, batches, features, params.report.examples)
        fronts = (net.front(batch.image_B3HW) for batch in batches.over(batch_order(batches)))
        uncompressed, _ = score(net, batches, fronts, 0)
        # The alternative to a trained split is a network that was trained without the rate term.
        for quality in params.report.picture_qualities if name.arm == ARMS[0] else ():
            coded = [jpeg(image_HW3, quality) for image_HW3 in frames.image_NHW3]
            picture_bytes[str(quality)] = np.array([len(data) for data in coded], np.int64)
            features = whole_network(net, coded, runtime.device)
            picture_sums[str(quality)], _ = score(net, batches, features, 0)
    elements = math.prod(shape_Chw)
    references = (uncompressed, picture_sums, picture_bytes)
    return Evaluation(sums, header, payload, elements, frames.names, *references), examples


def batch_order(batches: Batches) -> list[np.ndarray]:
    """The indices of all frames in order, batch by batch."""
    return [np.arange(i, min(i + BATCH, len(batches))) for i in range(0, len(batches), BATCH)]


def jpeg(image_HW3: np.ndarray, quality: int) -> bytes:
    """The input picture as it would be sent if the whole network ran in the cloud."""
    buffer = io.BytesIO()
    Image.fromarray(image_HW3).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def whole_network(net: SplitNet, coded: Sequence[bytes], device: torch.device) -> Iterator[Tensor]:
    """Features of coded pictures, batch by batch."""
    for start in range(0, len(coded), BATCH):
        images = [np.array(Image.open(io.BytesIO(x))) for x in coded[start : start + BATCH]]
        image_BHW3 = torch.from_numpy(np.stack(images)).to(device)
        yield net.front(image_BHW3.permute(0, 3, 1, 2).float() / 255)


def headers(streams: Sequence[bytes], path: Path, codec: str) -> np.ndarray:
    """Bytes of each bitstream that are header; each must be of the codec the file is named for."""
    try:
        found = [read_header(x) for x in streams]
    except BitstreamError as error:
        raise ArtifactError(f"{path}: {error}; run `dvc repro` to make it again") from error
    for index, header in enumerate(found):
        if header.codec != codec:
            raise ArtifactError(
                f"{path}, bitstream {index}: coded by {header.codec}, not {codec}; run `dvc repro` "
                "to make it again"
            )
    return np.array([header.size for header in found], np.int64)


def decoded(
    streams: Sequence[bytes], path: Path, shape_Chw: tuple[int, ...], device: torch.device
) -> Iterator[Tensor]:
    """Features B x C x h x w, batch by batch; the next batch is decoded while this one is used."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:

        def submit(start: int) -> list:
            return [threads.submit(decode_features, x) for x in streams[start : start + BATCH]]

        coming = submit(0)
        for start in range(0, len(streams), BATCH):
            waiting, coming = coming, submit(start + BATCH)
            found = []
            for index, future in enumerate(waiting, start):
                try:
                    found.append(future.result())
                except BitstreamError as error:
                    raise ArtifactError(f"{path}, bitstream {index}: {error}") from error
            features_BChw = np.stack(found)
            if features_BChw.shape[1:] != shape_Chw:
                raise ArtifactError(
                    f"{path} holds features of shape {features_BChw.shape[1:]}, this model's are "
                    f"{shape_Chw}: run `dvc repro` to make it again"
                )
            yield torch.from_numpy(features_BChw).to(device)


def score(
    net: SplitNet, batches: Batches, features: Iterator[Tensor], shown: int
) -> tuple[Sums, dict[str, np.ndarray]]:
    """Sums per task over all frames, and the predictions of the first `shown` as pictures."""
    parts: dict[str, dict[str, list[np.ndarray]]] = {}
    pictures: dict[str, list[np.ndarray]] = {}
    for batch, features_BChw in zip(batches.over(batch_order(batches)), features, strict=True):
        for task, prediction in net.back(features_BChw).items():
            for key, value in SUMS[task](prediction, batch).items():
                parts.setdefault(task, {}).setdefault(key, []).append(value.cpu().numpy())
            left = shown - sum(map(len, pictures.get(task, [])))
            if left > 0:
                pictures.setdefault(task, []).append(
                    PICTURES[task](prediction[:left].cpu()).numpy()
                )
    sums = {task: {k: np.concatenate(v) for k, v in x.items()} for task, x in parts.items()}
    return sums, {task: np.concatenate(x) for task, x in pictures.items()}


PICTURES = {
    "segmentation": lambda x_BKHW: x_BKHW.argmax(1).to(torch.uint8),
    "disparity": lambda x_B1HW: x_B1HW[:, 0].clamp(min=0).half(),
    "reconstruction": lambda x_B3HW: (x_B3HW.clamp(0, 1) * 255).round().to(torch.uint8),
}
"""Task -> a prediction as it is kept for figures: train ids, pixels, RGB (channels first)."""


def figures_at(evaluation: Evaluation, codec: str) -> dict[str, float]:
    """Rates and scores of one codec point by name."""
    header_N, payload_N = evaluation.header_bytes[codec], evaluation.payload_bytes[codec]
    rates = {
        "bpfe": bits_per_element(header_N + payload_N, elements=evaluation.elements),
        "bpfe_payload": bits_per_element(payload_N, elements=evaluation.elements),
    }
    scores = {
        SCORES[task].name: SCORES[task].compute(sums)
        for task, sums in evaluation.sums[codec].items()
    }
    return rates | scores


def image_table(evaluation: Evaluation) -> pd.DataFrame:
    """One row per image and codec: bytes, bits per feature element, the scores of the one image.

    A score that an image does not have (no valid disparity, no error at all) is left empty.
    """
    tables = []
    for codec, sums_of in evaluation.sums.items():
        header_N, payload_N = evaluation.header_bytes[codec], evaluation.payload_bytes[codec]
        columns: dict[str, object] = {
            "image": evaluation.names,
            "codec": codec,
            "bytes": header_N + payload_N,
            "bpfe": 8.0 / evaluation.elements * (header_N + payload_N),
        }
        one_each_NN = np.eye(len(evaluation.names))
        for task, sums in sums_of.items():
            score_N = SCORES[task].resampled(sums, one_each_NN)
            columns[SCORES[task].name] = np.where(np.isfinite(score_N), score_N, np.nan)
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


if __name__ == "__main__":
    run(main)
