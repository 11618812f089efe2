"""Write a bundle: what one copies to an edge device and to the cloud to run a trained model.

python -m commands.bundle encoder2-entropy-0 --point table/1
"""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.artifacts import ModelName, digest, fitted_file, model_folder, weights_file
from pipeline.coding.fitted import read_fitted
from pipeline.inference.bundle import Bundle, write_bundle
from pipeline.nets.stored import load_model
from pipeline.params import ParamsError
from pipeline.tracking import api as tracking
from stages.settings import load, models, points, run


def main(
    model: Annotated[str, typer.Argument(help="a model of params.yaml: encoder2-entropy-0")],
    point: Annotated[
        str | None, typer.Option(help="point of its curve; the first of the settings if not given")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder; bundles/MODEL if not given")] = None,
) -> None:
    """Write a trained model, at one point of its curve, as a bundle."""
    params = load()
    _, bundle = make(model, point, out or Path("bundles") / model)
    for file in sorted(bundle.folder.iterdir()):
        print(f"{file}: {file.stat().st_size:,} bytes")
    if params.tracking.enabled:
        track(params.tracking.experiment, bundle)


def make(model: str, point: str | None, folder: Path) -> tuple[ModelName, Bundle]:
    """Write the bundle of a model of params.yaml at one point of its curve, the first if None.

    Raises ParamsError for a model or a point that the settings do not name.
    """
    params = load()
    known = {str(name): name for name in models(params)}
    if model not in known:
        raise ParamsError(f"there is no model {model!r} in params.yaml; it has {', '.join(known)}")
    name = known[model]
    wanted = points(params, name.arm)
    point = point or next(iter(wanted), None)
    if point not in wanted:
        raise ParamsError(f"{model} has no point {point!r}; allowed: {', '.join(wanted) or 'none'}")
    fitted = read_fitted(fitted_file(name), {point: wanted[point]})
    net, _ = load_model(model_folder(name), **name._asdict(), tasks=list(params.tasks))
    bundle = write_bundle(
        folder,
        net,
        name=name,
        point=point,
        bits=params.quantizer.bits,
        range_percent=params.quantizer.range_percent,
        fitted=fitted[point],
        size=(params.data.height, params.data.width),
        weights=digest(weights_file(name)),
    )
    return name, bundle


def track(experiment: str, bundle: Bundle) -> None:
    """Keep a bundle in MLflow, in a run under the one that trained its model.

    The registry's version of the model gets a tag, `bundle <point>`, that says where the bundle is.
    """
    model = bundle.about.model
    with tracking.start(
        enabled=True,
        experiment=experiment,
        name=f"bundle {model}",
        params={"point": bundle.about.point},
        tags={"stage": "bundle", "model": model},
    ) as tracked:
        for file in bundle.folder.iterdir():
            tracked.file(file, "bundle")
        if trained := tracked.find("train", model, bundle.about.weights):
            tracked.under(trained)
            registered = tracking.registered_name(experiment, bundle.about.encoder)
            key = f"bundle {bundle.about.point}"
            tracked.tag_model(registered, trained, key, f"runs:/{tracked.id}/bundle")


if __name__ == "__main__":
    run(main)
