"""Holds our label table against the one of cityscapesscripts."""

import numpy as np
import pytest
from cityscapesscripts.helpers import labels as official

from pipeline.labels import CLASSES, ID_OF, LABELS, PALETTE, TRAIN_ID_OF_ID, VOID

OFFICIAL = [label for label in official.labels if label.id >= 0]


def test_every_official_label_is_there_once() -> None:
    assert [label.id for label in LABELS] == [label.id for label in OFFICIAL]


@pytest.mark.parametrize(("ours", "theirs"), list(zip(LABELS, OFFICIAL, strict=True)))
def test_label_is_the_official_one(ours, theirs) -> None:
    assert ours.name == theirs.name
    assert ours.colour == theirs.color
    assert ours.train_id == (theirs.trainId if theirs.trainId >= 0 else VOID)
    assert ID_OF[theirs.name] == theirs.id


def test_classes_are_the_evaluated_ones_in_train_id_order() -> None:
    evaluated = {label.trainId: label.name for label in OFFICIAL if not label.ignoreInEval}
    assert tuple(evaluated[train_id] for train_id in range(19)) == CLASSES


def test_train_ids_of_all_byte_values() -> None:
    expected = np.full(256, VOID)
    for label in OFFICIAL:
        if 0 <= label.trainId < VOID:
            expected[label.id] = label.trainId
    np.testing.assert_array_equal(TRAIN_ID_OF_ID, expected)


def test_palette_is_the_official_one_and_black_elsewhere() -> None:
    for train_id in range(19):
        assert tuple(PALETTE[train_id]) == official.trainId2label[train_id].color
    assert not PALETTE[19:].any()


def test_tables_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        PALETTE[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        TRAIN_ID_OF_ID[0] = 0
