"""Example traces, bubbles and prompts (Figures 2, 3, 5, 10), and Tables 5, 6 and 8."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
import pytest
from synthetic_records import synthetic_records

from s1lib.drawing import plots
from s1lib.drawing.bubbles import bubbles, pack
from s1lib.published.paper_numbers import load
from s1lib.scaling import accuracy_tables, example_traces, figures, points, training_tables
from s1lib.scaling.records import records_from


@pytest.fixture
def ax():
    yield plots.plt.subplots()[1]
    plots.plt.close("all")


def record(problem, waits, thinking, correct, **more):
    parameters = {"max_thinking": None, "waits": waits, "wait": "Wait"}
    fixed = {
        "model": "s1",
        "method": "budget_forcing",
        "parameters": parameters,
        "finish": "natural",
        "answer": "Answer: 3",
    }
    fixed |= {"gold": "3", "extracted": thinking.removesuffix("\nWait")[-1:]}
    appended = thinking.find("\nWait") + 1
    fixed["forced_spans"] = [[appended, appended + 4]] if waits else []
    return {
        **fixed,
        "problem_id": problem,
        "waits_used": waits,
        "thinking": thinking,
        "correct": correct,
        "thinking_tokens": 9,
        **more,
    }


ROWS = [
    record("a", 0, "so 2", False, thinking_tokens=2),
    record("a", 1, "so 2\nWait, no: 3\nWait", True),
    record("b", 0, "so 3", True, thinking_tokens=1),
    record("b", 1, "so 3\nWait", True, thinking_tokens=1),
]


def test_the_example_is_wrong_before_the_wait_and_right_after_it():
    data = example_traces.mended(ROWS)
    assert "".join(data[data["part"] == "thinking"]["text"]) == "so 2\nWait, no: 3\nWait"
    # The first one: there "a" stopped.
    assert data[data["forced"]]["text"].to_list() == ["Wait"] and data["text"][0] == "so 2\n"
    assert data.attrs == {"problem": "a", "right": "3", "natural stop": "2", "1 × Wait": "3"}
    assert example_traces.mended(ROWS[2:]).empty


def test_the_answer_of_a_forced_stop_begins_with_appended_words():
    data = example_traces.pieces(
        record("a", 0, "so", False, finish="forced", answer="Final Answer: 2")
    )
    assert data[["text", "forced"]].values.tolist() == [
        ["so", False],
        ["Final Answer:", True],
        [" 2", False],
    ]


def test_a_trace_is_drawn_whole_with_what_was_appended_on_yellow(ax):
    example_traces.annotated(example_traces.mended(ROWS), ax)
    marked = [text.get_text() for text in ax.texts if text.get_bbox_patch() is not None]
    assert marked == ["Wait"]
    assert "".join(text.get_text() for text in ax.texts) == "so 2Wait, no: 3WaitanswerAnswer: 3"
    ax.figure.canvas.draw()


def test_an_example_has_its_question_before_it_and_the_right_answer_behind_it(ax):
    questions = {("hard", "a"): "How many?", ("mixed", "a"): "Another one."}
    data = example_traces.posed(example_traces.mended(ROWS), questions, "hard")
    assert list(data["part"].unique()) == ["question", "thinking", "answer", "right answer"]
    assert data["text"].iloc[[0, -1]].to_list() == ["How many?", "3"]
    example_traces.annotated(data, ax)
    written = [text.get_text() for text in ax.texts]
    assert written[:2] == ["question", "How many?"] and written[-2:] == ["right answer", "3"]
    # a test set that is not on this machine leaves the question out
    unknown = example_traces.posed(example_traces.mended(ROWS), {}, "hard")
    assert unknown["part"][0] == "thinking" and unknown["text"].iloc[-1] == "3"
    assert example_traces.posed(example_traces.mended([]), questions, "hard").empty


def test_a_long_piece_is_drawn_without_its_middle_and_its_end_is_seen(ax):
    long = pd.DataFrame({"text": ["a" + "x" * 5000 + "z"], "part": "thinking", "forced": False})
    example_traces.annotated(long, ax)
    written = [text.get_text() for text in ax.texts]
    assert written[0].startswith("ax") and written[-1].endswith("xz")
    assert "[… 4,502 characters …]" in written


def test_a_long_trace_is_broken_and_ends_with_an_ellipsis(ax):
    text = "word " * 40 + "\n" + "$x$\n" * 60
    example_traces.annotated(
        pd.DataFrame({"text": [text], "part": "thinking", "forced": False}), ax
    )
    assert max(len(text.get_text()) for text in ax.texts) <= example_traces.WIDTH
    assert ax.texts[-1].get_text() == "…" and len(ax.texts) == example_traces.LINES + 1
    ax.figure.canvas.draw()


def test_no_example_says_so_instead_of_failing(ax):
    example_traces.annotated(example_traces.mended([]), ax)
    assert "n/a" in ax.texts[0].get_text()


def test_the_name_of_a_bubble_stays_within_it():
    fig, axes = plots.panels(1, width=5, height=5)
    names = ["a", "Electromagnetic theory", "Unpronounceabilities of many kinds", "b c"]
    bubbles(pd.DataFrame({"domain": names, "selected": [100, 30, 2, 30]}), axes[0])
    fig.canvas.draw()
    circles = [circle.get_window_extent() for circle in axes[0].patches]
    for text in axes[0].texts:
        box = text.get_window_extent()
        assert any(one.x0 <= box.x0 and box.x1 <= one.x1 for one in circles), text.get_text()
    assert {text.get_text() for text in axes[0].texts} >= {"a\n100", "2"}


def test_bubbles_do_not_overlap():
    radii = np.sqrt(np.arange(30, 0, -1) / 30)
    circles = np.array(pack(list(radii**2)))
    distance = np.hypot(*(circles[:, None, :2] - circles[None, :, :2]).transpose(2, 0, 1))
    drawn = 0.97 * radii  # of a circle its outer 3 % are left free
    apart = distance - drawn[:, None] - drawn[None] + 9 * np.eye(30)
    assert (apart >= 0.03 * (radii[:, None] + radii[None]) - 1e-6).all()


def test_the_papers_figures_without_a_curve_can_be_drawn(ax):
    figures.domains(training_tables.domains_table(pd.DataFrame()), ax)
    assert any("Geometry" in text.get_text() for text in ax.texts) and not any(
        "total" in text.get_text() for text in ax.texts
    )
    _, (prompts, trees) = plots.plt.subplots(1, 2)
    figures.prompts(load("figure10"), prompts)
    assert any("Think for up to N tokens." in text.get_text() for text in prompts.texts)
    figures.sequential_parallel(points.paper_tree_points(), trees)
    assert {"k=16", "w=16"} <= {text.get_text() for text in trees.texts}
    trees.figure.canvas.draw()


def test_tables_5_and_6_have_this_run_first_and_the_paper_below():
    records = records_from(synthetic_records(problems=5, samples=2))
    models = accuracy_tables.models_table(records)
    assert models["source"].iloc[0] == "this run" and models["model"].to_list()[:3] == [
        "s1",
        "s1, 1 × Wait",
        "s1, 2 × Wait",
    ]
    paper = models[models["source"] == "paper"].set_index("model")
    assert paper["AIME25"]["s1, 4 × Wait"] == 36.7 and paper["MATH500"]["o3-mini high"] == 97.9
    domains = pd.DataFrame(
        {"domain": ["clock", "herd"], "selected": [3, 5], "selected, 1K tokens": [0.3, 0.5]}
    )
    table = training_tables.domains_table(domains)
    assert table["domain"].to_list()[:3] == ["herd", "clock", "Geometry"]


def test_table_8_compares_s1_with_cut_traces_and_is_the_papers_alone_without():
    rows = synthetic_records(problems=5, samples=2)
    natural = [
        row
        for row in rows
        if row["model"] == "s1"
        and row["parameters"] == {"max_thinking": None, "waits": 0, "wait": "Wait"}
    ]
    cut = [{**row, "model": "cut", "correct": False, "thinking_tokens": 99} for row in natural]
    trainings = pd.DataFrame(
        {"model": ["s1", "random", "cut"], "examples": 8, "limit": [640, 640, 88], "cut": [0, 0, 6]}
    )
    trainings = pd.concat([trainings, trainings])  # of two base models
    table = training_tables.lengths_table(records_from([*rows, *cut]), trainings)
    ours = table[table["source"] == "this run"]
    assert (
        ours["sequence_length"].to_list() == [88] * 3 + [640] * 3
        and ours["cut_percent"].to_list() == [75.0] * 3 + [0.0] * 3
    )
    assert set(ours["accuracy"][:3]) == {0.0} and set(ours["thinking_tokens"][:3]) == {99.0}
    assert (table["source"][6:] == "paper").all() and len(table) == 12
    assert (
        training_tables.lengths_table(records_from(rows), trainings[:2])["source"] == "paper"
    ).all()
