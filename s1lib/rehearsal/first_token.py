"""Does a profile's engine start? Opened in a process of its own, on the smallest stand-in.

python -m s1lib.rehearsal.first_token outputs/h100-rehearsal/profile.yaml MODEL
"""

from __future__ import annotations

import asyncio
import sys

from s1lib.chat import ChatFormat
from s1lib.engines import Request, open_engine
from s1lib.errors import S1Error
from s1lib.profile import load_profile


async def first_token(profile: str, model: str) -> str:
    """Decode one token and return the engine's name."""
    engine = open_engine(model, load_profile(profile).engine)
    chat = ChatFormat(engine.tokenizer)
    await engine.complete(Request(chat.prompt_ids("2 + 2 = ?"), max_tokens=1))
    name = engine.name
    await engine.aclose()
    return name


if __name__ == "__main__":
    try:
        print(asyncio.run(first_token(*sys.argv[1:])))
    except S1Error as error:
        sys.exit(f"error: {error}")
