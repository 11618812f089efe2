"""Many jobs: so many at a time, each again if it ends badly, through submitit."""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import submitit
from submitit.core.utils import FailedJobError, UncompletedJobError

from pipeline.fleet.alone import FleetError
from pipeline.fleet.progress import Progress
from pipeline.fleet.work import Work

ATTEMPTS = 3
"""A job that ends badly as often is given up."""
POLL_SECONDS = 1.0

Slot = Mapping[str, str]
"""The variables of what runs in one of the places for a job, such as the GPU that it may use."""


class _Running(NamedTuple):
    job: "submitit.Job[int]"
    slot: Slot


def run_all(
    models: Sequence[str],
    *,
    work_of: Callable[[str, Slot], Work],
    executor: "submitit.Executor",
    slots: Sequence[Slot],
    on_end: Callable[[str], None],
    progress: Progress,
) -> list[str]:
    """Run the work of all models, one in each slot at a time, and return those that failed.

    on_end: called when a job has ended, however it ended, and before the next attempt. If this
    function is interrupted, it ends the jobs too. Raises FleetError if Slurm takes no jobs.
    """
    waiting, free = deque(models), deque(slots)
    running: dict[str, _Running] = {}
    attempts: Counter[str] = Counter()
    failed = []
    try:
        while waiting or running:
            while waiting and free:
                model, slot = waiting.popleft(), free.popleft()
                attempts[model] += 1
                running[model] = _Running(_submit(executor, work_of(model, slot)), slot)
            time.sleep(POLL_SECONDS)
            for model in [model for model, (job, _) in running.items() if job.done()]:
                job, slot = running.pop(model)
                free.append(slot)
                why = ended_badly(job)
                on_end(model)
                if not why:
                    progress.ended(model)
                elif attempts[model] < ATTEMPTS:
                    progress.say(f"{model}: {why}; it is started again")
                    waiting.appendleft(model)
                else:
                    progress.say(f"{model}: {why}; it is given up after {ATTEMPTS} attempts")
                    failed.append(model)
            progress.look(running)
    finally:
        for job, _ in running.values():
            job.cancel(check=False)
        for model in running:
            on_end(model)
        progress.close()
    return failed


def _submit(executor: "submitit.Executor", work: Work) -> "submitit.Job[int]":
    try:
        return executor.submit(work)
    except FailedJobError as error:
        raise FleetError(f"Slurm does not take the job of {work.model}: {error}") from error


def ended_badly(job: "submitit.Job[int]") -> str:
    """Return in words how a job has failed; nothing if it has done its work."""
    try:
        code = job.result()
    except UncompletedJobError:
        return "its job was killed"
    except FailedJobError as error:
        return f"its job failed ({str(error).strip().splitlines()[-1]})"
    return f"DVC ended with code {code}" if code else ""
