"""Every saved figure says in words what it shows."""

import matplotlib.pyplot as plt
import pandas as pd
from IPython.core.formatters import DisplayFormatter
from IPython.core.pylabtools import select_figure_formats
from PIL import Image

from s1lib.drawing.alt_text import LONGEST, alt_text
from s1lib.drawing.plots import caption, panels, save_figure


def curve(text="toy profile, n = 5 problems"):
    fig, axes = panels(2)
    for ax, name in zip(axes, ("hard", "mixed"), strict=True):
        ax.plot([16, 1024], [0, 56.7])
        ax.set(title=name, xlabel="thinking tokens", ylabel="accuracy (%)")
    caption(fig, text)
    return fig


def test_the_words_name_axes_ranges_panels_and_the_caption():
    assert alt_text(curve()) == (
        "accuracy (%) from 0 to 57 against thinking tokens from 16 to 1,024: hard, mixed. "
        "toy profile, n = 5 problems"
    )
    assert len(alt_text(curve("word " * 200))) <= LONGEST


def test_ticks_that_are_names_stand_for_a_range():
    fig, axes = panels(1)
    axes[0].barh(["random", "diverse"], [1, -2])
    axes[0].set_xlabel("points")
    assert alt_text(fig) == "random, diverse against points from -2 to 1."


def test_a_figure_without_axes_is_told_by_its_words():
    fig, axes = panels(1)
    axes[0].text(0, 0, "costs \\$5\nin all")
    axes[0].axis("off")
    caption(fig, "a trace")
    assert alt_text(fig) == "a trace costs $5 in all"


class Shell:
    """What IPython's figure formats need of a shell."""

    def __init__(self):
        self.display_formatter = DisplayFormatter()


def test_the_file_and_what_a_notebook_shows_carry_the_words(tmp_path):
    fig = save_figure(curve(), tmp_path / "figure", pd.DataFrame())
    assert Image.open(tmp_path / "figure.png").info["Description"] == alt_text(fig)

    shell = Shell()
    select_figure_formats(shell, "png")
    shown, metadata = shell.display_formatter.format(fig)
    assert metadata["image/png"]["alt"] == alt_text(fig) and "image/png" in shown
    plt.close("all")
