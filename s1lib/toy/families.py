"""The twelve families that tell the toy world's problems: its domains, as in the paper's Table 6.

Families come from different "sources", as in the paper's Table 7. Their words carry their own
spaces ("wins ", " coins. "), because each of them is one token.
"""

from __future__ import annotations

from dataclasses import dataclass

OPERATORS = "+-*"


@dataclass(frozen=True)
class Family:
    """One way of telling a problem, with an entry of `verbs` and `mix` for each of OPERATORS."""

    name: str
    source: str
    opening: str
    noun: str
    verbs: tuple[str, str, str]
    closing: str
    mix: tuple[float, float, float] = (0.4, 0.3, 0.3)  # how often each operator is drawn
    share: float = 1.0  # of the pool, relative
    worked: bool = True  # False: the base models never see its steps calculated

    def words(self) -> list[str]:
        """The family's tokens."""
        return [self.opening, self.noun, *self.verbs, self.closing]


# fmt: off
FAMILIES = (
    Family("coins", "market", "Ann has ", " coins. ", ("wins ", "loses ", "grows by "),
           "How many coins?", share=10.0),
    Family("shop", "market", "A shop holds ", " hats. ", ("buys ", "sells ", "stocks times "),
           "How many hats?", (0.5, 0.4, 0.1), share=5.0),
    Family("number", "textbook", "Start with ", ". ", ("add ", "subtract ", "times "),
           "What is the result?", (0.33, 0.33, 0.34), share=8.0),
    Family("clock", "textbook", "A dial shows ", " ticks. ", ("forward ", "back ", "spins by "),
           "Where is it?", (0.5, 0.4, 0.1), share=4.0),
    Family("game", "contest", "Bob scores ", " points. ", ("earns ", "drops ", "boosts by "),
           "How many points?", (0.3, 0.2, 0.5), share=2.0),
    Family("lift", "contest", "A lift is at ", " floors. ", ("up ", "down ", "jumps by "),
           "Which floor?", (0.4, 0.4, 0.2), share=2.0),
    Family("cells", "biology", "A dish has ", " cells. ", ("gains ", "sheds ", "splits by "),
           "How many cells?", (0.25, 0.15, 0.6), share=1.0),
    Family("herd", "biology", "A herd has ", " deer. ", ("births ", "deaths ", "breeds by "),
           "How many deer?", share=1.0),
    Family("tank", "physics", "A tank holds ", " litres. ", ("fills ", "leaks ", "pumps by "),
           "How many litres?", share=0.5, worked=False),
    Family("charge", "physics", "A cell stores ", " volts. ",
           ("charges ", "drains ", "cascades by "), "How many volts?", share=0.5, worked=False),
    Family("code", "puzzles", "The code is ", " now. ", ("shift ", "unshift ", "scale "),
           "What is the code?", (0.3, 0.2, 0.5), share=0.5, worked=False),
    Family("ship", "puzzles", "A ship sails ", " miles. ", ("tailwind ", "headwind ", "warps by "),
           "How far?", share=0.5, worked=False),
)
# fmt: on
