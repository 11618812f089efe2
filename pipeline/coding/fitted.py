"""What edge and cloud know beside the bitstreams of one point: tables, step, transform."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import arrays_reader, arrays_writer
from pipeline.coding.points import TABLE_BITS, Point
from pipeline.coding.tables import TableCoder

MAX_SYMBOLS = 4096
"""Of one table; a step that needs more is far below any that saves bits."""
_DTYPES = {
    **{"shape": "<i8", "bits": "<i8", "step": "<f8", "floor": "<f8"},
    **{"lowest_K": "<i4", "counts_KS": "<u4", "mean_C": "<f4", "basis_CK": "<f4"},
}


@dataclass(frozen=True, eq=False)
class Fitted:
    """Tables of one point, with either bits or a step; checked when made.

    Raises ValueError if its fields do not belong together.
    """

    shape: tuple[int, int, int]
    """K, h, w of the symbols of an image."""
    bits: int | None
    """Depth of the min-max quantiser, 1 to 8; then the symbols are its levels."""
    step: float | None
    """Fixed step, above 0, in units of the features."""
    lowest_K: NDArray[np.int32]
    """The first symbol in each channel's table."""
    counts_KS: NDArray[np.uint32]
    """How often each symbol is to be expected; 0 after the end of a channel's table."""
    mean_C: NDArray[np.float32] | None = None
    """With a KLT: mean of each channel of the features."""
    basis_CK: NDArray[np.float32] | None = None
    """With a KLT: orthonormal columns."""
    floor: float | None = None
    """Features never lie below it: 0 after a ReLU. Decoded values below it are raised to it."""

    def __post_init__(self) -> None:
        K = self.shape[0]
        if min(self.shape) < 1 or (self.bits is None) == (self.step is None):
            raise ValueError(f"tables need a shape, not {self.shape}, and either bits or a step")
        if self.bits is not None and not 1 <= self.bits <= TABLE_BITS:
            raise ValueError(f"tables of levels have 1 to {TABLE_BITS} bits, not {self.bits}")
        if self.step is not None and not (np.isfinite(self.step) and self.step > 0):
            raise ValueError(f"a step is above 0, not {self.step}")
        used_KS = self.counts_KS > 0
        tables = self.counts_KS.ndim == 2 and len(self.counts_KS) == K == len(self.lowest_K)
        if not (tables and used_KS[:, :2].sum() == 2 * K and (np.diff(used_KS * 1) <= 0).all()):
            raise ValueError(f"{K} channels need a table each, of two counts or more without a gap")
        if (self.mean_C is None) != (self.basis_CK is None):
            raise ValueError("a KLT has a mean and a basis")
        if self.basis_CK is not None and self.basis_CK.shape[1] != K:
            raise ValueError(f"a basis of shape {self.basis_CK.shape} does not give {K} channels")

    @property
    def features_shape(self) -> tuple[int, int, int]:
        """C, h, w of the features."""
        return self.shape if self.mean_C is None else (len(self.mean_C), *self.shape[1:])

    @cached_property
    def coder(self) -> TableCoder:
        """The range coder with these tables."""
        return TableCoder(self.counts_KS)

    @cached_property
    def fingerprint(self) -> int:
        """A checksum of all fields, 1 to 2^32 - 1, by which a bitstream names them."""
        value = 0
        for name, array in self.arrays().items():
            head = f"{name} {array.dtype.str} {array.shape} ".encode()
            value = crc32(head + array.tobytes(), value)
        return value or 1

    def arrays(self) -> dict[str, NDArray]:
        """Return all fields but those that are None, in the dtypes of the file."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {k: np.asarray(x, _DTYPES[k]) for k, x in values.items() if x is not None}

    def symbols(self, features_Chw: NDArray) -> NDArray[np.int32]:
        """Return the symbols K x hw of features at the fixed step, from 0 in each table.

        Symbols outside a table are clipped to its ends.
        """
        assert self.step is not None
        y_KN = project(features_Chw[None], self.mean_C, self.basis_CK)[0]
        last_K = np.count_nonzero(self.counts_KS, axis=1) - 1
        from_lowest_KN = np.rint(y_KN / np.float64(self.step)) - self.lowest_K[:, None]
        return np.clip(from_lowest_KN, 0, last_K[:, None]).astype(np.int32)

    def features(self, symbols_KN: NDArray[np.number]) -> NDArray[np.float32]:
        """Return the features C x h x w that symbols at the fixed step, from 0, stand for.

        They need not be whole: the mean of a table stands for a channel that was lost.
        """
        assert self.step is not None
        y_KN = ((symbols_KN + self.lowest_K[:, None]) * self.step).astype(np.float32)
        if self.basis_CK is not None and self.mean_C is not None:
            y_KN = self.basis_CK @ y_KN + self.mean_C[:, None]
        if self.floor is not None:
            y_KN = np.maximum(y_KN, np.float32(self.floor))
        return y_KN.reshape(self.features_shape)


def project(features_BChw: NDArray, mean_C: NDArray | None, basis_CK: NDArray | None) -> NDArray:
    """Return the coefficients B x K x hw of features; without a basis the features themselves."""
    values_BCN = features_BChw.reshape(*features_BChw.shape[:2], -1)
    if basis_CK is None or mean_C is None:
        return values_BCN
    return basis_CK.T @ (values_BCN - mean_C[:, None])


def write_fitted(path: Path, fitted: Mapping[str, Fitted]) -> None:
    """Write what was fitted at each point of a model."""
    with arrays_writer(path) as add:
        for point, of_point in fitted.items():
            for name, array in of_point.arrays().items():
                add(f"{point}/{name}", array)


def read_fitted(path: Path, points: Mapping[str, Point]) -> dict[str, Fitted | None]:
    """Read what was fitted at each of some points; None for a point that needs nothing fitted.

    Raises ArtifactError if the file is damaged or lacks a point.
    """
    with arrays_reader(path) as file:

        def one(point: str) -> Fitted:
            found = {k: file[f"{point}/{k}"] for k in _DTYPES if f"{point}/{k}" in file.files}
            if "shape" not in found:
                raise KeyError(f"nothing in it for {point}")
            K, h, w = (int(x) for x in found.pop("shape"))
            numbers = {k: found.pop(k).item() for k in ("bits", "step", "floor") if k in found}
            return Fitted(shape=(K, h, w), **{"bits": None, "step": None, **numbers}, **found)

        return {name: one(name) if point.fitted else None for name, point in points.items()}
