"""Train, export, encode and evaluate all models that are out of date, many at a time."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import submitit
import typer

from pipeline.artifacts import ARMS
from pipeline.artifacts import LOCK_FILE, ModelName
from pipeline.fleet.alone import FleetError, alone, end_slurm_jobs
from pipeline.fleet.clone import changed, dvc, freeze
from pipeline.fleet.jobs import Slot, run_all
from pipeline.fleet.lock import take_over
from pipeline.fleet.progress import Progress
from pipeline.fleet.work import Work, end_marked, frozen, lock_file, log_file
from pipeline.params import Params, ParamsError
from pipeline.tracking import face as tracking
from stages.settings import load, run

MINUTES = {"slurm": 240, "local": 525_600}
"""How long a job may take. It goes on in a new one after that."""


def main(
    workers: Annotated[int, typer.Option(min=0, help="models at a time; 0: one per GPU")] = 0,
    executor: Annotated[
        Literal["auto", "local", "slurm"],
        typer.Option(help="auto: Slurm if this machine has it, else processes here"),
    ] = "auto",
    slurm: Annotated[
        list[str],
        typer.Option(help="a setting for Slurm as submitit names it, such as partition=gpu"),
    ] = [],  # noqa: B006
) -> None:
    """Bring all models up to date, many at a time, and then the report."""
    params = load()
    if params.train.launcher != "python":
        raise ParamsError(
            f"train.launcher is {params.train.launcher!r}; allowed in a fleet: python, since each "
            "training has one GPU there"
        )
    head = Path.cwd()
    folder = head / ".dvc" / "tmp" / "fleet"
    with alone(folder) as job_id, sigterm_as_exit():
        end_slurm_jobs(folder / "jobs")
        end_marked(job_id)
        close_runs(params, job_id)
        dvc("repro", "prepare", cwd=head)
        models = out_of_date(params, head)
        if models:
            freeze(head, frozen(folder))
            submit = make_executor(executor, folder, params, slurm)
            failed = run_fleet(models, params, folder, job_id, submit, workers)
            take(models, failed, head, folder)
        dvc("repro", cwd=head)


def run_fleet(
    models: Mapping[str, tuple[str, ...]],
    params: Params,
    folder: Path,
    job_id: str,
    executor: submitit.AutoExecutor,
    workers: int,
) -> list[str]:
    """Run the stages of the models and return the names of those that failed."""

    def work_of(model: str, slot: Slot) -> Work:
        return Work(model, models[model], folder, f"{job_id}{model}/", dict(slot))

    def on_end(model: str) -> None:
        end_marked(f"{job_id}{model}/")
        close_runs(params, f"{job_id}{model}/")

    slots = (
        [{}] * (workers or len(models))
        if executor.cluster == "slurm"
        else local_slots(workers, gpus() if uses_gpu(params) else [])
    )
    progress = Progress(len(models), folder)
    progress.say(f"{len(models)} models, {min(len(slots), len(models))} at a time")
    return run_all(
        list(models),
        work_of=work_of,
        executor=executor,
        slots=slots,
        on_end=on_end,
        progress=progress,
    )


def out_of_date(params: Params, head: Path) -> dict[str, tuple[str, ...]]:
    """Return the stages, in their order, of each model of which one has to be run."""
    status = json.loads(dvc("status", "--json", cwd=head, output=subprocess.PIPE))
    names = [ModelName(e, a, s) for e in params.encoders for s in params.seeds for a in ARMS]
    return {
        str(name): stages
        for name in names
        if not status.keys().isdisjoint(stages := stages_of(name))
    }


def stages_of(name: ModelName) -> tuple[str, ...]:
    """Return the stages of dvc.yaml that make one model and nothing else."""
    train = f"train_{name.arm}@{name.encoder}-{name.seed}"
    return (train, *(f"{stage}@{name}" for stage in ("export", "encode", "evaluate")))


def make_executor(
    kind: str, folder: Path, params: Params, slurm: Sequence[str]
) -> submitit.AutoExecutor:
    """Return what starts jobs, as processes here or through Slurm.

    Raises FleetError for a setting that submitit does not know.
    """
    jobs, logs, locks = (folder / name for name in ("jobs", "logs", "locks"))
    for path in (jobs, logs, locks):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
    try:
        executor = submitit.AutoExecutor(jobs, cluster=None if kind == "auto" else kind)
        settings: dict[str, Any] = {"timeout_min": MINUTES[executor.cluster], "name": "fleet"}
        if executor.cluster == "slurm":
            settings |= slurm_settings(slurm) | {"gpus_per_node": int(uses_gpu(params))}
        executor.update_parameters(**settings)
    except (KeyError, NameError, RuntimeError, ValueError) as error:
        raise FleetError(f"jobs cannot be started with {kind!r} {list(slurm)}: {error}") from error
    return executor


def slurm_settings(slurm: Sequence[str]) -> dict[str, Any]:
    """Return `partition=gpu` and its like as submitit wants them; `time` is in minutes."""
    settings: dict[str, Any] = {}
    for setting in slurm:
        key, given, value = setting.partition("=")
        if not given:
            raise FleetError(f"--slurm has {setting!r}; allowed: key=value, such as partition=gpu")
        settings[f"slurm_{key.replace('-', '_')}"] = int(value) if value.isdigit() else value
    cpus = settings.get("slurm_cpus_per_task")
    # Slurm's srun does not take this over from the job around it.
    return settings | ({"slurm_srun_args": [f"--cpus-per-task={cpus}"]} if cpus else {})


def uses_gpu(params: Params) -> bool:
    """Return whether trainings want a GPU if there is one."""
    return params.train.device != "cpu"


def gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    count = torch.cuda.device_count()
    return named[:count] if any(named) else [str(i) for i in range(count)]


def local_slots(workers: int, gpus: Sequence[str]) -> list[dict[str, str]]:
    """Return the variables of each worker: its GPU, its share of the cores."""
    workers = workers or len(gpus) or 1
    threads = os.environ.get("OMP_NUM_THREADS") or str(
        max(1, len(os.sched_getaffinity(0)) // workers)
    )
    return [
        {"OMP_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)] if gpus else ""}
        for i in range(workers)
    ]


def take(
    models: Mapping[str, tuple[str, ...]], failed: Sequence[str], head: Path, folder: Path
) -> None:
    """Take what the copies have made over into the head, as far as it is there.

    Raises FleetError if a model has failed, or if the head is not what the copies were made of.
    """
    if edited := changed(head, frozen(folder)):
        raise FleetError(
            f"{', '.join(edited)} changed while the fleet ran; its models are those of the files "
            "before. Undo the change, or start the fleet again to train what the change reaches"
        )
    done = [model for model in models if model not in failed]
    take_over(head / LOCK_FILE, [(lock_file(folder, model), models[model]) for model in done])
    # What this cannot restore, `dvc repro` restores or makes.
    with suppress(FleetError):
        dvc("checkout", "--allow-missing", "--quiet", cwd=head)
    if failed:
        logs = ", ".join(str(log_file(folder, model).relative_to(head)) for model in failed)
        raise FleetError(
            f"{len(failed)} of {len(models)} models have failed; see the end of {logs}. Once the "
            "cause is gone, start the fleet again: the other models are done"
        )


def close_runs(params: Params, job: str) -> None:
    """Close the MLflow runs of jobs that are no more."""
    if params.tracking.enabled:
        tracking.close_left(params.tracking.experiment, job)


@contextmanager
def sigterm_as_exit() -> Iterator[None]:
    """Let SIGTERM end the jobs too, as Ctrl-C does."""

    def stop(*_: object) -> NoReturn:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    run(main)
