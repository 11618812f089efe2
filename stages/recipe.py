"""What params.yaml says of a training: the net it starts from, its loss, its steps.

Beside `stages.train` and `stages.one_gpu`, which run one. It starts without pydantic, which a
compute node may not have.
"""

import platform
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torchvision

from pipeline.artifacts import ModelName
from pipeline.coding.quantizer import add_noise
from pipeline.nets.split import SplitNet
from pipeline.training.device import DeviceError, Runtime, seed_all
from pipeline.training.loop import Schedule, Surrogate
from pipeline.training.losses import Objective, RateTerm

if TYPE_CHECKING:
    from pipeline.params import Params

# Settings of the rate term: the benchmark knows none of them.
RATE_KEYS = ("rate", "rate_of", "prediction", "transform", "weight")
INITIAL = 2**31
# Settings that change how a training runs. `device` and `compile` change its rounding, not what it
# optimises: a checkpoint of one continues with the other.
NEUTRAL_KEYS = ("train.launcher", "train.checkpoint_minutes", "train.device", "train.compile")


def new_net(name: ModelName, params: "Params") -> SplitNet:
    """Return the net before the first step: the same for both arms of a seed."""
    # A third number keeps this apart from the seeds of the epochs.
    seed_all(name.seed, 0, INITIAL)
    return SplitNet(
        name.encoder,
        params.tasks,
        initial_weights(params),
        residual_init=params.model.residual_init,
        decoder_init=params.model.decoder_init,
    )


def objective_of(name: ModelName, params: "Params") -> Objective:
    """Return the loss of equation 6 that a model is trained on."""
    return Objective(
        params.tasks,
        rate_term(params) if name.arm == "proposed" else None,
        balance=params.loss.balance,
        learning_rate=params.loss.balance_learning_rate,
        initial_weight=params.loss.initial_weight,
    )


def precision(params: "Params") -> str:
    """Return the precision to train in; noise of a fixed size needs float32.

    In bfloat16 more than half of the features that are not 0 would not change by +-0.002.
    """
    if params.train.noise != "fixed" or params.train.precision == "float32":
        return params.train.precision
    if params.train.precision == "bfloat16":
        raise DeviceError(
            "train.noise is fixed and train.precision is bfloat16, which rounds most of that noise "
            "away; use float32 or auto, or half-step noise"
        )
    return "float32"


def initial_weights(params: "Params") -> str:
    """Return what the encoder starts from, as `pipeline.nets.encoder` takes it."""
    model = params.model
    return model.file if model.weights == "file" else model.weights


def relevant_settings(values: Mapping[str, object], arm: str) -> dict[str, object]:
    """Return the settings that decide what this arm's model becomes, of all of them, flat."""
    sections = ("data", "model", "loss", "train")
    keys = ["tasks", "quantizer.range_percent", *(k for k in values if k.split(".")[0] in sections)]
    has_rate = arm == "proposed" and values["loss.rate"]
    drop = [*NEUTRAL_KEYS, *(f"loss.{key}" for key in RATE_KEYS if not has_rate)]
    return {key: values[key] for key in keys if key not in drop}


def description(
    name: ModelName, params: "Params", settings: Mapping[str, object], runtime: Runtime
) -> dict[str, Any]:
    """Return what is noted of a model beside its weights."""
    return {
        **name._asdict(),
        "tasks": list(params.tasks),
        "width": params.data.width,
        "height": params.data.height,
        "noise": {"kind": params.train.noise, "bits": params.train.noise_bits},
        "settings": dict(settings),
        "runtime": runtime.described(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
    }


def rate_term(params: "Params") -> RateTerm | None:
    loss = params.loss
    if not loss.rate:
        return None
    weight = None if loss.weight == "learned" else float(loss.weight)
    return RateTerm(
        loss.rate_of, weight, loss.prediction, loss.transform, range_percent=params.quantizer.range_percent
    )


def schedule_of(params: "Params") -> Schedule:
    """Return how long and how fast a training goes."""
    return Schedule(
        epochs=params.train.epochs,
        batch=params.train.batch,
        learning_rate=params.train.learning_rate,
        decay_power=params.train.decay_power,
        validate_every=params.train.validate_every,
    )


def noise_of(params: "Params") -> Surrogate:
    """Return what stands between the halves of the net for quantiser and codec."""
    return partial(
        add_noise,
        noise=params.train.noise,
        bits=params.train.noise_bits,
        amplitude=params.train.noise_amplitude,
        range_percent=params.quantizer.range_percent,
    )
