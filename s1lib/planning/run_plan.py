"""The cost of a whole run: hours, disk, host memory, downloads, and what would halve it.

plan = plan_run(load_profile("h100"), gpus=8)
print(plan.text())
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from s1lib.curation.sources import SOURCES
from s1lib.hardware.architectures import PlanError
from s1lib.hardware.memory_plan import gpu_memory
from s1lib.hardware.training_time import TOKENS, utilisation
from s1lib.hardware.utilisation import PEAK_FLOPS
from s1lib.planning import lengths, speeds
from s1lib.planning.counts import pool_size
from s1lib.planning.speeds import Hours, model_size
from s1lib.planning.workload import Machine, Work, workload
from s1lib.profile import Profile, hub_references, replicas_of, split_revision
from s1lib.published.entries import TEST_SETS, section

MODEL, CHECKPOINT = 4, 12  # bytes of disk a parameter: float32, and with two AdamW states
CHECKPOINTS = 3  # for a moment; two are kept
OTHER_DISK = 20e9  # bytes: data sets, records, figures, assumed
WORTH = 0.95  # a change that leaves more than this share of the hours is not proposed
STATES = 16  # bytes of host memory a parameter with `sft.offload`; a model being read takes MODEL


@dataclass(frozen=True)
class RunPlan:
    """What a profile costs on given GPUs. Sizes are in bytes."""

    profile: Profile
    machine: Machine
    work: list[Work]

    @property
    def hours(self) -> Hours:
        """Of all notebooks, one after the other."""
        return total_hours(self.work)

    def hours_of(self, notebooks: Collection[str]) -> Hours:
        """Of these notebooks alone."""
        return total_hours([one for one in self.work if one.notebook in notebooks])

    @property
    def disk(self) -> dict[str, float]:
        """What lies on the disk when the last model is trained."""
        sft, profile = self.profile.sft, self.profile
        models = {name for kind, name, _ in hub_references(profile) if kind == "model"}
        trained = sum(len(replicas_of(profile, name)) for name in sft.models)
        parameters = model_size(profile.resolve(sft.base)).parameters if trained else 0
        kept = CHECKPOINTS * CHECKPOINT * parameters
        return {
            "models to fetch": sum(speeds.BYTES * model_size(name).parameters for name in models),
            counted(trained, "trained model"): trained * MODEL * parameters,
            "checkpoints": kept if sft.checkpoint_steps and not sft.lora_rank else 0,
            "everything else": OTHER_DISK,
        }

    @property
    def host(self) -> float:
        """Memory of the host, all nodes together, while a model is trained."""
        if not self.profile.sft.models:
            return 0
        parameters = model_size(self.profile.resolve(self.profile.sft.base)).parameters
        return parameters * (MODEL + (STATES if self.profile.sft.offload else 0))

    @property
    def gated(self) -> list[str]:
        """Data sets whose terms must be accepted before they can be fetched."""
        named = [*section(TEST_SETS, "test_sets").values(), *section(SOURCES, "sources")]
        gated = {split_revision(entry.at)[0] for entry in named if entry.gated}
        wanted = (name for kind, name, _ in hub_references(self.profile) if kind == "dataset")
        return [name for name in wanted if name in gated]

    def total(self) -> str:
        """The totals, in one line."""
        disk = sum(self.disk.values()) / 1e12
        host = f", {self.host / 1e9:,.0f} GB of host memory" if self.host else ""
        gpus = counted(self.machine.gpus, "GPU")
        return f"{in_words(self.hours)} on {gpus}, {disk:.2f} TB of disk{host}"

    def text(self) -> str:
        """The plan as lines of a terminal."""
        disk = ", ".join(f"{what} {size / 1e12:.2f}" for what, size in self.disk.items() if size)
        kinds = [kind for kind, _, _ in hub_references(self.profile)]
        fetched = ", ".join(counted(kinds.count(kind), kind) for kind in dict.fromkeys(kinds))
        lines = [
            f"{self.profile.name}: {self.total()}",
            "",
            *self.table(),
            "",
            f"disk, TB: {disk}",
            f"to fetch: {fetched or 'nothing'}",
        ]
        lines += [
            f"gated: {name}: accept its terms at https://huggingface.co/datasets/{name} and log in "
            "with `hf auth login`"
            for name in self.gated
        ]
        if before := self.profile.continues:
            lines.append(f"what profile {before} has finished is not done again")
        return "\n".join([*lines, *self.savings(), *assumptions(self.profile, self.machine)])

    def table(self) -> list[str]:
        """One line per notebook and model, then the total."""
        heads = ("notebook", "model", "", "M tokens in", "M tokens out", "hours")
        sums = (sum(one.read for one in self.work), sum(one.decoded for one in self.work))
        total = Work("total", "", "", *sums, self.hours)
        rows = [heads]
        for one in [*self.work, total]:
            tokens = [f"{n / 1e6:,.1f}" if n else "" for n in (one.read, one.decoded)]
            hours = f"{one.hours[0]:.1f} to {one.hours[1]:.1f}"
            rows.append((one.notebook, one.model, one.what, *tokens, hours))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        sides = "<<<>>>"
        return [
            "  ".join(
                f"{cell:{side}{width}}"
                for cell, side, width in zip(row, sides, widths, strict=True)
            )
            for row in rows
        ]

    def savings(self) -> list[str]:
        """What to switch off until half of the hours are left, what the paper needs least first."""
        profile, left, lines = self.profile, sum(self.hours), []
        for key, part, settings in changes(profile):
            changed = dataclasses.replace(getattr(profile, part), **settings)
            cheaper = dataclasses.replace(profile, **{part: changed})
            hours = total_hours(workload(cheaper, self.machine))
            if sum(hours) > WORTH * left:
                continue
            profile, left = cheaper, sum(hours)
            lines.append(f"  {key}: {in_words(hours)} are left")
            if left <= sum(self.hours) / 2:
                break
        return ["", "to halve the hours, one after the other:", *lines] if lines else []


def plan_run(profile: Profile, *, gpus: int, gpu: float | None = None) -> RunPlan:
    """The plan of a whole run on `gpus` GPUs of `gpu` bytes, by default this machine's.

    Raises PlanError for a toy universe, which needs no plan, and for a pool or a model whose size
    is not known before it is fetched.
    """
    if profile.universe:
        raise PlanError("a toy universe needs no GPU and no downloads, so there is nothing to plan")
    machine = Machine(gpus, gpu or gpu_memory())
    return RunPlan(profile, machine, workload(profile, machine))


def total_hours(work: list[Work]) -> Hours:
    """The sum over all rows."""
    return sum(one.hours[0] for one in work), sum(one.hours[1] for one in work)


def in_words(hours: Hours) -> str:
    """Hours as a range, whole ones where there are many."""
    digits = 0 if hours[1] >= 10 else 1
    return f"{hours[0]:.{digits}f} to {hours[1]:.{digits}f} hours"


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def changes(profile: Profile) -> Iterator[tuple[str, str, dict]]:
    """What may be switched off: the line of the YAML, and the setting that it changes."""
    sets, pool = profile.sft.sets, "simplescaling/s1K@main"
    if profile.sft.seeds > 1:
        yield "sft.seeds: 1", "sft", {"seeds": 1}
    if profile.evaluation.sampled_problems is None:
        yield "evaluation.sampled_problems: 30", "evaluation", {"sampled_problems": 30}
    if "full" in sets:
        some = tuple(name for name in sets if name != "full")
        yield f"sft.sets: [{', '.join(some)}]", "sft", {"sets": some}
    if profile.sft.conditional:
        yield "sft.conditional: []", "sft", {"conditional": ()}
    kept = tuple(name for name in sets if name == "s1")
    if sets != kept:
        yield f"sft.sets: [{', '.join(kept)}]", "sft", {"sets": kept}
    if profile.curation.target < pool_size(profile.curation.pool, profile) / 2:
        yield f"curation.pool: {pool}", "curation", {"pool": pool}


def assumptions(profile: Profile, machine: Machine) -> list[str]:
    """What the figures rest on."""
    best, worst = speeds.REACHED[profile.engine.kind]
    low, high = utilisation(dataclasses.replace(profile.sft, processes=machine.gpus))
    return [
        "",
        "estimates, which rest on:",
        "  lengths: the paper's, of a 32B model (Tables 7, 8, 12 to 14, Figures 4a and 4b); "
        f"{TOKENS:,} tokens a sample of s1K",
        f"  training: {high:.0%} or {low:.0%} of an H100's peak of {PEAK_FLOPS / 1e12:.0f} TFLOPS",
        f"  decoding, engine {profile.engine.kind}: {best:.0%} or {worst:.0%} of what an H100's "
        f"memory of {speeds.BANDWIDTH / 1e12:.2f} TB/s allows",
        f"  {speeds.START[0]} to {speeds.START[1]} seconds each time a model is loaded; "
        f"{lengths.JUDGED:.0%} of the questions need a judge",
    ]
