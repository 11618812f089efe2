"""Who may import whom, and what dvc.yaml must say about it.

Long on purpose: what holds of one thing is in one place.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.params import flat, parse

REPOSITORY = Path(__file__).parents[1]
LIBRARY = sorted((REPOSITORY / "pipeline").rglob("*.py"))
STAGES = sorted((REPOSITORY / "stages").glob("*.py"))

HELPERS = (
    "settings",
    "models",
    "recipe",
    "gather",
    "measure",
    "kept",
    "node",
    "budget",
    "grid_jobs",
    "process",
    "leftovers",
    "resume",
)
"""Files of stages/ that are no command."""

# Anyone may stand on these, and they on nothing but each other's like.
GROUND = {
    "pipeline.arms",
    "pipeline.bar",
    "pipeline.data.labels",
    "pipeline.data.source",
    "pipeline.data.truth",
    "pipeline.files",
    "pipeline.shards",
    "pipeline.workspace",
}
# Room -> the rooms it may import from, beside its own and the ground.
ROOMS = {
    "arms": set(),
    "bar": set(),
    "params": set(),
    "files": set(),
    "shards": set(),
    "workspace": set(),
    "data": set(),
    "coding": set(),
    "scoring": set(),
    "nets": {"coding"},
    "inference": {"nets", "coding", "scoring"},
    "training": {"nets", "coding", "scoring"},
    "report": {"scoring"},
    "artifacts": {"scoring"},
    "tracking": set(),
}


def name_of(path: Path) -> str:
    """`pipeline/nets/split.py` -> `pipeline.nets.split`."""
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def file_of(module: str) -> Path | None:
    path = REPOSITORY.joinpath(*module.split("."))
    return next((x for x in (path.with_suffix(".py"), path / "__init__.py") if x.is_file()), None)


def room_of(module: str) -> str:
    """`pipeline.nets.split` -> `nets`."""
    return module.split(".")[1]


def imports(path: Path, types_too: bool = True) -> Iterator[str]:
    """Every module a file names in an import, in functions too; submodules by their own names."""
    tree = ast.parse(path.read_text())
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not types_too:
            skipped |= {x for child in node.body for x in ast.walk(child)}
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = str(node.module)
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield inner if module.split(".")[0] == "pipeline" and file_of(inner) else module


def top(modules: Iterator[str]) -> set[str]:
    return {module.split(".")[0] for module in modules}


def test_rooms_stand_on_the_right_floors() -> None:
    for path in LIBRARY:
        own = name_of(path)
        if own == "pipeline":
            continue
        room = room_of(own)
        for module in imports(path):
            if not module.startswith("pipeline"):
                continue
            allowed = module in GROUND or room_of(module) in {room} | ROOMS[room]
            assert allowed, f"{own} must not import {module}"
            assert own not in GROUND or module in GROUND, f"{own} is ground, and imports {module}"


def test_every_room_is_known() -> None:
    found = {room_of(name_of(path)) for path in LIBRARY if name_of(path) != "pipeline"}
    assert found == set(ROOMS)


def test_the_library_knows_no_stage_and_no_tool_of_the_stages() -> None:
    for path in LIBRARY:
        names = top(imports(path))
        assert "stages" not in names, path
        assert "typer" not in names, path
        if "tracking" not in path.parts:
            assert not names & {"mlflow", "yaml", "dvc"}, path


def test_only_stages_read_the_settings() -> None:
    """In the library the file's name occurs in messages only: it is never a path."""
    for path in LIBRARY:
        for node in ast.walk(ast.parse(path.read_text())):
            inside = [node.args] if isinstance(node, ast.Call) else []
            inside += [[node.left, node.right]] if isinstance(node, ast.BinOp) else []
            for values in inside:
                texts = [x.value for x in values if isinstance(x, ast.Constant)]
                assert "params.yaml" not in texts, f"{path}:{node.lineno}"


