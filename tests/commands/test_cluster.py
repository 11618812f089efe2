"""Jobs bring models up to date in copies; the results come home from DVC's cache."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import submitit
import yaml
from filelock import FileLock

from commands import cluster
from commands.cluster_job import FOLDER, ClusterError, Job, snapshot
from pipeline.workspace import main_root
from tests.support.tiny_experiment import command

MODEL = "${item.encoder}-${item.arm}-${item.seed}"
OF_MODEL = {"encoder": "${encoders}", "arm": ["benchmark", "proposed"], "seed": "${seeds}"}
ONCE = [
    *("encode_pictures", "evaluate", "evaluate", "evaluate_picture", "prepare", "report"),
    *("train_benchmark", "train_picture", "train_proposed"),
]


def stage(cmd: str, deps: list[str], out: str, **matrix: Any) -> dict[str, Any]:
    extra = {"matrix": matrix} if matrix else {}
    return {"cmd": f"sh cmd.sh {cmd} {out}", "deps": ["code.txt", *deps], "outs": [out], **extra}


def train(arm: str) -> dict[str, Any]:
    model = f"models/${{item.encoder}}-{arm}-${{item.seed}}"
    matrix = {"encoder": "${encoders}", "seed": "${seeds}"}
    return stage(f"train_{arm}", ["data/prepared"], model, **matrix)


@pytest.fixture
def head(tmp_path: Path, repository: Path, values: dict[str, Any]) -> Path:
    """A repository with the project's stages, which note that they ran and take no time.

    It has a change that is not committed, a staged new file, and a release that git ignores.
    """
    head = tmp_path / "head"
    (head / "release").mkdir(parents=True)
    stages = {
        "prepare": stage("prepare", ["release"], "data/prepared"),
        "train_benchmark": train("benchmark"),
        "train_proposed": train("proposed"),
        "evaluate": stage("evaluate", [f"models/{MODEL}"], f"evaluation/{MODEL}", **OF_MODEL),
        "encode_pictures": stage("encode_pictures", ["data/prepared"], "streams/pictures"),
        "train_picture": train("picture"),
        "evaluate_picture": stage(
            "evaluate_picture",
            ["models/${item.encoder}-picture-${item.seed}", "streams/pictures"],
            "evaluation/${item.encoder}-picture-${item.seed}",
            **{"encoder": "${encoders}", "seed": "${seeds}"},
        ),
        "report": stage("report", ["evaluation"], "report.txt"),
    }
    values |= {"encoders": ["encoder2"], "seeds": [0]}
    values["pictures"]["seeds"] = [0]
    values["model"]["weights"], values["machine"]["device"] = "none", "cpu"
    (head / "params.yaml").write_text(yaml.safe_dump(values))
    (head / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    (head / ".gitignore").write_text("/release/\n")
    (head / "release/a.txt").write_text("frames")
    (head / "code.txt").write_text("committed")
    # A stage: an order for it may lie beside the repository. It notes itself when it is through.
    order = tmp_path / "order-$1"
    (head / "cmd.sh").write_text(
        f'[ ! -e "{order}" ] || . "{order}"\nmkdir -p $(dirname $2)\n'
        f'cat code.txt new.txt > $2\necho "$1 $2" >> {tmp_path}/ran\n'
    )
    command(head, "git", "init", "-q")
    command(head, "dvc", "init", "-q")
    command(head, "git", "add", ".")
    command(head, "git", "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "start")
    (head / "code.txt").write_text("changed ")
    (head / "new.txt").write_text("new")
    command(head, "git", "add", "new.txt")
    return head


def begin(head: Path, repository: Path) -> subprocess.Popen[str]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "DVC", "PYTEST"))}
    return subprocess.Popen(
        [sys.executable, "-m", "commands.cluster", "--executor", "local", "--workers", "2"],
        cwd=head,
        env={**keep, "PYTHONPATH": str(repository)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ran(head: Path) -> list[str]:
    return sorted(line.split()[0] for line in (head.parent / "ran").read_text().splitlines())


def wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, f"no {path}"
        time.sleep(0.1)


def test_results_come_home_from_the_cache(head: Path, repository: Path) -> None:
    """With a second command at the same time."""
    with FileLock(head / FOLDER / "lock"):
        refused = begin(head, repository)
        assert "another cluster command runs in this repository" in refused.communicate()[0]
        assert refused.returncode == 1
    process = begin(head, repository)
    said = process.communicate()[0]
    assert process.returncode == 0, said
    assert ran(head) == ONCE
    at_home = [x.split("'")[1] for x in said.splitlines() if x.startswith("Running stage")]
    assert at_home == ["prepare", "encode_pictures", "report"]
    assert json.loads(command(head, "dvc", "status", "--json").stdout) == {}
    for arm in ("benchmark", "proposed"):
        assert (head / f"evaluation/encoder2-{arm}-0").read_text() == "changed new"
        assert not (head / FOLDER / f"encoder2-{arm}-0").exists()
    assert "A  new.txt" in command(head, "git", "status", "--porcelain").stdout.splitlines()


def test_what_is_done_is_kept(head: Path, repository: Path) -> None:
    """After a command that was stopped, and one with a model that always fails."""
    order, begun, saved = (head.parent / x for x in ("order-train_proposed", "begun", "saved"))
    order.write_text(f"trap '>{saved}; exit 1' TERM; >{begun}; sleep 600 & wait")
    process = begin(head, repository)
    wait_for(begun)
    process.terminate()
    said = process.communicate()[0]
    assert process.returncode == 128 + signal.SIGTERM, said
    assert saved.exists()
    order.write_text("echo planted >&2; exit 3")
    process = begin(head, repository)
    said = process.communicate()[0]
    assert process.returncode == 1
    assert "1 of 3 models have failed" in said
    log = Path(said.split("encoder2-proposed-0: ")[-1].split()[0])
    assert "planted" in (head / log).read_text()
    assert (head / "evaluation/encoder2-benchmark-0").is_file()
    done = ran(head)
    # A stage that the stop met after its note, before DVC had saved it, has run twice.
    assert sorted(set(done)) == [
        *("encode_pictures", "evaluate", "evaluate_picture", "prepare"),
        *("train_benchmark", "train_picture"),
    ]
    process = begin(head, repository)
    process.communicate()
    assert process.returncode == 1
    assert ran(head) == done


def test_a_preempted_job_goes_on(head: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(cluster.__file__).parents[1]))
    command(head, "dvc", "repro", "prepare")
    order, begun, saved = (head.parent / x for x in ("order-train_proposed", "begun", "saved"))
    order.write_text(
        f"trap '>{saved}; exit 1' TERM; [ -e {saved} ] || {{ >{begun}; sleep 60 & wait; }}"
    )
    executor = submitit.LocalExecutor(head / FOLDER / "jobs")
    executor.update_parameters(timeout_min=10)
    job = executor.submit(
        Job("encoder2-proposed-0", head, snapshot(head), head / ".dvc/cache", {"X": "1"})
    )
    wait_for(begun)
    for process in psutil.Process(int(job.job_id)).children(recursive=True):
        process.send_signal(signal.SIGUSR2)  # as Slurm does
    job.result()
    assert saved.exists()
    assert ran(head) == ["evaluate", "prepare", "train_proposed"]


def test_each_worker_has_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(cluster.os, "sched_getaffinity", lambda _: range(16))

    def of(workers: int, gpus: list[str]) -> list[tuple[str, str]]:
        slots = cluster.local_slots(workers, gpus)
        return [(slot["CUDA_VISIBLE_DEVICES"], slot["OMP_NUM_THREADS"]) for slot in slots]

    assert of(0, ["2", "5"]) == [("2", "8"), ("5", "8")]
    assert of(4, ["2", "5"]) == [("2", "4"), ("5", "4"), ("2", "4"), ("5", "4")]
    assert of(0, []) == [("", "16")]
    assert of(2, []) == [("", "8"), ("", "8")]


@pytest.mark.parametrize(
    ("visible", "count", "gpus"),
    [
        (None, 2, ["0", "1"]),
        ("3,1", 2, ["3", "1"]),
        ("GPU-ab,GPU-cd", 2, ["GPU-ab", "GPU-cd"]),
        ("", 0, []),
    ],
)
def test_gpus_are_those_that_are_visible(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, count: int, gpus: list[str]
) -> None:
    import torch

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert cluster.gpus() == gpus


def test_settings_reach_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sbatch", "srun"):
        (tmp_path / name).write_text("#!/bin/sh\necho Submitted batch job 12\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    executor = cluster.make_executor(
        "auto", tmp_path, ["partition=gpu", "cpus-per-task=8", "time=90"], gpu=True
    )
    job = executor.submit(print)
    assert job.job_id == "12"
    asked = job.paths.submission_file.read_text()
    for line in ("partition=gpu", "cpus-per-task=8", "time=90", "gpus-per-node=1"):
        assert f"#SBATCH --{line}\n" in asked
    assert "--cpus-per-task=8 " in asked.partition("srun")[2]
    for wrong, message in (("gpu", "--slurm has 'gpu'; allowed: key=value"), ("x=1", "slurm_x")):
        with pytest.raises(ClusterError, match=message):
            cluster.make_executor("slurm", tmp_path, [wrong], gpu=False)


def test_what_outlives_a_copy_lies_in_the_head(tmp_path: Path) -> None:
    copy = tmp_path / FOLDER / "encoder2-proposed-0"
    (copy / ".dvc").mkdir(parents=True)
    assert main_root(copy / ".dvc") == tmp_path.resolve()
