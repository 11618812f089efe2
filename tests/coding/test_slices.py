"""Slices: each decodes alone, what is missing is the mean, and nothing foreign is taken."""

import struct
from zlib import crc32

import numpy as np
import pytest

from pipeline.coding.bitstream import (
    BitstreamError,
    TablesError,
    decode_features,
    encode_fitted,
)
from pipeline.coding.fit import fit_points
from pipeline.coding.points import read_point
from pipeline.coding.slices import PACKET, decode_slices, encode_slices

NAMES = ("table@4", "table/0.1", "klt/0.1", "klt/1")
C, H, W = 24, 8, 10


def some(count: int, seed: int) -> np.ndarray:
    """Features N x 24 x 8 x 10, each channel with a mean and a deviation of its own."""
    generator = np.random.default_rng(seed)
    of_channel = np.random.default_rng(7)
    mean_C11 = of_channel.normal(0, 3, (C, 1, 1))
    deviation_C11 = of_channel.uniform(0.1, 4, (C, 1, 1))
    drawn_NChw = generator.laplace(size=(count, C, H, W))
    return (mean_C11 + deviation_C11 * drawn_NChw).astype(np.float32)


FITTED = fit_points([some(40, 0)], {x: read_point(x, 8) for x in NAMES})
FEATURES = some(1, 1)[0]


@pytest.mark.parametrize("name", NAMES[1:])
@pytest.mark.parametrize("size", [PACKET, 400, 250])
def test_all_slices_in_any_order_give_what_the_whole_stream_gives(name: str, size: int) -> None:
    slices = encode_slices(FEATURES, FITTED[name], size)
    assert max(map(len, slices)) <= size
    shuffled = [slices[i] for i in np.random.default_rng(0).permutation(len(slices))]
    whole = decode_features(encode_fitted(FEATURES, FITTED[name]), FITTED[name])
    np.testing.assert_array_equal(decode_slices(shuffled, FITTED[name]), whole, strict=True)


def test_there_are_as_few_slices_as_fit() -> None:
    fitted = FITTED["table/0.1"]
    slices = encode_slices(FEATURES, fitted, 400)
    whole = len(encode_fitted(FEATURES, fitted))
    assert len(slices) > 1
    assert 400 * (len(slices) - 1) < whole + 20 * len(slices), "fewer would have done"
    assert len(encode_slices(FEATURES, fitted, 10**6)) == 1


def test_a_lost_slice_leaves_the_other_channels_and_the_mean_of_its_own() -> None:
    fitted = FITTED["table/0.1"]
    slices = encode_slices(FEATURES, fitted, 400)
    count = len(slices)
    whole_Chw = decode_slices(slices, fitted)
    found_Chw = decode_slices(slices[:1] + slices[2:], fitted)
    lost_C = np.arange(C) % count == 1
    np.testing.assert_array_equal(found_Chw[~lost_C], whole_Chw[~lost_C])
    assert np.ptp(found_Chw[lost_C], axis=(1, 2)).max() == 0
    np.testing.assert_allclose(
        found_Chw[lost_C, 0, 0], [expected_value(c) for c in np.flatnonzero(lost_C)], rtol=1e-5
    )


def expected_value(channel: int) -> float:
    """Return the mean of the symbols seen, and of half a symbol each that the table holds."""
    step = FITTED["table/0.1"].step
    assert step is not None
    seen = [round(x / step) for x in some(40, 0)[:, channel].ravel().tolist()]
    table = range(min(seen) - 2, max(seen) + 3)
    return step * (sum(seen) + sum(table) / 2) / (len(seen) + len(table) / 2)


def test_without_any_slice_all_is_the_mean_of_the_training_features() -> None:
    found_Chw = decode_slices([], FITTED["klt/1"])
    assert np.ptp(found_Chw, axis=(1, 2)).max() == 0
    # The half symbols move it a little. The means have a deviation of 3 among themselves.
    np.testing.assert_allclose(found_Chw[:, 0, 0], some(40, 0).mean((0, 2, 3)), atol=0.1)


def test_what_cannot_be_cut_is_refused() -> None:
    with pytest.raises(BitstreamError, match="tables of a fixed step"):
        encode_slices(FEATURES, FITTED["table@4"])
    with pytest.raises(BitstreamError, match=r"\(24, 8, 9\) cannot be cut"):
        encode_slices(FEATURES[:, :, :9], FITTED["klt/1"])
    with pytest.raises(BitstreamError, match="does not fit into 60 bytes; choose a larger step"):
        encode_slices(FEATURES, FITTED["klt/0.1"], 60)
    with pytest.raises(ValueError, match="finite"):
        encode_slices(np.full_like(FEATURES, np.nan), FITTED["klt/1"])


def test_slices_of_something_else_are_refused() -> None:
    fitted = FITTED["table/0.1"]
    slices, others = encode_slices(FEATURES, fitted, 400), encode_slices(FEATURES, fitted, 700)
    with pytest.raises(BitstreamError, match="they are of two frames"):
        decode_slices([slices[0], others[1]], fitted)
    with pytest.raises(TablesError, match=f"the decoder has {FITTED['klt/1'].fingerprint:08x}"):
        decode_slices(slices, FITTED["klt/1"])
    with pytest.raises(BitstreamError, match="starts with b'CFS"):
        decode_slices([encode_fitted(FEATURES, fitted)], fitted)
    with pytest.raises(BitstreamError, match="15 bytes are no slice"):
        decode_slices([slices[0][:15]], fitted)
    rest = slices[0][8:12] + struct.pack("<HH", 3, 3) + slices[0][16:]
    with pytest.raises(BitstreamError, match="slice 3 of 3"):
        decode_slices([slices[0][:4] + struct.pack("<I", crc32(rest)) + rest], fitted)


def test_every_damage_of_one_byte_is_noticed() -> None:
    fitted = FITTED["klt/1"]
    (packet,) = encode_slices(FEATURES, fitted, 10**4)
    generator = np.random.default_rng(0)
    for at in range(len(packet)):
        damaged = bytearray(packet)
        damaged[at] ^= int(generator.integers(1, 256))
        with pytest.raises(BitstreamError):
            decode_slices([bytes(damaged)], fitted)


def test_words_that_the_range_coder_never_wrote_give_the_one_error_or_symbols() -> None:
    fitted = FITTED["klt/1"]
    generator, refused = np.random.default_rng(0), 0
    for _ in range(300):
        words = generator.integers(0, 256, 4 * generator.integers(0, 40), np.uint8).tobytes()
        rest = struct.pack("<IHH", fitted.fingerprint, 0, 2) + words
        packet = b"CFP\x01" + struct.pack("<I", crc32(rest)) + rest
        try:
            assert np.isfinite(decode_slices([packet], fitted)).all()
        except BitstreamError as error:
            refused += "slice 0 cannot be decoded" in str(error)
    assert refused
