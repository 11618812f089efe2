"""Fit tables and transforms: on training features, or from a learned prior."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pipeline.coding.codecs import CodecError
from pipeline.coding.fitted import MAX_SYMBOLS, Fitted, project
from pipeline.coding.klt import klt_of
from pipeline.coding.points import Point
from pipeline.coding.quantizer import quantize

MARGIN = 2
"""Symbols of a table beyond those seen, at either end."""
TAIL = 2.0**-16
"""Of a prior: the probability beyond either end of a table, which the end's own symbol gets."""


def fit_points(
    batches: Sequence[NDArray[np.float32]],
    points: Mapping[str, Point],
    range_percent: float = 100.0,
) -> dict[str, Fitted]:
    """Return what edge and cloud share at each fitted point among `points`.

    batches: training features, each B x C x h x w, gone through several times. A step counts in
    standard deviations of all of them (in units of the features if they are all one value).
    range_percent: see `quantize`. Raises CodecError for a step that needs too large tables.
    """
    wanted = {name: point for name, point in points.items() if point.fitted}
    result: dict[str, Fitted] = {}
    if any(point.step is not None for point in wanted.values()):
        found = klt_of(batches)
        mean_C, basis_CK = found.mean_C.astype(np.float32), found.basis_CK.astype(np.float32)
    for klt in sorted({point.klt for point in wanted.values() if point.step is not None}):
        transform = (mean_C, np.ascontiguousarray(basis_CK)) if klt else (None, None)
        lowest_K, highest_K = _extremes(batches, *transform)
        for name, point in wanted.items():
            if point.step is not None and point.klt == klt:
                step = point.step * found.deviation
                start_K = np.rint(lowest_K / step) - MARGIN
                size_K = np.rint(highest_K / step) + MARGIN + 1 - start_K
                _check_size(name, size_K.max())
                empty = Fitted(
                    shape=(len(start_K), *batches[0].shape[2:]),
                    bits=None,
                    step=step,
                    lowest_K=start_K.astype(np.int32),
                    counts_KS=_ones(size_K),
                    mean_C=transform[0],
                    basis_CK=transform[1],
                    floor=0.0 if found.least >= 0 else None,
                )
                result[name] = _with_counts(empty, batches, empty.symbols)
    for name, point in wanted.items():
        if point.bits is not None:
            bits, shape = point.bits, batches[0].shape[1:]
            even_KS = _ones(np.full(shape[0], 2**bits))
            empty = Fitted(shape, bits, None, np.zeros(shape[0], np.int32), even_KS)
            result[name] = _with_counts(empty, batches, partial(_levels, bits, range_percent))
    return {name: result[name] for name in wanted}


def fit_prior(
    name: str,
    step: float,
    shape: tuple[int, int, int],
    cdf: Callable[[NDArray[np.float64]], NDArray],
) -> Fitted:
    """Return tables of a learned prior at a fixed step, such as 1.5 for `table/1.5`.

    cdf: K x S values to the K x S probabilities that a channel's value lies below them. Symbol q
    has the probability CDF((q + 1/2) step) - CDF((q - 1/2) step). Raises CodecError for a step that
    needs too large tables.
    """
    reach = 16
    while True:
        edge_S = (np.arange(-reach, reach + 2) - 0.5) * step
        below_KS = cdf(np.broadcast_to(edge_S, (shape[0], len(edge_S)))).astype(np.float64)
        if (below_KS[:, 0] < TAIL).all() and (below_KS[:, -1] > 1 - TAIL).all():
            break
        _check_size(name, 2 * reach + 1)
        reach *= 2
    # The last edge below which there is next to nothing, and the first with next to nothing above.
    first_K = np.maximum((below_KS < TAIL).sum(1) - 1, 0)
    end_K = np.maximum(below_KS.shape[1] - (below_KS > 1 - TAIL).sum(1), first_K + 2)
    counts_KS = np.zeros((shape[0], (end_K - first_K).max()), np.uint32)
    for count_S, below_S, first, end in zip(counts_KS, below_KS, first_K, end_K, strict=True):
        ends_S = np.concatenate([[0], below_S[first + 1 : end], [1]])
        count_S[: end - first] = np.maximum(np.rint(np.diff(ends_S) / TAIL), 1)
    return Fitted(shape, None, step, (first_K - reach).astype(np.int32), counts_KS)


def _extremes(
    batches: Sequence[NDArray[np.float32]], mean_C: NDArray | None, basis_CK: NDArray | None
) -> tuple[NDArray, NDArray]:
    projected = (project(x, mean_C, basis_CK) for x in batches)
    ends = [(y_BKN.min((0, 2)), y_BKN.max((0, 2))) for y_BKN in projected]
    return np.min([x for x, _ in ends], axis=0), np.max([x for _, x in ends], axis=0)


def _ones(size_K: NDArray) -> NDArray[np.uint32]:
    return (np.arange(size_K.max()) < size_K[:, None]).astype(np.uint32)


def _levels(bits: int, range_percent: float, features_Chw: NDArray) -> NDArray[np.integer]:
    levels_Chw = quantize(features_Chw, bits, range_percent).levels_Chw
    return levels_Chw.reshape(len(levels_Chw), -1)


def _with_counts(
    empty: Fitted,
    batches: Sequence[NDArray[np.float32]],
    symbols_of: Callable[[NDArray], NDArray[np.integer]],
) -> Fitted:
    """Return `empty` with counts: twice each symbol's number, and 1.

    So a symbol has half a count before any is seen (the estimator of Krichevsky and Trofimov).
    """
    channels, size = empty.counts_KS.shape
    seen = np.zeros(channels * size, np.int64)
    for features_BChw in batches:
        for features_Chw in features_BChw:
            symbols_KN = symbols_of(features_Chw)
            place_KN = np.arange(channels)[:, None] * size + symbols_KN
            seen += np.bincount(place_KN.ravel(), minlength=len(seen))
    counts_KS = empty.counts_KS + 2 * seen.reshape(channels, size).astype(np.uint32)
    return replace(empty, counts_KS=counts_KS)


def _check_size(name: str, symbols: float) -> None:
    if not symbols <= MAX_SYMBOLS:  # nor may it be NaN
        raise CodecError(
            f"{name} needs a table of {symbols:.0f} symbols; allowed: {MAX_SYMBOLS}; choose a "
            "larger step"
        )
