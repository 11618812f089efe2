"""Fitted points: tables, steps and the KLT against plain NumPy, streams of them, and their file."""

from dataclasses import replace
from math import erf
from pathlib import Path

import numpy as np
import pytest

from pipeline.artifacts import ArtifactError
from pipeline.coding.bitstream import (
    BitstreamError,
    decode_features,
    encode_features,
    encode_fitted,
    read_header,
)
from pipeline.coding.codecs import CodecError
from pipeline.coding.fit import fit_points, fit_prior
from pipeline.coding.fitted import Fitted, read_fitted, write_fitted
from pipeline.coding.points import read_point

NAMES = ("png@4", "table@4", "table/1.2", "klt/0.1", "klt/1.2")
POINTS = {name: read_point(name, 8) for name in NAMES}
SHAPE = (5, 3, 4)


def correlated(count: int, seed: int = 0) -> np.ndarray:
    """Features N x 5 x 3 x 4 after a ReLU, whose channels go together."""
    generator = np.random.default_rng(seed)
    mixed_NChw = np.einsum(
        "cd,ndhw->nchw",
        np.random.default_rng(9).normal(size=(5, 5)),
        generator.laplace(size=(count, *SHAPE)) * np.array([3, 1, 1, 0.3, 0.1])[:, None, None],
    )
    return np.maximum(mixed_NChw + 1, 0).astype(np.float32)


TRAIN_NChw = correlated(50)
FITTED = fit_points([TRAIN_NChw[:20], TRAIN_NChw[20:]], POINTS)
FRESH_Chw = correlated(1, seed=5)[0]
DEVIATION = TRAIN_NChw.astype(float).std()


def plain_symbols(features_Chw: np.ndarray, name: str) -> np.ndarray:
    """C x 12 symbols as the table of points says, without tables."""
    values_CN = features_Chw.reshape(5, -1).astype(float)
    if POINTS[name].klt:
        fitted = FITTED[name]
        values_CN = fitted.basis_CK.T.astype(float) @ (values_CN - fitted.mean_C[:, None])
    return np.round(values_CN / (POINTS[name].step * DEVIATION))


def test_only_points_that_need_it_are_fitted() -> None:
    assert list(FITTED) == list(NAMES[1:])
    assert fit_points([TRAIN_NChw], {"png": read_point("png", 8)}) == {}


@pytest.mark.parametrize("name", ["table/1.2", "klt/1.2"])
def test_a_table_counts_the_symbols_of_training_with_a_margin(name: str) -> None:
    fitted = FITTED[name]
    assert fitted.step == pytest.approx(1.2 * DEVIATION)
    symbols_NCK = np.stack([plain_symbols(x, name) for x in TRAIN_NChw])
    for channel, lowest in enumerate(fitted.lowest_K):
        found, seen = np.unique(symbols_NCK[:, channel], return_counts=True)
        expected = np.ones(int(found[-1] - found[0]) + 5)
        expected[(found - found[0] + 2).astype(int)] += 2 * seen
        counts_S = fitted.counts_KS[channel]
        assert lowest == found[0] - 2
        np.testing.assert_array_equal(counts_S[counts_S > 0], expected)


def test_the_klt_is_orthonormal_and_takes_away_correlation() -> None:
    basis_CK = FITTED["klt/1.2"].basis_CK
    np.testing.assert_allclose(basis_CK.T @ basis_CK, np.eye(5), atol=1e-6)
    values_NC = np.moveaxis(TRAIN_NChw, 1, -1).reshape(-1, 5)
    covariance_KK = np.cov(basis_CK.T @ values_NC.T)
    variance_K = np.diag(covariance_KK)
    np.testing.assert_allclose(covariance_KK, np.diag(variance_K), atol=1e-5 * variance_K[0])
    assert (np.diff(variance_K) < 0).all()


@pytest.mark.parametrize("name", ["table/1.2", "klt/0.1", "klt/1.2"])
def test_a_fixed_step_comes_back_as_its_symbols_say(name: str) -> None:
    fitted = FITTED[name]
    stream = encode_fitted(FRESH_Chw, fitted)
    assert read_header(stream, fitted).size == 12
    y_KN = plain_symbols(FRESH_Chw, name) * fitted.step
    if fitted.basis_CK is not None:
        y_KN = fitted.basis_CK.astype(float) @ y_KN + fitted.mean_C[:, None]
    expected_Chw = np.maximum(y_KN, 0).reshape(SHAPE)
    found_Chw = decode_features(stream, fitted)
    assert found_Chw.dtype == np.float32
    np.testing.assert_allclose(found_Chw, expected_Chw, rtol=1e-5, atol=1e-5)


