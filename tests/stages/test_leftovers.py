"""What earlier settings left goes, if DVC can bring it back; everything else stays."""

from pathlib import Path

import pytest
import yaml

from pipeline.artifacts import ModelName
from stages.leftovers import remove_leftovers

WANTED = ModelName("encoder2", "benchmark", 0)
OLD = "encoder2-benchmark-1"


def test_only_what_dvc_has_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kept = [f"models/{WANTED}/model.json", "models/my-own/notes.txt", "features/mine.safetensors"]
    old = [f"models/{OLD}", f"features/{OLD}.safetensors", f"streams/{OLD}", f"evaluation/{OLD}"]
    for path in [*kept, f"{old[0]}/model.json", old[1], f"{old[2]}/png.safetensors"]:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
    assert remove_leftovers([WANTED]) == []
    noted = [f"models/{WANTED}", *old, "data/prepared", "reports/tables"]
    stages = {f"stage {path}": {"outs": [{"path": path}]} for path in noted}
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    # The evaluation is named but not there.
    assert [str(x) for x in remove_leftovers([WANTED])] == sorted(old[:3])
    assert all(Path(path).exists() for path in kept)
    assert not any(Path(path).exists() for path in old)
    assert remove_leftovers([WANTED]) == []
