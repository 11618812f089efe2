"""The models of a grid on a compute node, and the folder of results that is carried home.

For `stages.one_gpu`.
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.arms import ARMS
from pipeline.artifacts import (
    FRAMES_FILE,
    LEFT_FILE,
    ModelName,
    check_made_of,
    diagnostics_file,
    evaluation_folder,
    history_file,
    model_folder,
    read_evaluation,
    read_json,
    sums_file,
)
from pipeline.files import write_json, write_text
from stages.node import Settings, nest

RESULTS, WORK, PLAN = Path("results"), Path("work"), Path("plan.json")


class Job(NamedTuple):
    """One model of the grid."""

    name: ModelName
    folder: str
    """Under `work/`: the benchmarks have one, and the proposed models of each weight."""
    weight: Any
    """`loss.weight`; the benchmark does not know it."""


def all_jobs(settings: Settings, weights: Sequence[Any]) -> list[Job]:
    """Return the models of the grid, seed by seed, so that what is done can be compared."""
    jobs = []
    for seed in settings["seeds"]:
        for encoder in settings["encoders"]:
            benchmark, proposed = (ModelName(encoder, arm, seed) for arm in ARMS)
            jobs.append(Job(benchmark, ARMS[0], weights[0]))
            jobs += [Job(proposed, folder_of(weight), weight) for weight in weights]
    return jobs


def folder_of(weight: Any) -> str:
    """Return the folder of what depends on a weight."""
    return f"weight-{weight}"


def settings_of(job: Job, settings: Settings) -> dict[str, Any]:
    """Return the settings of one model."""
    return {**settings, "loss.weight": job.weight}


def pack(settings: Settings, weights: Sequence[Any], *, until: int) -> None:
    """Write the folder of results anew, with the seeds that are done: up to `until`."""
    draft = Path("results.partial")
    shutil.rmtree(draft, ignore_errors=True)
    seeds = settings["seeds"][: settings["seeds"].index(until) + 1]
    done = {**settings, "seeds": seeds}
    for weight in weights:
        folder = draft / folder_of(weight)
        left: dict[str, str] = {}
        for job in all_jobs(done, [weight]):
            with chdir(WORK / job.folder):
                made_of = read_evaluation(sums_file(job.name)).made_of
                check_made_of({sums_file(job.name): made_of})
            left |= made_of
            for path in small_files(WORK / job.folder, job.name):
                to = folder / path.relative_to(WORK / job.folder)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, to)
        write_json(folder / LEFT_FILE, left)
        write_json(folder / FRAMES_FILE, read_json(WORK / FRAMES_FILE))
        write_json(folder / PLAN, read_json(PLAN))
        # JSON is YAML, and PyYAML may not be here.
        own = nest({**done, "loss.weight": weight})
        write_text(folder / "params.yaml", json.dumps(own, indent=2) + "\n")
    shutil.rmtree(RESULTS, ignore_errors=True)
    draft.replace(RESULTS)


def small_files(folder: Path, name: ModelName) -> list[Path]:
    """Return what a report reads of a model: no weights, no features, no bitstreams."""
    model = [model_folder(name) / x for x in ("model.json", "run.json")]
    files = [folder / x for x in (*model, history_file(name), diagnostics_file(name))]
    return files + [x for x in (folder / evaluation_folder(name)).glob("[!.]*") if x.is_file()]
