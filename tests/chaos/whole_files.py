"""What is visible under a final name, and whether it is whole."""

import csv
import hashlib
import io
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import torch
import yaml
from PIL import Image
from safetensors.numpy import load_file

OUTPUTS = ("data", "models", "features", "diagnostics", "streams", "evaluation", "reports")


def _text_to_end(path: Path) -> None:
    ends = {".html": "</html>", ".svg": "</svg>"}
    text = path.read_text()
    assert text.endswith("\n") or path.suffix in ends
    assert text.rstrip().endswith(ends.get(path.suffix, ""))


def _table(path: Path) -> None:
    rows = list(csv.reader(io.StringIO(path.read_text())))
    assert rows
    assert len({len(row) for row in rows}) == 1
    _text_to_end(path)


def _state(path: Path) -> None:
    assert torch.load(path, map_location="cpu", weights_only=True)["position"]["epoch"] >= 0


OPENS: dict[str, Callable[[Path], object]] = {
    ".safetensors": load_file,
    ".npy": np.load,
    ".png": lambda path: Image.open(path).load(),
    ".json": lambda path: json.loads(path.read_text()),
    ".csv": _table,
    ".pt": _state,
    **dict.fromkeys((".html", ".svg", ".tex", ".md", ".txt"), _text_to_end),
}


def final(folder: Path) -> Iterator[Path]:
    """Yield the files of the experiment that have their final name."""
    for top in OUTPUTS:
        for path in (folder / top).rglob("*"):
            hidden = any(part.startswith(".") for part in path.relative_to(folder / top).parts)
            if path.is_file() and not hidden:
                yield path
    # What lies deeper is on its way to MLflow.
    yield from (folder / ".checkpoints").glob("[!.]*.pt")
    yield from (folder / ".checkpoints" / "runs").glob("[!.]*.json")


def half_written(folder: Path) -> list[str]:
    """Return the files under a final name that do not open, with why."""
    found = []
    for path in final(folder):
        try:
            OPENS[path.suffix](path)
        except FileNotFoundError:  # a stage was killed; DVC or the sweep took the file since
            continue
        except Exception as error:
            found.append(f"{path.relative_to(folder)}: {error!r}")
    return found


def temporary(folder: Path) -> list[str]:
    """Return what lies under a temporary name."""
    names = (*OUTPUTS, ".checkpoints")
    return [str(x.relative_to(folder)) for top in names for x in (folder / top).rglob(".*")]


def contents(folder: Path) -> dict[str, str]:
    """Return path -> md5 of every output, but of what names the MLflow runs.

    `run.json` holds the id of a run. The page links to runs, and draws ids for its charts.
    """
    found = {}
    for path in final(folder):
        if path.name == "run.json" or ".checkpoints" in path.parts:
            continue
        data = path.read_bytes()
        if path.name == "index.html":
            data = re.sub(rb"[0-9a-f]{32}", b"", data)
        found[str(path.relative_to(folder))] = hashlib.md5(data).hexdigest()
    return found


def lock(folder: Path) -> object:
    """Return dvc.lock without the md5 and size of what names the MLflow runs."""
    stages = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    for stage in stages.values():
        for entry in (*stage.get("deps", ()), *stage.get("outs", ())):
            path = entry["path"]
            if path.startswith(("models", "evaluation")) or path in (
                "reports/run.json",
                "reports/index.html",
            ):
                entry |= {"md5": None, "size": None}
    return stages


def open_runs(store: Path) -> list[str]:
    """Return what is wrong with the runs of an MLflow store."""
    with sqlite3.connect(store) as asked:
        runs = asked.execute("select name from runs where status = 'RUNNING'")
        found = [f"the MLflow run {name} is RUNNING" for (name,) in runs]
        doubled = "select key, run_uuid from metrics group by key, run_uuid, step having count(*)>1"
        found += [
            f"metric {key} of run {run_id} is there twice at one step"
            for key, run_id in asked.execute(doubled)
        ]
    return found


def left_running(folder: Path) -> list[str]:
    """Return the commands of the processes that still run in the experiment."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline", "status"]):
        if process.info["cwd"] == str(folder) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(" ".join(process.info["cmdline"]))
    return found


def mended_by_hand(folder: Path, said: str) -> bool:
    """Do what README says if dvc has cut a file of its own, which it writes in place."""
    if not re.search(r"dvc\.lock' validation failed|dvc\.lock.*corrupted|RWLock", said):
        return False
    for name in ("dvc.lock", ".dvc/tmp/rwlock"):
        (folder / name).unlink(missing_ok=True)
    print("mended by hand: dvc.lock or rwlock", flush=True)
    return True


def remnants(folder: Path) -> list[str]:
    """Return what a finished experiment should not have left."""
    running = [f"still running: {words}" for words in left_running(folder)]
    hidden = [f"{path} is left under a temporary name" for path in temporary(folder)]
    return [*running, *hidden, *open_runs(folder / "mlflow.db")]
