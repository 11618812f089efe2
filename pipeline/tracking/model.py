"""A torch module as an MLflow model that loads without this project's code and without pickle."""

import copy
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from mlflow import MlflowClient


def registered_name(experiment: str, encoder: str) -> str:
    """Return the name that an encoder's models have in the registry, which allows no `/` or `:`."""
    return re.sub("[/:]", "-", f"{experiment}-{encoder}")


def log_model(
    uri: str, run_id: str, module: "torch.nn.Module", example: "torch.Tensor", name: str, step: int
) -> str:
    """Log `module` as a pt2 graph for any batch size, and return the id of the logged model.

    `example`: float32, (2, channels, H, W); a batch of one would fix the batch size in the graph.
    `module` returns one tensor, and is left where it is. The values that the run has at `step`
    count as the model's. Raises what torch.export raises.
    """
    import mlflow.pytorch
    import numpy as np
    import torch
    from mlflow.models import Model, ModelSignature
    from mlflow.types.schema import Schema, TensorSpec

    # torch takes a weight in another memory layout for a slice of some larger one, and warns.
    module = copy.deepcopy(module).cpu().eval().to(memory_format=torch.contiguous_format)
    with torch.no_grad():
        output = module(example.cpu())
    inputs, outputs = (
        Schema([TensorSpec(np.dtype(np.float32), (-1, *tensor.shape[1:]))])
        for tensor in (example, output)
    )
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment(experiment_id=mlflow.get_run(run_id).info.experiment_id)
    # mlflow.pytorch.log_model would load the model once more, to validate the example.
    logged = Model.log(
        None,
        mlflow.pytorch,
        run_id=run_id,
        name=name,
        step=step,
        pytorch_model=module,
        signature=ModelSignature(inputs, outputs),
        # a tensor instead of an array would leave out the pyfunc flavour
        input_example=np.zeros(example.shape, np.float32),
        validate_serving_input=False,
        serialization_format="pt2",
        # inferring them takes half a minute
        pip_requirements=[
            f"mlflow=={mlflow.__version__}",
            f"torch=={torch.__version__.split('+')[0]}",
            "numpy",
        ],
    )
    return logged.model_id


def register_model(client: "MlflowClient", registered: str, model_id: str, run_id: str) -> None:
    """Make a logged model the next version of a name in the registry."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(registered)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"models:/{model_id}"
    client.create_model_version(registered, source, run_id, model_id=model_id, await_creation_for=0)


def point_alias(client: "MlflowClient", registered: str, alias: str, run_id: str) -> None:
    """Let an alias of the registry name the model of a run; a run without one changes nothing."""
    if version := _version_of(client, registered, run_id):
        client.set_registered_model_alias(registered, alias, version)


def tag_version(client: "MlflowClient", registered: str, run_id: str, key: str, value: str) -> None:
    """Tag the registry's version of the model of a run; a run without one changes nothing."""
    if version := _version_of(client, registered, run_id):
        client.set_model_version_tag(registered, version, key, value)


def _version_of(client: "MlflowClient", registered: str, run_id: str) -> str | None:
    found = client.search_model_versions(f"name = '{registered}' and run_id = '{run_id}'")
    return max((x.version for x in found), key=int, default=None)
