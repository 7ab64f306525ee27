"""The audit of notebook 04: which rule read an answer, and tables of nothing shown as empty."""

import matplotlib

matplotlib.use("Agg")

import pandas as pd
import pytest
from synthetic_records import synthetic_records

from s1lib.drawing.plots import panels, plt, save_table
from s1lib.evaluation import accuracy, audit


@pytest.fixture
def table():
    yield accuracy.frame(synthetic_records(problems=2, samples=1))
    plt.close("all")


def test_the_audit_counts_how_often_each_rule_fired_and_was_right(table):
    rules = ["boxed", "label", "label", "boxed", "label", None]
    right = [True, False, True, True, False, False]
    shown = audit.rules(table[:6].assign(read_by=rules, correct=right)).set_index("rule")
    assert shown["records"].to_dict() == {"label": 3, "boxed": 2}
    assert shown["records, %"].to_dict() == {"label": 60, "boxed": 40}
    assert shown["right, %"].round(1).to_dict() == {"label": 33.3, "boxed": 100}


def test_three_examples_of_each_rule_stand_on_a_page_as_text(table):
    table = table.assign(read_by=["boxed", "label"] * (len(table) // 2), answer="<b>so</b> 42")
    examples = audit.rule_examples(table)
    assert examples["rule"].to_list() == ["boxed"] * 3 + ["label"] * 3
    page = audit.page(examples, title="rules")
    assert "&lt;b&gt;so" in page and "<b>" not in page


def test_records_that_do_not_say_how_they_were_read_give_an_empty_table(table, tmp_path):
    assert save_table(audit.rules(table), tmp_path / "rules").empty
    assert "There is none." in audit.page(audit.rule_examples(table), title="rules")


def nothing(table: pd.DataFrame) -> pd.DataFrame:
    return table[:0]


def only_rejected(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(finish="rejected", extracted=None, correct=False)


def no_choice(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["kind"] != "choice"]


@pytest.mark.parametrize("some", [nothing, only_rejected, no_choice])
def test_what_a_profile_does_not_run_is_shown_as_empty(table, tmp_path, some):
    table = some(table)
    for make in (
        accuracy.by_run,
        accuracy.ends,
        audit.unread,
        audit.unread_examples,
        audit.choice_readings,
        audit.disputed,
        audit.rules,
    ):
        shown = save_table(make(table), tmp_path / "table")
        assert len(shown.columns) > 1 and (some is not nothing or shown.empty), make
    assert audit.choice_readings(table).empty


def test_the_legend_of_how_thinking_ended_names_only_what_occurred(table):
    _, axes = panels(1)
    shares = accuracy.ends(table[table["finish"].isin(["natural", "rejected"])])
    named = accuracy.draw_ends(shares, axes[0]).get_legend().get_texts()
    assert [text.get_text() for text in named] == ["natural", "rejected"]


def test_a_figure_of_what_was_not_run_says_so(table):
    _, axes = panels(2)
    rows = accuracy.by_run(table)
    accuracy.draw_ends(accuracy.ends(table[:0]), axes[0])
    accuracy.draw_accuracy(rows[rows["benchmark"] == "hard"], axes[1], runs=[("cut", "direct")])
    for ax in axes:
        assert "not run in this profile" in ax.texts[0].get_text().replace("\n", " ")


def test_the_accuracy_of_rejection_has_the_tokens_of_all_tries(table):
    rejection = table["method"] == "rejection"
    tries = (table["thinking_tokens"] + 500).where(rejection)
    shown = accuracy.by_run(table.assign(spent_thinking_tokens=tries)).set_index("method")
    assert (shown["spent_thinking_tokens"]["rejection"] >= 500).all()
    assert shown["spent_thinking_tokens"].drop("rejection").isna().all()
    assert "spent_thinking_tokens" not in accuracy.by_run(table)


def test_a_rejected_problem_is_wrong_but_has_no_tokens_and_no_unread_answer(table):
    kept = table[table["method"] == "rejection"].head(1).assign(finish="natural", correct=True)
    silent = {"finish": "rejected", "extracted": None, "correct": False}
    lost = kept.assign(**silent, thinking_tokens=0, answer_tokens=0)
    (before,) = accuracy.by_run(kept).to_dict("records")
    (after,) = accuracy.by_run(pd.concat([kept, lost])).to_dict("records")
    for same in ("thinking_tokens", "answer_tokens", "unread, %"):
        assert after[same] == before[same]
    assert (after["n"], after["rejected, %"]) == (2, 50)
    assert (before["accuracy"], after["accuracy"]) == (100, 50)


def test_examples_of_unread_answers_are_of_every_model(table):
    lost = table.assign(extracted=None, finish="natural")
    shown = audit.unread_examples(lost, per_reason=1)
    assert set(shown["model"]) == set(table["model"]) and table["model"].nunique() > 1
    assert not shown.duplicated(["model", "finish", "benchmark"]).any()


def test_a_page_keeps_the_lines_of_a_text():
    page = audit.page(pd.DataFrame({"answer": ["<b>\nAnswer: 1"]}), title="unread")
    assert "&lt;b&gt;\nAnswer: 1" in page
