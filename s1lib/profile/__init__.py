"""The profile of a run: its settings, how they are read from YAML, what of them is on a hub.

profile = load_profile("toy")
"""

from s1lib.profile.hub_ids import hub_references, is_hub_id, split_revision
from s1lib.profile.profile import ROOT, Profile, ProfileError
from s1lib.profile.replicas import FIRST, Replica, path_of, replicas_of, with_seeds
from s1lib.profile.set_sizes import grown, is_sized, sized_sets
from s1lib.profile.settings import (
    CUT,
    SFT,
    Assistant,
    BaseModel,
    Benchmark,
    Curation,
    EngineSettings,
    Evaluation,
    Rehearsal,
    Scaling,
    TrainingSet,
    Universe,
)
from s1lib.profile.yaml_reader import known_profiles, load_profile, profile_files

__all__ = [
    "CUT",
    "FIRST",
    "ROOT",
    "SFT",
    "Assistant",
    "BaseModel",
    "Benchmark",
    "Curation",
    "EngineSettings",
    "Evaluation",
    "Profile",
    "ProfileError",
    "Rehearsal",
    "Replica",
    "Scaling",
    "TrainingSet",
    "Universe",
    "grown",
    "hub_references",
    "is_hub_id",
    "is_sized",
    "known_profiles",
    "load_profile",
    "path_of",
    "profile_files",
    "replicas_of",
    "sized_sets",
    "split_revision",
    "with_seeds",
]
