"""What a link that loses packets does to each sender of an experiment.

    python -m commands.packet_loss

It reads what `dvc repro` or experiments/offline.sh has made in this folder, for the first encoder
and seed, and writes `reports/packet_loss/`: a table, and a figure for each mean length of a burst.

Packets are lost by Gilbert's channel. Streams with a fixed step are cut into slices, which decode
alone. All else, PNG features and pictures, needs every packet of a frame. A frame that did not
arrive is scored as the floor is: the best prediction that knows the training set alone.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd
import torch

from pipeline.artifacts import (
    ARM_COLOURS,
    PICTURE_ARM,
    REPORT_FOLDER,
    Coded,
    Evaluation,
    ModelName,
    Sums,
    array_rows,
    features_file,
    fitted_file,
    model_folder,
    prepared_folder,
    read_evaluation,
)
from pipeline.coding.fitted import Fitted, read_fitted
from pipeline.coding.slices import PACKET, decode_slices, encode_slices
from pipeline.data.batches import Batches
from pipeline.data.frames import open_frames
from pipeline.device import open_device
from pipeline.files import write_text
from pipeline.inference.edge import BATCH
from pipeline.inference.evaluate import serve_nothing
from pipeline.nets.split import SplitNet
from pipeline.nets.stored import load_model
from pipeline.params import Params
from pipeline.report.charts import HEIGHT, channels, for_print, write_figure
from pipeline.report.colours import CODERS, GREYS, Style
from pipeline.report.names import PAPER, codec_title, family, score_title
from pipeline.report.tables import Table, to_markdown
from pipeline.scoring.metrics import SCORES
from pipeline.scoring.sums import collect, sums_of
from pipeline.source import in_order
from stages.settings import load, models, points, run

OUT = REPORT_FOLDER / "packet_loss"
LOSSES = (0.0, 0.01, 0.03, 0.1, 0.2)
BURSTS = (1, 5)
"""Mean number of packets that are lost in a row."""
TRACES = 20
"""Seeds of the channel; the same for all senders."""


@dataclass(frozen=True)
class Sender:
    """What is sent for N frames, and what the cloud makes of what arrives."""

    title: str
    look: Style
    bytes_N: np.ndarray
    """Of all packets of a frame."""
    packets_N: np.ndarray
    serve: Callable[[np.ndarray], Mapping[str, Sums]]
    """lost_NP, of which a frame's row has its packets first -> task -> sums."""


def main() -> None:
    """Score every sender of params.yaml over the share of packets that are lost."""
    params = load()
    device = open_device(params.machine.device)
    batches = Batches(open_frames(prepared_folder("val")), device=device)
    senders = [*senders_of(params, batches)]
    table = losses_table(senders, params.tasks)
    OUT.mkdir(parents=True, exist_ok=True)
    write_text(OUT / "packet_loss.csv", table.to_csv(index=False))
    shown = printed(table, params)
    write_text(OUT / "packet_loss.md", to_markdown([shown]))
    for burst, of_burst in table.groupby("burst"):
        write_figure(figure(of_burst, senders, params, int(str(burst))), OUT / f"burst-{burst}")
    print(to_markdown([shown]))
    print(f"The figures are in {OUT}")


def lost_packets(count: int, loss: float, burst: float, seed: int) -> np.ndarray:
    """Return which of `count` packets are lost by Gilbert's channel, bool.

    In its bad state all packets are lost, in its good state none (Gilbert, "Capacity of a
    burst-noise channel", 1960, with h = 0). loss: their share, below burst / (1 + burst). burst:
    how many are lost in a row on average, at least 1.
    """
    to_good = 1 / burst
    to_bad = loss * to_good / (1 - loss)
    draws = np.random.default_rng(seed).random(count + 1)
    bad = bool(draws[0] < loss)
    found = np.empty(count, bool)
    for i, draw in enumerate(draws[1:].tolist()):
        found[i] = bad
        bad = draw >= to_good if bad else draw < to_bad
    return found


# Senders


def senders_of(params: Params, batches: Batches) -> Iterator[Sender]:
    """Yield the senders of the first encoder and seed: sliced where it can be, and whole."""
    floor = serve_nothing(open_frames(prepared_folder("train")), params.tasks, batches)
    first = models(params)[0]
    for name in models(params):
        if (name.encoder, name.seed) != (first.encoder, first.seed) or name.arm == PICTURE_ARM:
            continue
        evaluation = read_evaluation(name)
        yield from of_model(name, params, evaluation, floor, batches)
        for codec, coded in evaluation.pictures.items():
            coder = family(codec)
            look = Style(GREYS.get(coder, "#000000"), *CODERS[coder])
            yield whole(f"picture, {codec_title(codec)}", look, coded, floor)


