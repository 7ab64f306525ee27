"""A repository of the hub as a local folder, from the hub's cache or the network.

`make fetch` fills the cache, so that a machine without a network finds everything there.
"""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path

from s1lib.errors import S1Error
from s1lib.profile import is_hub_id, split_revision


class HubError(S1Error):
    """A repository is neither in the hub's cache nor within reach."""


def local_copy(kind: str, reference: str) -> Path:
    """Where a data set or model lies on this machine.

    kind: "dataset" or "model". reference: a path, which is returned as it is, or a hub id
    ("owner/name@revision"), which becomes its folder in the hub's cache. Raises HubError with the
    reason and the way out.
    """
    if not is_hub_id(reference):
        return Path(reference)
    name, revision = split_revision(reference)

    # The cache is asked first: it needs no network, and `main` stays what was fetched.
    with contextlib.suppress(HubError):
        return _snapshot(kind, name, revision, local_files_only=True)
    try:
        return download(kind, name, revision)
    except HubError as error:
        raise HubError(
            f"{error}; run `make fetch` with this profile where there is a network (what is gated "
            "needs `hf auth login`), or download it and name the folder instead"
        ) from None


def download(kind: str, name: str, revision: str | None) -> Path:
    """Bring a repository in the hub's cache up to date and return its folder there.

    Raises HubError.
    """
    return _snapshot(kind, name, revision)


def _snapshot(kind: str, name: str, revision: str | None, **options: bool) -> Path:
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, repo_type=kind, **options))
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx.HTTPError, ValueError, OSError) as error:
        # A full disk is told by the caller, which knows what was being fetched.
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise HubError(f"cannot fetch the {kind} {name}: {reason}") from None
