"""Tables for print: their cells, and what pandas makes of them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.report.names import changed, codec_title, listed, printed, signed
from pipeline.report.results import Results
from pipeline.report.summary import in_short, what_to_send
from pipeline.report.tables import (
    Table,
    classes_html,
    print_tables,
    rate_cell,
    send_table,
    to_html,
    to_latex,
    to_markdown,
)
from pipeline.scoring.metrics import SCORES
from tests.support.published import TABLE_1
from tests.support.report_models import arms, results

BENCHMARK = "benchmark features, PNG or JPEG"


@pytest.fixture(scope="module")
def found() -> Results:
    return results(arms(seeds=3))


def test_numbers_in_print() -> None:
    assert (signed(-0.04, 1), signed(0.26, 1), signed(-3.0, 0)) == ("0.0", "+0.3", "-3")
    assert printed(SCORES["segmentation"], 0.5794) == "57.94"
    assert printed(SCORES["disparity"], np.nan) == "not available"
    assert changed(SCORES["reconstruction"], -0.126) == "-0.13"
    assert [codec_title(x) for x in ("png", "jpeg-95", "png@5", "klt/1.2")] == [
        *("PNG", "JPEG-95", "PNG 5-bit", "KLT 1.2")
    ]
    assert (listed(["a"]), listed(["a", "b", "c"])) == ("a", "a, b and c")


def test_the_tables_of_a_report(found: Results) -> None:
    tables = print_tables(found)
    keys = ["send", "equal-score", "bd-rate", "changes", "lowest-rates", "points", "diagnostics"]
    assert list(tables) == keys
    send = tables["send"].frame.set_index("Send")
    assert list(send.index) == list(found.senders)
    lost = [f"at most {x} % lost" for x in (1, 3, 10)]
    assert list(send.columns) == [*lost, "Point", "Edge, ms", "Cloud, ms"]
    assert set(send["Edge, ms"]) == {"not available"}
    short = tables["equal-score"].frame
    assert short["By"].tolist() == ["hull", "BD-rate"]
    assert short["Bits at equal mIoU"].str.endswith("✓").all()
    bd = tables["bd-rate"].frame
    assert bd["Verdict"].tolist() == ["quotable"] * 6
    assert bd["Bits"].str.startswith(("-19.", "-20.")).all()
    paper = dict(zip(bd["At equal"], bd["Paper"], strict=True))
    expected = {SCORES[t].label: TABLE_1["encoder2", SCORES[t].name] for t in SCORES}
    assert paper == {label: f"{value:.2f} %" for label, value in expected.items()}
    points = tables["points"].frame
    assert len(points) == 2 * 5 + 2 + 2
    assert points["Point"].value_counts()["uncompressed"] == 2
    # Nothing is left for pandas to format.
    for table in tables.values():
        assert table.frame.map(lambda cell: isinstance(cell, str)).all(axis=None)


@pytest.mark.parametrize(
    ("kilobytes", "limiting", "cell"),
    [
        ([2.0, 3.0], ["disparity", "segmentation"], "2.50 kB (disparity, segmentation)"),
        ([2.0, 3.0], ["", ""], "at most 2.50 kB"),
        ([2.0, np.nan], ["disparity", "disparity"], "not reached by 1 of 2 seeds"),
        ([np.nan, np.nan], ["disparity", "disparity"], "not reached"),
        ([np.nan, np.nan], ["", ""], "not available"),
    ],
)
def test_a_lowest_rate_in_words(kilobytes: list[float], limiting: list[str], cell: str) -> None:
    assert rate_cell(pd.DataFrame({"kilobytes": kilobytes, "limiting": limiting})) == cell


def test_times_are_of_the_point_that_is_sent(found: Results) -> None:
    coders = {x: {"encode": 1.0, "decode": 2.0} for x in ("png", *found.points["codec"])}
    benchmark = {"edge": 30.0, "cloud": 40.0, "points": coders}
    pictures = {"jpeg-90": {"encode": 0.5, "decode": 0.25}, "jpeg-10": {}}
    times = {("encoder2", "benchmark"): {**benchmark, "pictures": pictures}}
    send = send_table(replace(found, times=times)).frame.set_index("Send")
    assert send.loc[BENCHMARK, ["Edge, ms", "Cloud, ms"]].tolist() == ["30.0 + 1.0", "2.0 + 40.0"]
    sent = send.loc["picture as JPEG", ["Point", "Edge, ms", "Cloud, ms"]].tolist()
    assert sent == ["JPEG-90", "0.0 + 0.5", "0.2 + 70.0"]
    assert send.loc["proposed features, PNG or JPEG", "Edge, ms"] == "not available"


class TestFormats:
    TABLE = Table(
        "some-key",
        "Saves 5 % & more_or_less.",
        pd.DataFrame({"Name": ["a_b <x>", "50 %"], "Bits": ["-1.50 %", "n/a"], "Why": ["", "y"]}),
    )

    def test_markdown(self) -> None:
        lines = to_markdown([self.TABLE]).splitlines()
        assert lines[0] == "**some-key.** Saves 5 % & more_or_less."
        assert [cell.strip() for cell in lines[4].strip("|").split("|")] == [
            "a_b <x>",
            "-1.50 %",
            "",
        ]
        # One width: it reads well unrendered too.
        assert len({len(line) for line in lines[2:]}) == 1

    def test_latex(self) -> None:
        text = to_latex(self.TABLE)
        assert "\\caption{Saves 5 \\% \\& more\\_or\\_less.}" in text
        assert "\\label{tab:some-key}" in text
        assert "a\\_b <x> & -1.50 \\% &" in text
        assert text.count("\\toprule") == text.count("\\bottomrule") == 1

    def test_html(self) -> None:
        text = to_html(self.TABLE)
        assert "<td>a_b &lt;x&gt;</td>" in text
        assert "<td>\N{MINUS SIGN}1.50 %</td>" in text
        assert 'class="dataframe words1"' in text


def test_classes_are_coloured_by_value(found: Results) -> None:
    tables = classes_html(found, "encoder2")
    assert list(tables) == ["benchmark", "proposed", "proposed minus benchmark"]
    iou = found.iou[(found.iou["arm"] == "proposed") & (found.iou["codec"] == "png")]
    mean = iou.groupby("class", sort=False)["iou"].mean().iloc[0]
    assert f'style="--v:{mean:.2f}">{100 * mean:.1f}</span>' in tables["proposed"]
    # Three classes do not occur.
    assert tables["proposed"].count("<td>–</td>") == 3 * 6


class TestSentences:
    def test_what_was_found(self, found: Results) -> None:
        text = in_short(found)
        assert "JPEG: it saves 20.0 % of the bits at equal mIoU" in text
        assert "In PNG, proposed minus benchmark: Bits -19.9" in text
        assert "PSNR (dB) 0.00 (above 0.00)." in text

    def test_the_cheapest_sender_is_named_for_each_loss(self, found: Results) -> None:
        text = what_to_send(found, "encoder2")
        table = found.lowest_rates[found.lowest_rates["task"] == "all"]
        for allowed in (3, 10):
            of_drop = table[table["max_task_drop"] == allowed]
            means = of_drop.groupby("sender")["kilobytes"].mean()
            best = means.idxmin()
            low, high = of_drop.loc[of_drop["sender"] == best, ["low", "high"]].iloc[0]
            percent = 100 * (means[best] / means[BENCHMARK] - 1)
            assert f"{allowed} %: {best}, {means[best]:.2f} kB ({percent:+.1f} % [" in text
            assert f"[{low:.1f}, {high:.1f}])" in text
        assert text.endswith("Changes are against the benchmark as in the paper.")

    def test_one_seed_claims_nothing(self) -> None:
        text = in_short(results(arms()))
        assert "nothing can be claimed (one seed supports none)" in text
        assert "saves" not in text
