"""Watching a model think: the same trace, every bit of it shown once; the command `s1 think`."""

from __future__ import annotations

import asyncio
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ScriptedEngine, char_chat, random_traces
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from s1lib.command import stream
from s1lib.command.cli import main
from s1lib.command.stream import StreamingEngine
from s1lib.command.think import Printer
from s1lib.thinking.budget import Budget, Trace
from s1lib.thinking.thinker import Thinker


def watch(
    engine, chat, budget: Budget, question: str = "Q"
) -> tuple[Trace, list[tuple[str, bool]]]:
    shown: list[tuple[str, bool]] = []
    watched = StreamingEngine(
        engine,
        chat,
        chat.prompt_ids(question),
        lambda text, appended: shown.append((text, appended)),
    )

    async def run() -> Trace:
        trace = await Thinker(watched, chat).force(question, budget)
        watched.finish(trace)
        return trace

    return asyncio.run(run()), shown


@settings(max_examples=40)
@given(
    st.integers(0, 10_000), st.booleans(), st.integers(0, 30), st.integers(0, 3), st.integers(1, 9)
)
def test_the_trace_is_the_same_and_each_bit_of_it_is_shown_once(key, spelled, cap, waits, part):
    chat = char_chat(spelled=spelled)
    budget = Budget(max_thinking=cap, waits=waits, answer_tokens=20)
    plain = asyncio.run(Thinker(ScriptedEngine(random_traces(chat, key)), chat).force("Q", budget))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "PART", part)
        trace, shown = watch(ScriptedEngine(random_traces(chat, key)), chat, budget)
    assert trace == plain
    assert "".join(text for text, _ in shown) == "".join(text for text, _ in trace.spans(chat))
    # A spelled token beyond the cap may equal the one appended there: nothing tells them apart.
    if not spelled:
        assert _joined(shown) == _joined(trace.spans(chat))


def _joined(spans: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """Neighbours of one kind as one."""
    out: list[tuple[str, bool]] = []
    for text, appended in spans:
        if out and out[-1][1] == appended:
            out[-1] = (out[-1][0] + text, appended)
        elif text:
            out.append((text, appended))
    return out


def test_text_comes_while_the_model_is_still_thinking():
    chat = char_chat()
    trace, shown = watch(
        ScriptedEngine(random_traces(chat, 3, end=0)),
        chat,
        Budget(max_thinking=40, answer_tokens=4),
    )
    assert trace.thinking_tokens == 40
    assert len([text for text, appended in shown if not appended]) >= 40 / stream.PART


def test_appended_text_stands_between_marks_and_nothing_steers_the_terminal(monkeypatch):
    out = io.StringIO()
    printer = Printer(out)
    printer("a\x1b[2J", False)
    printer("\nWait", True)
    assert out.getvalue() == "a�[2J\n[[Wait]]"
    out.isatty = lambda: True
    monkeypatch.delenv("NO_COLOR", raising=False)
    Printer(out)("Wait", True)
    assert out.getvalue().endswith("\x1b[30;43mWait\x1b[0m")


# ---- the command ----


def think(model, *options: str) -> int:
    return main(["think", "34+39?", "--model", str(model), *options])


def test_the_command_prints_the_thinking_with_what_was_appended_and_the_answer(
    tiny_model_dir, capsys
):
    assert (
        think(tiny_model_dir, "--max-thinking", "24", "--waits", "1", "--answer-tokens", "4") == 0
    )
    printed = capsys.readouterr()
    assert "[[<|im_start|>answer]]\n" in printed.out
    assert " thinking tokens, " in printed.err.splitlines()[-1] and "end: " in printed.err


@pytest.fixture
def damaged(tiny_model_dir, tmp_path):
    """A copy of the tiny model whose tokenizer a test may change."""
    from transformers import AutoTokenizer

    for file in tiny_model_dir.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path, AutoTokenizer.from_pretrained(tiny_model_dir)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--max-thinking", "-1"], "max_thinking is -1; it must be at least 0"),
        (
            ["--max-thinking", "8", "--min-thinking", "9"],
            "min_thinking (9) is above max_thinking (8)",
        ),
        (["--waits", "-2"], "waits is -2"),
        (["--wait", "Wait<|im_end|>"], "contains '<|im_end|>', which would end the thinking"),
        (["--wait", "日"], "cannot write the wait string"),
        (["--answer-tokens", "0"], "answer_tokens is 0; it must be at least 1"),
        (["--temperature", "-1"], "--temperature is -1.0"),
        (["--answer-tokens", "600"], "do not fit the engine's context of 512"),
        (["--server", "http://127.0.0.1:9"], "cannot reach the server http://127.0.0.1:9"),
    ],
)
def test_misuse_is_one_line(tiny_model_dir, capsys, options, complaint):
    assert think(tiny_model_dir, *options) == 1
    printed = capsys.readouterr()
    assert complaint in printed.err.strip().splitlines()[-1] and not printed.out
    assert len([line for line in printed.err.splitlines() if line.startswith("error:")]) == 1


def test_no_such_model_and_tokenizers_that_cannot_carry_the_format(damaged, capsys):
    directory, tokenizer = damaged
    assert think(directory / "nothing") == 1
    assert "does not exist" in capsys.readouterr().err
    tokenizer.chat_template = None
    (directory / "chat_template.jinja").unlink(missing_ok=True)
    tokenizer.save_pretrained(directory)
    assert think(directory) == 1
    assert "has no chat template" in capsys.readouterr().err
    only_a = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>")),
        unk_token="<unk>",
    )
    only_a.save_pretrained(directory)
    assert think(directory) == 1
    assert "the tokenizer cannot write '<|im_" in capsys.readouterr().err
