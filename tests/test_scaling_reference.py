"""The paper's numbers on disk: complete, sourced, consistent with themselves."""

import pytest

from s1lib.published import paper_numbers
from s1lib.scaling import published_effects

FIGURES = [
    "figure1",
    "figure2_right",
    "figure3",
    "figure4a",
    "figure4b",
    "figure6",
    "figure7",
    "figure9",
    "figure10",
]
TABLES = [f"table{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 14)]


def test_every_figure_and_table_with_numbers_is_there():
    assert set(FIGURES + TABLES) <= set(paper_numbers.names())


@pytest.mark.parametrize("name", paper_numbers.names())
def test_every_number_says_where_it_is_from_and_how_it_was_read(name):
    table = paper_numbers.load(name)
    assert len(table) and table["source"].ne("").all()
    assert set(table["how"]) <= {"paper", "V", "R", "calc"}
    assert not table.duplicated().any()


def test_a_missing_number_is_explained():
    table = paper_numbers.load("table1")
    assert table["accuracy"].isna().sum() == 2
    assert table["note"][table["accuracy"].isna()].eq("not published").all()


def test_the_parts_of_tables_6_and_7_add_up_to_their_totals():
    domains, pool = paper_numbers.load("table6"), paper_numbers.load("table7")
    assert domains["questions"][:-1].sum() == 1000
    assert domains["thousand_tokens"][:-1].sum() == pytest.approx(4700, abs=10)
    assert paper_numbers.load("table6_sources")["questions"].sum() == 1000
    assert pool["questions"][:-1].sum() == pool["questions"].iloc[-1] == 59029
    assert (pool["questions"] * pool["average_thousand_tokens"])[
        :-1
    ].sum() / 59029 == pytest.approx(3.6, abs=0.05)


def test_accuracies_are_percentages_and_curves_go_by_tokens():
    for name in paper_numbers.names():
        table = paper_numbers.load(name)
        if "accuracy" in table:
            assert table["accuracy"].dropna().between(0, 100).all(), name
    for _, curve in paper_numbers.load("figure1").groupby("benchmark"):
        assert curve["thinking_tokens"].is_monotonic_increasing


def test_an_unknown_table_names_the_nearest():
    with pytest.raises(
        paper_numbers.UnknownReferenceError,
        match=r"no reference data 'tabel3'; did you mean 'table3'\?",
    ):
        paper_numbers.load("tabel3")


def test_a_table_that_is_changed_by_its_reader_stays_as_it_is_for_the_next():
    table = paper_numbers.load("table3")
    table["control"] = 0
    assert paper_numbers.load("table3")["control"].max() == 100


def test_published_effects_follow_from_the_printed_numbers():
    assert published_effects.extends("AIME24", waits=2) == pytest.approx(3.3)
    assert published_effects.curation("AIME24", other="full") == pytest.approx(-3.3)
    assert published_effects.strings("GPQA-Diamond", other="") == pytest.approx(4.5)
    assert published_effects.lifts("MATH500") == pytest.approx(8.6)
    assert published_effects.loses_nothing("AIME24", waits=2) == pytest.approx(3.4)
    assert published_effects.beyond_limits("AIME24", method="TCC") == 60
    assert published_effects.rises("AIME24") == pytest.approx(14.8, abs=0.05)
    assert (
        published_effects.rejection("AIME24") < 0 < published_effects.equal_tokens("GPQA-Diamond")
    )
