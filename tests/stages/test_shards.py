"""Stages work shard by shard: the same bytes as all frames at once, also after a kill."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from benchmarks.made_up import noise_frames
from pipeline import shards
from pipeline.artifacts import (
    Bitstreams,
    Evaluation,
    ModelName,
    diagnostics_file,
    examples_file,
    features_file,
    hashes,
    model_folder,
    prepared_folder,
    read_examples,
    read_features,
    streams_file,
    sums_file,
    weights_file,
    write_diagnostics,
    write_evaluation,
    write_run_id,
    write_streams,
)
from pipeline.coding.codecs import find_codec
from pipeline.coding.points import read_point
from pipeline.data.batches import Batches
from pipeline.inference import cloud, edge
from pipeline.inference import export as library
from pipeline.nets.encoder import ENCODERS
from pipeline.nets.split import SplitNet
from pipeline.training.checkpoint import save_model
from stages import encode, evaluate, export
from stages.measure import serve_pictures, serve_streams
from tests.support.tiny_experiment import small_params
from tests.support.tiny_net import TINY

NAME = ModelName("tiny", "benchmark", 0)
FRAMES, SHARD, SHOWN = 19, 8, 10
POINTS = ("png@5", "jpeg-90")
TASKS = ["segmentation", "disparity", "reconstruction"]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SplitNet:
    """A folder with frames, settings and a model, which is returned; shards of 8 frames."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "tiny", TINY)
    monkeypatch.setattr(shards, "SHARD", SHARD)
    noise_frames(prepared_folder("val"), FRAMES, width=16, height=8)
    params = small_params()
    params |= {"encoders": ["tiny"], "codecs": list(POINTS)}
    params["data"] |= {"width": 16, "height": 8}
    params["report"] |= {
        "examples": SHOWN,
        "picture_qualities": [60],
        "bd_points": list(POINTS),
    }
    params["tracking"]["enabled"] = False
    Path("params.yaml").write_text(yaml.safe_dump(params))
    Path(".dvcignore").touch()  # named as weights
    torch.manual_seed(0)
    net = SplitNet("tiny", TASKS).eval()
    save_model(model_folder(NAME), net, {**NAME._asdict(), "tasks": TASKS})
    write_run_id(model_folder(NAME), None)
    return net.to(memory_format=torch.channels_last)


def run(stage: Callable[..., None]) -> None:
    stage(**NAME._asdict())


def outputs() -> dict[str, bytes]:
    """Return every output of the three stages."""
    roots = ("features", "diagnostics", "streams", "evaluation")
    return {str(x): x.read_bytes() for root in roots for x in Path(root).rglob("*") if x.is_file()}


def all_at_once(net: SplitNet, folder: Path) -> None:
    """Make the same files in another folder, of all frames at once."""
    from pipeline.data.frames import open_frames

    batches = Batches(open_frames(prepared_folder("val")), device="cpu")
    frames = batches.frames
    features_NChw, rate_loss = library.export(net, batches)
    np.testing.assert_array_equal(read_features(features_file(NAME)).features_NChw, features_NChw)
    write_diagnostics(folder / diagnostics_file(NAME), rate_loss, hashes([weights_file(NAME)]))
    served, coders = {}, {}
    for title in POINTS:
        point = read_point(title, 8)
        coders[title] = find_codec(point.codec).coder
        coded = Bitstreams(
            edge.encode(features_NChw, point.bits, point.codec), frames.names, coders[title]
        )
        path = streams_file(NAME, title)
        write_streams(folder / path, coded)
        served[title] = serve_streams(
            path, coded, point, features_NChw.shape[1:], net, batches, SHOWN
        )
    files = [*(streams_file(NAME, x) for x in POINTS), *sorted(prepared_folder("val").iterdir())]
    evaluation = Evaluation(
        {title: at for title, (at, _) in served.items()},
        features_NChw[0].size,
        frames.names,
        cloud.serve(net, batches, edge.features(net, batches)).sums,
        {"60": serve_pictures(frames, 60, net, batches)},
        coders,
        hashes([weights_file(NAME), *files]),
    )
    write_evaluation(folder / sums_file(NAME), evaluation)
    seen = read_examples(examples_file(NAME))
    assert seen.names == frames.names[:SHOWN]
    np.testing.assert_array_equal(seen.image_BHW3, frames.image_NHW3[:SHOWN])
    for title, (_, pictures) in served.items():
        for task in TASKS:
            np.testing.assert_array_equal(seen.predictions[title][task], pictures[task])


