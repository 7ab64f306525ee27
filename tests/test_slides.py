"""Slides: the tagged cells of executed notebooks, in one file that needs no network."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from s1lib.profile import Profile
from s1lib.site.slides import REVEAL, SlidesError, write_slides

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)


def tagged(cell, *tags):
    cell.metadata["tags"] = list(tags)
    return cell


@pytest.fixture
def profile(tmp_path):
    profile = Profile("p", notebooks=("03_budget_forcing",), outputs_root=str(tmp_path))
    image = new_output("display_data", data={"image/png": PIXEL})
    text = new_output("stream", text="a trace <b>")
    cells = [
        tagged(new_markdown_cell("# The first $n^2$"), "slide"),
        new_markdown_cell("left out"),
        tagged(new_code_cell("think(problem)", outputs=[text]), "slide-more", "by-hand"),
        tagged(new_markdown_cell("## The second"), "slide"),
        tagged(new_code_cell("draw(curve)", outputs=[image]), "slide-more"),
    ]
    (profile.outputs / "notebooks").mkdir(parents=True)
    place = profile.outputs / "notebooks" / "03_budget_forcing.ipynb"
    nbformat.write(new_notebook(cells=cells), place)
    return profile


@pytest.fixture
def reveal(tmp_path):
    """The three files of reveal.js that a deck needs, empty."""
    for name in REVEAL:
        (tmp_path / "reveal" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "reveal" / name).write_text(f"/* {name} */")
    return tmp_path / "reveal"


def test_a_deck_holds_the_tagged_cells_and_figures_without_their_code(profile, reveal):
    (path,) = write_slides(profile, reveal)
    first, second = path.read_text().split("<section>")[1:]
    assert "The first" in first and "think" in first and "a trace &lt;b&gt;" in first
    assert "left out" not in first + second
    assert "The second" in second and "data:image/png" in second and "curve" not in second


def test_a_deck_asks_no_network_for_anything(profile, reveal):
    (path,) = write_slides(profile, reveal)
    page = path.read_text()
    assert all(f"/* {name} */" in page for name in REVEAL)
    asked = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"([^\"]*)", page)
    assert asked and all(address.startswith("data:") for address in asked)
    assert not re.search(r"@import|url\(\s*[\"']?https?:", page)


def test_without_reveal_or_without_tagged_cells_it_says_so(profile, reveal, tmp_path):
    with pytest.raises(SlidesError, match="use `make slides`"):
        write_slides(profile, tmp_path / "nowhere")
    place = profile.outputs / "notebooks" / "03_budget_forcing.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("untagged")]), place)
    with pytest.raises(SlidesError, match="no cell is tagged `slide`"):
        write_slides(profile, reveal)
