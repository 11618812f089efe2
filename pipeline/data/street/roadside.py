"""What stands beside the street: buildings, gardens, woods, trees, poles, signs and lights."""

import numpy as np

from pipeline.data.labels import ID_OF
from pipeline.data.street.canvas import Canvas
from pipeline.data.street.facades import BAY, STYLES, facade, fences, gable, masonry
from pipeline.data.street.layout import Street
from pipeline.data.street.records import PARTS, Paint, Point, Rgb
from pipeline.data.street.sprites import (
    DIAMOND,
    ROUND,
    TRIANGLE,
    chosen,
    signs,
    thickets,
    traffic_lights,
    trees,
)

FAR_M = 150.0
_WALLS: tuple[Rgb, ...] = (
    (206, 192, 164), (190, 176, 150), (214, 204, 184), (176, 172, 166), (160, 92, 72),
    (198, 164, 110), (222, 218, 208), (168, 176, 156), (150, 140, 132), (202, 150, 124),
)  # fmt: skip
_ROOFS: tuple[Rgb, ...] = ((132, 66, 50), (110, 72, 60), (78, 76, 80), (96, 90, 88))
_SHUTTERS: tuple[Rgb, ...] = ((92, 62, 44), (54, 82, 66), (120, 40, 36), (60, 70, 96), (70, 70, 72))


def paint_of(label: str, *colours: Rgb, others: dict[int, str] | None = None) -> Paint:
    """A paint whose parts 1, 2, ... have these colours and one label, but for `others`."""
    colours_P3 = np.zeros((PARTS, 3), np.float32)
    colours_P3[1 : len(colours) + 1] = colours
    labels_P = np.full(PARTS, ID_OF[label], np.uint8)
    for part, name in (others or {}).items():
        labels_P[part] = ID_OF[name]
    return Paint(colours_P3, labels_P)


def _pick(rng: np.random.Generator, colours: tuple[Rgb, ...], spread: float = 0.1) -> Rgb:
    """One of the colours, a little lighter or darker."""
    gain = rng.uniform(1 - spread, 1 + spread)
    r, g, b = colours[rng.integers(len(colours))]
    return (r * gain, g * gain, b * gain)


def leaves(rng: np.random.Generator) -> Paint:
    """A paint for trees and hedges, in the greens and ochres of a year."""
    greens: tuple[Rgb, ...] = ((66, 92, 40), (56, 80, 44), (84, 104, 46), (108, 112, 50))
    return paint_of("vegetation", _pick(rng, greens, 0.2), (74, 60, 48))


def _building_paint(rng: np.random.Generator) -> Paint:
    wall = _pick(rng, _WALLS)
    r, g, b = wall
    base: Rgb = (0.78 * r, 0.78 * g, 0.78 * b) if rng.random() < 0.6 else (120, 116, 112)
    sill: Rgb = (224, 222, 216) if rng.random() < 0.7 else (120, 96, 78)
    pane: Rgb = (92, 104, 118)
    shop: Rgb = (116, 112, 104)
    shutters, roof = _pick(rng, _SHUTTERS), _pick(rng, _ROOFS)
    return paint_of("building", wall, pane, sill, shutters, base, shop, roof)


