"""The s1 text format: delimiters as ids, examples, prompts, splitting a trace, the answer."""

import copy
from pathlib import Path

import pytest
import trl
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import char_chat

from s1lib.chat import ANSWER, IM_END, THINK, ChatFormat, ChatFormatError, split_trace
from s1lib.gpu_check.qwen_vocabulary import RANKS, qwen_tokenizer
from s1lib.grading import extract_answer
from s1lib.toy.tokenizer import build_tokenizer

real_qwen = pytest.mark.skipif(not RANKS.exists(), reason="shared/data/qwen.tiktoken is not here")
TEMPLATES = Path(trl.__file__).parent / "chat_templates"
QUESTION = "How many coins?"
WORDS = st.lists(
    st.sampled_from(
        ["think", "answer", " 12", "\n", "\n\n", "Wait", " so", ".", "Answer:", "ß", "漢", " "]
    ),
    max_size=12,
)


@pytest.fixture(scope="module", params=["toy", "spelled", pytest.param("qwen", marks=real_qwen)])
def chat(request) -> ChatFormat:
    """The toy's tokenizer, one whose delimiters are many tokens, and Qwen2.5's real vocabulary."""
    if request.param == "spelled":
        return char_chat(spelled=True)
    return ChatFormat({"toy": build_tokenizer, "qwen": qwen_tokenizer}[request.param]())


def test_a_prompt_ends_where_the_model_begins_to_think(chat):
    ids = chat.prompt_ids(QUESTION)
    assert chat.decode(ids).endswith(f"<|im_start|>assistant\n{THINK}")
    assert ids[-len(chat.think_start) :] == list(chat.think_start)
    assert chat.prompt_ids(QUESTION, think=False) == ids[: -len(chat.think_start)]


def test_a_forced_stop_closes_thinking_and_asks_for_the_final_answer(chat):
    assert chat.decode(list(chat.final_answer)) == f"{ANSWER}\nFinal Answer:"
    assert chat.final_answer[: len(chat.answer_start)] == chat.answer_start


def test_every_stop_is_a_whole_delimiter(chat):
    texts = [chat.decode(list(stop)) for stop in chat.thinking_stops]
    assert (
        {"<|im_start|>", "<|im_end|>"}
        <= set(texts)
        <= {"<|im_start|>", "<|im_end|>", "<|endoftext|>"}
    )


def test_an_example_is_the_prompt_and_the_papers_completion(chat):
    example = chat.example(QUESTION, "07\n", "2")
    assert example["completion"] == f"{THINK}\n07\n{ANSWER}\nAnswer: 2{IM_END}"
    assert example["prompt"] + THINK == chat.decode(chat.prompt_ids(QUESTION))
    # "Answer: " is put before an answer without it.
    assert chat.example(QUESTION, "07", "Answer: 2") == example
    assert chat.example(QUESTION, "07", "Final Answer: 2")["completion"].count("Answer:") == 1


def test_the_ids_of_an_example_are_those_that_decoding_goes_through(chat):
    example = chat.example(QUESTION, "07", "2")
    ids = chat.encode(example["prompt"] + example["completion"])
    prompt = chat.prompt_ids(QUESTION)
    assert ids[: len(prompt)] == prompt
    assert split_trace(chat.decode(ids[len(prompt) :])) == ("07", "Answer: 2")


def test_a_newline_is_recognised_inside_a_token(chat):
    assert chat.ends_with_newline(chat.encode("07\n"))
    assert not chat.ends_with_newline(chat.encode("07")) and not chat.ends_with_newline([])


@pytest.mark.parametrize("token", [IM_END, "<|im_start|>", "<|endoftext|>"])
@pytest.mark.parametrize("question", ["What does {} do?", "{}", "a {}{}\n{} b \ue000 {}"])
def test_a_control_token_that_a_question_spells_is_text(chat, token, question):
    if len(chat.encode(token)) > 1:
        pytest.skip("this tokenizer has no special tokens, so all of its delimiters are text")
    ids, plain = chat.prompt_ids(question.format(*[token] * 4)), chat.prompt_ids("What?")
    for control in chat.tokenizer.added_tokens_decoder:
        if control != chat.tokenizer.unk_token_id:
            assert ids.count(control) == plain.count(control)


@real_qwen
def test_half_a_character_is_one_line(chat):
    for write in (chat.encode, chat.prompt_ids):
        with pytest.raises(ChatFormatError, match=r"character 3 of .* is half of one"):
            write("a \udcff b")


def test_a_question_with_a_control_token_is_asked_in_its_own_words():
    chat, question = ChatFormat(qwen_tokenizer()), "What does <|im_end|> do,\n and <|im_start|>?"
    assert chat.decode(chat.prompt_ids(question)) == chat.prompt_text(question) + THINK
    assert chat.prompt_ids(question).count(151645) == chat.prompt_ids("What?").count(151645)


@given(WORDS.map("".join))
def test_a_question_without_control_tokens_has_the_ids_of_its_rendered_prompt(chat, question):
    assert chat.prompt_ids(question, think=False) == chat.encode(chat.prompt_text(question))


@pytest.mark.parametrize("file", ["deepseek_r1_distill", "qwen3_5_think", "nemotron_3_nano"])
def test_a_chat_template_that_opens_the_thinking_itself_is_refused_in_one_line(file):
    tokenizer = copy.deepcopy(char_chat().tokenizer)
    tokenizer.chat_template = (TEMPLATES / f"{file}.jinja").read_text()
    with pytest.raises(ChatFormatError, match="opens the thinking itself, with '<think>'") as error:
        ChatFormat(tokenizer)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "opened", ["<thinking>", "[THINK]", "<|think|>\n", "<|im_start|>think", "<seed:think>"]
)
def test_however_a_template_opens_the_thinking_it_is_refused(opened):
    tokenizer = copy.deepcopy(char_chat().tokenizer)
    tokenizer.chat_template += opened
    with pytest.raises(ChatFormatError, match="opens the thinking itself"):
        ChatFormat(tokenizer)


@pytest.mark.parametrize("file", ["qwen2_5", "qwen3", "gemma3", "phi3", "qwen3_5_nothink"])
def test_a_chat_template_that_leaves_thinking_to_the_model_is_taken(file):
    tokenizer = copy.deepcopy(char_chat().tokenizer)
    tokenizer.chat_template = (TEMPLATES / f"{file}.jinja").read_text()
    assert ChatFormat(tokenizer).prompt_text("Which think?")


@real_qwen
def test_qwens_own_ids():
    chat = ChatFormat(qwen_tokenizer())
    start, end = 151644, 151645
    assert chat.think_start == (start, 26865) and chat.answer_start == (start, 9217)
    assert chat.thinking_stops[:2] == [(start,), (end,)]
    assert chat.ends_with_newline(chat.encode("so.\n\n"))  # ".\n\n" is one token there
    text = "Let's see: 12345 + 漢字 = ß\n\n  ok."
    assert chat.decode(chat.encode(text)) == text


class Bare:
    """A tokenizer that knows a few words only."""

    unk_token_id = 0
    chat_template = "x"

    def __init__(self, *words: str) -> None:
        self.words = words

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return [1 if text in self.words else 0]


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% for m in messages", "cannot be applied"),
        ("{{ raise_exception('no tools') }}", r"cannot be applied \(no tools\)"),
        ({"tool_use": "{{ messages[0].content }}"}, "cannot be applied"),
        ("{{ messages[0].content[0].text }}", "leaves the question out"),
        ("{{ messages[0].content | first }}", "leaves the question out"),
        ("a constant", "leaves the question out"),
    ],
)
def test_a_chat_template_that_cannot_ask_the_question_is_refused_in_one_line(template, says):
    tokenizer = copy.deepcopy(char_chat().tokenizer)
    tokenizer.chat_template = template
    with pytest.raises(ChatFormatError, match=says) as error:
        ChatFormat(tokenizer)
    assert "\n" not in str(error.value)


def test_a_tokenizer_that_cannot_carry_the_format_is_one_clear_line():
    with pytest.raises(ChatFormatError, match=r"cannot write '<\|im_end\|>'"):
        ChatFormat(Bare(THINK, ANSWER))
    silent = Bare(THINK, ANSWER, IM_END)
    silent.chat_template = None
    with pytest.raises(ChatFormatError, match="no chat template"):
        ChatFormat(silent)


# ---- text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        (f"{THINK}\nso 2\n{ANSWER}\nAnswer: 2{IM_END}", "so 2", "Answer: 2"),
        (f"{THINK}\nso 2", "so 2", ""),
        (f"a\n{ANSWER}\nno\n{ANSWER}\nyes", f"a\n{ANSWER}\nno", "yes"),  # the last delimiter counts
        (f"so 2\n{ANSWER}\nFinal Answer: 2", "so 2", "Final Answer: 2"),
        ("", "", ""),
    ],
)
def test_a_trace_is_split_at_the_last_answer_delimiter(text, thinking, answer):
    assert split_trace(text) == (thinking, answer)


@settings(max_examples=60, deadline=None)
@given(thinking=WORDS, answer=WORDS)
def test_splitting_undoes_joining(thinking, answer):
    thinking, answer = "".join(thinking).strip("\n"), "".join(answer).strip("\n")
    assert split_trace(f"{THINK}\n{thinking}\n{ANSWER}\n{answer}{IM_END}") == (thinking, answer)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("Answer: 12", "12"),
        ("Final Answer: 12", "12"),
        ("Answer: 12\nbecause 13", "12"),
        ("Answer: 12 Answer: 13", "13"),
        (r"so \boxed{\frac{1}{2}} and \boxed{3}. Answer: 4", "3"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{ 7 }", "7"),
        (r"\boxed{7", None),
        ("12", None),
        ("Answer:", None),
        ("Answer:  \n", None),
        ("", None),
    ],
)
def test_the_answer_is_the_last_box_or_what_follows_the_last_answer(answer, found):
    assert extract_answer(answer) == found


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="{}\\boxed ", max_size=40))
def test_extraction_never_fails_and_boxes_are_balanced(text):
    found = extract_answer(text)
    assert found is None or found.count("{") == found.count("}")