def of_model(
    name: ModelName,
    params: Params,
    evaluation: Evaluation,
    floor: Mapping[str, Sums],
    batches: Batches,
) -> Iterator[Sender]:
    """Yield the senders of one model's features."""
    wanted = points(params, name.arm)
    fitted_of = read_fitted(fitted_file(name), wanted)
    net, _ = load_model(model_folder(name), **name._asdict(), tasks=list(params.tasks))
    net = net.to(batches.device)
    for codec, fitted in fitted_of.items():
        arm = "entropy model" if name.arm == "entropy" else f"{name.arm} features"
        title, colour = f"{arm}, {codec_title(codec)}", ARM_COLOURS[name.arm]
        _, mark = CODERS.get(family(codec), CODERS[PAPER])
        coded = evaluation.points[codec]
        if fitted is not None and fitted.step is not None:
            features = (x for rows in array_rows(features_file(name)) for x in rows)
            slices_N = [encode_slices(x, fitted) for x in features]
            cloud = Cloud(net, fitted, slices_N, coded, batches)
            yield Sender(
                f"{title}, slices",
                Style(colour, (1, 0), mark),
                np.array([sum(map(len, slices)) for slices in slices_N]),
                np.array([len(slices) for slices in slices_N]),
                cloud.serve,
            )
        yield whole(title, Style(colour, (5, 3), mark), coded, floor)