def test_no_stage_imports_another() -> None:
    for path in STAGES:
        stages = {x for x in imports(path) if x.split(".")[0] == "stages"}
        assert stages <= {f"stages.{x}" for x in HELPERS}, path


def test_no_test_or_benchmark_is_imported() -> None:
    for path in [*LIBRARY, *STAGES]:
        assert not top(imports(path)) & {"tests", "benchmarks", "experiments"}, path


def test_init_files_are_there_and_empty() -> None:
    for package in ("pipeline", "stages"):
        for folder in {x.parent for x in (REPOSITORY / package).rglob("*.py")}:
            assert (folder / "__init__.py").read_bytes() == b"", folder


# Slow imports


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("stages.encode", {"torch", "mlflow", "pandas"}),
        ("stages.check", {"torch", "mlflow"}),
        ("stages.streets", {"torch", "mlflow"}),
        ("stages.prepare", {"torch", "mlflow"}),
        ("pipeline.scoring.bdrate", {"torch", "mlflow"}),
        ("pipeline.scoring.metrics", {"torch", "mlflow", "pandas"}),
    ],
)
def test_does_not_load(module: str, without: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not without & set(result.stdout.split())


# dvc.yaml


PIPELINE: dict[str, Any] = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
VALUES: dict[str, Any] = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
# Tools of all stages: what they do with a file's bytes or a setting shows in what the stage gives.
TOOLS = {"pipeline.params", "pipeline.artifacts", "pipeline.files", "pipeline.workspace"}


def script(stage: str) -> Path:
    command = PIPELINE[stage]["cmd"].split()
    module = next(x for x in command if x.startswith("stages."))
    assert command[command.index(module) - 1] == "-m"
    return REPOSITORY / (module.replace(".", "/") + ".py")


def paths(entries: list[Any]) -> list[str]:
    return [next(iter(x)) if isinstance(x, dict) else x for x in entries]


def needs(path: Path, seen: set[str]) -> set[str]:
    """Modules of the library that a script runs on, in the end."""
    for module in imports(path, types_too=False):
        tool = module in TOOLS or module.startswith("pipeline.tracking")
        if module.startswith("pipeline.") and not tool and module not in seen:
            file = file_of(module)
            assert file is not None, module
            seen.add(module)
            needs(file, seen)
    return seen


@pytest.mark.parametrize("stage", PIPELINE)
def test_deps_cover_what_a_stage_imports(stage: str) -> None:
    deps = [REPOSITORY / x for x in paths(PIPELINE[stage]["deps"])]
    assert script(stage) in deps
    # What stages share counts too, but for the settings, which are checked and change nothing.
    helpers = [x for x in deps if x.parent.name == "stages"]
    modules = set().union(*(needs(x, set()) for x in helpers))
    files = [file_of(module) for module in modules]
    lacking = [
        str(file.relative_to(REPOSITORY))
        for file in files
        if file is not None and not any(dep == file or dep in file.parents for dep in deps)
    ]
    assert not lacking, f"{stage} runs on files that are not among its deps: {sorted(lacking)}"


@pytest.mark.parametrize("stage", PIPELINE)
def test_deps_exist_or_are_made_by_a_stage(stage: str) -> None:
    made = []
    for other in PIPELINE.values():
        outs = [*other.get("outs", []), *other.get("metrics", []), *other.get("plots", [])]
        made += [x.split("${")[0].rstrip("/") for x in paths(outs)]
    for dep in paths(PIPELINE[stage]["deps"]):
        path = dep.replace("${data.root}", VALUES["data"]["root"])
        path = path.replace("${model.file}", VALUES["model"]["file"])
        path = path.split("${")[0].rstrip("/")
        out = any(Path(x).is_relative_to(path) or Path(path).is_relative_to(x) for x in made)
        assert out or (REPOSITORY / path).exists(), f"{stage}: nothing makes {dep}"


def test_no_frame_of_the_data_can_be_pushed() -> None:
    """The licence of Cityscapes forbids passing it on."""
    outs = [x for stage in PIPELINE.values() for x in stage.get("outs", [])]
    data = [x for x in outs if next(iter(paths([x]))).startswith("data/")]
    assert len(data) == 4
    for out in data:
        assert isinstance(out, dict), f"{out} would be pushed"
        ((_, options),) = out.items()
        assert options.get("push") is False or options == {"cache": False}


def listed(stage: str) -> list[str]:
    return [x for x in PIPELINE[stage].get("params", []) if isinstance(x, str)]


@pytest.mark.parametrize("stage", PIPELINE)
def test_params_exist(stage: str) -> None:
    for key in listed(stage):
        value: Any = VALUES
        for part in key.split("."):
            assert part in value, f"{stage}: {key}"
            value = value[part]


# Settings that a stage uses without being made anew when they change.
FREE = {"tracking.enabled", "tracking.experiment", "train.device", "train.launcher"}
ELSEWHERE = {
    "train": {"data", "train.compile", "train.checkpoint_minutes", "loss.rate"},
    "check": set(VALUES),  # depends on all of params.yaml
    "export": {"tasks"},  # shows in the model
    "evaluate": {"quantizer.bits", "data", "tasks"},  # show in the streams, frames and model
}


@pytest.mark.parametrize("stage", PIPELINE)
def test_params_list_the_settings_that_a_stage_uses(stage: str) -> None:
    path = script(stage)
    helpers = [REPOSITORY / x for x in paths(PIPELINE[stage]["deps"]) if x.startswith("stages/")]
    used = {
        ast.unparse(node).removeprefix("params.")
        for file in {path, *helpers}
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("params.")
    }
    used = {".".join(x.split(".")[:2]) for x in used} - FREE
    # `params.loss` alone is the beginning of `params.loss.rate`.
    used -= {x for x in used if isinstance(VALUES.get(x), dict)}
    keys = {*listed(stage), *ELSEWHERE.get(path.stem, set())}
    assert not {x for x in used if x not in keys and x.split(".")[0] not in keys}


@pytest.mark.parametrize("arm", ["benchmark", "proposed"])
def test_training_depends_on_what_decides_the_model(arm: str) -> None:
    from stages.recipe import relevant_settings

    values = VALUES | {"loss": VALUES["loss"] | {"rate": True}}
    # Those of the data come with the prepared frames.
    decisive = {x for x in relevant_settings(flat(parse(values)), arm) if not x.startswith("data.")}
    keys = listed(f"train_{arm}")
    lacking = {x for x in decisive if x not in keys and x.split(".")[0] not in keys}
    assert not lacking
    if arm == "benchmark":
        rate = {"rate", "rate_of", "prediction", "transform", "weight"}
        assert not {"loss", *(f"loss.{x}" for x in rate)} & {*keys, *decisive}


def sources(repository: Path) -> list[Path]:
    """Every Python file of the project."""
    rooms = ("pipeline", "stages", "benchmarks", "tests")
    return sorted(path for room in rooms for path in (repository / room).rglob("*.py"))


def test_what_is_long_says_why(repository: Path) -> None:
    silent = []
    for path in sources(repository):
        text = path.read_text()
        tree = ast.parse(text)
        parts: list[tuple[str, ast.Module | ast.FunctionDef, int, int]] = [
            (path.name, tree, len(text.splitlines()), 250)
        ]
        parts += [
            (f"{path.name}:{node.name}", node, (node.end_lineno or 0) - node.lineno + 1, 50)
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef)
        ]
        silent += [
            f"{name} has {lines} lines"
            for name, node, lines, most in parts
            if lines > most
            and "on purpose" not in " ".join((ast.get_docstring(node) or "").split())
        ]
    assert silent == []


def test_every_file_of_tests_says_what_it_holds(repository: Path) -> None:
    silent = [
        path.name
        for path in sources(repository)
        if path.name.startswith("test_") and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []
