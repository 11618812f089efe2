import base64
import inspect
import json
import math
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from mlflow.entities import FileInfo

from pipeline.tracking import face as tracking
from pipeline.tracking.outbox import Call, Outbox
from pipeline.tracking.run import NullRun, Run
from pipeline.tracking.views import table_view
from tests.support.mlflow_server import Server
from tests.support.postgres import Cluster, NoPostgres, cluster

ROOT = Path(__file__).resolve().parents[2]
MD5 = "d41d8cd98f00b204e9800998ecf8427e.dir"  # with .dir the longest digest MLflow takes

OPEN = """
import sys, time
from pipeline.tracking import face as tracking
with tracking.start(enabled=True, experiment="x", name=sys.argv[1], params={}, tags={}) as run:
    print("open", run.id, flush=True)
"""


def python(code: str, *args: str, cwd: Path, **env: str) -> subprocess.Popen[str]:
    inherited = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *args],
        cwd=cwd,
        env=inherited | {"PYTHONPATH": str(ROOT)} | env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def begin(name: str = "a", **other: object):
    settings = {"enabled": True, "experiment": "x", "params": {}, "tags": {}} | other
    return tracking.start(name=name, **settings)


def client(uri: str | None = None):
    from mlflow import MlflowClient

    return MlflowClient(uri or tracking.store_uri())


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for the module, since making one takes seconds; with a space in its path."""
    folder = tmp_path_factory.mktemp("a repository")
    (folder / ".dvc").mkdir()
    return folder


@pytest.fixture(scope="module")
def postgres() -> Iterator[Cluster]:
    pytest.importorskip("psycopg")
    try:
        with cluster() as running:
            yield running
    except NoPostgres as error:
        pytest.skip(f"no PostgreSQL: {error}")


@pytest.fixture(scope="module")
def database(postgres: Cluster) -> str:
    """A PostgreSQL database, used directly."""
    return postgres.database("direct")


@pytest.fixture(scope="module")
def database_server(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose runs lie in PostgreSQL."""
    server = Server(tmp_path_factory.mktemp("server"), postgres.database("served"))
    server.start()
    yield server.uri
    server.stop()


STORES = [
    "sqlite",
    pytest.param("database", marks=pytest.mark.slow),
    pytest.param("database_server", marks=pytest.mark.slow),
]