def whole(title: str, look: Style, coded: Coded, floor: Mapping[str, Sums]) -> Sender:
    """Return a sender that needs all packets of a frame."""
    packets_N = -(-coded.bytes_N // PACKET)

    def serve(lost_NP: np.ndarray) -> Mapping[str, Sums]:
        lost_N = _any_lost(lost_NP, packets_N)
        return {
            task: {key: _where(lost_N, floor[task][key], x_N) for key, x_N in sums.items()}
            for task, sums in coded.sums.items()
        }

    return Sender(title, look, coded.bytes_N, packets_N, serve)


class Cloud:
    """Serves the slices that arrive; what it has seen once, it does not compute again."""

    def __init__(
        self,
        net: SplitNet,
        fitted: Fitted,
        slices_N: Sequence[Sequence[bytes]],
        coded: Coded,
        batches: Batches,
    ) -> None:
        self._net, self._fitted, self._slices_N = net, fitted, slices_N
        self._coded, self._batches = coded, batches
        self._seen: dict[tuple[int, bytes], dict[str, dict[str, np.ndarray]]] = {}

    def serve(self, lost_NP: np.ndarray) -> Mapping[str, Sums]:
        """Return the sums of all frames, of which these slices are lost."""
        lost_N = [lost[: len(x)] for lost, x in zip(lost_NP, self._slices_N, strict=True)]
        keys = [(i, lost.tobytes()) for i, lost in enumerate(lost_N) if lost.any()]
        self._serve([key for key in keys if key not in self._seen])
        found: dict[str, Sums] = {}
        for task, sums in self._coded.sums.items():
            found[task] = {name: x_N.copy() for name, x_N in sums.items()}
            for i, lost in keys:
                for name, value in self._seen[i, lost][task].items():
                    found[task][name][i] = value
        return found

    def _serve(self, keys: Sequence[tuple[int, bytes]]) -> None:
        for some in in_order(len(keys), BATCH):
            batch = [keys[j] for j in some]
            features_BChw = torch.from_numpy(np.stack([self._decoded(*key) for key in batch]))
            with torch.no_grad():
                predictions = self._net.back(features_BChw.to(self._batches.device))
            truth = self._batches.take(np.array([i for i, _ in batch]))
            found = collect([sums_of(predictions, truth)], len(batch))
            for j, key in enumerate(batch):
                self._seen[key] = {t: {k: x[j] for k, x in y.items()} for t, y in found.items()}

    def _decoded(self, frame: int, lost: bytes) -> np.ndarray:
        arrived = zip(self._slices_N[frame], np.frombuffer(lost, bool), strict=True)
        return decode_slices([x for x, gone in arrived if not gone], self._fitted)


def _any_lost(lost_NP: np.ndarray, packets_N: np.ndarray) -> np.ndarray:
    used_NP = np.arange(lost_NP.shape[1]) < packets_N[:, None]
    return np.asarray((lost_NP & used_NP).any(axis=1))


def _where(lost_N: np.ndarray, floor_N: np.ndarray, value_N: np.ndarray) -> np.ndarray:
    return np.where(lost_N.reshape(-1, *[1] * (value_N.ndim - 1)), floor_N, value_N)


# Scores


def losses_table(senders: Sequence[Sender], tasks: Sequence[str]) -> pd.DataFrame:
    """Return one row for each sender, burst and loss: means over the traces, least, largest.

    The column `touched_frames` is the share of frames that lose a packet or more.
    """
    frames = len(senders[0].packets_N)
    most = max(int(sender.packets_N.max()) for sender in senders)
    rows = []
    for place, sender in enumerate(senders, 1):
        print(f"sender {place} of {len(senders)}: {sender.title}", flush=True)
        for burst in BURSTS:
            for loss in LOSSES:
                found, touched = defaultdict(list), []
                for seed in range(TRACES if loss else 1):
                    lost_NP = lost_packets(frames * most, loss, burst, seed).reshape(frames, most)
                    sums = sender.serve(lost_NP)
                    for task in tasks:
                        found[SCORES[task].name].append(SCORES[task].compute(sums[task]))
                    touched.append(_any_lost(lost_NP, sender.packets_N).mean())
                row = {
                    "sender": sender.title,
                    "kilobytes": sender.bytes_N.mean() / 1000,
                    "packets": sender.packets_N.mean(),
                    "burst": burst,
                    "loss": loss,
                    "touched_frames": np.mean(touched),
                }
                for name, values in found.items():
                    row |= {name: np.mean(values)}
                    row |= {f"{name}_least": min(values), f"{name}_largest": max(values)}
                rows.append(row)
    return pd.DataFrame(rows)


def printed(table: pd.DataFrame, params: Params) -> Table:
    """Return the means as text: a row for each sender and burst, a column for each loss."""
    rows = []
    for (sender, burst), of in table.groupby(["sender", "burst"], sort=False):
        row = {"Send": sender, "kB": f"{of['kilobytes'].iloc[0]:.2f}"}
        row |= {"Packets": f"{of['packets'].iloc[0]:.1f}", "Burst": f"{burst}"}
        for loss, at in of.groupby("loss"):
            values = [SCORES[task] for task in params.tasks]
            row[f"{100 * float(str(loss)):g} % lost"] = ", ".join(
                f"{at[x.name].iloc[0] * x.printed.scale:.{x.printed.digits}f}" for x in values
            )
        rows.append(row)
    units = ", ".join(score_title(SCORES[task]) for task in params.tasks)
    caption = (
        f"{units} over the share of lost packets of at most {PACKET:,} bytes; means over "
        f"{TRACES} traces of Gilbert's channel, the same for all. Burst: packets that are lost in "
        "a row, on average. Slices decode alone; of all else a frame needs every packet."
    )
    return Table("packet-loss", caption, pd.DataFrame(rows))


def figure(
    table: pd.DataFrame, senders: Sequence[Sender], params: Params, burst: int
) -> dict[str, object]:
    """Return the scores over the loss, at one mean length of a burst."""
    looks = {sender.title: sender.look for sender in senders}
    colour, dash, mark = channels(looks, legend=True)
    charts = {}
    for task in params.tasks:
        score = SCORES[task]
        of_task = table[["sender"]].assign(
            loss=100 * table["loss"], value=score.printed.scale * table[score.name]
        )
        x = alt.X("loss:Q", title="Packets lost (%)", axis=alt.Axis(values=[*range(0, 25, 5)]))
        y = alt.Y("value:Q", title=score_title(score), scale=alt.Scale(zero=False))
        curves = alt.Chart(of_task)
        lines = curves.mark_line(strokeWidth=2).encode(x, y, color=colour, strokeDash=dash)
        points_at = curves.mark_point(filled=True, opacity=1, size=50)
        charts[task] = alt.layer(lines, points_at.encode(x, y, color=colour, shape=mark))
        charts[task] = charts[task].properties(height=HEIGHT)
    words = "one at a time" if burst == 1 else f"{burst} in a row on average"
    return for_print(charts, f"Score over lost packets, {words}")


if __name__ == "__main__":
    run(main)
