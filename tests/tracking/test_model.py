"""A logged model: it predicts without this project and without pickle."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.tracking import api as tracking
from tests.support.tracked_store import begin, client, python, values

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
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from torch import nn

    class Branching(nn.Module):
        def forward(self, image_B3HW: torch.Tensor) -> torch.Tensor:
            return image_B3HW if image_B3HW.sum() > 0 else -image_B3HW

    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ConvTranspose2d(6, 4, 2, 2))
    net.to(memory_format=torch.channels_last).train()
    with begin(params={"encoder": "encoder2"}) as run:
        for step in range(2):
            run.log({"loss": 1.0 - step}, step=step)
        run.model(net, torch.rand(2, 3, 10, 14), name="m", registered="encoder2")
        run.model(Branching(), torch.rand(2, 3, 10, 14), name="no graph")
    with begin() as report:
        report.alias("encoder2", "proposed", run.id)
        report.alias("encoder2", "benchmark", report.id)  # which has made none
    assert net.training
    said = capsys.readouterr().err.splitlines()
    (told,) = [line for line in said if "Model" in line]
    assert told.startswith("Model no graph is not logged: ")
    net.eval()
    for batch in (1, 2, 3):
        image = torch.rand(batch, 3, 10, 14)
        with torch.no_grad():
            np.savez(tmp_path / f"{batch}.npz", image=image.numpy(), expected=net(image).numpy())
    no_pickle = {"PYTHONPATH": "", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    process = python(LOAD, tracking.store_uri(), cwd=tmp_path, **no_pickle)
    output, errors = process.communicate()
    assert output == "equal\n", errors

    (logged,) = [
        model
        for model in client().search_logged_models([run.experiment_id])
        if model.source_run_id == run.id and model.name == "m"
    ]
    assert logged.status == "READY"
    assert [(metric.key, metric.value) for metric in logged.metrics] == [("loss", 0.0)]
    assert values(run.id, "loss") == [(0, 1.0), (1, 0.0)]
    assert logged.params == {"encoder": "encoder2"}
    kept = [path for path in store.rglob("*") if logged.model_id in path.parts]
    assert {path.name for path in kept} >= {"MLmodel", "model.pt2", "requirements.txt"}


def test_the_registry_takes_the_name_of_a_model(store: Path) -> None:
    from mlflow.exceptions import MlflowException

    with begin():
        pass
    experiment = "/Users/me@example.org/streets: first"
    with pytest.raises(MlflowException):
        client().create_registered_model(f"{experiment}-encoder2")
    name = tracking.registered_name(experiment, "encoder2")
    assert client().create_registered_model(name).name == name
    assert name == "-Users-me@example.org-streets- first-encoder2"
    assert tracking.registered_name("plain", "encoder2") == "plain-encoder2"