def test_features_beyond_a_table_are_clipped_to_its_ends() -> None:
    fitted = replace(FITTED["table/1.2"], floor=None)
    last_K = (fitted.counts_KS > 0).sum(1) - 1
    for far, symbol_K in ((1e30, fitted.lowest_K + last_K), (-1e30, fitted.lowest_K)):
        found_Chw = decode_features(encode_fitted(np.full(SHAPE, far), fitted), fitted)
        expected_Chw = np.broadcast_to((symbol_K * fitted.step)[:, None, None], SHAPE)
        np.testing.assert_allclose(found_Chw, expected_Chw, rtol=1e-6)


@pytest.mark.parametrize("percent", [100.0, 90.0])
@pytest.mark.parametrize("seed", [5, 6])
def test_a_table_of_levels_gives_what_png_gives(percent: float, seed: int) -> None:
    """Also for features far from those of training: a table has every level."""
    features_Chw = 100 * correlated(1, seed)[0] - 7
    stream = encode_fitted(features_Chw, FITTED["table@4"], percent)
    assert read_header(stream, FITTED["table@4"]).size == 20
    by_png_Chw = decode_features(encode_features(features_Chw, 4, "png", percent))
    np.testing.assert_array_equal(decode_features(stream, FITTED["table@4"]), by_png_Chw)


def test_features_of_one_value_can_be_fitted_and_coded() -> None:
    for fitted in fit_points([np.full((3, *SHAPE), 2.0, np.float32)], POINTS).values():
        found_Chw = decode_features(encode_fitted(np.full(SHAPE, 2.0), fitted), fitted)
        assert np.abs(found_Chw - 2).max() <= 0.6


def test_too_small_a_step_is_refused() -> None:
    with pytest.raises(CodecError, match=r"table/0\.0001 needs a table of \d+ symbols.*larger"):
        fit_points([TRAIN_NChw], {"table/0.0001": read_point("table/0.0001", 8)})


# Tables of a prior


def normal_cdf(y_KS: np.ndarray, mean: float = 0.0, deviation: float = 1.0) -> np.ndarray:
    return np.vectorize(lambda y: (1 + erf((y - mean) / deviation / 2**0.5)) / 2)(y_KS)


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (-40.0, 7.0), (0.2, 0.01)])
def test_tables_of_a_prior_are_its_probabilities(mean: float, deviation: float) -> None:
    step = 1.5
    fitted = fit_prior("table/1.5", step, (2, 3, 4), lambda y: normal_cdf(y, mean, deviation))
    assert fitted.floor is None
    for counts_S, lowest in zip(fitted.counts_KS, fitted.lowest_K, strict=True):
        counts_S = counts_S[counts_S > 0]
        symbol_S = lowest + np.arange(len(counts_S))
        edges = (np.arange(lowest, lowest + len(counts_S) + 1) - 0.5) * step
        below = normal_cdf(edges, mean, deviation)
        assert below[0] < 2**-16
        assert below[-1] > 1 - 2**-16
        np.testing.assert_allclose(counts_S / 2**16, np.diff(below), atol=2**-15)
        if deviation > 1:  # the ends are no further out than they must be
            assert normal_cdf((symbol_S[1] - 0.5) * step, mean, deviation) >= 2**-16
            assert normal_cdf((symbol_S[-1] - 0.5) * step, mean, deviation) <= 1 - 2**-16
    y_Khw = np.random.default_rng(0).normal(mean, deviation, (2, 3, 4))
    found_Khw = decode_features(encode_fitted(y_Khw, fitted), fitted)
    np.testing.assert_allclose(found_Khw, np.round(y_Khw / step) * step, rtol=1e-6)


def test_a_prior_that_never_ends_is_refused() -> None:
    with pytest.raises(CodecError, match="table/1 needs a table"):
        fit_prior("table/1", 1.0, (2, 3, 4), lambda y: np.full(y.shape, 0.5))


# Streams and the tables they were coded with


def test_a_stream_never_meets_other_tables_than_its_own() -> None:
    one, other = FITTED["klt/0.1"], FITTED["klt/1.2"]
    stream = encode_fitted(FRESH_Chw, one)
    fingerprints = rf"tables {one.fingerprint:08x}, not of the tables {other.fingerprint:08x}"
    with pytest.raises(BitstreamError, match=fingerprints):
        decode_features(stream, other)
    with pytest.raises(BitstreamError, match=f"tables {one.fingerprint:08x}; give the decoder"):
        decode_features(stream)
    with pytest.raises(BitstreamError, match="without tables, not of the tables"):
        decode_features(encode_features(FRESH_Chw, 4, "png"), one)
    with pytest.raises(BitstreamError, match=r"shape \(5, 4, 3\); the tables were fitted to \(5"):
        encode_fitted(FRESH_Chw.swapaxes(1, 2), one)
    with pytest.raises(ValueError, match="finite"):
        encode_fitted(np.full(SHAPE, np.nan), one)


