"""Small samples for the tests of curation and SFT."""

from __future__ import annotations

from s1lib.curation.pool import Sample


def sample(id_: str, **values: str | None) -> Sample:
    """A sound sample; any column may be given."""
    sound = {
        "question": f"Start with {id_}. a: add 39. What is the result?",
        "answer": "73",
        "source": "textbook",
        "domain": "number",
        "trace": "a: 34+39=73\nresult 73",
        "attempt": "73",
    }
    return Sample(**{"id": id_, **sound, **values})
