"""Comparing answers: what differs is not equal, what is equal may be written in any way."""

from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from s1lib.grading import grade, grade_many

# One case a line: what was found | the gold answer | yes or no.
NUMBERS = r"""
1 1/2|11/2|no
2 1/2|2.5|yes
2 1/2|\frac{5}{2}|yes
2 1/2|1|no
-1 1/2|-1.5|yes
-1 1/2|-\frac12|no
11 5/6|\frac{71}{6}|yes
1 4/5|1\frac{4}{5}|yes
137.5|137 \frac{1}{2}|yes
x = 2 1/2|2.5|yes
1 1/2, 2 1/2|1.5,2.5|yes
4 10/3|\frac{22}{3}|no
4 10/3|\frac{40}{3}|no
12 34|1234|no
2(3)|6|yes
2(3)|5|no
0.\overline{3}|\frac13|yes
0.333...|\frac13|no
"""
LISTS = r"""
3, 5, 7|3,5,7|yes
7, 5, 3|3,5,7|yes
200, 100|100,200|yes
100, 200|100,200|yes
200,100|100,200|no
\text{A, C, and E}|A,C,E|yes
\text{A, B, and E}|A,C,E|no
3125|3, 125|no
3,125|3, 125|yes
3125|3,125|yes
1 234|1234|yes
1\,234|1234|yes
1{,}234|1,234|yes
1,000 and 2,000|2000, 1000|yes
11111111100|11,\! 111,\! 111,\! 100|yes
(100,200)|(200,100)|no
(1,234)|(1, 234)|yes
1234|(1,234)|no
\{100,200\}|\{200,100\}|yes
2,3|2,2,3|no
\{\}|\emptyset|yes
\{\}|0|no
(-2,1)|-2,1|no
19, 46, and 82|21, 36, and 82|no
1,2,\ldots,n|1,3,5,\ldots,2n-1|no
2021, -2021|\pm 2021|yes
2021|\pm 2021|no
3+2√2 and 3-2√2|3 \pm 2 \sqrt{2}|yes
"""
UNICODE = r"""
10 - 2√5|10-2\sqrt{5}|yes
10 − 2√5|10-2\sqrt{5}|yes
10 − 2√6|10-2\sqrt{5}|no
90°|90|yes
½|\frac{1}{2}|yes
2½|2.5|yes
x²+1|x^2+1|yes
x³+1|x^2+1|no
x⁻¹|\frac{1}{x}|yes
(−∞, 2]|(-\infty, 2]|yes
(−∞, 2)|(-\infty, 2]|no
(−∞, 2) ∪ (3, ∞)|(-\infty, 2) \cup (3, \infty)|yes
3π/4|\frac{3\pi}{4}|yes
√(2)/2|\frac{\sqrt{2}}{2}|yes
5·√3|5\sqrt{3}|yes
2×3²|18|yes
x ≤ 3|x \le 3|yes
x ≥ 3|x \le 3|no
1 ± √19|1 \pm \sqrt{19}|yes
∛2|\sqrt[3]{2}|yes
⟨1,2⟩|\langle 1, 2 \rangle|yes
⟨2,1⟩|\langle 1, 2 \rangle|no
１２|12|yes
"""
PLAIN_TEXT = r"""
pi/2|\frac{\pi}{2}|yes
2*pi|2\pi|yes
exp(16)|e^{16}|yes
exp(16)|e^{15}|no
sqrt(2)|\sqrt{2}|yes
2*sqrt(3)|2\sqrt{3}|yes
sqrt(sqrt(2))|2^{1/4}|yes
ln(2)|\ln 2|yes
cot(x)|\cot x|yes
tan(x)|\cot x|no
x**2+1|x^2+1|yes
(x+1)/(x-2)|\frac{x+1}{x-2}|yes
(-inf, 2)|(-\infty, 2)|yes
five|5|yes
5|\text{five}|yes
six|5|no
\approx 5|5|yes
EAST|\text{east}|yes
no.|No|yes
yes|No|no
eats|\text{seat}|no
"""
BASES = r"""
4210_5|4210_{5}|yes
4210₅|4210_5|yes
4210_{\text{base } 5}|4210_5|yes
4210 (base 5)|4210_5|yes
1010_{\text{two}}|1010_2|yes
1010_{\text{three}}|1010_2|no
4210_6|4210_5|no
4211_5|4210_5|no
4210|4210_5|no
555|4210_5|no
"""
EXACT = r"""
0.0000001|0|no
0.0000001|0.0000002|no
1e-7|0.0000001|yes
6.72 \times 10^{-5}|.0000672|yes
6.72*10^-5|.0000672|yes
6.73e-5|.0000672|no
0.3333|\frac13|no
0.33333333333333333333|\frac13|no
3.14159265358979323846|\pi|no
1.4142135623730951|\sqrt{2}|no
2^{100}|1267650600228229401496703205376|yes
2^{100}|1267650600228229401496703205377|no
10^{100}+1|10^{100}|no
10^{-20}|10^{-21}|no
10^{-20}|0|no
\frac{1}{2004!}|\frac{1}{2006!}|no
\frac{2^{2005}+1}{3 \cdot 2^{2006}}|\frac{1}{3 \cdot 2^{2006}}|no
x+10^{-20}|x|no
(0.0000001, 1)|(0, 1)|no
(0.5, 1)|(\frac12, 1)|yes
262087+151316\sqrt{3}|(2+\sqrt3)^{10}|yes
262087+151316.000000001\sqrt{3}|(2+\sqrt3)^{10}|no
"""
EQUATIONS = r"""
52+05=67|67|no
2+2=5|5|no
f(2) = 5|5|yes
f(2) = 6|5|no
\sin 30^\circ = \frac12|\frac12|yes
\sin(30°)|\frac12|yes
\sin 30^\circ = 1|1|no
2+2=4|4|yes
x = 5|5|yes
x = 2+3 = 5|5|yes
x = 2+3 = 6|6|no
10/4 = 5/2 = 2.5|2.5|yes
1/2 = 0.6|0.6|no
x+y=5|5|yes
x = \frac13 \approx 0.333|\frac13|yes
2+3|5|no
52+05|57|no
7-2|5|no
\frac12+\frac13|\frac56|no
5|2+3|yes
2^{10}-1|1023|yes
2(5-\sqrt5)|10-2\sqrt5|yes
\frac{9\sqrt{3}+4}{4}|\frac{9\sqrt{3}}{4}+1|yes
2+x|x+2|yes
x+3|x+2|no
"""
INEQUALITIES = r"""
x<2 \text{ or } x>3|(-\infty, 2) \cup (3, \infty)|yes
x<2 or x>4|(-\infty, 2) \cup (3, \infty)|no
x<2 or x≥3|(-\infty, 2) \cup (3, \infty)|no
2 < x \le 3|(2,3]|yes
"""
COMPLEX = r"""
e^{i\pi}|-1|yes
\frac{1}{1+i}|\frac{1-i}{2}|yes
(1+i)^2|2i|yes
2i|2|no
"""
UNITS = r"""
10:30 a.m.|10:30 \text{ a.m.}|yes
10:30 p.m.|10:30 \text{ a.m.}|no
5 cm|5|yes
12 ways|12|yes
864 square inches|864 \mbox{ inches}^2|yes
864 in²|864 \mbox{ inches}^2|yes
864 \mbox{ inches}^3|864 \mbox{ inches}^2|no
5 m/s|5|yes
5 m/s|5 \text{ km/h}|no
5 km|5 m|no
12\pi|12\pi \text{ inches}|yes
5x|5|no
2|2c|no
3r^2|3R^2|no
10|10\%|yes
0.1|10\%|yes
0.2|10\%|no
2+7\mathrm{i}|2+7i|yes
1 - \frac{1}{\mathrm{e}}|1 + \frac{1}{\mathrm{e}}|no
"""
KINDS = {
    name: table for name, table in globals().items() if name.isupper() and isinstance(table, str)
}


