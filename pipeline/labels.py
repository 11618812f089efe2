"""The Cityscapes classes: official label ids, the 19 train ids, names and colours.

Source: Cordts et al., "The Cityscapes dataset for semantic urban scene understanding", CVPR 2016,
and the release's own label table (the test compares against `cityscapesscripts`).
"""

from typing import NamedTuple

import numpy as np

VOID = 255
"""Train id of the pixels that every score and every loss ignores."""


class Label(NamedTuple):
    """One official label: its id in a `_gtFine_labelIds.png`, and the class that a net learns."""

    id: int
    name: str
    train_id: int
    """0 to 18, or `VOID`."""
    colour: tuple[int, int, int]
    """RGB, 0 to 255, the release's own palette."""


LABELS = (
    Label(0, "unlabeled", VOID, (0, 0, 0)),
    Label(1, "ego vehicle", VOID, (0, 0, 0)),
    Label(2, "rectification border", VOID, (0, 0, 0)),
    Label(3, "out of roi", VOID, (0, 0, 0)),
    Label(4, "static", VOID, (0, 0, 0)),
    Label(5, "dynamic", VOID, (111, 74, 0)),
    Label(6, "ground", VOID, (81, 0, 81)),
    Label(7, "road", 0, (128, 64, 128)),
    Label(8, "sidewalk", 1, (244, 35, 232)),
    Label(9, "parking", VOID, (250, 170, 160)),
    Label(10, "rail track", VOID, (230, 150, 140)),
    Label(11, "building", 2, (70, 70, 70)),
    Label(12, "wall", 3, (102, 102, 156)),
    Label(13, "fence", 4, (190, 153, 153)),
    Label(14, "guard rail", VOID, (180, 165, 180)),
    Label(15, "bridge", VOID, (150, 100, 100)),
    Label(16, "tunnel", VOID, (150, 120, 90)),
    Label(17, "pole", 5, (153, 153, 153)),
    Label(18, "polegroup", VOID, (153, 153, 153)),
    Label(19, "traffic light", 6, (250, 170, 30)),
    Label(20, "traffic sign", 7, (220, 220, 0)),
    Label(21, "vegetation", 8, (107, 142, 35)),
    Label(22, "terrain", 9, (152, 251, 152)),
    Label(23, "sky", 10, (70, 130, 180)),
    Label(24, "person", 11, (220, 20, 60)),
    Label(25, "rider", 12, (255, 0, 0)),
    Label(26, "car", 13, (0, 0, 142)),
    Label(27, "truck", 14, (0, 0, 70)),
    Label(28, "bus", 15, (0, 60, 100)),
    Label(29, "caravan", VOID, (0, 0, 90)),
    Label(30, "trailer", VOID, (0, 0, 110)),
    Label(31, "train", 16, (0, 80, 100)),
    Label(32, "motorcycle", 17, (0, 0, 230)),
    Label(33, "bicycle", 18, (119, 11, 32)),
)

CLASSES = tuple(
    label.name for label in sorted(LABELS, key=lambda x: x.train_id) if label.train_id != VOID
)
"""Names of the 19 classes, at the index of their train id."""

ID_OF = {label.name: label.id for label in LABELS}
"""Official id of a label by its name."""

PALETTE = np.zeros((256, 3), np.uint8)
"""RGB of each train id; void is black."""

TRAIN_ID_OF_ID = np.full(256, VOID, np.uint8)
"""Train id of each official id; ids outside 0 to 33 are void here and an error in the reader."""

for _label in LABELS:
    TRAIN_ID_OF_ID[_label.id] = _label.train_id
    if _label.train_id != VOID:
        PALETTE[_label.train_id] = _label.colour
PALETTE.setflags(write=False)
TRAIN_ID_OF_ID.setflags(write=False)
