"""math-verify as the engine of the comparison, made exact; the worker processes alone import this.

Three things are added to it. Decimals are read as the fractions they are. Expressions are compared
without rounding. An answer is wrong that states a false equation or leaves a sum of numbers undone.
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
    I,
    MatrixBase,
    Mul,
    Pow,
    Rational,
    S,
    Set,
    Tuple,
    Union,
    expand,
    prime,
)
from sympy.core.relational import Eq, Relational

_EQUALS = re.compile(r"(?<![<>!])=")
_DIGITS = 30  # of a difference; sympy computes with as many more as it takes to know them
_SPELLING = NormalizationConfig(
    basic_latex=True, malformed_operators=True, nits=True, units=False, boxed="none"
)
_MEANING = latex.ConversionConfig(lowercase_symbols=False)  # R and r are two radii
_rounded_equality, _simplified_equality = grader.sympy_numeric_eq, grader.sympy_symbolic_eq


class _ExactReader(latex._Latex2Sympy):
    """math-verify's parser, with decimals as fractions where it makes floats of 15 digits."""

    def parse_number(self, text: str) -> Rational:
        return Rational(text)


def same(found: str, gold: str) -> bool:
    """Whether two normalised answers are equal; `found` is held to the equations it states.

    Raises whatever sympy raises.
    """
    reference = read(gold)
    *links, last = _links(found)
    answer = read(last)
    if isinstance(reference, Set) and not _is_list(reference):
        answer = _region(answer)
    if answer is None or reference is None or not _may_be_equal(answer, reference):
        return False
    if not all(_equations_hold(read(link)) for link in (*links, last)):
        return False
    if _leaves_a_sum(answer) and not _leaves_a_sum(reference):
        return False
    # Not symmetric, so the gold answer comes first. An interval may be written as an inequality.
    return bool(
        grader.verify(reference, answer, allow_set_relation_comp=True, timeout_seconds=None)
    )


@lru_cache(maxsize=1000)  # one gold answer is compared with many
def read(text: str) -> Basic | MatrixBase | None:
    """The expression that `text` writes, None when it writes none."""
    spelling = normalize_latex(text, _SPELLING)
    is_real = not grader.should_treat_as_complex(spelling)
    try:
        found = _ExactReader(is_real=is_real, config=_MEANING).parse(spelling)
    except Exception:  # the parser raises plain exceptions for what it cannot read
        return None
    imaginary = {symbol for symbol in found.free_symbols if symbol.name == "i"}
    return found.subs(dict.fromkeys(imaginary, I)) if imaginary else found


def _links(text: str) -> list[str]:
    """The equations "x=2+3" and "2+3=5" of the chain "x=2+3=5", and what it comes to, "x=5"."""
    sides = _EQUALS.split(text)
    if len(sides) < 3 or "," in text:
        return [text]
    return [f"{left}={right}" for left, right in pairwise(sides)] + [f"{sides[0]}={sides[-1]}"]


def _may_be_equal(answer: Basic | MatrixBase, reference: Basic | MatrixBase) -> bool:
    """Whether both are of one kind: a point is no list of numbers, and a list has its length."""
    if isinstance(reference, FiniteSet):
        if isinstance(answer, Tuple) or (isinstance(answer, Set) and not _is_list(answer)):
            return False
        return not isinstance(answer, Set | Expr) or _count(answer) == _count(reference)
    if isinstance(reference, Expr):
        return not isinstance(answer, Set | Tuple) or (_is_list(answer) and _count(answer) == 1)
    return not (isinstance(reference, Set) and isinstance(answer, Expr))


def _region(answer: Basic | MatrixBase | None) -> Basic | MatrixBase | None:
    """What listed inequalities such as x<2 or x>3 allow together; any other answer as it is."""
    if not (_is_list(answer) and len(answer.free_symbols) == 1):
        return answer
    allowed = all(isinstance(member, Relational) for member in answer.args)
    return Union(*(member.as_set() for member in answer.args)) if allowed else answer


def _is_list(expression: Basic | MatrixBase | None) -> bool:
    return isinstance(expression, FiniteSet)


def _count(expression: Basic) -> int:
    """Members of a list as it was written, 2, 2, 3 has three; 1 for anything else."""
    if not _is_list(expression):
        return 1
    return len(getattr(expression, "_unsorted_args", expression.args))


def _equations_hold(expression: Basic | MatrixBase | None) -> bool:
    """Whether every equation between constants is true; 52+05=67 is not, and x=5 has a variable."""
    if expression is None:
        return True
    if isinstance(expression, Eq) and not expression.free_symbols:
        try:
            if not _is_zero(expression.lhs - expression.rhs):
                return False
        except TypeError:  # between sets
            return True
    return all(map(_equations_hold, _parts(expression)))


def _leaves_a_sum(expression: Basic | MatrixBase) -> bool:
    r"""Whether a sum of plain numbers is left undone, as in 2+3 and not in 1+\sqrt2 or 2^{10}-1."""
    if isinstance(expression, Relational):
        constants = [side for side in expression.args if not side.free_symbols]
        return bool(constants) and all(map(_leaves_a_sum, constants))
    if isinstance(expression, Add) and all(map(_is_plain, expression.args)):
        return True
    return any(map(_leaves_a_sum, _parts(expression)))


def _is_plain(term: Basic) -> bool:
    """Whether a term is an integer, a fraction, or a product of such."""
    if isinstance(term, Mul) or (isinstance(term, Pow) and term.exp == -1):
        return all(map(_is_plain, term.args))
    return isinstance(term, Rational)


def _parts(expression: Basic | MatrixBase) -> Sequence[Basic]:
    return expression.flat() if isinstance(expression, MatrixBase) else expression.args


# ---- in place of math-verify's own comparison of expressions -----------------------------------


def _exact_equality(
    gold: Basic | MatrixBase, found: Basic | MatrixBase, rounding: int, precision: int
) -> bool:
    """Equality without algebra; math-verify's rounds to 6 places and drops what is below 1e-15."""
    if any(isinstance(side, MatrixBase) or grader.get_pct_val(side) for side in (gold, found)):
        return _rounded_equality(gold, found, rounding, precision)
    difference = gold - found
    return expand(difference) == 0 if difference.free_symbols else _is_zero(difference)


def _refuted_or_simplified(gold: Basic | MatrixBase, found: Basic | MatrixBase) -> bool:
    """Equality by simplifying, which is slow, and spared where the two differ at one point."""
    if isinstance(gold, Expr) and isinstance(found, Expr):
        difference = gold - found
        symbols = sorted(difference.free_symbols, key=str)
        point = {symbol: Rational(prime(i + 3), prime(i + 4)) for i, symbol in enumerate(symbols)}
        if _is_certainly_not_zero(difference.subs(point)):
            return False
    return _simplified_equality(gold, found)


def _is_zero(difference: Basic) -> bool:
    """Whether a constant is zero: not if a digit of it is known, else by what sympy can prove."""
    difference = difference.doit()
    if difference.is_Rational:
        return difference == 0
    return not _is_certainly_not_zero(difference) and difference.equals(S.Zero) is True


def _is_certainly_not_zero(constant: Basic) -> bool:
    """Whether at least one digit of `constant` is known and not zero."""
    parts = constant.evalf(_DIGITS).as_real_imag()
    return any(part.is_Float and part._prec > 1 and part != 0 for part in parts)


grader.sympy_numeric_eq = _exact_equality
grader.sympy_symbolic_eq = _refuted_or_simplified
