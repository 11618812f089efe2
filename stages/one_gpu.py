"""Run a whole grid of trainings on one machine that has torch and little else.

No DVC, no MLflow, no network: experiments/one_gpu.sh says what it needs and how to read its result.
Its folder holds `work/`, which stays on the machine, and `results/`, a folder for each weight of
the rate loss that `python -m stages.report --from` reads elsewhere. A run that was stopped goes on
when the same command is given again.
"""

import argparse
import math
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import chdir
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.artifacts import (
    FRAMES_FILE,
    SPLITS,
    STREETS_FOLDER,
    prepared_folder,
    read_json,
)
from pipeline.data.batches import Batches
from pipeline.data.cityscapes import find
from pipeline.data.frames import FramesError, open_frames
from pipeline.data.prepare import belongs, prepare_split
from pipeline.data.streets import write_streets
from pipeline.files import write_json
from pipeline.nets.decoder import DECODERS
from pipeline.nets.encoder import ENCODERS
from pipeline.shards import digest
from pipeline.training.device import open_runtime
from stages.budget import SHARE, choose_epochs, expected, rehearse
from stages.grid_jobs import PLAN, RESULTS, WORK, Job, all_jobs, pack, settings_of
from stages.kept import note_frames
from stages.node import (
    GridError,
    Node,
    Settings,
    as_params,
    measure,
    points_of,
    read_settings,
    train,
)
from stages.recipe import precision


