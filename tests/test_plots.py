"""Figures and tables on disk: complete, repeatable, and never broken by missing data."""

import matplotlib

matplotlib.use("Agg")

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from s1lib.drawing import labels, plots
from s1lib.drawing.bubbles import bubbles
from s1lib.sft.training_logs import training_curve
from s1lib.toy.gate import GATE
from s1lib.toy.models import skills_figure


@pytest.fixture(autouse=True)
def _theme():
    plots.theme()
    yield
    plots.plt.close("all")


def _axes():
    return plots.panels(1)[1][0]


def _figure(low: float, high: float):
    fig, axes = plots.panels(1)
    axes[0].plot([low, high], [0, 1])
    plots.token_axis(axes[0])
    return fig, axes[0]


def test_a_figure_is_saved_as_png_pdf_and_the_csv_of_what_is_plotted(tmp_path):
    fig, _ = _figure(10, 500)
    plots.save_figure(fig, tmp_path / "figure1.a", pd.DataFrame({"tokens": [10, 500]}))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "figure1.a.csv",
        "figure1.a.pdf",
        "figure1.a.png",
    ]
    assert (tmp_path / "figure1.a.csv").read_text() == "tokens\n10\n500\n"


def test_panels_side_by_side_are_also_saved_below_each_other_for_a_phone(tmp_path):
    fig, axes = plots.panels(3, sharey=True)
    for place, ax in enumerate(axes):
        ax.plot([1, 2], [0, place], label=f"line {place}")
    plots.legend(fig)
    plots.caption(fig, "word " * 60)
    before = fig.get_supxlabel()
    plots.save_figure(fig, tmp_path / "figure", pd.DataFrame())
    wide, narrow = (
        plots.plt.imread(tmp_path / name).shape[1] for name in ("figure.png", "figure-narrow.png")
    )
    assert narrow == wide // 3
    # what a notebook shows is the wide figure, as it was
    assert [ax.get_subplotspec().colspan.start for ax in axes] == [0, 1, 2]
    assert fig.get_supxlabel() == before and len(fig.legends) == 1


def test_one_legend_names_every_line_once_and_stands_above_the_panels():
    fig, axes = plots.panels(3, wrap=2)
    for ax in axes:
        ax.plot([1, 2], [0, 1], label="ours")
    axes[2].plot([1, 2], [1, 0], label="paper")
    plots.legend(fig)
    fig.draw_without_rendering()
    (legend,) = fig.legends
    assert [text.get_text() for text in legend.get_texts()] == ["ours", "paper"]
    assert not any(legend.get_window_extent().overlaps(ax.get_window_extent()) for ax in axes)
    assert len(fig.axes) == 3


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    for name in ("first", "second"):
        plots.save_figure(_figure(10, 500)[0], tmp_path / name, pd.DataFrame())
    for suffix in (".png", ".pdf"):
        assert (tmp_path / f"first{suffix}").read_bytes() == (
            tmp_path / f"second{suffix}"
        ).read_bytes()


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (14, 500, ["16", "32", "64", "128", "256", "512"]),
        (500, 7319, ["500", "1K", "2K", "4K", "8K"]),
        (80, 110, ["80", "90", "100", "110"]),
    ],
)
def test_the_token_axis_is_logarithmic_with_the_tokens_written_out(low, high, labels):
    fig, ax = _figure(low, high)
    fig.canvas.draw()
    assert ax.get_xscale() == "log"
    assert [label.get_text() for label in ax.get_xticklabels()] == labels


def test_the_threshold_of_a_gated_skill_is_a_line_in_its_colour():
    skills = ["quick +", "look-up"]  # the first has no gate
    rows = [(tokens, skill, tokens / 9) for tokens in (1, 2) for skill in skills]
    ax = skills_figure(pd.DataFrame(rows, columns=["tokens", "skill", "share"]), _axes())
    dashed = [line for line in ax.get_lines() if line.get_linestyle() == "--"]
    (gate,) = [line for line in dashed if len(line.get_xdata())]
    assert set(gate.get_ydata()) == {100 * GATE["look-up"]}
    drawn = {line.get_color() for line in ax.get_lines() if line.get_linestyle() == "-"}
    assert to_hex(gate.get_color()) == plots.PALETTE[1].lower() and gate.get_color() in drawn


def test_figure_9_shows_s1_the_other_sets_in_grey_and_the_papers_mean_loss():
    steps = [(step, 1 / step, name) for name in ("s1", "random", "diverse") for step in (1, 2)]
    ax = training_curve(pd.DataFrame(steps, columns=["step", "loss", "model"]), _axes())
    named = [text.get_text() for text in ax.get_legend().get_texts()]
    assert named == ["s1", "other sets", "paper: mean 0.117"]
    assert len({line.get_color() for line in ax.get_lines()}) == 3


def test_figure_9_marks_where_an_epoch_of_s1_ends():
    steps = [(step, step / 2, 1.0, name) for name in ("s1", "random") for step in range(1, 7)]
    columns = ["step", "epoch", "loss", "model"]
    ax = training_curve(pd.DataFrame(steps, columns=columns), _axes())
    upright = [line.get_xdata() for line in ax.get_lines() if len(set(line.get_xdata())) == 1]
    assert [x[0] for x in upright] == [2, 4]


