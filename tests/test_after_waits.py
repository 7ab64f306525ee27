"""What a Wait does to the answers, and whether the text after it says something new."""

import matplotlib

matplotlib.use("Agg")

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_records import synthetic_records

from s1lib.drawing import plots
from s1lib.scaling import after_waits, wait_figures
from s1lib.scaling.records import records_from

WORD = st.sampled_from([f"w{number}" for number in range(40)])
WORDS = st.lists(WORD, max_size=40)
NEW = [f"new{number}" for number in range(20)]


def trace(*texts, waits=None, **more):
    """A record whose thinking is these texts with Waits between them."""
    thinking, spans = texts[0], []
    for text in texts[1:]:
        start = len(thinking) + 1
        thinking += f" Wait {text}"
        spans.append([start, start + 4])
    asked = len(spans) if waits is None else waits
    return {
        "benchmark": "hard",
        "problem_id": "a",
        "model": "s1",
        "method": "budget_forcing",
        "parameters": {"max_thinking": None, "waits": asked, "wait": "Wait"},
        "thinking": thinking,
        "forced_spans": spans,
        **more,
    }


def joined(words):
    return " ".join(words)


def test_a_text_recomputes_repeats_or_closes():
    first = "a: 92*03=76\nb: 76+06=82\nresult 82"
    again = "again a: 92*03: 2*3=06, 9*3=27 so 76"
    row = trace(first, again, first, "all steps are done\nresult 82")
    assert after_waits.kinds(row) == ["recomputes", "repeats", "closes"]
    # a sign counts: another operation with the same numbers is another statement
    other = first.replace("*", "-").replace("+", "/")
    assert after_waits.kinds(trace(first, other)) == ["recomputes"]


def test_a_text_that_goes_round_in_circles_repeats():
    assert after_waits.kinds(trace("one", joined(NEW[:7] * 8))) == ["repeats"]


@given(st.lists(WORDS, min_size=1, max_size=6))
def test_every_wait_has_one_kind_and_no_text_is_needed(texts):
    row = trace(*map(joined, texts))
    found = after_waits.kinds(row)
    assert len(found) == len(texts) - 1 and set(found) <= set(after_waits.KINDS)
    short = [len(words) < after_waits.FEW for words in texts[1:]]
    assert [kind == "closes" for kind in found] == short


@given(WORDS, st.lists(WORD, min_size=after_waits.FEW, max_size=40))
def test_what_was_said_repeats_and_what_was_not_recomputes(before, text):
    said = trace(joined([*before, *text]), joined(text))
    assert after_waits.kinds(said) == ["repeats"]
    assert after_waits.kinds(trace(joined([*before, *text]), joined(NEW))) == ["recomputes"]


@given(WORDS, WORDS, WORDS)
def test_more_thinking_before_it_never_makes_a_text_new(earlier, before, text):
    short, long = trace(joined(before), joined(text)), trace(joined(earlier + before), joined(text))
    if after_waits.kinds(short) == ["repeats"]:
        assert after_waits.kinds(long) == ["repeats"]


@given(WORDS, WORDS)
def test_the_kind_does_not_depend_on_which_words_they_are(before, text):
    renamed = [joined(word.replace("w", "v") for word in words) for words in (before, text)]
    assert after_waits.kinds(trace(joined(before), joined(text))) == after_waits.kinds(
        trace(*renamed)
    )


def test_of_a_step_the_texts_that_it_adds_are_counted():
    long = joined(NEW)
    rows = [trace("so"), trace("so", "yes"), trace("so", "yes", long, long)]
    rows.append(trace("so", long, parameters={"max_thinking": None, "waits": 1, "wait": "Hmm"}))
    rows.append(trace("so", long, parameters={"max_thinking": 32, "waits": 1, "wait": "Wait"}))
    rows.append(trace("so", long, model="random"))
    found = after_waits.texts_after_waits(rows)
    assert found[["waits", "number", "kind"]].values.tolist() == [
        [1, 1, "closes"],
        [3, 2, "recomputes"],
        [3, 3, "repeats"],
    ]


def test_replicas_of_a_model_are_traces_of_their_own():
    rows = [trace("so", sft_seed=seed) for seed in (0, 1)]
    rows += [trace("so", "yes", sft_seed=seed) for seed in (0, 1)]
    assert len(after_waits.by_trace(rows)) == 2
    assert len(after_waits.texts_after_waits(rows)) == 2


def test_a_trace_that_the_context_ended_has_the_texts_that_it_got_to():
    rows = [trace("so"), trace("so", "yes", waits=2)]
    assert after_waits.texts_after_waits(rows)["number"].to_list() == [1]


@pytest.fixture(scope="module")
def rows():
    return synthetic_records(problems=40, samples=2)


def test_outcomes_count_every_problem_once(rows):
    texts = after_waits.texts_after_waits([])
    table = after_waits.waits_table(records_from(rows), texts, resamples=200)
    table = table.query("benchmark == 'hard'").set_index("step")
    assert list(table.index) == ["W0 → W1", "W1 → W2", "W2 → W4", "W4 → W6"]
    assert list(table[after_waits.OUTCOMES].sum(axis=1)) == pytest.approx([100] * 4)

    one, two = (
        {
            row["problem_id"]: (row["correct"], row["extracted"])
            for row in rows
            if row["benchmark"] == "hard"
            and row["parameters"] == {"max_thinking": None, "waits": waits, "wait": "Wait"}
            and row["model"] == "s1"
        }
        for waits in (1, 2)
    )
    counts = dict.fromkeys(after_waits.OUTCOMES, 0)
    for problem, (was, before) in one.items():
        now, after = two[problem]
        if was or now:
            name = "kept_right" if was and now else "right_to_wrong" if was else "wrong_to_right"
        else:
            name = "kept_wrong" if before == after else "changed_wrong"
        counts[name] += 1
    row = table.loc["W1 → W2"]
    for name, count in counts.items():
        assert row[name] == pytest.approx(100 * count / len(one)), name
    assert row["net"] == pytest.approx(row["wrong_to_right"] - row["right_to_wrong"])
    assert row["low"] <= row["net"] <= row["high"] and row["n"] == 40
    assert table["tokens"].to_list() == pytest.approx([90] * 4)  # as the synthetic traces grow


def test_the_texts_are_drawn_as_shares_of_all_with_what_a_wait_costs(rows):
    kinds = {1: ["recomputes"] * 3 + ["closes"], 2: ["closes"], 4: ["repeats"], 6: ["closes"]}
    texts = [("hard", waits, waits, kind) for waits, some in kinds.items() for kind in some]
    followed = pd.DataFrame(texts, columns=["benchmark", "waits", "number", "kind"])
    table = after_waits.waits_table(records_from(rows), followed, resamples=20)
    ax = plots.plt.subplots()[1]
    wait_figures.texts(table[table["benchmark"] == "hard"], ax)
    bars = {bars.get_label(): [bar.get_height() for bar in bars] for bars in ax.containers}
    assert bars["recomputes"] == [75, 0, 0, 0] and bars["closes"] == [25, 100, 0, 100]
    assert [text.get_text() for text in ax.texts] == ["+90"] * 4

    # a benchmark without such texts says so
    ax = plots.plt.subplots()[1]
    wait_figures.texts(table[table["benchmark"] == "mixed"], ax)
    assert "n/a" in ax.texts[0].get_text()
    plots.plt.close("all")
