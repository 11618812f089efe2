"""A copy has the files of its repository as they are, committed or not, and shares its cache."""

from pathlib import Path

import pytest
import yaml

from pipeline.fleet.alone import FleetError
from pipeline.fleet.clone import changed, copy, dvc, freeze
from tests.support.tiny_experiment import command

STAGE = {"cmd": "cp in.txt out.txt", "deps": ["in.txt"], "outs": ["out.txt"]}


@pytest.fixture
def head(tmp_path: Path) -> Path:
    """A repository with one stage, which has not run, and changes that are not committed."""
    head = tmp_path / "head"
    head.mkdir()
    (head / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"copy": STAGE}}))
    (head / "in.txt").write_text("committed")
    (head / "gone.txt").write_text("")
    (head / "a name with ü.txt").write_text("")
    command(head, "git", "init", "-q")
    command(head, "dvc", "init", "-q")
    command(head, "git", "add", ".")
    command(head, "git", "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "start")
    (head / "in.txt").write_text("changed")
    (head / "gone.txt").unlink()
    (head / "new.txt").write_text("")
    command(head, "git", "add", "new.txt")
    (head / "unknown.txt").write_text("")
    return head


def test_a_copy_is_the_head_as_it_is(head: Path, tmp_path: Path) -> None:
    frozen, made = tmp_path / "frozen", tmp_path / "made"
    freeze(head, frozen)
    copy(frozen, made)
    assert (made / "in.txt").read_text() == "changed"
    assert (made / "new.txt").is_file()
    assert (made / "a name with ü.txt").is_file()
    assert not (made / "gone.txt").exists()
    assert not (made / "unknown.txt").exists()
    commit = command(head, "git", "rev-parse", "HEAD").stdout
    assert command(made, "git", "rev-parse", "HEAD").stdout == commit
    assert "M  in.txt" in command(made, "git", "status", "--porcelain").stdout.splitlines()


def test_the_head_finds_in_the_cache_what_a_copy_has_made(head: Path, tmp_path: Path) -> None:
    freeze(head, tmp_path / "frozen")
    copy(tmp_path / "frozen", tmp_path / "made")
    command(tmp_path / "made", "dvc", "repro", "--single-item", "copy")
    assert not (head / "out.txt").exists()
    said = command(head, "dvc", "repro").stdout
    assert "Stage 'copy' is cached - skipping run" in said
    assert (head / "out.txt").read_text() == "changed"


def test_a_frozen_repository_is_made_anew(head: Path, tmp_path: Path) -> None:
    freeze(head, tmp_path / "frozen")
    (head / "in.txt").write_text("later")
    freeze(head, tmp_path / "frozen")
    assert (tmp_path / "frozen/in.txt").read_text() == "later"


def test_what_changed_in_the_head_is_named(head: Path, tmp_path: Path) -> None:
    freeze(head, tmp_path / "frozen")
    assert changed(head, tmp_path / "frozen") == []
    (head / "in.txt").write_text("CHANGED")
    (head / "new.txt").unlink()
    (head / "newer.txt").write_text("")
    command(head, "git", "add", "newer.txt")
    assert changed(head, tmp_path / "frozen") == ["in.txt", "new.txt", "newer.txt"]


def test_a_command_that_fails_is_named(head: Path) -> None:
    (head / "in.txt").unlink()
    with pytest.raises(FleetError, match="`dvc repro copy` failed"):
        dvc("repro", "copy", cwd=head)
