"""What a reader must know before any number: the data, the training, the versions."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version

LIBRARIES = ("numpy", "pandas", "scipy", "bjontegaard", "pillow", "matplotlib", "plotly", "dvc")


def facts(
    *,
    data: str,
    size: tuple[int, int],
    trained: int,
    tested: int,
    tuning: bool,
    epochs: int,
    batch: int,
    weights: str,
    seeds: Sequence[int],
    bits: int,
    classes: int | None,
) -> dict[str, str]:
    """Return the head of the page, name by name.

    size: width and height of the frames in pixels. trained, tested: numbers of frames. tuning:
    whether those to test on are of training cities. bits: of the quantiser. classes: of the
    truth of the frames to test on, over which mIoU is a mean; None if it is not measured.
    """
    of = "of the tuning cities " if tuning else ""
    found = {
        "Data": f"{data}, {size[0]} × {size[1]}",
        "Frames": f"{trained:,} to train on, {tested:,} {of}to test on",
        "Training": f"{epochs} epoch{'s' * (epochs != 1)} of batch {batch}",
        "Encoder weights": weights,
        "Seeds": ", ".join(map(str, seeds)),
        "Quantiser": f"{bits} bits",
    }
    if classes is not None:
        found["mIoU"] = f"mean over {classes} classes"
    return found


def versions(
    training: Mapping[str, str], coders: Iterable[str], lineage: Mapping[str, str]
) -> dict[str, str]:
    """Return the versions of the code and the libraries.

    training: those that a model noted when it was trained. coders: programs that coded features,
    with their versions. lineage: tags of the run.
    """
    commit = lineage.get("mlflow.source.git.commit", "none")
    found = {"git commit": commit + (", changed" if lineage.get("git.dirty") == "true" else "")}
    if "dvc.experiment" in lineage:
        found["DVC experiment"] = lineage["dvc.experiment"]
    coded = {"coded by": ", ".join(sorted(coders))}
    return {**found, **training, **coded, **{library: version(library) for library in LIBRARIES}}
