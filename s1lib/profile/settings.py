"""The settings of a run: one frozen dataclass per stage, with the defaults of the paper or the toy.

A profile (`s1lib/profiles/*.yaml`) sets them, see `yaml_reader.py`. What names a dataset or a
model is a local path, relative to the profile's outputs where it starts with `@`, or a hub id with
a pinned revision such as `Qwen/Qwen2.5-32B-Instruct@5ede1c9`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

CUT = "cut"  # the model that is trained on examples cut at `sft.cut_length`


@dataclass(frozen=True)
class BaseModel:
    """One base model of the toy universe, which plays the part of Qwen2.5-7B or 32B."""

    hidden_size: int = 128
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    intermediate_size: int = 384
    tokens: int = 5_500_000  # training tokens before the gate is asked for the first time
    extra_tokens: int = 1_000_000  # each time the gate is not passed
    max_tokens: int = 9_000_000  # then go on with what there is, and say so
    gated: bool = True  # must pass the gate; the weak model need not


@dataclass(frozen=True)
class Universe:
    """Notebook 00: the toy universe. Absent on real models."""

    pool_size: int = 5000
    benchmark_size: int = 300
    max_steps: int = 6  # the longest questions; there are six labels
    slip_rate: float = 0.12  # of the teacher's quick lines
    broken_rate: float = 0.08  # traces that the quality filter must find
    hidden_rate: float = 0.0  # traces that teach something wrong and look like the others
    seed: int = 0
    # Large base models, from `seed`, `seed` + 1 and so on; everything else is that of `seed`.
    seeds: int = 1
    large: BaseModel = field(default_factory=BaseModel)
    small: BaseModel = field(default_factory=lambda: BaseModel(gated=False))
    reward_tokens: int = 450_000  # that make the large base model the process reward model


@dataclass(frozen=True)
class Assistant:
    """A language model that curation asks: an OpenAI-like endpoint, or an engine's model."""

    model: str = ""  # the endpoint's name for it, or a path or hub id without an endpoint
    url: str = ""  # of the endpoint, e.g. http://localhost:8000/v1
    key: str = ""  # NAME of the environment variable that holds the endpoint's key
    max_tokens: int = 4096  # per reply
    temperature: float = 0.0  # of the first try; 0.7 after a reply that cannot be read
    concurrency: int = 64  # requests under way
    per_minute: int = 0  # requests; 0 = no limit
    retries: int = 8  # of one request that fails, with growing pauses
    timeout: float = 600.0  # seconds per request
    prompt_price: float = 0.0  # per million tokens, in the currency of your bill
    reply_price: float = 0.0


