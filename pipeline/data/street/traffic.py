"""What moves or is left in the street: vehicles, people, riders, bins and bags."""

import numpy as np

from pipeline.data.street.canvas import Canvas
from pipeline.data.street.cycles import bicycles, motorcycles
from pipeline.data.street.ground import Shadow
from pipeline.data.street.layout import Street
from pipeline.data.street.records import Codes, Paint, Rgb
from pipeline.data.street.roadside import paint_of
from pipeline.data.street.sprites import Sprite, chosen, people
from pipeline.data.street.vehicles import Vehicle, bus, cars, tram, truck

_BODIES: tuple[Rgb, ...] = (
    (36, 38, 42), (36, 38, 42), (216, 218, 220), (150, 154, 158), (168, 172, 176), (92, 96, 102),
    (40, 62, 112), (150, 32, 34), (52, 74, 60), (172, 156, 130), (88, 132, 178),
)  # fmt: skip
_CLOTHES: tuple[Rgb, ...] = (
    (40, 42, 52), (60, 64, 78), (120, 40, 44), (196, 192, 186), (52, 84, 128), (92, 82, 70),
    (34, 34, 36), (170, 140, 96), (70, 98, 72), (206, 130, 60), (140, 60, 100),
)  # fmt: skip
_SKINS: tuple[Rgb, ...] = ((222, 178, 150), (196, 148, 118), (140, 98, 72), (96, 66, 50))
_TRAMS: tuple[Rgb, ...] = ((206, 42, 40), (226, 196, 60), (60, 110, 70), (70, 120, 180))
_TRUCKS: tuple[Rgb, ...] = ((214, 214, 210), (40, 80, 140), (190, 60, 40), (96, 128, 88))
_BUSES: tuple[Rgb, ...] = ((228, 196, 70), (196, 44, 44), (214, 216, 214), (80, 140, 190))


_TUMBLEHOME = 0.2
"""Share of a car's half width by which its windows stand further in than its doors."""


def _one(rng: np.random.Generator, colours: tuple[Rgb, ...]) -> Rgb:
    return colours[rng.integers(len(colours))]


