"""An executed notebook or a document as the body of a page, with its formulas as pictures.

The cells are nbconvert's, without its scripts and style sheets.
"""

from __future__ import annotations

import base64
import html
import io
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

# Formulas as nbconvert leaves them for MathJax, which is not here: displayed, then inline. What
# stands in code and tags is stepped over.
_SKIPPED = r"(<pre.*?</pre>|<code.*?</code>|<[^>]*>)"
_MATH = re.compile(rf"(?s){_SKIPPED}|\$\$(.+?)\$\$|\$(\S(?:[^$\n<]*\S)?)\$(?!\d)")
_CELL = r'(<div class="text_cell_render[^>]*>)(.*?)(</div>\s*</div>\s*</div>)'
_MARKDOWN = re.compile(rf"(?s){_CELL}")


def body(path: Path) -> str:
    """HTML of the cells of one executed notebook, or of a Markdown file.

    The cell of injected parameters is shown like any other. What one cell prints is one text.
    """
    import nbformat
    from nbformat.v4 import new_markdown_cell, new_notebook

    if path.suffix == ".md":
        text = path.read_text(encoding="utf-8")
        return body_of(new_notebook(cells=[new_markdown_cell(text)]))
    return body_of(nbformat.read(path, as_version=4))


def body_of(cells: NotebookNode) -> str:
    """`body` of a notebook in memory."""
    from nbconvert import HTMLExporter
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor

    for cell in cells.cells:
        cell.metadata.pop("papermill", None)
    exporter = HTMLExporter(template_name="basic", exclude_anchor_links=True)
    exporter.register_preprocessor(CoalesceStreamsPreprocessor, enabled=True)
    text, _ = exporter.from_notebook_node(cells)
    return _MARKDOWN.sub(lambda found: found[1] + _MATH.sub(_formula, found[2]) + found[3], text)


def style() -> str:
    """Colours of highlighted code, as nbconvert's classes expect them."""
    from pygments.formatters import HtmlFormatter

    return HtmlFormatter(style="friendly").get_style_defs(".highlight")


def _formula(found: re.Match) -> str:
    if found[1]:
        return found[1]
    source = html.unescape(found[2] or found[3])
    picture = _picture(" ".join(source.split()))
    if not picture:
        return f"<code>{html.escape(source)}</code>"
    url = f"data:image/svg+xml;base64,{picture}"
    tag = f'<img class="formula" alt="{html.escape(source)}" src="{url}">'
    return f'<span class="display">{tag}</span>' if found[2] else tag


@cache
def _picture(source: str) -> str:
    """An SVG by matplotlib's mathtext, in base64, or "" for what it cannot set."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # mathtext wants TeX's shorthands spelled out: arguments in braces, names in roman, long names
    source = re.sub(r"\\(mathcal|mathbb) (\w)", r"\\\1{\2}", source)
    source = re.sub(r"_(?:\{\\(min|max)\}|\\(min|max)\b)", _roman, source)
    source = re.sub(r"\\([lgn]e)\b", r"\\\1q", source)

    drawn = io.BytesIO()
    figure = Figure()
    figure.text(0, 0, f"${source}$", fontsize=12)
    tight = {"bbox_inches": "tight", "pad_inches": 0.02, "transparent": True}
    try:
        with rc_context({"svg.hashsalt": "s1", "mathtext.fontset": "stix"}):
            figure.savefig(drawn, format="svg", metadata={"Date": None}, **tight)
    except ValueError:
        return ""
    return base64.b64encode(drawn.getvalue()).decode()


def _roman(found: re.Match) -> str:
    return rf"_{{\mathrm{{{found[1] or found[2]}}}}}"
