"""A head's dvc.lock takes over the stages of copies, and nothing else of them; read by ruamel."""

from pathlib import Path

from ruamel.yaml import YAML

from pipeline.fleet.lock import entries, take_over


def entry(name: str, md5: str) -> dict:
    return {
        "cmd": f"python -m stages.x --name {name} " + "word " * 40,
        "deps": [{"path": "a", "hash": "md5", "md5": md5, "size": 3}],
        "params": {"params.yaml": {"train": {"compile": "on", "list": [1, 2], "empty": {}}}},
        "outs": [{"path": name, "hash": "md5", "md5": "1" * 32}],
    }


def write(path: Path, stages: dict[str, str]) -> Path:
    yaml = YAML()
    yaml.default_flow_style = False
    lock = {"schema": "2.0", "stages": {name: entry(name, md5) for name, md5 in stages.items()}}
    yaml.dump(lock, path)
    return path


def test_stages_are_taken_over(tmp_path: Path) -> None:
    head = write(tmp_path / "head", {"prepare": "a", "train@x-0": "old", "report": "r"})
    one = write(tmp_path / "one", {"prepare": "not this", "train@x-0": "new", "export@x-0": "b"})
    two = write(tmp_path / "two", {"prepare": "not this", "train@x-1": "1e5"})
    take_over(head, [(one, ["train@x-0", "export@x-0"]), (two, ["train@x-1"])])
    expected = {
        **{"prepare": "a", "train@x-0": "new", "report": "r", "export@x-0": "b"},
        **{"train@x-1": "1e5"},
    }
    found = YAML(typ="safe", pure=True).load(head.read_text())
    assert found["schema"] == "2.0"
    assert found["stages"] == {name: entry(name, md5) for name, md5 in expected.items()}


def test_the_lock_of_this_repository_is_read_whole(repository: Path) -> None:
    text = (repository / "dvc.lock").read_text()
    assert set(entries(text)) == set(YAML(typ="safe").load(text)["stages"])