@pytest.mark.parametrize("wrapping", [r"\boxed{%s}", "**Answer:** %s"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_equal_is_right_and_what_differs_is_wrong(kind, wrapping):
    cases = [row.rsplit("|", 2) for row in KINDS[kind].strip().splitlines()]
    grades = grade_many([(wrapping.replace("%s", found), gold, "math") for found, gold, _ in cases])
    wrong = [
        case
        for case, graded in zip(cases, grades, strict=True)
        if graded.correct != (case[2] == "yes")
    ]
    assert wrong == []


def test_several_boxes_are_one_list():
    assert grade(r"\boxed{3}, \boxed{5}", "3,5").correct
    assert grade(r"$\boxed{7}$ and $\boxed{5}$, $\boxed{3}$", "3, 5, 7").correct
    assert not grade(r"\boxed{3}, \boxed{5}", "5").correct


def spellings(value):
    """One fraction in many notations."""
    whole, rest = divmod(abs(value.numerator), value.denominator)
    sign = "-" if value < 0 else ""
    forms = [
        f"{value}",
        f"{sign}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}",
        f"${value}$",
        f"x = {value}",
    ]
    if whole and rest:
        forms += [
            f"{sign}{whole} {rest}/{value.denominator}",
            f"{sign}{whole}\\frac{{{rest}}}{{{value.denominator}}}",
        ]
    if value.denominator == 1:
        forms += [
            f"{value.numerator:,}",
            f"{value.numerator}.0",
            f"{value.numerator} cm",
            f"{sign}00{abs(value.numerator)}",
        ]
    if 10**6 % value.denominator == 0:
        forms.append(f"{value.numerator * 10**6 // value.denominator}e-6")
    return forms


FRACTIONS = st.builds(
    Fraction, st.integers(-5000, 5000), st.sampled_from([1, 1, 2, 3, 4, 5, 8, 10, 16, 100])
)


@settings(max_examples=200, deadline=None)
@given(FRACTIONS, FRACTIONS, st.data())
def test_numbers_are_equal_exactly_when_their_values_are(one, other, data):
    assume(one != other)
    found = data.draw(st.sampled_from(spellings(one)))
    assert grade(f"Answer: {found}", data.draw(st.sampled_from(spellings(one)))).correct
    assert not grade(f"Answer: {found}", data.draw(st.sampled_from(spellings(other)))).correct
