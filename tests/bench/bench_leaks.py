"""Does a finished toy run hold a leak? Looks for benchmark questions where none may stand.

    make bench BENCH=leaks PROFILE=toy           # OUTPUTS=DIR where the run lies elsewhere

It reads the raw files of the run and calls none of the package's own filters. A question counts as
copied where its text without the options stands in another text, or where the two share 13 words in
a row. One line is printed per check, and the exit status is 1 where a leak is found. On the toy it
takes half a minute, most of it for the pretraining stream, which is drawn once more.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from s1lib.chat import THINK, lettered
from s1lib.chat.length_control import length_class, step_limit, token_limit
from s1lib.errors import S1Error
from s1lib.keeping.files import iter_jsonl
from s1lib.profile import Profile, load_profile
from tests.bench.replayed_stream import Replay, ReplayError

WORDS = 13  # in a row that no two questions may share
SHOWN = 10  # leaks of one check that are printed
UNIVERSE, CURATION, EVALUATION = "00_toy_universe", "01_curation", "04_evaluation"
ASKED = {
    "token_conditional": lambda question, asked: token_limit(question, asked["max_thinking"]),
    "step_conditional": lambda question, asked: step_limit(question, asked["steps"]),
    "class_conditional": lambda question, asked: length_class(question, asked["length"]),
}


class LeakError(S1Error):
    """A benchmark question stands where none may."""


@dataclass
class Check:
    """What one check looked at, in words with counts, and the leaks that it found."""

    says: str
    leaks: list[str] = field(default_factory=list)


def words(text: str) -> str:
    """Lower case and single spaces."""
    return " ".join(text.lower().split())


def grams(text: str) -> set[str]:
    """All sequences of WORDS words in a text. A shorter text has none."""
    parts = words(text).split()
    return {" ".join(parts[i : i + WORDS]) for i in range(len(parts) - WORDS + 1)}


class Questions:
    """The questions of all benchmarks, as their files hold them, and where else they stand."""

    def __init__(self, folder: Path) -> None:
        rows = [row for path in sorted(folder.glob("*.jsonl")) for row in iter_jsonl(path)]
        self.rows = {row["id"]: row for row in rows}
        self.stems = {id_: words(row["question"]) for id_, row in self.rows.items()}
        self.openings = {" ".join(stem.split()[:2]) for stem in self.stems.values()}
        self.with_gram = defaultdict(set)
        for id_ in self.rows:
            for gram in grams(self.asked(id_)):
                self.with_gram[gram].add(id_)

    def asked(self, id_: str) -> str:
        """The question as a model is asked it, with its options."""
        row = self.rows[id_]
        return row["question"] + (lettered(row["options"]) if row["options"] else "")

    def inside(self, text: str) -> list[str]:
        """The questions that stand word for word in a text."""
        text = words(text)
        if not any(opening in text for opening in self.openings):
            return []
        return [id_ for id_, stem in self.stems.items() if stem in text]

    def copied(self, question: str, trace: str = "") -> list[str]:
        """The questions that stand in a sample, or share WORDS words in a row with its question."""
        near = {id_ for gram in grams(question) for id_ in self.with_gram.get(gram, ())}
        return sorted({*near, *self.inside(f"{question}\n{trace}")})


def training_sets(folder: Path, tests: Questions) -> Check:
    """Look for benchmark questions in the questions and traces that models were trained on."""
    files, samples, leaks = sorted(folder.glob("sets/*.jsonl")), 0, []
    for path in files:
        for row in iter_jsonl(path):
            samples += 1
            found = tests.copied(row["question"], row["trace"])
            leaks += [f"{path.stem}/{row['id']} holds {id_}" for id_ in found]
    named = ", ".join(path.stem for path in files)
    return Check(f"training sets ({named}): {samples:,} samples", leaks)


def pretraining(profile: Profile, folder: Path, tests: Questions) -> list[Check]:
    """Look for benchmark questions in the documents of each base model, drawn once more."""
    checks = []
    for directory in sorted(folder.glob("base-*")):
        _, size, *number = directory.name.split("-")
        record = json.loads((directory / "training.json").read_text(encoding="utf-8"))
        replay = Replay(
            AutoTokenizer.from_pretrained(directory),
            getattr(profile.universe, size),
            record,
            seed=profile.universe.seed + int(*number or [0]),
            context=profile.sft.max_length,
        )
        try:
            replay.run()
            again, leaks = f"{replay.seen:,} tokens drawn again as they were", []
        except ReplayError as error:
            again, leaks = f"cannot be drawn again after {replay.seen:,} tokens", [str(error)]
        for place, text in enumerate(replay.documents):
            leaks += [f"document {place} holds {id_}" for id_ in tests.inside(text)]
        says = f"pretraining of {directory.name}: {len(replay.documents):,} documents"
        checks.append(Check(f"{says}, {again}", leaks))
    return checks


def evaluation(folder: Path, tests: Questions, tokenizer: PreTrainedTokenizerBase) -> list[Check]:
    """Two checks of the records: what was asked, and what questions stand in what was written.

    A record holds how long its prompt was, and not the prompt. As long as the question in its chat
    form to the token means that nothing else was in it.
    """

    @cache
    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    records, asked, written = 0, [], []
    for path in sorted(folder.glob("records/*.jsonl")):
        for line, row in enumerate(iter_jsonl(path), start=1):
            records += 1
            id_, place = row["problem_id"], f"{path.stem}, line {line}"
            if id_ not in tests.rows or row["gold"] != tests.rows[id_]["answer"]:
                asked.append(f"{place}: {id_} with gold {row['gold']} is in no benchmark")
                continue
            tokens = count(prompt(tokenizer, tests.asked(id_), row))
            if tokens != row["prompt_tokens"]:
                asked.append(f"{place}: {id_} took {row['prompt_tokens']} tokens and not {tokens}")
            others = set(tests.inside(f"{row['thinking']}\n{row['answer']}")) - {id_}
            written += [f"{place}: {id_} holds {other}" for other in sorted(others)]
    return [
        Check(f"prompts: {records:,} records, each as long as its question alone", asked),
        Check(f"thinking and answers: {records:,} records, no other question", written),
    ]


def prompt(tokenizer: PreTrainedTokenizerBase, question: str, record: dict) -> str:
    """The whole prompt of a record: question, the sentence of its method, chat form, think."""
    method = record["method"].removesuffix("_forced")
    if method in ASKED:
        question = ASKED[method](question, record["parameters"])
    if request := record["parameters"].get("request"):
        question = f"{question}\n{request}"
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
    )
    return chat if method == "direct" else f"{chat}{THINK}"


def development(folder: Path, tests: Questions) -> Check:
    """Look for benchmark questions among the problems that settings were chosen on, if any."""
    rows = [row for path in sorted(folder.rglob("*development*.jsonl")) for row in iter_jsonl(path)]
    leaks = [f"{row['id']} holds {id_}" for row in rows for id_ in tests.copied(row["question"])]
    return Check(f"development problems: {len(rows):,}", leaks)


def checks(profile: Profile) -> Iterator[Check]:
    """All checks of a finished run. Raises S1Error where there is none of the toy universe."""
    universe, curation, evaluated = map(profile.stage, (UNIVERSE, CURATION, EVALUATION))
    for stage in (universe, curation, evaluated):
        if not (stage / "manifest.json").exists():
            raise S1Error(
                f"{stage} is not finished: run `make reproduce PROFILE={profile.name}` first "
                "(only a run of the toy universe can be looked through)"
            )
    tests = Questions(universe / "benchmarks")
    yield training_sets(curation, tests)
    yield from pretraining(profile, universe, tests)
    yield from evaluation(evaluated, tests, AutoTokenizer.from_pretrained(universe / "base-large"))
    yield development(universe, tests)


def main() -> None:
    profile = load_profile(os.environ.get("PROFILE", "toy"), outputs=os.environ.get("OUTPUTS"))
    leaking = 0
    for check in checks(profile):
        print(f"{'LEAK' if check.leaks else 'clean'}: {check.says}", flush=True)
        for leak in check.leaks[:SHOWN]:
            print(f"    {leak}")
        if len(check.leaks) > SHOWN:
            print(f"    and {len(check.leaks) - SHOWN:,} more")
        leaking += bool(check.leaks)
    if leaking:
        raise LeakError(f"{profile.outputs} leaks in {leaking} of the checks above")