def test_benchmarks_differ_in_marker_as_well_as_colour():
    styles = [plots.role_style(role) for role in (*plots.ROLES, "another")]
    assert (
        len({style["marker"] for style in styles})
        == len({style["color"] for style in styles})
        == len(styles)
    )


def test_a_table_says_na_where_a_number_is_missing(tmp_path):
    table = pd.DataFrame(
        {"method": ["a|b", "c"], "accuracy": [61.25, None], "n": [300, 0], "note": ["", "no runs"]}
    )
    shown = plots.save_table(table, tmp_path / "table3")
    assert list(shown["accuracy, %"]) == ["61.2", "n/a"]
    assert (tmp_path / "table3.md").read_text().splitlines()[2:] == [
        "| a\\|b | 61.2 | 300 |  |",
        "| c | n/a | 0 | no runs |",
    ]
    assert "c,n/a,0,no runs" in (tmp_path / "table3.csv").read_text()


def test_a_value_that_rounds_to_zero_has_no_minus():
    shown = plots.as_text(pd.DataFrame({"low": [-0.04, -0.06, 0.04], "p": [-0.0, 0.02, 1.0]}))
    assert list(plots.as_text(pd.DataFrame({"p_holm": [0.0412]}))["p_holm"]) == ["0.041"]
    assert list(shown["low"]) == ["0.0", "-0.1", "0.0"]


def test_the_accuracy_of_a_guess_is_a_line_where_questions_are_choices():
    _, axes = plots.panels(3)
    for ax in axes[:2]:
        ax.plot([1, 2], [50, 60])
    plots.guesses(axes, pd.DataFrame({"kind": ["math", "choice", "choice"]}))
    assert [len(ax.get_lines()) for ax in axes] == [1, 2, 0]  # no line where nothing is drawn
    assert set(axes[1].get_lines()[1].get_ydata()) == {25} and axes[1].get_ylim()[0] < 25


def test_a_table_shows_units_and_its_csv_keeps_plain_names(tmp_path):
    table = pd.DataFrame(
        {
            "accuracy": [61.25],
            "low": [50.0],
            "high": [70.0],
            "thinking_tokens": [100.0],
            "difference": [3.0],
        }
    )
    head = "| accuracy, % | low | high | thinking_tokens | difference, points |"
    assert list(plots.save_table(table, tmp_path / "table1").columns) == head.strip("| ").split(
        " | "
    )
    assert (tmp_path / "table1.md").read_text().startswith(head)
    assert (
        (tmp_path / "table1.csv")
        .read_text()
        .startswith("accuracy,low,high,thinking_tokens,difference")
    )


def test_labels_of_close_points_keep_clear_of_each_other_and_of_the_markers():
    fig, ax = plots.plt.subplots(figsize=(3.9, 3.4))
    x, y = [100, 300, 310, 320, 330], [20, 60, 61, 60, 58]
    ax.plot(x, y, "o")
    plots.token_axis(ax)
    labels.notes(ax, [(f"W{n}", *at) for n, at in enumerate(zip(x, y, strict=True))])
    fig.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    centres = ax.transData.transform(list(zip(x, y, strict=True)))
    assert len(boxes) == 5
    assert not any(one.overlaps(other) for at, one in enumerate(boxes) for other in boxes[:at])
    assert not any(box.contains(*centre) for box in boxes for centre in centres)


def test_a_label_at_the_right_edge_stays_within_the_axes():
    fig, ax = plots.plt.subplots(figsize=(3.9, 3.4))
    ax.plot([100, 320], [20, 60], "o")
    plots.token_axis(ax)
    labels.notes(ax, [("a long name", 320, 60)])
    fig.canvas.draw()
    assert ax.texts[0].get_window_extent().x1 <= ax.bbox.x1


def test_a_table_is_latex_that_prints_its_cells_as_they_are(tmp_path):
    table = pd.DataFrame({"set": ["100 % of a_b & $c"], "p": [0.0001], "n": [30]})
    plots.save_table(table, tmp_path / "table2")
    assert (tmp_path / "table2.tex").read_text().splitlines() == [
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"set & p & n \\",
        r"\midrule",
        r"100 \% of a\_b \& \$c & $<$ 0.001 & 30 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_an_empty_table_is_saved_and_shown_as_its_head(tmp_path):
    table = pd.DataFrame(columns=["method", "accuracy", "p"])
    shown = plots.save_table(table, tmp_path / "table3")
    assert shown.empty and list(shown.columns) == ["method", "accuracy, %", "p"]
    assert (tmp_path / "table3.csv").read_text() == "method,accuracy,p\n"
    head = ["| method | accuracy, % | p |", "| --- | --- | --- |"]
    assert (tmp_path / "table3.md").read_text().splitlines() == head
    assert r"method & accuracy, \% & p \\" in (tmp_path / "table3.tex").read_text()


@pytest.mark.parametrize("columns", [0, 1])
def test_a_figure_without_anything_to_show_is_saved_and_says_so(tmp_path, columns):
    fig, axes = plots.panels(columns)
    assert len(axes) == columns
    for ax in axes:
        bubbles(pd.DataFrame({"domain": [], "selected": []}), ax)
    plots.save_figure(fig, tmp_path / "figure", pd.DataFrame(columns=["domain"]))
    said = "n/a: no domains" if columns else "n/a: not run in this profile"
    assert [text.get_text() for text in fig.axes[0].texts] == [said]