def main() -> None:
    """Run the grid that the command line asks for, from where it was stopped."""
    begun = time.monotonic()
    asked = arguments()
    settings = read_settings(asked.settings, asked.set)
    asked_weights = asked.weights or [str(settings["loss.weight"])]
    weights = list(dict.fromkeys(map(read_weight, asked_weights)))
    if settings["data.root"] != str(STREETS_FOLDER):
        settings["data.root"] = str(Path(settings["data.root"]).resolve())
    check(settings)
    asked.folder.mkdir(parents=True, exist_ok=True)
    with chdir(asked.folder):
        claim({**settings, "weights": weights})
        grid(settings, weights, asked.minutes, begun)


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where everything is written")
    parser.add_argument("--settings", type=Path, required=True, help="a TOML file")
    parser.add_argument("--minutes", type=float, help="train as many epochs as fit in this time")
    parser.add_argument("--weights", nargs="+", default=[], help="weights of the rate loss to try")
    parser.add_argument("-S", dest="set", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


def read_weight(text: str) -> Any:
    """Return a weight of the rate loss: a number above 0, or `learned`."""
    try:
        weight = text if text == "learned" else float(text)
    except ValueError:
        weight = 0.0
    if weight != "learned" and not 0 < float(weight) < math.inf:
        raise GridError(f"--weights has {text!r}; allowed: numbers above 0, and learned")
    return weight


def check(settings: Settings) -> None:
    """Raise GridError for what would be found out late otherwise."""
    for key, known in (("encoders", ENCODERS), ("tasks", DECODERS)):
        if strange := [x for x in settings[key] if x not in known]:
            raise GridError(f"{key} names {strange[0]!r}; allowed: {', '.join(known)}")
    for encoder in settings["encoders"]:
        for key in ("data.width", "data.height"):
            if settings[key] % ENCODERS[encoder].stride:
                raise GridError(
                    f"{key} is {settings[key]}; allowed for {encoder}: a multiple of "
                    f"{ENCODERS[encoder].stride}"
                )
    points_of(settings)


def claim(settings: Settings) -> None:
    """Let the folder be of these settings; raise GridError if it is of others."""
    path = Path("settings.json")
    if not path.is_file():
        write_json(path, settings)
    for key, value in read_json(path).items():
        if settings.get(key) != value:
            raise GridError(
                f"{Path.cwd()} was begun with {key} = {value}, not {settings.get(key)}; go on with "
                "its own settings or choose another folder"
            )


def grid(
    settings: dict[str, Any], weights: Sequence[Any], budget: float | None, begun: float
) -> None:
    """Prepare the frames, then train and measure one model after the other."""
    WORK.mkdir(exist_ok=True)
    # What a run that was killed left half done.
    for pattern in ("data/.streets.*", "data/prepared/.*", ".rehearsal-*"):
        for left in WORK.glob(pattern):
            shutil.rmtree(left)
    with chdir(WORK):
        prepare(settings)
    params = as_params(settings)
    asked = params.train
    with (
        open_runtime(asked.device, precision(params), asked.compile) as training,
        open_runtime(asked.device, "float32", "off") as exact,
    ):
        batches = {
            split: Batches(open_frames(WORK / prepared_folder(split)), device=training.device)
            for split in SPLITS
        }
        files = [x for split in SPLITS for x in (WORK / prepared_folder(split)).iterdir()]
        checkpoints = (WORK / "checkpoints").resolve()
        node = Node(
            **batches,
            training=training,
            exact=exact,
            data=digest({}, files),
            checkpoints=checkpoints,
        )
        jobs = all_jobs(settings, weights)
        settings["train.epochs"] = plan(node, jobs, settings, budget, begun)
        for number, job in enumerate(jobs):
            print(f"[{number + 1}/{len(jobs)}] {job.folder} {job.name}", flush=True)
            run_job(node, job, settings)
            if number + 1 == len(jobs) or jobs[number + 1].name.seed != job.name.seed:
                pack(settings, weights, until=job.name.seed)
    size = sum(x.stat().st_size for x in RESULTS.rglob("*") if x.is_file()) / 1e6
    minutes = (time.monotonic() - begun) / 60
    print(f"{RESULTS.resolve()}: {size:.1f} MB after {minutes:.1f} minutes")


def prepare(settings: Settings) -> None:
    """Draw the built-in streets if they are asked for, and prepare the frames, once."""
    root = Path(settings["data.root"])
    if root == STREETS_FOLDER and not root.exists():
        keys = ("seed", "train", "val", "width", "height")
        write_streets(root, **{key: settings[f"streets.{key}"] for key in keys})
    disparity = "disparity" in settings["tasks"]
    tuning = frozenset(settings["data.tuning_cities"] if settings["data.tuning"] else ())
    for split in SPLITS:
        folder = prepared_folder(split)
        try:
            open_frames(folder)
            continue
        except FramesError:
            pass
        if tuning and not tuning < {x.city for x in find(root, "train", disparity=disparity)}:
            raise GridError("data.tuning_cities: allowed: some of the training cities, not all")
        prepare_split(
            root,
            "train" if tuning else split,
            folder,
            width=settings["data.width"],
            height=settings["data.height"],
            disparity=disparity,
            cities=partial(belongs, tuning, split),
        )
    if not FRAMES_FILE.is_file():
        note_frames(settings["tasks"])


def plan(
    node: Node, jobs: Sequence[Job], settings: Settings, minutes: float | None, begun: float
) -> int:
    """Return the number of epochs of every model; it is written down, and kept by a resumed run."""
    if PLAN.is_file():
        return int(read_json(PLAN)["epochs"])
    epochs, said = settings["train.epochs"], {}
    if minutes is not None:
        kinds = {(x.name.encoder, x.name.arm): x for x in reversed(jobs)}
        with chdir(WORK):
            timings = {
                k: rehearse(node, x.name, settings_of(x, settings)) for k, x in kinds.items()
            }
        of_jobs = [timings[x.name.encoder, x.name.arm] for x in jobs]
        left = minutes * 60 - (time.monotonic() - begun)
        sizes = {
            "steps": len(node.train) // settings["train.batch"],
            "validate_every": settings["train.validate_every"],
        }
        epochs = choose_epochs(of_jobs, SHARE * left, **sizes, most=epochs)
        seconds = expected(of_jobs, epochs, **sizes)
        said = {
            "minutes": minutes,
            "seconds_left": left,
            "seconds_expected": seconds,
            "timings": {"-".join(k): x._asdict() for k, x in timings.items()},
        }
        print(
            f"{epochs} epochs for each of {len(jobs)} models: {seconds:.0f} s of {left:.0f} s left"
        )
        if seconds > left:
            print("The time is too short for one epoch of each model; one is trained all the same.")
    write_json(PLAN, {"epochs": epochs, **said, "runtime": node.training.described()})
    return epochs


def run_job(node: Node, job: Job, settings: Settings) -> None:
    """Train and measure one model in its folder, beside the frames that all share."""
    folder = WORK / job.folder
    folder.mkdir(exist_ok=True)
    if not (folder / "data").exists():
        (folder / "data").symlink_to(Path("..") / "data")
    with chdir(folder):
        train(node, job.name, settings_of(job, settings))
        measure(node, job.name, settings_of(job, settings))


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        # A mistake that can be put right needs no traceback; a fault of the program does.
        known = type(error).__module__.startswith(("pipeline.", "stages."))
        if not (known or isinstance(error, OSError)):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
