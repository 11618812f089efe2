"""Real servers and real experiments of DVC, which take a minute each."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mlflow_server import Server
from tests.support.tracked_store import OPEN, ROOT, begin, client, python


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.chdir(tmp_path)
    yield server
    if server.process.poll() is None:
        server.stop()


@pytest.mark.slow
def test_a_real_server_that_is_killed_and_comes_back(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    monkeypatch.setattr("pipeline.tracking.outbox.RETRY_SECONDS", 0.5)
    monkeypatch.setattr("pipeline.tracking.outbox.SEND_SECONDS", 0.0)
    with begin() as run:
        for step in range(40):
            if step == 10:
                server.stop()
            if step == 20:
                net = torch.nn.Conv2d(3, 2, 1)
                run.model(net, torch.rand(2, 3, 5, 7), name="m", registered="r")
            if step == 30:
                server.start()
            started = time.monotonic()
            run.log({"loss": step, "bad": math.nan}, step=step)
            assert time.monotonic() - started < 10
    with begin() as report:
        report.alias("r", "proposed", run.id or "")
    seen = client().get_run(run.id)
    assert seen.info.status == "FINISHED"
    assert [m.step for m in client().get_metric_history(run.id, "loss")] == list(range(40))
    assert math.isnan(seen.data.metrics["bad"])
    assert client().get_model_version_by_alias("r", "proposed").run_id == run.id
    assert "MLflow answers again" in caplog.text


@pytest.mark.slow
def test_a_real_server_that_never_comes_back(server: Server) -> None:
    code = OPEN + "    input()\n    run.log({'loss': 1.0}, step=3)\nprint('done')\n"
    process = python(code, "a", cwd=server.folder, MLFLOW_TRACKING_URI=server.uri)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("open")
    server.stop()
    output, errors = process.communicate("go\n")
    assert (process.returncode, output) == (0, "done\n")
    assert "1 metric values (steps 3 to 3), its end (FINISHED)" in errors
    assert len(errors.splitlines()) == 2, errors


@pytest.mark.slow
def test_temporary_and_queued_experiments_use_the_store_of_the_workspace(tmp_path: Path) -> None:
    main = tmp_path / "main"
    main.mkdir()
    (main / "job.py").write_text(OPEN + "    open('out.txt', 'w').write(run.id)\n")
    (main / "params.yaml").write_text("x: 0\n")
    (main / "dvc.yaml").write_text(
        f"stages:\n  job:\n    cmd: '{sys.executable} job.py a'\n    deps: [job.py]\n"
        "    params: [x]\n    outs: [out.txt]\n"
    )
    names = ("GIT_AUTHOR", "GIT_COMMITTER")
    env = {f"{n}_NAME": "a" for n in names} | {f"{n}_EMAIL": "a@b" for n in names}
    # DVC waits for ever for a queue worker when the command `dvc` is not on the path
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env |= {"PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1", "PATH": path}
    inherited = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}

    def shell(line: str) -> None:
        subprocess.run(
            line, shell=True, cwd=main, env=inherited | env, check=True, stdout=subprocess.DEVNULL
        )

    shell("git init -q && dvc init -q && git add . && git commit -q -m first")
    shell("dvc exp run -q")
    shell("dvc exp run -q --temp -S x=1")
    shell("dvc exp run -q --queue -S x=2")
    shell("dvc exp run -q --run-all -j 1")
    store = client(f"sqlite:///{main}/mlflow.db")
    experiment = store.get_experiment_by_name("x")
    runs = store.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 3
    assert len({run.data.tags["dvc.experiment"] for run in runs}) == 3
    assert {run.data.tags["dvc.stage"] for run in runs} == {"job"}
    assert all("mlflow.source.git.commit" in run.data.tags for run in runs)