@dataclass(frozen=True)
class Curation:
    """Notebook 01 (paper, section 2)."""

    pool: str = "@00_toy_universe/pool.jsonl"
    target: int = 1000
    ngram: int = 8  # words; decontamination
    models: tuple[str, ...] = ("@00_toy_universe/base-small", "@00_toy_universe/base-large")
    attempt_tokens: int = 64  # per attempt
    # Further test sets to decontaminate against: paths, hub ids, names of test_sets.yaml.
    also_tests: tuple[str, ...] = ()
    across_sources: bool = False  # also against earlier sources, as the official scripts do
    quality: str = "s1lib"  # rules: "s1lib", or those of the "official" scripts alone
    # Algorithm 1, or the three stages of the "official" notebook. "published": the pool is a
    # selected set already, and is taken as it is; the filters show what they would drop.
    selection: Literal["paper", "official", "published"] = "paper"
    teacher: Assistant | None = None  # writes the traces that the pool lacks
    classifier: Assistant | None = None  # names the domains that the pool lacks
    judge: Assistant | None = None  # grades what a program cannot: proofs, prose
    full_size: int | None = None  # of the "full" ablation set; None keeps every sample
    # Further sizes of s1 and random, which are trained on as s1_62, random_62 (Figure 2, right).
    sizes: tuple[int, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class TrainingSet:
    """A published training set, taken as it is."""

    name: str = ""  # of the model trained on it
    path: str = ""  # a hub id or a local table, as for `curation.pool`
    max_length: int = 0  # tokens; 0 = sft.max_length


@dataclass(frozen=True)
class SFT:
    """Notebook 02 (paper, appendix D): trl's own names where there is one."""

    base: str = "@00_toy_universe/base-large"
    # Of notebook 01. "full" is not among them: on 59K examples it takes days.
    sets: tuple[str, ...] = ("s1", "random", "diverse", "longest")
    # Models for conditional length control, trained on the s1 set.
    conditional: tuple[Literal["token", "step", "class"], ...] = ("token", "step")
    # Models on published sets, s1.1 say. One named s1 takes the place of notebook 01's s1.
    published: tuple[TrainingSet, ...] = ()
    cut_length: int = 0  # tokens that model "cut" sees of an example (Table 8); 0 = no such model
    step_separator: str = "\n\n"  # between the steps of a trace
    epochs: float = 5.0
    max_steps: int = -1  # caps sets that are larger than the curated one; -1 = epochs alone
    batch_size: int = 16  # sequences per optimiser step, over all devices
    micro_batch_size: int = 16  # sequences per device and pass; one GPU cuts a batch by tokens
    learning_rate: float = 1e-5
    warmup: float = 0.05  # share of the steps
    weight_decay: float = 1e-4
    adam_betas: tuple[float, float] = (0.9, 0.95)
    max_length: int = 32768  # tokens; nothing may be longer
    too_long: Literal["refuse", "drop"] = "refuse"  # a longer sample; none is ever cut
    bf16: bool = True
    # 8 bit is torchao's, and not the paper's.
    optim: Literal["adamw_torch_fused", "adamw_torch_8bit"] = "adamw_torch_fused"
    gradient_checkpointing: bool = True  # on one GPU only for passes that need it
    activation_offloading: bool = False  # activations wait in host memory: the same training
    processes: int = 1  # one per GPU; several are launched with accelerate and sharded by FSDP2
    # Parameters, gradients and optimiser states in host memory (FSDP2): the same training.
    offload: bool = False
    lora_rank: int = 0  # of adapters (peft) on all linear layers; 0 = full, as the paper
    checkpoint_steps: int = 0  # steps between checkpoints that a killed run goes on from; 0 = none
    seed: int = 0
    # Trainings of each model that claims compare, with `seed`, `seed` + 1 and so on. The paper: 1.
    seeds: int = 1

    def limit_of(self, model: str) -> int:
        """The longest example of a model's training set, in tokens."""
        own = {one.name: one.max_length for one in self.published} | {CUT: self.cut_length}
        return own.get(model) or self.max_length

    @property
    def launched(self) -> bool:
        """Whether training runs in processes of its own, under FSDP2 (one GPU: for `offload`)."""
        return self.processes > 1 or self.offload

    @property
    def models(self) -> tuple[str, ...]:
        """Everything that notebook 02 trains, in the order of its tables."""
        published = (one.name for one in self.published)
        cut = (CUT,) if self.cut_length else ()
        return tuple(dict.fromkeys([*self.sets, *published, *cut, *self.conditional]))


@dataclass(frozen=True)
class EngineSettings:
    """Which engine decodes, and how."""

    # Models of transformers, vLLM in this process, or servers at `urls`.
    kind: Literal["torch", "vllm", "server"] = "torch"
    dtype: str = "float32"
    max_rows: int = 64  # sequences decoded at a time; "server": by each replica
    max_context: int = 1024  # tokens, prompt included
    urls: tuple[str, ...] = ()  # "server": base URLs of the replicas, e.g. http://127.0.0.1:8000
    tensor_parallel: int = 1
    data_parallel: int = 1
    gpu_memory: float = 0.9  # "vllm": share of each GPU that it takes

    @property
    def replicas(self) -> int:
        """How many copies of the model decode, `max_rows` sequences each."""
        return {"server": len(self.urls), "vllm": self.data_parallel}.get(self.kind, 1)


@dataclass(frozen=True)
class Benchmark:
    """One test set. `role` names the paper's benchmark it stands for (and is plotted beside)."""

    name: str = ""
    path: str = ""
    role: str = ""  # "AIME24" | "MATH500" | "GPQA-Diamond" | "AIME25"
    kind: str = "math"  # "math" | "choice"
    limit: int | None = None  # first n problems only
    sha256: str = ""  # as notebook 04 prints it, to refuse any other version; "" = not checked


@dataclass(frozen=True)
class Evaluation:
    """Notebooks 03 and 04 (paper, sections 3 and 4)."""

    benchmarks: tuple[Benchmark, ...] = ()
    # Models that nobody trains here, by the name that they have in tables: paths or hub ids.
    models: dict[str, str] = field(default_factory=dict)
    # Their format (docs/thinking_formats.md); "auto": each one's template tells.
    thinking_format: Literal["auto", "s1", "think", "plain"] = "auto"
    max_thinking: int = 32000  # tokens; natural stop unless it comes first
    budgets: tuple[int, ...] = (500, 1000, 2000, 4000, 8000, 16000)  # tokens
    waits: tuple[int, ...] = (1, 2, 4, 6)
    strings: tuple[str, ...] = ("Wait", "Hmm", "Alternatively", "")
    string_waits: int = 2
    token_limits: tuple[int, ...] = (1024, 2048, 4096, 8192, 16384)  # token-conditional control
    step_limits: tuple[int, ...] = (16, 32, 64, 128, 256)  # step-conditional control
    # Whether s1 is asked for short and for long thinking, where no model is trained for it.
    ask_for_classes: bool = True
    answer_tokens: int = 512  # reserved for the answer
    # A sentence behind the question with which the base model is asked once more, without thinking
    # but to check its work; "" = it is not.
    check_request: str = ""
    # Of each benchmark, for votes, rejection, trees and conditional control; None = all.
    sampled_problems: int | None = None
    votes: tuple[int, ...] = (1, 2, 4, 8, 16)
    vote_temperature: float = 1.0
    rejection_caps: tuple[int, ...] = (3500, 4000, 5000, 6000, 8000, 16000)  # tokens
    rejection_tries: int = 16
    rejection_temperature: float = 1.0
    reward: str = ""  # process reward model for tree search; "" = no tree search
    tree_widths: tuple[int, ...] = (2, 4, 8, 16)
    seed: int = 0


@dataclass(frozen=True)
class Scaling:
    """Notebook 05: from records alone."""

    resamples: int = 10_000
    alpha: float = 0.05


@dataclass(frozen=True)
class Rehearsal:
    """`make rehearse`: what stands in for models and data, and how small everything gets."""

    # A directory, or a hub id with its revision; "" = SmolLM2-135M-Instruct of the package index.
    model: str = ""
    layers: int = 6  # that the trained and evaluated model keeps of it; 0 = all
    # A folder of tables in the published columns, named as in sources.yaml and test_sets.yaml;
    # "" = the profile's own data sets.
    data: str = ""
    questions: int = 32  # of each pool and published training set
    selected: int = 16  # of them for a training set
    problems: int = 3  # of each benchmark
    attempt_tokens: int = 24  # per attempt of the difficulty filter
    steps: int = 2  # of each training
    cut_length: int = 1024  # tokens that model "cut" sees of an example
    thinking_tokens: int = 96
    answer_tokens: int = 12
    samples: int = 2  # of votes and rejection, and of branches of a tree
    context: int = 2048  # tokens of the engines, which the classifier's prompt fits in
