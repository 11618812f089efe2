"""How far a training is: a bar on a terminal, a line per epoch in a log."""

import time
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm


class Progress:
    """Shows steps done, time left, images per second and the losses.

    epochs: of the training. steps: of an epoch. done: steps that an earlier run has taken, which
    `resumed_from` holds. shown: whether this process is the one that shows anything.
    """

    def __init__(
        self, *, epochs: int, steps: int, done: int, resumed_from: Path | None, shown: bool
    ) -> None:
        self.epochs = epochs
        self.shown = shown
        self.images = 0
        self.seconds = 0.0
        self.since: float | None = None
        if shown and done:
            epoch, step = divmod(done, steps)
            where = (
                f"epoch {epoch + 1} of {epochs}, after step {step} of {steps}"
                if epoch < epochs
                else "the end of the last epoch"
            )
            print(f"resumed from {resumed_from} at {where}", flush=True)
        self.bar = tqdm(
            total=epochs * steps, initial=done, unit="step", disable=None if shown else True
        )

    def epoch(self, epoch: int) -> None:
        """Say which epoch begins, counted from 0."""
        if self.since is not None:
            self.since = time.monotonic()  # validation is no part of a step
        self.bar.set_description(f"epoch {epoch + 1}/{self.epochs}")

    def step(self, images: int) -> None:
        """Count one step of so many images.

        The first is not timed: it waits for the compiler and for the first frames.
        """
        now = time.monotonic()
        if self.since is not None:
            self.images += images
            self.seconds += now - self.since
        self.since = now
        self.bar.update()

    def row(self, row: Mapping[str, float]) -> None:
        """Show the values of an epoch that has ended."""
        losses = [f"{k.partition('/')[2]} {v:.3g}" for k, v in row.items() if k.startswith("loss/")]
        scores = [f"{k} {v:.4g}" for k, v in row.items() if k.startswith("val/")]
        speed = [f"{rate:.1f} images/s"] if (rate := self.rate()) else []
        self.bar.set_postfix_str(", ".join([*speed, f"losses: {', '.join(losses)}"]))
        if self.shown and self.bar.disable:
            values = ", ".join([*losses, *scores, *speed])
            print(f"epoch {int(row['epoch']) + 1}/{self.epochs}: {values}", flush=True)

    def rate(self) -> float | None:
        """Return the images per second of the steps of this process, without the validations.

        None if it has taken fewer than two steps, as one that resumed just before the end.
        """
        return self.images / self.seconds if self.images else None

    def close(self) -> None:
        """Leave the terminal as it is."""
        self.bar.close()
