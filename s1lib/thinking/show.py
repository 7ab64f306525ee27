"""A trace to look at, in a notebook: what was appended stands out from what the model wrote."""

from __future__ import annotations

from html import escape

from IPython.display import HTML

from s1lib import plots
from s1lib.chat import ChatFormat
from s1lib.thinking.budget import Trace

MARK = f"background:{plots.YELLOW};color:#000;padding:0 2px;border-radius:3px"
BOX = "white-space:pre-wrap;font-family:monospace;line-height:1.5;padding:8px 12px;border-left:4px solid #888"


def show_trace(trace: Trace, chat: ChatFormat) -> HTML:
    """The assistant's turn with everything that budget forcing appended on yellow, and a line of its counts."""
    pieces = [f'<mark style="{MARK}">{escape(text)}</mark>' if forced else escape(text) for text, forced in trace.spans(chat)]
    counts = (
        f"{trace.thinking_tokens} thinking tokens, {trace.forced_tokens} of them appended; Waits: {trace.waits_used}; end: {trace.finish}"
    )
    return HTML(f'<div style="{BOX}">{"".join(pieces)}</div><div style="color:#666">{counts}</div>')
