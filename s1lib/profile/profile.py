"""All settings of a run together, and where the run writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from s1lib.errors import S1Error
from s1lib.profile.settings import (
    SFT,
    Curation,
    EngineSettings,
    Evaluation,
    Rehearsal,
    Scaling,
    Universe,
)

ROOT = Path(__file__).resolve().parent.parent.parent  # of the repository


class ProfileError(S1Error):
    """The profile cannot be used. The message says which key and what to write instead."""


@dataclass(frozen=True)
class Profile:
    """All settings of a run, and where it writes."""

    name: str
    description: str = ""
    notebooks: tuple[str, ...] = (
        "01_curation",
        "02_sft",
        "03_budget_forcing",
        "04_evaluation",
        "05_scaling_analysis",
    )
    threads: int = 0  # torch threads; 0 = every core
    universe: Universe | None = None
    curation: Curation = field(default_factory=Curation)
    sft: SFT = field(default_factory=SFT)
    engine: EngineSettings = field(default_factory=EngineSettings)
    evaluation: Evaluation = field(default_factory=Evaluation)
    scaling: Scaling = field(default_factory=Scaling)
    rehearsal: Rehearsal = field(default_factory=Rehearsal)
    continues: str = ""  # another profile: what it has finished is not done again (same keys)
    outputs_root: str = ""  # set by S1_OUTPUTS or `make OUTPUTS=…`; not a key of the YAML

    @property
    def outputs(self) -> Path:
        return Path(self.outputs_root or ROOT / "outputs") / self.name

    def stage(self, notebook: str) -> Path:
        """The directory that a notebook writes to. Nothing is created."""
        return self.outputs / notebook

    def create_stage(self, notebook: str) -> Path:
        """`stage`, with the folder made where there is none."""
        path = self.stage(notebook)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def resolve(self, reference: str) -> str:
        """`@stage/file` -> its path under this profile's outputs, anything else as it is."""
        return str(self.outputs / reference[1:]) if reference.startswith("@") else reference

    @property
    def model_paths(self) -> dict[str, str]:
        """Where every evaluated model lies: the base, what notebook 02 trains, published ones."""
        trained = {name: str(self.stage("02_sft") / "models" / name) for name in self.sft.models}
        others = {name: self.resolve(path) for name, path in self.evaluation.models.items()}
        return {"base": self.resolve(self.sft.base), **trained, **others}

    def thinking_format(self, model: str) -> str:
        """How a model thinks: in s1's format if this run trains it, else as the profile says."""
        return "s1" if model in self.sft.models else self.evaluation.thinking_format

    def model_path(self, name: str) -> str:
        """Where one evaluated model lies. Raises ProfileError for one that the profile lacks."""
        if name not in self.model_paths:
            raise ProfileError(
                f"profile {self.name} has no model {name!r}: train it (sft.sets) or say where its "
                f"weights are (evaluation.models); there are: {', '.join(self.model_paths)}"
            )
        return self.model_paths[name]
