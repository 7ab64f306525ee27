"""A repository of the hub as a local folder: from the hub's cache (what `make fetch` fills), downloaded where there is a network."""

from __future__ import annotations

import errno
from pathlib import Path

from s1lib.errors import S1Error
from s1lib.profile import is_hub_id, split_revision


class HubError(S1Error):
    """A repository is neither in the hub's cache nor within reach; the message says why and what to do."""


def local_copy(kind: str, reference: str) -> Path:
    """Where `reference` lies: a path as it is, a hub id ("owner/name@revision") as its folder in the hub's cache.

    kind: "dataset" or "model". Raises HubError, in one line, with the reason and the way out.
    """
    if not is_hub_id(reference):
        return Path(reference)
    name, revision = split_revision(reference)
    try:
        return _snapshot(kind, name, revision, local_files_only=True)
    except HubError:
        pass
    try:
        return download(kind, name, revision)
    except HubError as error:
        raise HubError(
            f"{error}; run `make fetch` with this profile where there is a network (what is gated needs `hf auth login`), "
            "or download it and name the folder instead"
        ) from None


def download(kind: str, name: str, revision: str | None) -> Path:
    """The repository's folder in the hub's cache, brought up to date. Raises HubError."""
    return _snapshot(kind, name, revision)


def _snapshot(kind: str, name: str, revision: str | None, **options: bool) -> Path:
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, repo_type=kind, **options))
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx.HTTPError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise HubError(f"cannot fetch the {kind} {name}: {reason}") from None
