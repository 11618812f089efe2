"""Bring all models that are out of date up to date, many at a time, and then the report.

    python -m commands.cluster --workers 4
    python -m commands.cluster --executor slurm --workers 64 --slurm partition=gpu --slurm time=240

Each model has a job of submitit (see `commands.cluster_job`). See docs/cluster.md.
"""

import json
import os
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import submitit
import typer
from filelock import FileLock, Timeout
from submitit.core.utils import FailedJobError

from commands.cluster_job import (
    FOLDER,
    ClusterError,
    Job,
    call,
    end_children,
    last_stage,
    output,
    snapshot,
)
from pipeline.params import Params, ParamsError
from stages.settings import load, models, run

MINUTES = {"slurm": 240, "local": 525_600}
"""How long a job may take. On Slurm it then goes on in the queue, 3 times at most."""
POLL_SECONDS = 1.0


def main(
    workers: Annotated[
        int, typer.Option(min=0, help="models at a time; 0: one per GPU, on Slurm all")
    ] = 0,
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
    if params.machine.launcher != "python":
        raise ParamsError(
            f"machine.launcher is {params.machine.launcher!r}; allowed in a job: python, since "
            "each training has one GPU there"
        )
    head = Path.cwd()
    (head / FOLDER).mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with FileLock(head / FOLDER / "lock", timeout=0):
            jobs = make_executor(executor, head, slurm, gpu=uses_gpu(params))
            update(params, head, jobs, workers)
    except Timeout:
        raise ClusterError(
            "another cluster command runs in this repository; wait for its end or stop it"
        ) from None


def update(params: Params, head: Path, executor: submitit.AutoExecutor, workers: int) -> None:
    """Make the data, then the models in jobs, then the report.

    Raises ClusterError if a model has failed, or if a file has changed meanwhile.
    """
    call("dvc", "repro", "prepare", "encode_pictures", cwd=head)
    names = out_of_date(params, head)
    commit = snapshot(head)
    cache = head / output("dvc", "cache", "dir", cwd=head)
    if executor.cluster == "slurm":
        slots: list[dict[str, str]] = [{}] * (workers or len(names))
    else:
        slots = local_slots(workers, gpus() if uses_gpu(params) else [])

    def submit(model: str, variables: dict[str, str]) -> submitit.Job[None]:
        return submit_quietly(executor, Job(model, head, commit, cache, variables))

    failed = run_all(names, submit, slots)
    # With files that have changed, `dvc repro` would train all models here, one by one.
    if changed := output("git", "diff", "--name-only", commit, snapshot(head), cwd=head):
        raise ClusterError(
            f"{', '.join(changed.splitlines())} changed while the jobs ran. Their results are of "
            "the files before, and are in the cache. Undo the change and run `dvc repro`, or run "
            "this command again"
        )
    done = [model for model in names if model not in failed]
    if failed:
        if done:
            call("dvc", "repro", *map(last_stage, done), cwd=head)
        logs = "".join(f"\n  {model}: {log}" for model, log in failed.items())
        raise ClusterError(
            f"{len(failed)} of {len(names)} models have failed; the other models are done. Read "
            f"the end of these logs, remove the cause and run this command again:{logs}"
        )
    call("dvc", "repro", "report", cwd=head)


def out_of_date(params: Params, head: Path) -> list[str]:
    """Return the models of which a stage has to be run."""
    stale = json.loads(output("dvc", "status", "--json", cwd=head)).keys()
    stale |= {stage.partition("@")[2] for stage in stale}
    return [
        str(name)
        for name in models(params)
        if not stale.isdisjoint(
            {f"train_{name.arm}@{name.encoder}-{name.seed}", str(name), last_stage(str(name))}
        )
    ]


def run_all(
    models: Sequence[str],
    submit: Callable[[str, dict[str, str]], submitit.Job[None]],
    slots: Sequence[dict[str, str]],
) -> dict[str, Path]:
    """Run a job for each model, one in each slot at a time; return the logs of those that failed.

    submit: starts the job of a model with the environment variables of a slot. If this function is
    interrupted, it ends the jobs.
    """
    waiting, free = deque(models), deque(slots)
    running: dict[str, tuple[submitit.Job[None], dict[str, str]]] = {}
    failed: dict[str, Path] = {}
    try:
        while waiting or running:
            while waiting and free:
                model, slot = waiting.popleft(), free.popleft()
                job = submit(model, slot)
                running[model] = job, slot
                say(f"{model}: job {job.job_id}, log {job.paths.stdout}")
            time.sleep(POLL_SECONDS)
            for model in [model for model, (job, _) in running.items() if job.done()]:
                job, slot = running.pop(model)
                free.append(slot)
                if job.exception():
                    failed[model] = job.paths.stdout
                left = len(waiting) + len(running)
                how = "has failed" if model in failed else "done"
                say(f"{model}: {how}; {left} of {len(models)} models to go")
    finally:
        for job, _ in running.values():
            job.cancel(check=False)
        end_children()
    return failed


def submit_quietly(executor: submitit.Executor, job: Job) -> submitit.Job[None]:
    """Submit a job whose processes ignore Ctrl-C, which is for this process: it ends them.

    Raises ClusterError if Slurm takes no jobs.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return executor.submit(job)
    except FailedJobError as error:
        raise ClusterError(f"Slurm does not take the job of {job.model}: {error}") from error
    finally:
        signal.signal(signal.SIGINT, before)


def say(text: str) -> None:
    """Print a line with the time of day."""
    print(f"{datetime.now():%H:%M:%S} {text}", flush=True)


def make_executor(
    kind: str, head: Path, slurm: Sequence[str], *, gpu: bool
) -> submitit.AutoExecutor:
    """Return what starts jobs, as processes here or through Slurm.

    Raises ClusterError for a setting that submitit does not know.
    """
    jobs = head / FOLDER / "jobs"
    shutil.rmtree(jobs, ignore_errors=True)
    settings = {"name": "cluster", "stderr_to_stdout": True, **slurm_settings(slurm)}
    try:
        executor = submitit.AutoExecutor(jobs, cluster=None if kind == "auto" else kind)
        if executor.cluster == "slurm":
            settings["gpus_per_node"] = int(gpu)
        executor.update_parameters(timeout_min=MINUTES[executor.cluster], **settings)
    except (AssertionError, KeyError, NameError, RuntimeError, ValueError) as error:
        raise ClusterError(f"jobs cannot be started with {kind!r} {list(slurm)}: {error}") from None
    return executor


def slurm_settings(slurm: Sequence[str]) -> dict[str, Any]:
    """Return `partition=gpu` and its like as submitit wants them; `time` is in minutes."""
    settings: dict[str, Any] = {}
    for setting in slurm:
        key, given, value = setting.partition("=")
        if not given:
            raise ClusterError(f"--slurm has {setting!r}; allowed: key=value, as partition=gpu")
        settings[f"slurm_{key.replace('-', '_')}"] = int(value) if value.isdigit() else value
    cpus = settings.get("slurm_cpus_per_task")
    # Slurm's srun does not take this over from the job around it.
    return settings | ({"slurm_srun_args": [f"--cpus-per-task={cpus}"]} if cpus else {})


def uses_gpu(params: Params) -> bool:
    """Return whether trainings want a GPU if there is one."""
    return params.machine.device != "cpu"


def gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    count = torch.cuda.device_count()
    return named[:count] if any(named) else [str(i) for i in range(count)]


def local_slots(workers: int, gpus: Sequence[str]) -> list[dict[str, str]]:
    """Return the environment variables of each worker: its GPU, its share of the cores."""
    workers = workers or len(gpus) or 1
    cores = len(os.sched_getaffinity(0))
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, cores // workers))
    return [
        {"OMP_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)] if gpus else ""}
        for i in range(workers)
    ]


if __name__ == "__main__":
    run(main)