class Traffic:
    """Puts things into a street: their shadows first, since the ground is painted before them."""

    def __init__(self, canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
        self.canvas, self.street, self.rng = canvas, street, rng
        self.shadows: list[Shadow] = []
        self._vehicles: list[tuple[Vehicle, Paint, float, float, int]] = []
        self._uprights: list[tuple[Sprite, float, float, float, bool, Paint]] = []

    def plan(self, index: int) -> None:
        """Decides what there is; the rarest kinds take turns over a run of frame indices."""
        self._parked()
        self._lanes(index)
        self._crossing_cars()
        self._walkers()
        self._riders(index)
        self._left_things()

    def paint(self) -> None:
        """Paints what was decided."""
        for vehicle, paint, lateral, z, heading in self._vehicles:
            self._paint_vehicle(vehicle, paint, lateral, z, heading)
        for sprite, lateral, z, scale, flip, paint in self._uprights:
            codes = sprite.codes_hw[:, ::-1] if flip else sprite.codes_hw
            at = self.street.x_at(lateral, z), z
            self.canvas.upright(
                at, sprite.width_m * scale, sprite.height_m * scale, codes, paint, 0.98
            )

    def _paint_vehicle(
        self, vehicle: Vehicle, paint: Paint, lateral: float, z: float, heading: int
    ) -> None:
        street, sun = self.street, self.street.sun
        side, end, back = vehicle.side, vehicle.rear, vehicle.boot_m
        if heading < 0:
            end, back = vehicle.front, vehicle.hood_m
        half, far = end.width_m / 2, z + side.width_m
        inner = -half if street.x_at(lateral, z) > 0 else half
        lit = 1 + 0.12 * sun if street.sun_side * inner > 0 else 1 - 0.2 * sun
        layers = [(side.height_m, 0.0, 0.0)]
        if vehicle.waist_m:
            layers = [(vehicle.waist_m, 0.0, 0.0), (side.height_m, _TUMBLEHOME, back)]
        for top, narrower, deeper in layers:
            across = inner * (1 - narrower)
            ends = [(street.x_at(lateral + across, at), at) for at in (z, far)][::heading]
            codes = _below(side, top)
            self.canvas.face(ends[0], ends[1], 0, top, codes, paint, lit)
            at = z + deeper
            corners = [(street.x_at(lateral + way * half, at), at) for way in (-1, 1)]
            top = min(top, end.height_m)
            self.canvas.face(corners[0], corners[1], 0, top, _below(end, top), paint, 0.96)

    def _vehicle(self, label: str, vehicle: Vehicle, lateral: float, z: float, way: int) -> None:
        if any(
            abs(lateral - beside) < 2.2
            and z < there + other.side.width_m + 1
            and there < z + vehicle.side.width_m + 1
            for other, _, beside, there, _ in self._vehicles
        ):
            return
        rng = self.rng
        palette = {"car": _BODIES, "truck": _TRUCKS, "bus": _BUSES, "train": _TRAMS}
        body = _one(rng, palette.get(label, _BODIES))
        glass: Rgb = (46, 54, 62)
        cab: Rgb = (122, 124, 128) if label != "truck" else _one(rng, _TRUCKS)
        red: Rgb = (168, 26, 26)
        dark: Rgb = (40, 40, 42)
        tyre: Rgb = (26, 26, 28)
        paint = paint_of(label, body, glass, tyre, cab, red, (200, 200, 196), dark)
        self._vehicles.append((vehicle, paint, lateral, z, way))
        half = vehicle.rear.width_m / 2
        lean = -self.street.sun_side * 1.1 * self.street.sun
        sides = (lateral - half - 0.1 + min(lean, 0), lateral + half + 0.1 + max(lean, 0))
        reach = (z - 0.2, z + vehicle.side.width_m + 0.2)
        self.shadows.append(Shadow(sides, reach, 0.62))
        self.shadows.append(Shadow((lateral - half, lateral + half), reach, 0.5))

    def _parked(self) -> None:
        street, rng = self.street, self.rng
        if not street.parking_m:
            return
        for side in (-1, 1):
            z, fill = rng.uniform(4, 14), rng.uniform(0.3, 0.95)
            while z < 90:
                if rng.random() < fill and not street.in_crossing(z + 2.5, 7):
                    kind = cars()[chosen(rng, (0.4, 0.3, 0.2, 0.1))]
                    lateral = side * (street.half_road_m - 1.05)
                    self._vehicle("car", kind, lateral, z, side)
                z += rng.uniform(5.4, 6.4)

    def _lane(self, lane: int, way: int) -> float:
        street = self.street
        return way * ((lane + 0.5) * street.lane_m + (1.4 if street.tram else 0.0))

    def _lanes(self, index: int) -> None:
        street, rng = self.street, self.rng
        own = street.lanes - 1
        if street.tram:
            way = 1 if rng.random() < 0.4 else -1
            self._vehicle("train", tram(), way * 1.27, rng.uniform(9, 26), way)
        if index % 5 == 1 or rng.random() < 0.08:
            way = 1 if rng.random() < 0.4 else -1
            self._vehicle("truck", truck(), self._lane(own, way), rng.uniform(11, 28), way)
        if index % 5 == 3 or rng.random() < 0.05:
            way = 1 if rng.random() < 0.4 else -1
            self._vehicle("bus", bus(), self._lane(own, way), rng.uniform(11, 30), way)
        for way in (-1, 1):
            for lane in range(street.lanes):
                z = rng.uniform(7, 40) + (4 if way > 0 and lane == own else 0)
                while z < 110:
                    kind = cars()[chosen(rng, (0.35, 0.3, 0.2, 0.15))]
                    self._vehicle("car", kind, self._lane(lane, way), z, way)
                    z += rng.uniform(7, 12) if rng.random() < 0.3 else rng.uniform(15, 60)

    def _crossing_cars(self) -> None:
        """Cars that cross ahead, seen from the side."""
        street, rng = self.street, self.rng
        if street.crossing[0] > 60 or rng.random() < 0.45:
            return
        kind = cars()[rng.integers(4)].side
        glass: Rgb = (46, 54, 62)
        body, dark = _one(rng, _BODIES), (30, 30, 32)
        paint = paint_of(
            "car", body, glass, dark, (122, 124, 128), (150, 30, 26), (200, 200, 196), dark
        )
        lateral, z = rng.uniform(-14, 14), street.crossing[0] + rng.uniform(1.5, 5)
        self._upright(kind, lateral, z, paint, flip=rng.random() < 0.5)
        half = kind.width_m / 2
        self.shadows.append(Shadow((lateral - half, lateral + half), (z - 0.3, z + 1.6), 0.45))

    def _upright(
        self,
        sprite: Sprite,
        lateral: float,
        z: float,
        paint: Paint,
        scale: float = 1.0,
        flip: bool = False,
    ) -> None:
        self._uprights.append((sprite, lateral, z, scale, flip, paint))

    def _clothed(self, label: str, *more: Rgb, others: dict[int, str] | None = None) -> Paint:
        rng = self.rng
        skin, hair = _one(rng, _SKINS), _one(rng, ((40, 30, 24), (96, 66, 40), (60, 56, 54)))
        top, legs = _one(rng, _CLOTHES), _one(rng, _CLOTHES[:7])
        return paint_of(label, skin, top, legs, hair, *more, others=others)

    def _foot_shadow(self, lateral: float, z: float, half: float) -> None:
        lean = -self.street.sun_side * self.street.sun
        sides = (lateral - half + min(lean, 0), lateral + half + max(lean, 0))
        self.shadows.append(Shadow(sides, (z - 0.12, z + 0.4), 0.7))

    def _walkers(self) -> None:
        street, rng = self.street, self.rng
        mean = {"canyon": 9.0, "avenue": 8.0, "suburb": 4.0, "outskirts": 2.0}[street.kind]
        low, high = street.half_road_m + street.verge_m + 0.3, street.edge_m - 0.2
        spots: list[tuple[float, float]] = []
        for _ in range(rng.poisson(mean)):
            side = 1 if rng.random() < 0.5 else -1
            spots.append((side * rng.uniform(low, high), 6.5 + 42 * rng.random() ** 1.3))
            if rng.random() < 0.3:
                spots.append((spots[-1][0] + 0.6 * side, spots[-1][1] + rng.uniform(-0.2, 0.2)))
        if street.crossing[0] < 60:
            for _ in range(rng.poisson(1.3)):
                across = rng.uniform(-street.half_road_m, street.half_road_m)
                spots.append((across, street.crossing[0] - rng.uniform(1.2, 3.5)))
        for lateral, z in spots:
            scale = rng.uniform(0.6, 0.75) if rng.random() < 0.08 else rng.uniform(0.92, 1.05)
            paint = self._clothed("person", (0, 0, 0), (0, 0, 0), _one(rng, _CLOTHES))
            sprite = people()[rng.integers(len(people()))]
            self._upright(sprite, lateral, z, paint, scale, rng.random() < 0.5)
            self._foot_shadow(lateral, z, 0.3)

    def _riders(self, index: int) -> None:
        """Riders on two-wheelers in the lanes or crossing, and two-wheelers left at the curb."""
        street, rng = self.street, self.rng
        rides = [("bicycle", bicycles)] * int(rng.poisson(0.7) + (index % 4 == 2))
        rides += [("motorcycle", motorcycles)] * int((index % 5 == 0) + (rng.random() < 0.05))
        for name, shapes in rides:
            across = rng.random() < 0.35 and street.crossing[0] < 45
            way = 1 if rng.random() < 0.6 else -1
            z = street.crossing[0] - rng.uniform(0.5, 3) if across else rng.uniform(7, 22)
            curb = street.half_road_m - street.parking_m - rng.uniform(0.3, 0.8)
            lateral = rng.uniform(-4, 4) if across else way * curb
            others = {5: name, 6: name}
            frame = _one(rng, _BODIES)
            paint = self._clothed("rider", frame, (34, 34, 36), others=others)
            self._upright(shapes(True)[0 if across else 1], lateral, z, paint, 1.0, way < 0)
            self._foot_shadow(lateral, z, 0.3)
        for name, shapes, mean in (("bicycle", bicycles, 1.3), ("motorcycle", motorcycles, 0.3)):
            for _ in range(rng.poisson(mean)):
                side = 1 if rng.random() < 0.5 else -1
                lateral = side * (street.half_road_m + street.verge_m + rng.uniform(0.5, 1.1))
                none: Rgb = (0, 0, 0)
                paint = paint_of(name, none, none, none, none, _one(rng, _BODIES), (34, 34, 36))
                z = rng.uniform(6, 26)
                self._upright(
                    shapes(False)[0 if rng.random() < 0.7 else 1], lateral, z, paint,
                    flip=side < 0,
                )  # fmt: skip
                self._foot_shadow(lateral, z, 0.6)

    def _left_things(self) -> None:
        """Bins, boxes and bags on the sidewalk: void, but a net must get used to them."""
        street, rng = self.street, self.rng
        for name, tall, mean in (("static", 1.1, 1.4), ("dynamic", 0.5, 0.5)):
            for _ in range(rng.poisson(mean)):
                side = 1 if rng.random() < 0.5 else -1
                lateral, z = side * (street.edge_m - rng.uniform(0.3, 0.8)), rng.uniform(7, 40)
                colour = _one(rng, ((60, 66, 62), (40, 70, 52), (92, 88, 84), (150, 60, 40)))
                height = tall * rng.uniform(0.7, 1.3)
                box = Sprite(_BIN, 0.6 * rng.uniform(0.8, 1.6), height)
                self._upright(box, lateral, z, paint_of(name, colour))
                self._foot_shadow(lateral, z, 0.35)


def _below(sprite: Sprite, height_m: float) -> Codes:
    """The lower rows of a texture."""
    rows = sprite.codes_hw.shape[0]
    return sprite.codes_hw[rows - round(rows * height_m / sprite.height_m) :]


def _bin() -> Codes:
    codes = np.full((24, 16), 16 + 9, np.uint8)
    codes[:5] += 3
    codes[5] -= 4
    codes[:, -4:] -= 2
    return codes


_BIN = _bin()
