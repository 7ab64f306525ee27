"""A released run: a finished run that was made elsewhere and unpacked here to be read.

    which_run(profile, "03_budget_forcing")     # "" for a run of one's own

`s1lib.command.released_run` packs and unpacks. What it leaves in the outputs of a profile is
released.json, which says what the run is.
"""

from __future__ import annotations

import json

from s1lib.keeping.hashes import hash_of_file
from s1lib.profile import Profile

RELEASED = "released.json"


def read_released(profile: Profile) -> dict | None:
    """What released.json says of the run in the profile's outputs, None for a run of one's own."""
    path = profile.outputs / RELEASED
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def which_run(profile: Profile, notebook: str) -> str:
    """One line that says which run `notebook` shows, "" for a run of one's own.

    It names the other stages that were made again here, which the hash of a stage's manifest tells.
    """
    run = read_released(profile)
    if not run:
        return ""
    manifests = {
        name: profile.stage(name) / "manifest.json" for name in run["stages"] if name != notebook
    }
    again = [
        name
        for name, path in manifests.items()
        if not path.exists() or hash_of_file(path) != run["stages"][name]
    ]
    made = f"; made again here: {', '.join(again)}" if again else ""
    origin = f"commit {run['commit']}, finished on {run['finished'][:10]}"
    return f"This is the released run {run['profile']} {run['version']} ({origin}){made}."
