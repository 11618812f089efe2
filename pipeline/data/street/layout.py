"""The plan of one street in metres, its camera and its weather."""

from typing import NamedTuple

import numpy as np

from pipeline.data.street.canvas import SKY_SHADES
from pipeline.data.street.records import Air, Camera
from pipeline.data.street.sprites import chosen


class Street(NamedTuple):
    """One street; lateral offsets in metres from the middle of the road, right positive."""

    kind: str
    """canyon, avenue, suburb or outskirts."""
    middle_m: float
    """Lateral offset of the road's middle from the camera at depth 0."""
    bend_per_m: float
    """The middle of the road at depth z lies at middle_m + bend_per_m * z * z / 2."""
    lanes: int
    lane_m: float
    parking_m: float
    half_road_m: float
    verge_m: float
    """Width of the grass between curb and sidewalk."""
    walk_m: float
    edge_m: float
    """Where gardens and buildings begin, on either side."""
    crossing: tuple[float, float]
    """Depths between which another street crosses; far out of sight when none does."""
    tram: bool
    sun_side: int
    sun: float
    """0 overcast to 1 clear."""

    def x_at(self, lateral_m: float, z: float) -> float:
        """Offset from the camera of a lateral offset from the road's middle."""
        return self.middle_m + lateral_m + 0.5 * self.bend_per_m * z * z

    def in_crossing(self, z: float, margin_m: float = 0.0) -> bool:
        """Whether a depth lies in the crossing street or so close to it."""
        return self.crossing[0] - margin_m < z < self.crossing[1] + margin_m


def plan(rng: np.random.Generator, index: int) -> Street:
    """Draws a street; one frame in six of a run of indices has a tram line."""
    tram = index % 6 == 3
    kinds = ("canyon", "avenue", "suburb", "outskirts")
    kind = "avenue" if tram else kinds[chosen(rng, (0.42, 0.2, 0.25, 0.13))]
    lanes = 2 if kind == "avenue" or rng.random() < 0.15 else 1
    lane = rng.uniform(3.0, 3.8)
    parking = 2.1 if kind != "outskirts" and rng.random() < 0.75 else 0.0
    verge = {"canyon": 0.0, "avenue": 0.8, "suburb": 1.2, "outskirts": 1.6}[kind]
    verge *= float(rng.random() < 0.65) * rng.uniform(0.7, 1.5)
    walk = rng.uniform(2.0, 3.4) + (rng.uniform(0.8, 3.8) if kind in ("canyon", "avenue") else 0)
    half_road = lanes * lane + parking + (1.4 if tram else 0.0)
    crossing_at = rng.uniform(16, 60) if rng.random() < 0.5 else 1e4
    bend = rng.normal(0, 0.004) if rng.random() < 0.65 else 0.0
    return Street(
        kind=kind,
        middle_m=-(lanes - 0.5) * lane - (1.4 if tram else 0.0) + rng.normal(0, 0.25),
        bend_per_m=float(np.clip(bend, -0.009, 0.009)),
        lanes=lanes,
        lane_m=lane,
        parking_m=parking,
        half_road_m=half_road,
        verge_m=verge,
        walk_m=walk,
        edge_m=half_road + verge + walk,
        crossing=(crossing_at, crossing_at + rng.uniform(7, 12)),
        tram=tram,
        sun_side=int(rng.choice((-1, 1))),
        sun=float(rng.uniform(0.5, 1.0) if rng.random() < 0.6 else rng.uniform(0, 0.3)),
    )


def camera(rng: np.random.Generator, width: int, height: int) -> Camera:
    """A camera about 1.2 m over the ground that looks slightly down."""
    pitch = rng.normal(0.033, 0.006)
    focal = Camera(width, height, 1.0, 0.0).focal_px
    horizon = min(max(height / 2 - focal * float(np.clip(pitch, 0.018, 0.055)), 0.0), height)
    return Camera(width, height, float(rng.uniform(1.12, 1.32)), horizon)


def weather(rng: np.random.Generator, street: Street) -> Air:
    """Sky, haze and exposure."""
    clear, grey = np.array([118.0, 165, 222]), np.array([188.0, 194, 200])
    top = clear * street.sun + grey * (1 - street.sun)
    low = np.array([222.0, 230, 236]) * rng.uniform(0.94, 1.06)
    share = np.linspace(0, 1, SKY_SHADES)[:, None]
    sky = (top + (low - top) * share).astype(np.float32)
    exposure = rng.uniform(0.78, 1.12) * (1 + rng.normal(0, 0.018, 3))
    haze = rng.uniform(0.0012, 0.0055)
    return Air(sky, low.astype(np.float32) * 0.95, float(haze), exposure.astype(np.float32))