@pytest.fixture(params=STORES)
def store(
    request: pytest.FixtureRequest, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The repository that runs are tracked from; where they go, the environment says."""
    monkeypatch.chdir(repository)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if request.param != "sqlite":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", request.getfixturevalue(request.param))
    return repository


def where() -> dict[str, str]:
    """The store's address for `python`, if it is not the default."""
    return {k: os.environ[k] for k in ["MLFLOW_TRACKING_URI"] if k in os.environ}


def test_the_store_lies_in_the_main_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    main = tmp_path / "main"
    copy = main / ".dvc" / "tmp" / "exps" / "tmpabc"
    (copy / ".dvc").mkdir(parents=True)
    (copy / "stages").mkdir()
    (main / "stages").mkdir()
    expected = f"sqlite:///{main}/mlflow.db"
    assert expected.startswith("sqlite:////")
    for cwd in (main, main / "stages", copy, copy / "stages"):
        assert tracking.store_uri(cwd) == expected
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking.store_uri(copy) == "http://127.0.0.1:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    assert tracking.store_uri(copy) == f"sqlite:///{main}/other.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////elsewhere/other.db")
    assert tracking.store_uri(copy) == "sqlite:////elsewhere/other.db"


def test_import_is_light(tmp_path: Path) -> None:
    code = "import sys, pipeline.tracking; print({'mlflow', 'torch', 'pandas'} & set(sys.modules))"
    assert python(code, cwd=tmp_path).communicate()[0] == "set()\n"


def test_the_null_run_has_every_method_of_a_run() -> None:
    def methods(kind: type) -> dict[str, list[object]]:
        return {
            name: list(inspect.signature(method).parameters.values())
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert methods(NullRun) == methods(Run)
    assert NullRun.id is None
    assert NullRun.experiment_id is None


def test_without_tracking_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    with begin(enabled=False) as run:
        run.log({"loss": 1.0}, step=0)
    assert isinstance(run, NullRun)
    assert not caplog.messages
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for _ in range(2):
        with begin() as run:
            assert isinstance(run, NullRun)
    assert caplog.messages == ["MLflow is not installed: nothing is tracked"]
    assert not list(tmp_path.iterdir())


def test_a_store_that_cannot_be_opened_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with begin() as run:
        assert isinstance(run, NullRun)
    assert "Not tracked: the MLflow store http://127.0.0.1:9 cannot be used" in caplog.text
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@127.0.0.1:9/runs")
    monkeypatch.setattr("mlflow.store.db.utils.MAX_RETRY_COUNT", 1)  # else 100 s
    with begin() as run:
        assert isinstance(run, NullRun)
    assert "Not tracked: the MLflow store postgresql://127.0.0.1:9/runs cannot be" in caplog.text
    assert "secret" not in caplog.text


def test_a_run_holds_what_was_logged(store: Path) -> None:
    import pandas as pd

    picture = store / "curve.png"
    picture.write_bytes(b"first")
    params = {f"section.key{i}": i for i in range(150)}
    with begin("train", params=params, tags={"arm": "proposed"}) as run:
        for step in range(3):
            run.log({"loss": 1 / (step + 1), "bad": math.inf}, step=step)
        run.tags({"verdict": "good"})
        run.file(picture, folder="figures")
        picture.write_bytes(b"second")
        run.table(pd.DataFrame({"image": ["a", "b"], "bytes": [1, 2]}), "images")
        run.table(pd.DataFrame({"q": [1]}), "points")
        run.dataset("streets", digest=MD5, source="data/streets", context="training")
    with begin("evaluate", parent=run.id) as child:
        child.log({"miou": 0.5})

    seen = client().get_run(run.id)
    assert seen.info.status == "FINISHED"
    assert seen.data.params == {key: str(value) for key, value in params.items()}
    assert seen.data.tags["arm"] == "proposed"
    assert seen.data.tags["verdict"] == "good"
    history = client().get_metric_history(run.id, "loss")
    assert [(m.step, m.value) for m in history] == [(0, 1.0), (1, 1 / 2), (2, 1 / 3)]
    assert math.isnan(seen.data.metrics["bad"])
    assert seen.inputs.dataset_inputs[0].dataset.digest == MD5
    figures = client().list_artifacts(run.id, "figures")
    assert [f.path for f in figures] == ["figures/curve.png"]
    assert Path(client().download_artifacts(run.id, "figures/curve.png")).read_bytes() == b"first"
    table = client().load_table(seen.info.experiment_id, "images.json", run_ids=[run.id])
    assert table["bytes"].tolist() == [1, 2]
    assert "points.json" in seen.data.tags["mlflow.loggedArtifacts"]

    seen_child = client().get_run(child.id)
    assert seen_child.data.tags["mlflow.parentRunId"] == run.id
    assert seen_child.info.experiment_id == seen.info.experiment_id


def test_a_run_adds_to_another_and_to_its_experiment(store: Path) -> None:
    with begin("evaluate") as evaluated:
        evaluated.log({"miou": 0.5})
    view = table_view("scores", "All scores", runs="", order="", columns={"metrics.`miou`": 75})
    with begin("report") as report:
        report.log_to(evaluated.id, {"bd_rate/miou": -20.5})
        report.view(view)
    seen = client().get_run(evaluated.id)
    assert seen.info.status == "FINISHED"
    assert seen.data.metrics == {"miou": 0.5, "bd_rate/miou": -20.5}
    tags = client().get_experiment(report.experiment_id).tags
    kept = json.loads(tags["mlflow.sharedViewState.scores"])
    assert kept["name"] == "All scores"
    packed = base64.b64decode(kept["state"].removeprefix("deflate;"))
    assert json.loads(zlib.decompress(packed)) == view.state


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("x"), "FAILED"),
        (SystemExit(1), "FAILED"),
        (SystemExit(0), "FINISHED"),
        (KeyboardInterrupt(), "KILLED"),
    ],
)
def test_the_status_says_how_a_run_ended(store: Path, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), begin() as run:
        raise error
    assert client().get_run(run.id).info.status == status


