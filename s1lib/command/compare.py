"""`s1 compare A B`: two runs, or a run and the authors' outputs, problem by problem.

s1 compare h100 /data/simplescaling-results
s1 compare outputs/h100 outputs/h100-again --html compared
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from s1lib.profile import load_profile


def add_to(commands: Any) -> None:
    """Add the command to the subparsers of `s1`."""
    about = "two runs, or a run and the authors' published outputs, problem by problem"
    parser = commands.add_parser("compare", help=about)
    parser.set_defaults(command=run)
    place = "a profile, the outputs of one, or a folder of lm-eval's samples_*.jsonl"
    parser.add_argument("first", metavar="A", help=place)
    parser.add_argument("second", metavar="B", help=place)
    page = "write compare.html and the tables as CSV into this folder"
    parser.add_argument("--html", metavar="DIR", help=page)


def run(options: argparse.Namespace) -> None:
    """Run the command.

    Raises RecordError, ArtifactError, TableError or ProfileError for what cannot be compared.
    """
    from s1lib.drawing.table_text import as_text
    from s1lib.scaling.comparison import compare, open_records

    names = (options.first, options.second)
    found = compare(*(open_records(_place(name)) for name in names))
    print(as_text(found.runs).to_string(index=False))
    print(f"\nfirst: {names[0]}\nsecond: {names[1]}")
    print("gained, lost: solved by the second, by the first alone; p: exact McNemar")
    if options.html:
        from s1lib.site.comparison_page import write_comparison

        print(write_comparison(found, names, Path(options.html)))
    elif len(found.flips):
        print(f"{len(found.flips):,} verdicts differ: --html DIR lists them")


def _place(name: str) -> Path:
    """A folder as it is, and a profile by its name."""
    path = Path(name)
    return path if path.is_dir() else load_profile(name).outputs
