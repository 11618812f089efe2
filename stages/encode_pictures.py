"""Code the validation set's pictures themselves, the rival of features, with each picture codec.

They are the same for all models. AVIF takes 0.1 s for 192 x 96 pixels, so it is done once.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain

import PIL

from pipeline.artifacts import (
    PICTURES_FOLDER,
    ROWS,
    pictures_file,
    prepared_folder,
    write_streams,
)
from pipeline.coding.pictures import encode_picture, read_picture_codec
from pipeline.data.batches import mapped_anew
from pipeline.data.frames import open_frames
from pipeline.files import whole_folder
from pipeline.source import in_order
from stages.settings import load, run


def main() -> None:
    """Code all pictures of the validation set, once for each codec of pictures."""
    codecs = load().pictures.codecs
    frames = open_frames(prepared_folder("val"))
    count = len(frames.names)
    with whole_folder(PICTURES_FOLDER) as folder, ThreadPoolExecutor(os.cpu_count()) as threads:
        for codec in codecs:
            coded = (
                threads.map(partial(encode_picture, codec=codec), image_BHW3)
                for image_BHW3 in (
                    mapped_anew(frames.image_NHW3)[some] for some in in_order(count, ROWS)
                )
            )
            size = write_streams(
                folder / pictures_file(codec).name,
                frames.names,
                chain.from_iterable(coded),
                f"Pillow {PIL.__version__}",
                suffix=f".{read_picture_codec(codec)[0]}",
            )
            print(f"{codec}: {count} pictures, {size / count:.0f} bytes each")


if __name__ == "__main__":
    run(main)
