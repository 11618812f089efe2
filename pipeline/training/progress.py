"""How far a training is: a bar on a terminal, a line per epoch in a log."""

import time
from collections.abc import Mapping

from pipeline.bar import tqdm


class Progress:
    """Shows steps done, time left, images per second and the losses.

    epochs: of the training. steps: of an epoch. done: steps that an earlier run has taken.
    shown: whether this process is the one that shows anything.
    """

    def __init__(self, *, epochs: int, steps: int, done: int, shown: bool) -> None:
        self.epochs = epochs
        self.shown = shown
        self.bar = tqdm(
            total=epochs * steps, initial=done, unit="step", disable=None if shown else True
        )
        self.images = 0
        self.since = time.monotonic()
        if shown and done:
            epoch, step = divmod(done, steps)
            self.bar.write(f"resumed after epoch {epoch}, step {step} of {steps}")

    def epoch(self, epoch: int) -> None:
        """Say which epoch begins, counted from 0."""
        self.bar.set_description(f"epoch {epoch + 1}/{self.epochs}")

    def step(self, images: int) -> None:
        """Count one step of so many images."""
        self.images += images
        self.bar.update()

    def row(self, row: Mapping[str, float]) -> None:
        """Show the values of an epoch that has ended."""
        seconds = time.monotonic() - self.since
        losses = [f"{k.partition('/')[2]} {v:.3g}" for k, v in row.items() if k.startswith("loss/")]
        scores = [f"{k} {v:.4g}" for k, v in row.items() if k.startswith("val/")]
        # A training that resumes at the end of its last epoch takes no step and has no speed.
        speed = [f"{self.images / seconds:.1f} images/s"] if self.images else []
        self.bar.set_postfix_str(", ".join([*speed, f"losses: {', '.join(losses)}"]))
        if self.shown and self.bar.disable:
            values = ", ".join([*losses, *scores, *speed])
            print(f"epoch {int(row['epoch']) + 1}/{self.epochs}: {values}", flush=True)

    def close(self) -> None:
        """Leave the terminal as it is."""
        self.bar.close()
