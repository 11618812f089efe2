"""The range coder of the library constriction, with one table of counts for each channel.

Decoding is exact on every machine. A table holds integers, and constriction makes its own 24-bit
probabilities of them by IEEE operations alone, if `perfect` is False: exact sums of integers, one
division, one multiplication for each symbol, rounding towards 0. With `perfect` it compares values
of log1p, whose last bit depends on the library of functions.
"""

from importlib.metadata import version

import numpy as np
from constriction import stream
from numpy.typing import NDArray

from pipeline.coding.codecs import CodecError

CODER = f"constriction {version('constriction')}"
"""Name and version of the program: other versions may write other bytes."""
_WORD = np.dtype("<u4")
ALL = slice(None)


class TableCoder:
    """The tables of C channels, made ready once for any number of images.

    counts_CS: integers; S symbols, 0 first, or fewer: from some symbol on a channel's counts may
    be 0. Each channel has at least two symbols.
    """

    def __init__(self, counts_CS: NDArray[np.unsignedinteger]) -> None:
        self._models = [
            stream.model.Categorical(count_S[count_S > 0].astype(np.float64), perfect=False)
            for count_S in counts_CS
        ]

    def encode(self, symbols_CN: NDArray[np.int32], channels: slice = ALL) -> bytes:
        """Return the code of N symbols of each channel, each inside its channel's table.

        channels: those that the symbols are of.
        """
        encoder = stream.queue.RangeEncoder()
        for symbol_N, model in zip(symbols_CN, self._models[channels], strict=True):
            encoder.encode(symbol_N, model)
        return encoder.get_compressed().astype(_WORD).tobytes()

    def decode(self, payload: bytes, count: int, channels: slice = ALL) -> NDArray[np.int32]:
        """Return the symbols, C x count. Raises CodecError for what `encode` cannot have made."""
        if len(payload) % _WORD.itemsize:
            raise CodecError(
                f"{len(payload)} bytes of a range coder; it writes words of {_WORD.itemsize} bytes"
            )
        decoder = stream.queue.RangeDecoder(np.frombuffer(payload, _WORD).astype(np.uint32))
        models = self._models[channels]
        symbols_CN = np.empty((len(models), count), np.int32)
        try:
            for symbol_N, model in zip(symbols_CN, models, strict=True):
                symbol_N[:] = decoder.decode(model, count)
        except AssertionError as error:  # what constriction raises on impossible words
            raise CodecError(f"not a code of these tables: {error}") from error
        if not decoder.maybe_exhausted():
            raise CodecError("words follow the last symbol of the range coder")
        return symbols_CN
