"""The range coder against plain code lengths, and words that it never wrote."""

import numpy as np
import pytest

from pipeline.coding.codecs import CodecError
from pipeline.coding.tables import TableCoder


def some_tables(channels: int, widest: int, seed: int = 0) -> np.ndarray:
    """Counts C x S, some channels with fewer symbols, some of them very uneven."""
    generator = np.random.default_rng(seed)
    counts_CS = (generator.pareto(0.5, (channels, widest)) + 1).clip(1, 2**20).astype(np.uint32)
    size_C = generator.integers(2, widest + 1, channels)
    return np.where(np.arange(widest) < size_C[:, None], counts_CS, 0).astype(np.uint32)


def drawn(counts_CS: np.ndarray, count: int, seed: int = 1) -> np.ndarray:
    generator = np.random.default_rng(seed)
    share_CS = counts_CS / counts_CS.sum(1, keepdims=True)
    return np.stack([generator.choice(len(p), count, p=p) for p in share_CS]).astype(np.int32)


@pytest.mark.parametrize(
    ("channels", "widest", "count"), [(1, 2, 1), (256, 16, 72), (3, 4096, 500)]
)
def test_symbols_come_back_and_cost_what_their_counts_say(
    channels: int, widest: int, count: int
) -> None:
    counts_CS = some_tables(channels, widest)
    symbols_CN = drawn(counts_CS, count)
    payload = TableCoder(counts_CS).encode(symbols_CN)
    found_CN = TableCoder(counts_CS).decode(payload, count)
    np.testing.assert_array_equal(found_CN, symbols_CN, strict=True)
    of_symbol_CN = np.take_along_axis(counts_CS, symbols_CN, axis=1).astype(float)
    ideal = -np.log2(of_symbol_CN / counts_CS.sum(1, keepdims=True)).sum() / 8
    assert ideal - 1 <= len(payload) <= 1.01 * ideal + 8


def test_the_rarest_symbol_of_a_table_is_coded_too() -> None:
    counts_CS = np.array([[2**31, 1], [1, 2**31]], np.uint32)
    symbols_CN = np.array([[1, 0, 1], [0, 1, 0]], np.int32)
    coder = TableCoder(counts_CS)
    np.testing.assert_array_equal(coder.decode(coder.encode(symbols_CN), 3), symbols_CN)


def test_bytes_of_anything_else_are_refused_or_give_symbols_of_the_tables() -> None:
    counts_CS = some_tables(6, 9)
    coder, last_C = TableCoder(counts_CS), (counts_CS > 0).sum(1) - 1
    payload = coder.encode(drawn(counts_CS, 20))
    with pytest.raises(CodecError, match="words of 4 bytes"):
        coder.decode(payload[:-1], 20)
    with pytest.raises(CodecError, match="words follow the last symbol"):
        coder.decode(payload * 3, 20)
    generator, ends = np.random.default_rng(0), set()
    for _ in range(300):
        words = generator.integers(0, 256, 4 * generator.integers(0, 20), np.uint8).tobytes()
        try:
            symbols_CN = coder.decode(words, 20)
        except CodecError as error:
            ends.add(str(error)[:20])
        else:
            ends.add("decoded")
            assert ((symbols_CN >= 0) & (symbols_CN <= last_C[:, None])).all()
    assert {"decoded", "not a code of these "} <= ends
