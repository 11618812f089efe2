"""What the report reads of the stages before it, as it needs it."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.artifacts import (
    ModelName,
    check_made_of,
    diagnostics_file,
    examples_file,
    model_description,
    read_evaluation,
    read_examples,
    read_history,
    read_rate_loss,
    sums_file,
)
from pipeline.coding.forms import RateForm
from pipeline.params import Params
from pipeline.report.found.findings import Findings
from pipeline.report.found.models import Measured
from pipeline.report.looks import Looks, Tile
from pipeline.report.text.names import codec_title
from stages.kept import levels, lossless, sent


def measured(names: Sequence[ModelName], params: Params, pixels: int) -> list[Measured]:
    """Return what the stages before have left of each model, its codecs in the order of params.

    pixels: of a frame.
    Raises ArtifactError unless models, bitstreams and frames are those that were measured.
    """
    found = {name: read_evaluation(sums_file(name)) for name in names}
    check_made_of({sums_file(name): evaluation.made_of for name, evaluation in found.items()})
    keeping = lossless(params.codecs, params.quantizer.bits)
    form = RateForm(params.loss.rate_of, params.loss.prediction, params.loss.transform)
    return [
        Measured(
            **name._asdict(),
            elements=evaluation.elements,
            pixels=pixels,
            codecs={codec: evaluation.points[codec] for codec in params.codecs},
            uncompressed=evaluation.uncompressed,
            pictures=evaluation.pictures,
            rate_loss_N=read_rate_loss(diagnostics_file(name), str(form)),
            levels=levels(name, keeping),
            trained_on=model_description(name).get("runtime", {}),
            coders=evaluation.coders,
        )
        for name, evaluation in found.items()
    ]


def looks(names: Sequence[ModelName], params: Params) -> Looks:
    """Return what there is to see of the two arms of one encoder."""
    return Looks(
        histories={name.arm: read_history(name) for name in names},
        tiles={name.arm: first_tile(name, params) for name in names},
        examples={name.arm: read_examples(examples_file(name)) for name in names},
    )


def first_tile(name: ModelName, params: Params) -> Tile:
    """Return the first frame's features as the codecs see them, and what each makes of them."""
    of = sent(name, params.codecs, params.quantizer.bits)
    ends = dict.fromkeys([params.codecs[0], params.codecs[-1]])
    sizes = ", ".join(f"{of.sizes[x]:,} bytes as {codec_title(x)}" for x in ends)
    return Tile(f"{name.arm}: {sizes}", of.tile_HW)


def classes(findings: Findings) -> int | None:
    """Return over how many classes mIoU is a mean."""
    counts = findings.points.get("miou_classes")
    return None if counts is None else int(counts.iloc[0])


def weights(params: Params) -> str:
    """Return in words what the encoders started from."""
    words = {"none": "from scratch", "imagenet": "ImageNet"}
    name = Path(params.model.file).name
    # A zero-width space, where a line may break.
    return words.get(params.model.weights) or name.replace(".", "\u200b.")
