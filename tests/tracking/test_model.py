"""A logged model: it predicts without this project."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mlflow.entities import FileInfo

from pipeline.tracking import face as tracking
from tests.support.tracked_store import ROOT, begin, client, python

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
        run.model(net, torch.rand(2, 3, 10, 14), name="m", registered="encoder2")
        run.model(net, torch.rand(1, 3, 10, 14), name="batch of one")
    with begin() as report:
        report.alias("encoder2", "proposed", run.id or "")
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
    output, errors = process.communicate()
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


FOREIGN = """
import sys
from pathlib import Path
import mlflow
import torch

class Foreign:
    def __reduce__(self):
        return Path.touch, (Path(sys.argv[2]),)

class Model(mlflow.pyfunc.PythonModel):
    def __init__(self):
        self.foreign = Foreign()
    def predict(self, context, model_input, params=None):
        return model_input

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.foreign = Foreign()

mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("stranger")
name = "compressible-features-encoder2"
with mlflow.start_run():
    if sys.argv[3] == "pyfunc":
        mlflow.pyfunc.log_model(
            name="m", python_model=Model(), pip_requirements=[], registered_model_name=name
        )
    else:
        mlflow.pytorch.log_model(
            Net(), name="m", pip_requirements=[], registered_model_name=name,
            serialization_format="pickle",
        )
client = mlflow.MlflowClient()
newest = max(int(x.version) for x in client.search_model_versions(f"name = '{name}'"))
client.set_registered_model_alias(name, "proposed", str(newest))
"""


@pytest.mark.parametrize("flavour", ["pyfunc", pytest.param("pytorch", marks=pytest.mark.slow)])
def test_the_way_of_the_readme_runs_no_pickle(tmp_path: Path, flavour: str) -> None:
    readme = (ROOT / "README.md").read_text()
    (load,) = re.findall(r"```python\n(import os.*?)```", readme, re.DOTALL)
    trace, uri = tmp_path / "ran", f"sqlite:///{tmp_path}/mlflow.db"
    errors = python(FOREIGN, uri, str(trace), flavour, cwd=tmp_path).communicate()[1]
    assert client(uri).search_registered_models(), errors
    trace.unlink(missing_ok=True)
    process = python(load, cwd=tmp_path, PYTHONPATH="")
    errors = process.communicate()[1]
    assert "using pickle is disallowed" in errors
    assert process.returncode == 1
    assert not trace.exists()
    # The trap works: without the line of os.environ it springs.
    careless = "".join(x for x in load.splitlines(True) if "environ" not in x)
    python(careless, cwd=tmp_path, PYTHONPATH="").communicate()
    assert trace.exists()


def listed(model_id: str, folder: str | None = None) -> Iterator[FileInfo]:
    """All files of a logged model."""
    for entry in client().list_logged_model_artifacts(model_id, folder):
        yield from listed(model_id, entry.path) if entry.is_dir else [entry]