class Roadside:
    """Paints one side of a street, near to far."""

    def __init__(self, canvas: Canvas, street: Street, side: int, rng: np.random.Generator) -> None:
        self.canvas, self.street, self.side, self.rng = canvas, street, side, rng
        sunny = street.sun_side == -side
        self.light = 1 + 0.18 * street.sun if sunny else 1 - 0.28 * street.sun
        self.end_light = 0.92

    def at(self, lateral_m: float, z: float) -> Point:
        """The point of a lateral offset from the road's middle, on this side."""
        return self.street.x_at(self.side * lateral_m, z), z

    def paint(self) -> None:
        """Lots from the camera to the distance, and what stands on the sidewalk."""
        street, rng = self.street, self.rng
        z, open_end = float(rng.uniform(1, 4)), False
        while z < FAR_M:
            end = z + rng.uniform(9, 22)
            if street.crossing[0] - 2.5 < end and z < street.crossing[1] + 2.5:
                end = street.crossing[0] - 2.5
                if end - z < 5:
                    z, open_end = street.crossing[1] + 2.5, True
                    continue
            self._lot(z, end, open_end)
            z, open_end = end, False
        self._street_trees()
        self._poles()

    def _lot(self, z: float, end: float, open_end: bool) -> None:
        shares = {
            "canyon": (0.88, 0.04, 0.05, 0.03),
            "avenue": (0.62, 0.12, 0.15, 0.11),
            "suburb": (0.12, 0.62, 0.16, 0.10),
            "outskirts": (0.05, 0.20, 0.45, 0.30),
        }[self.street.kind]
        lot = chosen(self.rng, shares)
        edge = self.street.edge_m
        if lot == 0:
            self._building(edge + 0.6 * max(int(self.rng.integers(4)) - 1, 0), z, end, open_end)
        elif lot == 1:
            self._barrier(edge, z, end)
            self._building(edge + self.rng.uniform(3, 7), z + 1, end - 1.5, True)
            self._grove(edge + 1, 2.5, z, end, 2)
        elif lot == 2:
            self._thicket(edge + self.rng.uniform(1, 4), z, end, self.rng.uniform(5, 10))
            self._grove(edge + 0.5, 2, z, end, 2)
        else:
            self._barrier(edge, z, end)
            self._thicket(edge + 3, z, end, self.rng.uniform(4, 8.5))
            self._grove(edge + 1.5, 3, z, end, 2)

    def _building(self, lateral: float, z: float, end: float, open_end: bool) -> None:
        rng, urban = self.rng, self.street.kind in ("canyon", "avenue")
        floors = int(rng.integers(4, 8)) if urban else int(rng.integers(2, 4))
        roof = 30 if not urban or rng.random() < 0.5 else 0
        columns = int(np.clip(round((end - z) / rng.uniform(2.6, 3.6)), 3, 7))
        floor_m = rng.uniform(2.7, 3.5)
        top = (floors + roof / BAY) * floor_m
        style, paint = int(rng.integers(STYLES)), _building_paint(rng)
        shops = urban and rng.random() < 0.6
        front = facade(floors, columns, style, shops, roof)
        self.canvas.face(
            self.at(lateral, z), self.at(lateral, end), 0, top, front, paint, self.light
        )
        deep = 22.0 if open_end and urban else rng.uniform(8, 11)
        if open_end and urban:
            flank = facade(floors, 7, style, shops, roof)
        else:
            flank = gable(floors, style, roof)
        inner, outer = self.at(lateral, z), self.at(lateral + deep, z)
        self.canvas.face(inner, outer, 0, top, flank, paint, self.end_light)

    def _barrier(self, lateral: float, z: float, end: float) -> None:
        """A fence, a wall or a hedge along the sidewalk."""
        rng, kind = self.rng, self.rng.random()
        start, stop = self.at(lateral, z), self.at(lateral, end)
        if kind < 0.45:
            panel = fences()[rng.integers(4)]
            codes = np.tile(panel, (1, max(1, round((end - z) / 2))))
            bars: tuple[Rgb, ...] = ((70, 74, 72), (150, 120, 84), (170, 172, 170), (120, 84, 56))
            between: Rgb = (62, 72, 48)
            paint = paint_of("fence", _pick(rng, bars), between)
            self.canvas.face(start, stop, 0, rng.uniform(1.0, 1.9), codes, paint, self.light)
        elif kind < 0.75:
            codes = np.tile(masonry(), (1, max(1, round((end - z) / 4))))
            paint = paint_of("wall", _pick(rng, ((172, 164, 152), (150, 96, 78), (188, 184, 176))))
            self.canvas.face(start, stop, 0, rng.uniform(0.9, 2.4), codes, paint, self.light)
        else:
            self._thicket(lateral + 0.2, z, end, rng.uniform(1.2, 2.2))

    def _thicket(self, lateral: float, z: float, end: float, height: float) -> None:
        codes = thickets()[self.rng.integers(4)]
        wide = int(np.clip((end - z) / height * 110, 64, 500))
        first = int(self.rng.integers(0, 512 - wide))
        start, stop = self.at(lateral, z), self.at(lateral, end)
        part = codes[:, first : first + wide]
        paint = leaves(self.rng)
        self.canvas.face(start, stop, 0, height, part, paint, self.light)
        nearer = self.at(lateral + 7, z)
        self.canvas.face(start, nearer, 0, height * 0.95, codes[:, :150], paint, self.end_light)

    def _grove(self, lateral: float, spread: float, z: float, end: float, most: int) -> None:
        for _ in range(self.rng.integers(0, most + 1)):
            at = self.rng.uniform(z, end)
            if at > 6:
                self._tree(lateral + self.rng.uniform(0, spread), at, self.rng.uniform(0.6, 1.15))

    def _tree(self, lateral: float, z: float, scale: float) -> None:
        sprite = trees()[self.rng.integers(len(trees()))]
        size = sprite.width_m * scale, sprite.height_m * scale * self.rng.uniform(0.9, 1.15)
        self.canvas.upright(
            self.at(lateral, z), *size, sprite.codes_hw, leaves(self.rng), 0.9 + 0.1 * self.light
        )

    def _street_trees(self) -> None:
        street, rng = self.street, self.rng
        chance = {"canyon": 0.4, "avenue": 0.8, "suburb": 0.55, "outskirts": 0.5}[street.kind]
        if rng.random() > chance:
            return
        lateral = street.half_road_m + max(street.verge_m / 2, 0.6)
        z, step, scale = rng.uniform(7, 16), rng.uniform(7, 14), rng.uniform(0.7, 1.05)
        while z < 110:
            if not street.in_crossing(z, 5) and rng.random() < 0.85:
                self._tree(lateral, z, scale * rng.uniform(0.9, 1.1))
            z += step

    def _poles(self) -> None:
        """Street lamps, traffic signs and, before a crossing, traffic lights."""
        street, rng = self.street, self.rng
        curb = street.half_road_m + 0.45
        z, height = rng.uniform(8, 24), rng.uniform(5, 8.5)
        grey = paint_of("pole", (96, 98, 98))
        bar = np.full((8, 4), 16 + 9, np.uint8)
        bar[:, 2:] -= 3
        while z < 100:
            self.canvas.upright(self.at(curb + 0.2, z), 0.17, height, bar, grey)
            self.canvas.upright(self.at(curb - 0.6, z), 1.8, 0.1, bar, grey, bottom_m=height - 0.1)
            z += rng.uniform(18, 30)
        z = rng.uniform(9, 26)
        while z < 75:
            if not street.in_crossing(z, 1) and rng.random() < 0.75:
                self._sign(curb + rng.uniform(0, 0.4), z)
            z += rng.uniform(9, 26)
        if street.crossing[0] < 100:
            if rng.random() < 0.75:
                self._traffic_light(curb, street.crossing[0] - 4.6)
                self._traffic_light(curb, street.crossing[1] + 1.2)
        elif rng.random() < 0.3:
            self._traffic_light(curb, rng.uniform(9, 35))

    def _sign(self, lateral: float, z: float) -> None:
        rng = self.rng
        kind, scale = int(rng.integers(len(signs()))), rng.uniform(0.75, 1.05)
        sprite = signs()[kind]
        tall = rng.uniform(2.0, 2.6)
        self._pole(lateral, z, tall + 0.1)
        dull = self.side < 0 and rng.random() < 0.5
        grey: Rgb = (128, 130, 132)
        white: Rgb = (228, 228, 224)
        rim: Rgb = (238, 194, 42) if kind == DIAMOND else (196, 34, 38)
        mark: Rgb = (40, 40, 42) if kind in (ROUND, TRIANGLE) else (32, 78, 168)
        colours = (grey, grey, grey, grey) if dull else (grey, white, rim, mark)
        paint = paint_of("traffic sign", *colours)
        size = sprite.width_m * scale, sprite.height_m * scale
        for n in range(1 + (rng.random() < 0.25)):
            bottom = tall - n * 0.85 * scale
            spot = self.at(lateral, z - 0.08)
            self.canvas.upright(spot, *size, sprite.codes_hw, paint, bottom_m=bottom)

    def _pole(self, lateral: float, z: float, tall: float) -> None:
        codes = np.full((8, 4), 16 + 9, np.uint8)
        codes[:, 2:] -= 3
        self.canvas.upright(
            self.at(lateral, z), 0.11, tall, codes, paint_of("pole", (118, 120, 120))
        )

    def _traffic_light(self, lateral: float, z: float) -> None:
        rng = self.rng
        lit = int(rng.integers(3))
        lamp = ((255, 60, 44), (255, 190, 40), (60, 240, 130))[lit]
        dim: Rgb = (62, 58, 54)
        none: Rgb = (0, 0, 0)
        paint = paint_of("traffic light", none, none, none, none, (44, 48, 46), lamp, dim)
        head = traffic_lights()[lit]
        self._pole(lateral, z, 3.4)
        spots = [(lateral, 2.35)]
        if rng.random() < 0.35:
            spots.append((lateral - 2.6, 4.6))
            self._pole(lateral, z, 5.6)
            bar = np.full((4, 8), 16 + 9, np.uint8)
            grey = paint_of("pole", (118, 120, 120))
            self.canvas.upright(self.at(lateral - 1.3, z), 2.7, 0.12, bar, grey, bottom_m=5.5)
        for across, bottom in spots:
            spot = self.at(across, z - 0.1)
            self.canvas.upright(
                spot, head.width_m, head.height_m, head.codes_hw, paint, bottom_m=bottom
            )


def paint_backdrop(canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
    """Closes the view: woods and houses far ahead and behind the lots on both sides."""
    x = -220.0
    while x < 220:
        wide, z = rng.uniform(18, 45), rng.uniform(165, 210)
        if rng.random() < 0.55:
            codes, paint = thickets()[rng.integers(4)][:, :400], leaves(rng)
            top = rng.uniform(9, 19)
        else:
            floors = int(rng.integers(2, 6))
            codes = facade(floors, 7, int(rng.integers(STYLES)), False, 30)
            paint, top = _building_paint(rng), floors * 3.0 + 2
        canvas.face((x, z), (x + wide, z), 0, top, codes, paint, 0.95)
        x += wide * 0.9
    for side in (-1, 1):
        away = street.edge_m + rng.uniform(22, 30)
        z = 5.0
        while z < 165:
            end = z + rng.uniform(25, 45)
            start, stop = (street.x_at(side * away, at) for at in (z, end))
            codes = thickets()[rng.integers(4)]
            canvas.face((start, z), (stop, end), 0, rng.uniform(5, 10), codes, leaves(rng), 0.85)
            z = end
