"""math-verify as the engine of the comparison, made exact; runs in the worker processes alone.

Three things are added to it: decimals are read as the fractions they are, constants are compared without rounding, and
an answer that states a false equation, or leaves a sum of numbers to the reader, is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import latex2sympy2_extended.latex2sympy2 as latex
import math_verify.grader as grader
from latex2sympy2_extended.math_normalization import NormalizationConfig, normalize_latex
from sympy import (
    Add,
    Basic,
    Expr,
    FiniteSet,
    Interval,
    MatrixBase,
    Mul,
    Pow,
    Rational,
    S,
    Tuple,
    expand,
)
from sympy.core.relational import Eq, Relational

_EQUALS = re.compile(r"(?<![<>!])=")
_DIGITS = 30  # of a difference that is not zero; sympy works with as many more as it needs
_SPELLING = NormalizationConfig(
    basic_latex=True, malformed_operators=True, nits=True, units=False, boxed="none"
)
_MEANING = latex.ConversionConfig(lowercase_symbols=False)  # R and r are two radii
_rounding_comparison = grader.sympy_numeric_eq


class _ExactReader(latex._Latex2Sympy):
    """math-verify's parser, with decimals as fractions; its own are floats of 15 digits."""

    def parse_number(self, text: str) -> Rational:
        return Rational(text)


def same(found: str, gold: str) -> bool:
    """Whether two normalised answers are equal; `found` is held to its own equations. Raises what sympy raises."""
    reference = read(gold)
    *links, last = _links(found)
    answer = read(last)
    if answer is None or reference is None:
        return False
    if not all(_equations_hold(read(link)) for link in (*links, last)):
        return False
    if isinstance(reference, FiniteSet) and isinstance(
        answer, Tuple | Interval
    ):  # a point is no list of numbers
        return False
    if (
        isinstance(answer, FiniteSet)
        and isinstance(reference, FiniteSet | Expr)
        and _count(reference) != _count(answer)
    ):
        return False
    if _leaves_a_sum(answer) and not _leaves_a_sum(reference):
        return False
    # Not symmetric, so the gold answer comes first; an interval may be written as an inequality.
    return bool(
        grader.verify(reference, answer, allow_set_relation_comp=True, timeout_seconds=None)
    )


def _links(text: str) -> list[str]:
    """The equations of a chain, "x=2+3", "2+3=5", and the one that remains of it, "x=5"; other text as it stands."""
    sides = _EQUALS.split(text)
    if len(sides) < 3 or "," in text:
        return [text]
    return [f"{left}={right}" for left, right in pairwise(sides)] + [f"{sides[0]}={sides[-1]}"]


@lru_cache(maxsize=1000)  # one gold answer is compared with many
def read(text: str) -> Basic | MatrixBase | None:
    """The expression that `text` writes, None when it writes none."""
    spelling = normalize_latex(text, _SPELLING)
    try:
        return _ExactReader(
            is_real=not grader.should_treat_as_complex(spelling), config=_MEANING
        ).parse(spelling)
    except Exception:  # the parser raises plain exceptions for what it cannot read
        return None


def _equations_hold(expression: Basic | MatrixBase | None) -> bool:
    """Whether every equation between constants in it is true: 52+05=67 is not, and x=5 has a variable."""
    if expression is None:
        return True
    if (
        isinstance(expression, Eq)
        and not expression.free_symbols
        and not _is_zero(expression.lhs - expression.rhs)
    ):
        return False
    return all(map(_equations_hold, _parts(expression)))


def _leaves_a_sum(expression: Basic | MatrixBase) -> bool:
    r"""Whether a sum of plain numbers is left to be done: 2+3 for 5, but not 1+\sqrt2 and not 2^{10}-1."""
    if isinstance(expression, Relational):
        constant = [side for side in expression.args if not side.free_symbols]
        return bool(constant) and all(map(_leaves_a_sum, constant))
    if isinstance(expression, Add) and all(map(_is_plain, expression.args)):
        return True
    return any(map(_leaves_a_sum, _parts(expression)))


def _count(expression: Basic) -> int:
    """Members of a list as it was written, 1 for anything else: 2, 2, 3 has three."""
    return (
        len(getattr(expression, "_unsorted_args", expression.args))
        if isinstance(expression, FiniteSet)
        else 1
    )


def _parts(expression: Basic | MatrixBase) -> Sequence[Basic]:
    return expression.flat() if isinstance(expression, MatrixBase) else expression.args


def _is_plain(term: Basic) -> bool:
    """Whether a term is a number as people write it: an integer, a fraction, or a product of such."""
    if isinstance(term, Mul) or (isinstance(term, Pow) and term.exp == -1):
        return all(map(_is_plain, term.args))
    return isinstance(term, Rational)


def _exact_comparison(
    gold: Basic | MatrixBase, found: Basic | MatrixBase, rounding: int, precision: int
) -> bool:
    """Equality of expressions; in place of math-verify's, which rounds to 6 places and drops what is below 1e-15."""
    if (
        isinstance(gold, MatrixBase)
        or isinstance(found, MatrixBase)
        or _with_percent(gold)
        or _with_percent(found)
    ):
        return _rounding_comparison(gold, found, rounding, precision)
    difference = gold - found
    return _is_zero(difference) if not difference.free_symbols else expand(difference) == 0


def _is_zero(difference: Basic) -> bool:
    """Whether a constant is zero: certainly not if some digit of it is known, else what sympy can prove."""
    difference = difference.doit()
    if difference.is_Rational:
        return difference == 0
    value = difference.evalf(_DIGITS)
    if value.is_Float or (value.is_number and value.as_real_imag()[0].is_Float):
        parts = value.as_real_imag()
        if any(part.is_Float and part._prec > 1 and part != 0 for part in parts):
            return False
    return difference.equals(S.Zero) is True


def _with_percent(expression: Basic) -> bool:
    return grader.get_pct_val(expression) is not None


grader.sympy_numeric_eq = _exact_comparison
