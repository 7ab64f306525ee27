"""A rehearsal from its checks to its table: real problems, a random model, and no training."""

import dataclasses

import pytest
from published_columns import DATA, lay_out
from test_rehearsal import own_cache, tiny_chatml_dir  # noqa: F401

from s1lib.profile import load_profile
from s1lib.rehearsal.rehearse import RehearsalError, rehearse

pytestmark = [
    pytest.mark.chain,
    pytest.mark.skipif(not DATA.exists(), reason="shared/data is not here"),
]


@pytest.fixture
def profile(tiny_chatml_dir, tmp_path):  # noqa: F811
    """The authors' 7B model, evaluation only, with a stand-in that reads bytes."""
    lay_out(tmp_path / "data")
    profile = load_profile("gpu-s1.1", outputs=tmp_path / "outputs")
    given = {"model": str(tiny_chatml_dir), "data": str(tmp_path / "data")}
    sizes = {"context": 8192, "questions": 16, "problems": 2, "thinking_tokens": 40, "samples": 1}
    return dataclasses.replace(
        profile, rehearsal=dataclasses.replace(profile.rehearsal, **given, **sizes)
    )


def test_a_profile_that_trains_nothing_is_rehearsed_to_its_table(profile):
    said: list[str] = []
    small = rehearse(profile, log=said.append)
    table = said[-1].strip().splitlines()
    assert [line.split()[0] for line in table] == ["stage", "checks", *profile.notebooks]
    assert all(line.endswith(" ok") for line in table[2:]), "\n".join(table)
    assert (small.outputs / "05_scaling_analysis" / "claims.csv").exists()
    assert (small.outputs / "rehearsal.txt").read_text().splitlines()[-1] == table[-1]


def test_a_notebook_that_fails_is_a_line_of_the_table_and_the_rest_is_not_reached(profile):
    no_room = dataclasses.replace(profile.rehearsal, context=1024)  # for the classifier's prompt
    said: list[str] = []
    with pytest.raises(RehearsalError, match="01_curation: "):
        rehearse(dataclasses.replace(profile, rehearsal=no_room), log=said.append)
    table = said[-1].strip().splitlines()
    assert "leaves no room in engine.max_context" in table[2]
    assert all(line.endswith(" not reached") for line in table[3:])
