"""The name of a run in every table, figure and page: "natural stop", "budget 64", "2 × Wait"."""

from __future__ import annotations

from collections.abc import Mapping

NATURAL = "natural stop"


def run_name(method: str, parameters: Mapping) -> str:
    """The name of the run with these parameters.

    A forced conditional method has the name of the plain one.
    parameters: as in a record. Those that are absent or None were not set.
    """
    asked = {name: value for name, value in parameters.items() if value is not None}
    if "request" in asked:
        return f"{method}, asked to check"
    if method in ("direct", "majority"):
        return method
    if method == "rejection":
        return f"cap {asked['cap']:.0f}"
    if method == "tree_search":
        return f"width {asked['width']:.0f}"
    if "length" in asked:
        return f"asked for {'nothing' if asked['length'] == 'none' else asked['length']}"
    if "steps" in asked:
        return f"{asked['steps']:.0f} steps"
    if asked.get("waits"):
        return f"{asked['waits']:.0f} × {asked.get('wait') or 'nothing'}"
    if "max_thinking" not in asked:
        return NATURAL
    return f"{'budget' if method == 'budget_forcing' else 'limit'} {asked['max_thinking']:.0f}"