def test_a_fingerprint_is_of_every_field() -> None:
    fitted = FITTED["klt/1.2"]
    counts_KS = fitted.counts_KS.copy()
    counts_KS[4, 0] += 1
    others = [
        replace(fitted),
        replace(fitted, shape=(5, 4, 3)),
        replace(fitted, step=fitted.step * (1 + 2**-50)),
        replace(fitted, lowest_K=fitted.lowest_K + 1),
        replace(fitted, counts_KS=counts_KS),
        replace(fitted, mean_C=np.nextafter(fitted.mean_C, 1)),
        replace(fitted, basis_CK=-fitted.basis_CK),
        replace(fitted, floor=None),
        FITTED["table@4"],
    ]
    assert others[0].fingerprint == fitted.fingerprint
    assert len({x.fingerprint for x in others}) == len(others)


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_stream_cut_damaged_or_forged_is_refused_or_gives_features(name: str) -> None:
    fitted = FITTED[name]
    stream = encode_fitted(FRESH_Chw, fitted)
    for length in range(len(stream)):
        with pytest.raises(BitstreamError):
            decode_features(stream[:length], fitted)
    with pytest.raises(BitstreamError, match="damaged"):
        decode_features(stream + b"\0", fitted)
    for place in range(len(stream)):
        damaged = bytearray(stream)
        damaged[place] ^= 0x10
        with pytest.raises(BitstreamError):
            decode_features(bytes(damaged), fitted)


# The file


def test_what_was_fitted_is_written_the_same_twice_and_read_back(tmp_path: Path) -> None:
    for name in "ab":
        write_fitted(tmp_path / name, FITTED)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    found = read_fitted(tmp_path / "a", POINTS)
    assert found["png@4"] is None
    for name, fitted in FITTED.items():
        assert found[name].fingerprint == fitted.fingerprint
        stream = encode_fitted(FRESH_Chw, fitted)
        expected_Chw = decode_features(stream, fitted)
        np.testing.assert_array_equal(decode_features(stream, found[name]), expected_Chw)
    write_fitted(tmp_path / "none", {})
    assert read_fitted(tmp_path / "none", {"png@4": POINTS["png@4"]}) == {"png@4": None}


def test_a_file_that_is_damaged_or_lacks_a_point_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fitted.npz"
    with pytest.raises(ArtifactError, match=r"fitted\.npz is missing or damaged"):
        read_fitted(path, POINTS)
    write_fitted(path, {"table@4": FITTED["table@4"]})
    with pytest.raises(ArtifactError, match=r"nothing in it for table/1\.2.*dvc repro"):
        read_fitted(path, POINTS)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ArtifactError, match="missing or damaged"):
        read_fitted(path, POINTS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bits": 4}, "either bits or a step"),
        ({"step": None}, "either bits or a step"),
        ({"step": 0.0}, "a step is above 0, not 0"),
        ({"step": None, "bits": 9}, "1 to 8 bits, not 9"),
        ({"counts_KS": np.ones((4, 9), np.uint32)}, "5 channels need a table each"),
        ({"counts_KS": np.eye(5, dtype=np.uint32)}, "two counts or more without a gap"),
        ({"mean_C": None}, "a mean and a basis"),
        ({"basis_CK": np.ones((5, 4), np.float32)}, "does not give 5 channels"),
    ],
)
def test_fields_that_do_not_belong_together_are_refused(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(FITTED["klt/1.2"], **changes)


def test_a_golden_file_means_what_it_meant_and_is_what_is_written() -> None:
    """Fingerprint, header and the arithmetic of the range coder are the same on every machine."""
    i, s = np.indices((5, 16))
    fitted = Fitted((5, 6, 7), 4, None, np.zeros(5, np.int32), (1 + (7 * i + s * s * 31) % 997))
    i, j, k = np.indices((5, 6, 7))
    features_Chw = ((7 * i + 3 * j * j + 2 * k + i * j * k) % 16).astype(np.float32)
    golden = (Path(__file__).parents[1] / "data/bitstreams/4-bits-table-v3.cfs").read_bytes()
    np.testing.assert_array_equal(decode_features(golden, fitted), features_Chw)
    assert encode_fitted(features_Chw, fitted) == golden
