"""A torch module as an MLflow model that loads without this project's code and without pickle.

`mlflow.pytorch.log_model` would also store megabytes of example JSON and load the model once more
to validate the example, and it takes the store from a global of MLflow.
"""

import copy
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from mlflow import MlflowClient
    from mlflow.models import Model


def registered_name(experiment: str, encoder: str) -> str:
    """Return the name that an encoder's models have in the registry, which allows no `/` or `:`."""
    return re.sub("[/:]", "-", f"{experiment}-{encoder}")


def export_model(module: "torch.nn.Module", example: "torch.Tensor", folder: Path) -> "Model":
    """Write `module` to `folder` as a pt2 graph for any batch size, and return its description.

    `example`: float32, (2, channels, H, W); a batch of one would fix the batch size in the graph.
    `module` returns one tensor, and is left where it is. Raises what torch.export raises.
    """
    import mlflow.pytorch
    import numpy as np
    import torch
    from mlflow.models import Model, ModelSignature
    from mlflow.types.schema import Schema, TensorSpec

    if example.shape[0] != 2:
        raise ValueError(f"the example has a batch of {example.shape[0]}, it must be 2")
    # torch takes a weight in another memory layout for a slice of some larger one, and warns.
    module = copy.deepcopy(module).cpu().eval().to(memory_format=torch.contiguous_format)
    with torch.no_grad():
        output = module(example.cpu())
    inputs, outputs = (
        Schema([TensorSpec(np.dtype(np.float32), (-1, *tensor.shape[1:]))])
        for tensor in (example, output)
    )
    release = torch.__version__.split("+")[0]
    model = Model()
    mlflow.pytorch.save_model(
        module,
        str(folder),
        mlflow_model=model,
        signature=ModelSignature(inputs, outputs),
        # a tensor instead of an array would leave out the pyfunc flavour
        input_example=np.zeros(example.shape, np.float32),
        serialization_format="pt2",
        # inferring them takes half a minute
        pip_requirements=[f"mlflow=={mlflow.__version__}", f"torch=={release}", "numpy"],
    )
    for path in folder.glob("*input_example.json"):
        path.unlink()
    model.saved_input_example_info = None  # type: ignore[assignment]
    model.model_size_bytes = sum(path.stat().st_size for path in folder.rglob("*"))
    return model


def upload_model(
    client: "MlflowClient",
    model: "Model",
    folder: Path,
    run_id: str,
    *,
    name: str,
    registered: str | None,
) -> None:
    """Upload an exported model as one of the run, and register it."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException

    run = client.get_run(run_id)
    logged = client.create_logged_model(
        run.info.experiment_id, name=name, source_run_id=run_id, params=run.data.params
    )
    model.run_id, model.model_id, model.model_uuid = run_id, logged.model_id, logged.model_id
    model.artifact_path = logged.artifact_location
    model.save(str(folder / "MLmodel"))
    client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    if not registered:
        return
    try:
        client.create_registered_model(registered)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"models:/{logged.model_id}"
    client.create_model_version(
        registered, source, run_id, model_id=logged.model_id, await_creation_for=0
    )


def point_alias(client: "MlflowClient", registered: str, alias: str, run_id: str) -> None:
    """Let an alias of the registry name the model of a run; a run without one changes nothing."""
    found = client.search_model_versions(f"name = '{registered}' and run_id = '{run_id}'")
    if found:
        newest = max(found, key=lambda version: int(version.version))
        client.set_registered_model_alias(registered, alias, newest.version)
