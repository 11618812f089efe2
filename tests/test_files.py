"""Files and folders are whole or not there."""

import json
import os
import subprocess
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from pipeline.files import whole_file, whole_folder, write_csv, write_json, write_text


def test_json_is_strict(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "bad.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())
    write_json(tmp_path / "deep" / "good.json", {"a": [1, None]})
    assert json.loads((tmp_path / "deep" / "good.json").read_text()) == {"a": [1, None]}


def test_csv_comes_back(tmp_path: Path) -> None:
    table = pd.DataFrame({"codec": ["png", "jpeg-90"], "bpfe": [5.1, None], "reason": ["", "n, a"]})
    write_csv(tmp_path / "table.csv", table)
    read = pd.read_csv(StringIO((tmp_path / "table.csv").read_text()), keep_default_na=False)
    assert read["reason"].tolist() == ["", "n, a"]
    assert read["bpfe"].tolist() == ["5.1", ""]


def test_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    write_text(path, "first\n")

    def fail_halfway() -> None:
        with whole_file(path) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text() == "first\n"
    assert [x.name for x in tmp_path.iterdir()] == ["table.md"]


def test_a_folder_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "frames"
    for text in ("first", "second"):
        with whole_folder(path) as part:
            (part / text).write_text(text)
            assert path.exists() == (text == "second")
            assert not (path / text).exists()
        assert [x.name for x in path.iterdir()] == [text]
    assert [x.name for x in path.parent.iterdir()] == ["frames"]


def test_a_folder_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    ended = subprocess.Popen(["true"])
    ended.wait()
    with whole_folder(path) as part:
        left = part.with_name(part.name.replace(str(os.getpid()), str(ended.pid)))
    left.mkdir()
    (left / "of a killed process").touch()
    with whole_folder(path) as part:
        assert not list(part.iterdir())
        (part / "good").touch()

    def fail_halfway() -> None:
        with whole_folder(path) as part:
            (part / "bad").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert [x.name for x in path.iterdir()] == ["good"]
    assert [x.name for x in tmp_path.iterdir()] == ["frames"]