def test_sigterm_leaves_a_killed_run(store: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with begin(enabled=False):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before

    wait = """
    try:
        print("waiting", flush=True)
        time.sleep(60)
    finally:
        print("closed")
"""
    process = python(OPEN + wait, "a", cwd=store, **where())
    assert process.stdout is not None
    run_id = process.stdout.readline().split()[1]
    assert process.stdout.readline() == "waiting\n"
    process.terminate()
    rest, errors = process.communicate(timeout=60)
    assert rest == "closed\n"
    assert process.returncode == 143, errors
    assert client().get_run(run_id).info.status == "KILLED"


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def test_four_processes_on_an_empty_store(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    (tmp_path / ".git").mkdir()
    uri, variables = f"sqlite:///{tmp_path}/mlflow.db", {}
    if kind == "postgres":
        uri = request.getfixturevalue("postgres").database("empty")
        variables = {"MLFLOW_TRACKING_URI": uri}
    started = [python(OPEN, name, cwd=tmp_path, **variables) for name in "abcd"]
    for process in started:
        errors = process.communicate(timeout=120)[1]
        assert process.returncode == 0
        assert errors == ""
    store = client(uri)
    experiment = store.get_experiment_by_name("x")
    assert experiment.artifact_location == (tmp_path / "mlartifacts").as_uri()
    runs = store.search_runs([experiment.experiment_id])
    assert sorted(run.info.run_name for run in runs) == list("abcd")
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_a_signal_while_the_run_is_being_finished(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver = Outbox._deliver

    def interrupted(outbox: Outbox, call: Call) -> bool:
        if call.what.startswith("its end"):
            monkeypatch.setattr(Outbox, "_deliver", deliver)
            os.kill(os.getpid(), signal.SIGTERM)
        return deliver(outbox, call)

    monkeypatch.setattr(Outbox, "_deliver", interrupted)
    with pytest.raises(SystemExit), begin() as run:
        run.log({"loss": 1.0})
    seen = client().get_run(run.id)
    assert seen.info.status == "KILLED"
    assert seen.data.metrics == {"loss": 1.0}


def test_a_deleted_experiment_is_named(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    with begin(experiment="gone") as run:
        pass
    client().delete_experiment(client().get_run(run.id).info.experiment_id)
    with begin(experiment="gone") as run:
        assert isinstance(run, NullRun)
    assert "'gone' is deleted" in caplog.text


class Switch:
    """While `off`, every call of an MLflow client fails as with a server that is away."""

    off = False


@pytest.fixture
def switch(store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    import mlflow

    switch = Switch()

    def guarded(method: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            if switch.off:
                raise mlflow.MlflowException("connection refused")
            return method(*args, **kwargs)

        return call

    members = inspect.getmembers(mlflow.MlflowClient, inspect.isfunction)
    methods = {name: guarded(method) for name, method in members if not name.startswith("_")}
    monkeypatch.setattr(mlflow, "MlflowClient", type("Client", (mlflow.MlflowClient,), methods))
    monkeypatch.setattr("pipeline.tracking.outbox.SEND_SECONDS", 0.0)
    monkeypatch.setattr("pipeline.tracking.outbox.RETRY_SECONDS", 0.0)
    yield switch
    switch.off = False


def test_a_store_that_comes_back_gets_everything(
    switch: Switch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pipeline.tracking.outbox.METRICS_PER_BATCH", 30)
    with begin() as run:
        for step in range(300):
            switch.off = step % 100 > 20 and step < 280
            run.log({"loss": step}, step=step)
            if step in (10, 60):
                run.dataset(f"d{step}", digest=MD5, source="d", context="training")
    history = client().get_metric_history(run.id, "loss")
    assert [(m.step, m.value) for m in history] == [(step, step) for step in range(300)]
    inputs = client().get_run(run.id).inputs.dataset_inputs
    assert {i.dataset.name for i in inputs} == {"d10", "d60"}
    assert "MLflow does not answer" in caplog.text
    assert "MLflow answers again" in caplog.text


def test_a_store_that_never_comes_back_is_a_warning(
    switch: Switch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "note.txt").write_text("note")
    with begin() as run:
        run.log({"loss": 1.0}, step=0)
        switch.off = True
        for step in range(1, 4):
            run.log({"loss": 1.0, "rate": 2.0}, step=step)
        run.file(tmp_path / "note.txt")
    expected = "not sent: 6 metric values (steps 1 to 3), file note.txt, its end (FINISHED)"
    assert expected in caplog.messages[-1]
    assert caplog.messages[0] == (
        "MLflow does not answer: values are kept and sent when it is back"
    )
    switch.off = False
    assert client().get_run(run.id).data.metrics == {"loss": 1.0}


def test_an_absent_store_is_not_asked_at_every_step(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("pipeline.tracking.outbox.RETRY_SECONDS", 30.0)
    with begin() as run:
        asked: list[float] = []

        def get_run(run_id: str) -> None:
            nonlocal now
            asked.append(now)
            now += 20.0  # a request that runs into its timeout
            raise OSError

        with monkeypatch.context() as patch:
            patch.setattr("time.monotonic", lambda: now)
            patch.setattr(run._client, "get_run", get_run)
            switch.off = True
            while now < 1000.0:
                run.log({"loss": 1.0})
                now += 1.0
        switch.off = False
    assert len(asked) == 5  # every 200 seconds when one attempt takes 20


def test_what_the_server_refuses_does_not_hold_up_the_rest(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with begin() as run:
        run.dataset("d", digest="9" * 40, source="d", context="training")
        run.tags({"later": "yes"})
        run.log({"score": 1.0})
    seen = client().get_run(run.id)
    assert seen.info.status == "FINISHED"
    assert seen.data.tags["later"] == "yes"
    assert seen.data.metrics == {"score": 1.0}
    assert "MLflow refuses dataset d" in caplog.text
    assert "incomplete, not sent: dataset d." in caplog.messages[-1]


LOAD = """
import sys
import mlflow, numpy as np, torch
mlflow.set_tracking_uri(sys.argv[1])
uri = "models:/encoder2@proposed"
model, plain = mlflow.pyfunc.load_model(uri), mlflow.pytorch.load_model(uri)
for batch in (1, 2, 3):
    data = np.load(f"{batch}.npz")
    np.testing.assert_allclose(model.predict(data["image"]), data["expected"], atol=1e-5)
    output = plain(torch.from_numpy(data["image"])).detach().numpy()
    np.testing.assert_allclose(output, data["expected"], atol=1e-5)
assert "pipeline" not in sys.modules
print("equal")
"""


def test_a_logged_model_predicts_without_this_project(
    store: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ConvTranspose2d(6, 4, 2, 2))
    net.to(memory_format=torch.channels_last).train()
    with begin(params={"encoder": "encoder2"}) as run:
        run.log({"loss": 0.25}, step=7)
        run.model(net, torch.rand(2, 3, 10, 14), name="m", registered="encoder2", alias="proposed")
        run.model(net, torch.rand(1, 3, 10, 14), name="batch of one")
    assert net.training
    assert not [x for x in recwarn if "No complete tensor" in str(x.message)]
    # torch.export logs empty lines in a process that has compiled before.
    ours = [x.getMessage() for x in caplog.records if x.name.startswith("pipeline.")]
    assert ours == ["Model batch of one is not logged: the example has a batch of 1, it must be 2"]
    net.eval()
    for batch in (1, 2, 3):
        image = torch.rand(batch, 3, 10, 14)
        with torch.no_grad():
            np.savez(tmp_path / f"{batch}.npz", image=image.numpy(), expected=net(image).numpy())
    process = python(
        LOAD,
        tracking.store_uri(),
        cwd=tmp_path,
        PYTHONPATH="",
        MLFLOW_ALLOW_PICKLE_DESERIALIZATION="false",
    )
    output, errors = process.communicate(timeout=120)
    assert output == "equal\n", errors

    experiment = client().get_run(run.id).info.experiment_id
    models = client().search_logged_models([experiment])
    (logged,) = [model for model in models if model.source_run_id == run.id]
    assert logged.name == "m"
    assert logged.status == "READY"
    assert logged.params == {"encoder": "encoder2"}
    assert [(m.key, m.value) for m in logged.metrics] == [("loss", 0.25)]
    files = {Path(file.path).name for file in listed(logged.model_id)}
    files -= {"MLmodel", "registered_model_meta"}
    assert files == {"model.pt2", "conda.yaml", "python_env.yaml", "requirements.txt"}


def listed(model_id: str, folder: str | None = None) -> Iterator[FileInfo]:
    """All files of a logged model."""
    for entry in client().list_logged_model_artifacts(model_id, folder):
        yield from listed(model_id, entry.path) if entry.is_dir else [entry]


def test_lineage_names_commit_and_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DVC_EXP_NAME", "DVC_STAGE", "DVC_EXP_BASELINE_REV"):
        monkeypatch.delenv(name, raising=False)
    assert "mlflow.source.git.commit" not in tracking.lineage(tmp_path)
    assert "dvc.experiment" not in tracking.lineage(tmp_path)

    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q")
    for name in ("net.py", "dvc.lock", "metrics.json"):
        (tmp_path / name).write_text("")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    (tmp_path / "dvc.lock").write_text("changed by dvc")
    (tmp_path / "metrics.json").unlink()
    monkeypatch.setenv("DVC_EXP_NAME", "moody-hats")
    monkeypatch.setenv("DVC_STAGE", "train@0")
    tags = tracking.lineage(tmp_path)
    assert tags["mlflow.source.git.commit"] == git("rev-parse", "HEAD")
    assert tags["git.dirty"] == "false"
    assert tags["dvc.experiment"] == "moody-hats"
    assert tags["dvc.stage"] == "train@0"
    (tmp_path / "net.py").write_text("x = 1")
    assert tracking.lineage(tmp_path)["git.dirty"] == "true"


def test_md5_of_an_out(tmp_path: Path) -> None:
    lock = tmp_path / "dvc.lock"
    assert tracking.data_md5(lock, "prepare") is None
    lock.write_text(
        "schema: '2.0'\nstages:\n  prepare:\n    cmd: x\n    outs:\n"
        "    - path: data/train\n      hash: md5\n      md5: aa.dir\n"
        "    - path: data/val\n      hash: md5\n      md5: bb.dir\n"
    )
    assert tracking.data_md5(lock, "prepare") == "aa.dir"
    assert tracking.data_md5(lock, "prepare", "data/val") == "bb.dir"
    assert tracking.data_md5(lock, "prepare", "data/test") is None
    assert tracking.data_md5(lock, "train") is None


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
                run.model(net, torch.rand(2, 3, 5, 7), name="m", registered="r", alias="proposed")
            if step == 30:
                server.start()
            started = time.monotonic()
            run.log({"loss": step, "bad": math.nan}, step=step)
            assert time.monotonic() - started < 10
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
    output, errors = process.communicate("go\n", timeout=60)
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
