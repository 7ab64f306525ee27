"""An executed notebook as the body of a page: nbconvert's cells without its scripts and style sheets, formulas as pictures."""

from __future__ import annotations

import base64
import html
import io
import re
from functools import cache
from pathlib import Path

DPI = 120
# Formulas as nbconvert leaves them for MathJax, which is not here: displayed, then inline. Code and tags are stepped over.
_MATH = re.compile(r"(?s)(<pre.*?</pre>|<code.*?</code>|<[^>]*>)|\$\$(.+?)\$\$|\$(\S(?:[^$\n<]*\S)?)\$(?!\d)")
_MARKDOWN = re.compile(r'(?s)(<div class="text_cell_render[^>]*>)(.*?)(</div>\s*</div>\s*</div>)')


def body(path: Path) -> str:
    """HTML of the cells of one executed notebook; the cell of injected parameters is shown like any other."""
    import nbformat
    from nbconvert import HTMLExporter

    cells = nbformat.read(path, as_version=4)
    for cell in cells.cells:
        cell.metadata.pop("papermill", None)
    text, _ = HTMLExporter(template_name="basic", exclude_anchor_links=True).from_notebook_node(cells)
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
    tag = f'<img class="formula" alt="{html.escape(source)}" src="data:image/svg+xml;base64,{picture}">'
    return f'<span class="display">{tag}</span>' if found[2] else tag


@cache
def _picture(source: str) -> str:
    r"""An SVG by matplotlib's mathtext, in base64; "" for what it cannot set.

    TeX's shorthands are spelled out for it: an argument without braces, a function's name as an index, \le for \leq.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    source = re.sub(r"\\(mathcal|mathbb) (\w)", r"\\\1{\2}", source)
    source = re.sub(r"_(?:\{\\(min|max)\}|\\(min|max)\b)", lambda name: rf"_{{\mathrm{{{name[1] or name[2]}}}}}", source)
    source = re.sub(r"\\([lgn]e)\b", r"\\\1q", source)
    drawn = io.BytesIO()
    figure = Figure()
    figure.text(0, 0, f"${source}$", fontsize=12)
    try:
        with rc_context({"svg.hashsalt": "s1", "mathtext.fontset": "stix"}):
            figure.savefig(drawn, format="svg", bbox_inches="tight", pad_inches=0.02, transparent=True, metadata={"Date": None})
    except ValueError:
        return ""
    return base64.b64encode(drawn.getvalue()).decode()
