"""The plan of one street in metres, the camera in it and the weather over it."""

from typing import NamedTuple

import numpy as np

from pipeline.streets.camera import Camera
from pipeline.streets.canvas import SKY_SHADES, Air

KINDS = ("canyon", "avenue", "suburb", "outskirts")
_SHARES = (0.42, 0.2, 0.25, 0.13)
_TRAM = 1 / 6
"""Share of the streets that have a tram line, on two tracks."""
_TRACK_M = 2.6
"""Width of a track."""


class Street(NamedTuple):
    """One street. Lateral offsets are in metres from the middle of the road, right positive."""

    kind: int
    """Index in KINDS."""
    middle_m: float
    """Lateral offset of the road's middle from the camera at depth 0."""
    bend_per_m: float
    """The middle of the road at depth z lies at middle_m + bend_per_m * z * z / 2."""
    lanes: int
    """On either side."""
    lane_m: float
    """Width of a lane."""
    parking_m: float
    """Width of the parking strip on either side, 0 for none."""
    half_road_m: float
    """From the middle of the road to a curb."""
    verge_m: float
    """Width of the grass between curb and sidewalk."""
    edge_m: float
    """Where gardens and buildings begin, on either side."""
    crossing: tuple[float, float]
    """Depths between which another street crosses; far out of sight if none does."""
    tram: bool
    """Whether a tram line runs in the middle."""
    sun_side: int
    """1 if the sun is on the right, else -1."""
    sun: float
    """0 overcast to 1 clear."""

    def x_at(self, lateral_m: float, z: float) -> float:
        """Return the offset from the camera of a lateral offset from the road's middle."""
        return self.middle_m + lateral_m + 0.5 * self.bend_per_m * z * z

    def in_crossing(self, z: float, margin_m: float) -> bool:
        """Return whether a depth lies in the crossing street or so close to it."""
        return self.crossing[0] - margin_m < z < self.crossing[1] + margin_m

    @property
    def tracks_m(self) -> float:
        """Return the width of the track on either side of the middle, 0 without a tram."""
        return _TRACK_M * self.tram

    @property
    def lines_m(self) -> dict[str, float]:
        """Return the lines along which things stand: metres from the middle, on either side."""
        lines = {
            "inner lane": self.tracks_m + self.lane_m / 2,
            "gutter": self.half_road_m - self.parking_m - 0.5,
            "curb": self.half_road_m + 0.4,
            "walk": self.half_road_m + self.verge_m + 0.4,
            "edge": self.edge_m - 0.4,
        }
        if self.tram:
            lines["rail"] = 1.27
        if self.lanes > 1:
            lines["outer lane"] = self.tracks_m + 1.5 * self.lane_m
        if self.parking_m:
            lines["parking"] = self.half_road_m - self.parking_m / 2
        return lines


def plan(rng: np.random.Generator) -> Street:
    """Draw a street at random."""
    tram = rng.random() < _TRAM
    kind = 1 if tram else int(rng.choice(len(KINDS), p=_SHARES))
    lanes = 2 if kind == 1 or rng.random() < 0.15 else 1
    lane = rng.uniform(3.0, 3.8)
    parking = 2.1 if kind < 3 and rng.random() < 0.75 else 0.0
    verge = (0.0, 0.8, 1.2, 1.6)[kind] * (rng.random() < 0.65) * rng.uniform(0.7, 1.5)
    walk = rng.uniform(2.0, 3.4) + (rng.uniform(0.8, 3.8) if kind < 2 else 0)
    half_road = lanes * lane + parking + _TRACK_M * tram
    crossing = rng.uniform(16, 60) if rng.random() < 0.5 else 1e4
    return Street(
        kind=kind,
        middle_m=-(lanes - 0.5) * lane - _TRACK_M * tram + rng.normal(0, 0.25),
        bend_per_m=float(np.clip(rng.normal(0, 0.004), -0.009, 0.009)) * (rng.random() < 0.65),
        lanes=lanes,
        lane_m=lane,
        parking_m=parking,
        half_road_m=half_road,
        verge_m=verge,
        edge_m=half_road + verge + walk,
        crossing=(crossing, crossing + rng.uniform(7, 12)),
        tram=tram,
        sun_side=int(rng.choice((-1, 1))),
        sun=rng.uniform(0.5, 1.0) if rng.random() < 0.6 else rng.uniform(0, 0.3),
    )


def place_camera(rng: np.random.Generator, width: int, height: int) -> Camera:
    """Return a camera about 1.2 m over the ground that looks slightly down."""
    eye, pitch = rng.uniform(1.12, 1.32), float(np.clip(rng.normal(0.033, 0.006), 0.018, 0.055))
    level = Camera(width, height, eye, height / 2)
    return Camera(width, height, eye, max(height / 2 - level.focal_px * pitch, 0.0))


def weather(rng: np.random.Generator, street: Street) -> Air:
    """Draw sky, haze and exposure at random."""
    top = np.array([118.0, 165, 222]) * street.sun + np.array([188.0, 194, 200]) * (1 - street.sun)
    low = np.array([222.0, 230, 236]) * rng.uniform(0.94, 1.06)
    sky = top + (low - top) * np.linspace(0, 1, SKY_SHADES)[:, None]
    exposure = rng.uniform(0.78, 1.12) * (1 + rng.normal(0, 0.018, 3))
    return Air(
        sky.astype(np.float32),
        (low * 0.95).astype(np.float32),
        rng.uniform(0.0012, 0.0055),
        exposure.astype(np.float32),
    )
