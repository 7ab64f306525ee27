"""A repository of the hub as a local folder, from the hub's cache or the network.

`make fetch` fills the cache, so that a machine without a network finds everything there.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from s1lib.errors import S1Error
from s1lib.profile import is_hub_id, split_revision

SECONDS = 20.0  # that a hub has to answer a question about a repository


class HubError(S1Error):
    """A repository is neither in the hub's cache nor within reach."""


class NoHubError(HubError):
    """There is no hub within reach of this machine, whatever is asked for."""


class GatedError(HubError):
    """A repository whose terms the person who is logged in has not accepted."""


def local_copy(kind: str, reference: str, files: str = "**/*") -> Path:
    """The path of a data set or model on this machine.

    kind: "dataset" or "model". reference: a path, which is returned as it is, or a hub id
    ("owner/name@revision"), which becomes its folder in the hub's cache. files: the only ones to
    fetch, as globs separated by spaces. Raises HubError with the reason and the way out.
    """
    if not is_hub_id(reference):
        return Path(reference)
    name, revision = split_revision(reference)

    # The hub matches a whole path, so that its * takes in folders as our **/ does.
    only = {"allow_patterns": [pattern.removeprefix("**/") for pattern in files.split()]}

    # The cache is asked first: it needs no network, and `main` stays what was fetched.
    with contextlib.suppress(HubError):
        return _snapshot(kind, name, revision, local_files_only=True, **only)
    try:
        return _snapshot(kind, name, revision, **only)
    except GatedError:
        raise
    except HubError as error:
        raise HubError(
            f"{error}; run `make fetch` with this profile where there is a network, "
            "or download it and name the folder instead"
        ) from None


def download(kind: str, name: str, revision: str | None) -> Path:
    """Bring a repository in the hub's cache up to date and return its folder there.

    Raises HubError.
    """
    return _snapshot(kind, name, revision)


def in_cache(kind: str, name: str, revision: str | None) -> bool:
    """Whether the local cache has a repository in this revision."""
    with contextlib.suppress(HubError):
        return bool(_snapshot(kind, name, revision, local_files_only=True))
    return False


def ask_for(kind: str, name: str, revision: str | None) -> None:
    """Raises GatedError, NoHubError, or HubError for what the hub does not know."""
    from huggingface_hub import HfApi

    with _explained(kind, name):
        hub = HfApi()
        hub.repo_info(name, revision=revision, repo_type=kind, timeout=SECONDS)
        hub.auth_check(name, repo_type=kind)


def _snapshot(kind: str, name: str, revision: str | None, **options: Any) -> Path:
    from huggingface_hub import snapshot_download

    with _explained(kind, name):
        return Path(snapshot_download(name, revision=revision, repo_type=kind, **options))


@contextlib.contextmanager
def _explained(kind: str, name: str) -> Iterator[None]:
    """What the hub's library raises, as HubError with one line."""
    from httpx2 import HTTPError, TransportError  # what huggingface_hub speaks
    from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled

    try:
        yield
    except GatedRepoError:
        page = f"https://huggingface.co/{'datasets/' if kind == 'dataset' else ''}{name}"
        raise GatedError(
            f"cannot fetch the {kind} {name}: it is gated; accept its terms at {page} and log in "
            "with `hf auth login`, or name a local copy instead"
        ) from None
    except (HTTPError, ValueError, OSError) as error:
        # A full disk is told by the caller, which knows what was being fetched.
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        unreachable = isinstance(error, TransportError | OfflineModeIsEnabled)
        refusal = NoHubError if unreachable else HubError
        raise refusal(f"cannot fetch the {kind} {name}: {reason}") from None