def test_a_batch_is_never_cut() -> None:
    """Or float32 would give other bits."""
    assert shards.SHARD % edge.BATCH == 0


def test_every_frame_is_in_one_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD", SHARD)
    assert [len(x) for x in shards.shards(FRAMES)] == [8, 8, 3]
    assert [i for x in shards.shards(FRAMES) for i in x] == list(range(FRAMES))
    assert shards.shards(0) == []


def test_shards_give_the_bytes_of_all_frames_at_once(workspace: SplitNet, tmp_path: Path) -> None:
    for stage in (export, encode, evaluate):
        run(stage.main)
    other = tmp_path / "other"
    all_at_once(workspace, other)
    for path in [
        diagnostics_file(NAME),
        *(streams_file(NAME, x) for x in POINTS),
        sums_file(NAME),
    ]:
        assert path.read_bytes() == (other / path).read_bytes(), path
    assert [*Path(".checkpoints").iterdir()] == []


@pytest.mark.parametrize("killed_at", [0, 1, 2])
@pytest.mark.parametrize(
    ("stage", "place"),
    [(export, "write_diagnostics"), (encode, "write_streams"), (evaluate, "evaluate_shard")],
    ids=["export", "encode", "evaluate"],
)
def test_a_killed_stage_goes_on_after_its_last_finished_shard(
    workspace: SplitNet,
    monkeypatch: pytest.MonkeyPatch,
    stage,
    place: str,
    killed_at: int,
) -> None:
    from stages import measure

    for before in (export, encode, evaluate):
        run(before.main)
        if before is stage:
            break
    undisturbed = outputs()
    for path in undisturbed:
        if path.startswith({export: "f", encode: "s", evaluate: "e"}[stage]):
            Path(path).unlink()  # as DVC does
    module = measure if stage is evaluate else stage
    real, calls = getattr(module, place), []

    def dies(*arguments, **named):
        calls.append(None)
        if len(calls) == 1 + killed_at:
            raise KeyboardInterrupt
        return real(*arguments, **named)

    monkeypatch.setattr(module, place, dies)
    with pytest.raises(KeyboardInterrupt):
        run(stage.main)
    assert len([*Path(".checkpoints").iterdir()]) == 1
    calls.clear()
    monkeypatch.setattr(module, place, lambda *a, **k: (calls.append(None), real(*a, **k))[1])
    run(stage.main)
    whole = {export: 3 + 0, encode: 3 * len(POINTS), evaluate: 3}[stage]
    assert len(calls) == whole - killed_at
    assert outputs() == undisturbed
    assert [*Path(".checkpoints").iterdir()] == []


def test_other_settings_do_not_find_the_work(
    workspace: SplitNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(export.main)
    monkeypatch.setattr(encode, "join_streams", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(encode.main)
    text = Path("params.yaml").read_text()
    assert "keep: 100" in text
    Path("params.yaml").write_text(text.replace("keep: 100", "keep: 99"))
    with pytest.raises(ZeroDivisionError):
        run(encode.main)
    assert len([*Path(".checkpoints").iterdir()]) == 2


def test_two_processes_do_not_share_work(tmp_path: Path) -> None:
    with shards.work_folder(tmp_path / "work") as one:
        (one / "a").touch()
        with shards.work_folder(tmp_path / "work") as two:
            assert two != one
            assert [*two.iterdir()] == []
        assert not two.exists()
        assert (one / "a").exists()
    assert [*tmp_path.iterdir()] == []


def test_rows_of_a_mapped_file_are_its_rows(tmp_path: Path) -> None:
    array = np.arange(60, dtype=np.int32).reshape(10, 3, 2)
    np.save(tmp_path / "a.npy", array)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    for source in (array, mapped, mapped[2:], mapped[::2], mapped[:, 1:]):
        for rows in (range(0, 2), range(1, 5), range(3, 3)):
            expected = np.array(source)[rows.start : rows.stop]
            np.testing.assert_array_equal(shards.rows_of(source, rows), expected)
    assert [len(x) for x in shards.chunks(mapped)] == [10]
