"""Real problems laid out in the columns of the published tables, for rehearsals and tests.

    tables = lay_out(tmp_path, questions=40, problems=3)
    tables["s1K"]     # a pool, as are "s1K-1.1" and "full59K"
    tables["AIME24"]  # a test set, as are "AIME25", "MATH500" and "GPQA-Diamond"
    python -m tests.published_columns DIR  # for `make rehearse DATA=DIR`

The problems are those of shared/data (MATH-500, AIME 2024 and 2025), which is not part of the
package. No text is downloaded. What is labelled AIME or NuminaMATH in a pool is MATH-500 too, so
that every stage of curation meets the sources that it asks for. GPQA's questions are made up.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# The source_type of a pool's rows, in turn.
LABELS = (
    "qfq/openaimath/Algebra",
    "qq8933/AIME_1983_2024",
    "AI-MO/NuminaMath-CoT/aops_forum",
    "Idavidrein/gpqa",
)
LONG = 6  # solutions in a long trace, where a short one is the question's own
BOXED = r"\boxed"
SHARED = ("solution", "question", "cot_type", "source_type", "metadata")  # by all pools

Row = dict[str, Any]


def lay_out(
    directory: Path, *, questions: int = 40, problems: int = 3, proofs: bool = False
) -> dict[str, Path]:
    """Write three pools and four test sets below `directory` and return their folders.

    They are named as in sources.yaml and test_sets.yaml.

    questions: rows of each pool, at most 500 less `problems`. problems: rows of each test set, at
    most 30; none of them is in a pool. proofs: let some solutions of MATH name no final answer, so
    that a judge is asked.
    """
    math = _read("math500")
    pool = [_pool_row(number, math[problems:]) for number in range(questions)]
    for row in pool[4::8] if proofs else ():
        row["solution"] = f"Proof. {row['solution'].replace(BOXED, '')}"
    s1k = pd.DataFrame([_gemini(row) for row in pool])
    tables = {
        "s1K": ("data/train-00000-of-00001.parquet", s1k),
        "s1K-1.1": ("data/train-00000-of-00001.parquet", pd.DataFrame(map(_deepseek, pool))),
        "full59K": ("data/train-00000-of-00001.parquet", s1k),
        "AIME24": ("aime24.jsonl", pd.DataFrame(map(_aime24, _read("aime24")[:problems]))),
        "AIME25": ("train.jsonl", pd.DataFrame(_read("aime25")[:problems])),
        "MATH500": ("test.jsonl", pd.DataFrame(math[:problems])),
        "GPQA-Diamond": ("gpqa_diamond.csv", pd.DataFrame(map(_gpqa, range(problems)))),
    }

    for name, (file, table) in tables.items():
        path = directory / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            table.to_parquet(path)
        elif path.suffix == ".csv":
            table.to_csv(path, index=False)
        else:
            table.to_json(path, orient="records", lines=True)
    return {name: directory / name for name in tables}


def _read(name: str) -> list[Row]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").open(encoding="utf-8")]


def _pool_row(number: int, math: list[Row]) -> Row:
    """What all pools share of a question, with a trace and an attempt that is wrong for a third."""
    label, right = LABELS[number % len(LABELS)], number % 3 != 2
    if label == "Idavidrein/gpqa":
        # The published pools spell the options out; these stand in the order of their last digits.
        fact = _gpqa(1000 + number)
        right_one = fact["Correct Answer"]
        options = [right_one, *(fact[f"Incorrect Answer {n}"] for n in (1, 2, 3))]
        options.sort(key=lambda option: option[::-1])
        letter = "ABCD"[options.index(right_one)]
        lines = "\n".join(f"({a}) {option}" for a, option in zip("ABCD", options, strict=True))
        question = f"{fact['Question']}\nAnswer Choices:\n{lines}"
        solution, trace = f"{fact['Explanation']}\n\nAnswer: {letter}", fact["Explanation"]
        attempt = f"Answer: {letter if right else 'ABCD'[options.index(right_one) - 1]}"
    else:
        row, others = math[number], math[number + 1 :] + math
        wrong = next(each["answer"] for each in others if each["answer"] != row["answer"])
        question, solution = row["problem"], row["solution"]
        shown = math[number : number + LONG] if number % 5 == 0 else [row]
        trace = "\n\n".join(_paragraphs(each["solution"]) for each in shown)
        attempt = f"The answer is $\\boxed{{{row['answer'] if right else wrong}}}$."

    return {
        "solution": solution,
        "question": question,
        "cot_type": "science" if "gpqa" in label else "math",
        "source_type": label,
        "metadata": "{}",
        "trace": trace,
        "attempt": attempt,
        "grade": "Yes" if right else "No",
    }


def _paragraphs(solution: str) -> str:
    """A solution with a blank line after every sentence, as traces are written."""
    return "\n\n".join(re.split(r"\n\n|(?<=[.?!])\s+(?=[A-Z])", solution))


def _gemini(row: Row) -> Row:
    """s1K's columns, which are those of the 59K as well: a trace is a list of one text."""
    shared = {name: row[name] for name in SHARED}
    return shared | {
        "cot": None,
        "thinking_trajectories": [row["trace"]],
        "attempt": row["attempt"],
    }


def _deepseek(row: Row) -> Row:
    """s1K-1.1's columns, where the traces of two teachers are plain texts."""
    found = {name: row[name] for name in SHARED}
    for teacher in ("gemini", "deepseek"):
        found |= {
            f"{teacher}_thinking_trajectory": row["trace"],
            f"{teacher}_attempt": row["attempt"],
            f"{teacher}_grade": row["grade"],
            f"{teacher}_grade_reason": "made up",
        }
    return found


def _aime24(row: Row) -> Row:
    return {**row, "solution": row["answer"], "url": ""}


def _gpqa(number: int) -> Row:
    """A product as a question with four options, in GPQA's columns."""
    first, second = 12 + number, 7 + number % 5
    product = first * second
    wrong = (product + first, product - second, product + 10)
    return {
        "Question": f"What is {first} times {second}?",
        "Correct Answer": str(product),
        **{f"Incorrect Answer {n}": str(value) for n, value in enumerate(wrong, start=1)},
        "Explanation": f"{first} times 5 is {first * 5}.\n\n{first} times {second - 5} is "
        f"{first * (second - 5)}.\n\nTogether they are {product}.",
        "High-level domain": "Physics",
    }


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]), proofs=True)
