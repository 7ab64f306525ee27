"""Profiles from YAML: one file holds every number of a run, and an unknown key is refused.

    profile = load_profile("toy")
    profile.stage("01_curation")          # outputs/toy/01_curation
    profile.curation.target               # 1000

A profile may say `extends: toy` and list only what differs.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import types
import typing
from pathlib import Path
from typing import Any

import yaml

from s1lib.profile.profile import Profile, ProfileError
from s1lib.profile.refusals import refuse
from s1lib.profile.set_sizes import sized_sets

PROFILES = Path(__file__).resolve().parent.parent / "profiles"
# YAML takes 1e-5, without a point, for a text.
EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")


def known_profiles() -> list[str]:
    """The names of the profiles that come with the package."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def load_profile(name: str | None = None, *, outputs: str | Path | None = None) -> Profile:
    """Read the profile `name` ($PROFILE or toy by default), or that of a path to a YAML file.

    Raises ProfileError for a file, a key or a value that is not known, and for settings that
    contradict each other.
    """
    name = name or os.environ.get("PROFILE") or "toy"
    values = _read(name)
    values.setdefault("name", _path(name).stem)
    values["outputs_root"] = str(outputs or os.environ.get("S1_OUTPUTS") or "")
    profile = _with_sizes(_build(Profile, values, where=""))
    if profile.continues:
        _path(profile.continues)  # an unknown one is refused here
    refuse(profile)
    return profile


def _with_sizes(profile: Profile) -> Profile:
    """The profile with the sets of `curation.sizes` among those that are trained on."""
    sizes = profile.curation.sizes
    if sizes and min(sizes) < 1:
        raise ProfileError(
            f"profile {profile.name}: curation.sizes holds {min(sizes)}: "
            "a training set has one question at least"
        )
    if sizes and profile.curation.selection == "published":
        raise ProfileError(
            f"profile {profile.name}: curation.sizes needs sets that are drawn, and "
            "curation.selection: published draws none: leave out one of the two"
        )
    sets = dict.fromkeys([*profile.sft.sets, *sized_sets(profile.curation)])
    return dataclasses.replace(profile, sft=dataclasses.replace(profile.sft, sets=tuple(sets)))


def profile_files(name: str) -> list[Path]:
    """The YAML files a profile is made of: its own and those it extends."""
    path = _path(name)
    values = read_yaml(path)
    return [path, *(profile_files(values["extends"]) if values.get("extends") else [])]


def _path(name: str) -> Path:
    file = name.endswith((".yaml", ".yml"))
    path = Path(name) if file else PROFILES / f"{name}.yaml"
    if file and not path.exists():
        raise ProfileError(f"there is no file {name}; relative paths are looked for from here")
    if not path.exists():
        known = known_profiles()
        (close,) = difflib.get_close_matches(name, known, n=1, cutoff=0)
        raise ProfileError(
            f"unknown profile {name!r}; did you mean {close!r}? known: {', '.join(known)}"
        )
    return path


def read_yaml(path: Path) -> dict[str, Any]:
    """One YAML file as it stands."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ProfileError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ProfileError(f"{path} must hold `key: value` lines at its top level")
    if "outputs_root" in values:
        raise ProfileError(
            f"{path}: unknown key 'outputs_root'; set the environment variable S1_OUTPUTS instead"
        )
    return values


def _read(name: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """The profile's values over those of the profile it extends. A name is not inherited."""
    values = read_yaml(_path(name))
    parent = values.pop("extends", None)
    if parent is None:
        return values
    if parent in (*seen, name):
        raise ProfileError(f"profile {name!r} extends itself through {parent!r}")
    inherited = _read(parent, (*seen, name))
    inherited.pop("name", None)
    return _merge(inherited, values)


def _merge(base: dict, over: dict) -> dict:
    """`over` over `base`, key by key at every depth."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _build(kind: type, values: Any, where: str) -> Any:
    """`values` as the dataclass `kind`, every key known and of the declared type."""
    if not isinstance(values, dict):
        raise ProfileError(
            f"profile key {where.rstrip('.')!r} must hold `key: value` lines, not {values!r}"
        )

    # A misspelt key would leave its default in force without a word.
    hints = typing.get_type_hints(kind)
    for key in values:
        if key not in hints:
            close = difflib.get_close_matches(str(key), hints, n=1, cutoff=0)
            raise ProfileError(
                f"unknown profile key {where + str(key)!r}; did you mean {where + close[0]!r}?"
            )
    try:
        return kind(
            **{key: _convert(hints[key], value, where + key) for key, value in values.items()}
        )
    except TypeError as error:
        raise ProfileError(f"profile: {error}") from None


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type `hint`. Errors name its key, `where`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)

    # Types that hold others: an optional value, a group of settings, a choice, a list.
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, where)
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, where + ".")
    if origin is typing.Literal:
        if value not in arguments:
            choices = ", ".join(map(str, arguments))
            raise ProfileError(f"profile key {where!r} must be one of {choices}, not {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ProfileError(f"profile key {where!r} must be a list, not {value!r}")
        return tuple(_convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise ProfileError(
                f"profile key {where!r} must hold `name: value` lines, not {value!r}"
            )
        return {
            _convert(str, name, where): _convert(arguments[1], item, f"{where}.{name}")
            for name, item in value.items()
        }

    # A whole number is a float too, and true is no number although Python has it so.
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str) and EXPONENT.fullmatch(value):
        return float(value)
    if hint in (int, float, str, bool) and type(value) is not hint:
        raise ProfileError(f"profile key {where!r} must be {hint.__name__}, not {value!r}")
    return value
