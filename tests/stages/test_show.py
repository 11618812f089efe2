"""The table of experiments: narrow, and no BD-rate without its verdict."""

from typing import Any

from stages.show import table

from pipeline.params import parse


def row(name: str | None, rev: str, weight: float, percent: float, verdict: str) -> dict[str, Any]:
    """What DVC gives of an experiment, as far as it is shown."""
    of = "hull_bd_rate.encoder2-mean"
    found = {
        **{"Experiment": name, "rev": rev, "State": None, "loss.weight": weight},
        **{f"{of}.{score}": percent for score in ("miou", "irmse")},
        **{f"verdict.{of}.{score}": verdict for score in ("miou", "irmse")},
        f"verdict.{of}.psnr": "not available",
        "data.root": "a/very/long/path/" + 8 * f"{weight:g}-and-more/",
    }
    scores = {"bpfe": 5.48, "miou": 0.5794, "irmse": 0.2771, "psnr": 22.29}
    return found | {f"png.encoder2-proposed-mean.{k}": x for k, x in scores.items()}


def test_the_table_of_experiments(values: dict[str, Any]) -> None:
    rows = [
        row(None, "workspace", 1.0, -8.67, "can be quoted"),
        row(None, "main", 1.0, -8.67, "can be quoted"),
        row("stronger-" + 40 * "x", "abc", 3.0, 4.66, "do not quote"),
        {"Experiment": "waits", "rev": "def", "State": "Queued", "loss.weight": 10.0},
    ]
    text = "\n".join(table(rows, parse(values)))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 120
    assert lines[0].split() == [
        *("experiment", "encoder", "mIoU", "bits", "IRMSE", "bits", "PSNR", "bits"),
        *("BPFE", "mIoU", "IRMSE", "PSNR"),
    ]
    assert lines[2].split() == [
        *("workspace", "Encoder2", "-8.7", "✓", "-8.7", "✓", "-"),
        *("5.480", "57.94", "0.2771", "22.29"),
    ]
    stronger = lines.index(next(x for x in lines if x.startswith("stronger-")))
    assert lines[stronger].split()[1:7] == ["Encoder2", "+4.7", "✗", "+4.7", "✗", "-"]
    assert lines[stronger + 1].startswith("    data.root=")
    assert "loss.weight=3" in lines[stronger + 2]
    waits = next(x for x in lines if x.startswith("waits (queued)"))
    assert waits.split()[2:] == ["Encoder2", *7 * ["-"]]
