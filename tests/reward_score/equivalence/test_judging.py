import json
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_score.equivalence.complexity import too_complex
from reward_score.equivalence.judging import equivalent
from tests.support.timing import computes_within

EQUAL = r"""
42 @ 42.0
42\% @ 42
10\% @ 10\text{ percent}
1,000 @ 1000
-1,\!234 @ -1234
10{,}000 @ 10000
\$18.50 @ 18.5
0.5 @ \frac{1}{2}
\dfrac12 @ \frac{1}{2}
1\frac{1}{2} @ \frac{3}{2}
1 1/2 @ 1.5
0.\overline{3} @ \frac{1}{3}
0.333333 @ \frac13
1.41421356 @ \sqrt{2}
3 \times 10^{5} @ 300000
1010 @ 1010_{2}
1010_2 @ 1010_{2}
10^{-3} @ 0.001
-\frac{1}{2} @ \frac{-1}{2}
2^{2023} \cdot 2 @ 2^{2024}
\sqrt{8} @ 2\sqrt{2}
\frac{\sqrt{3}}{3} @ \frac{1}{\sqrt{3}}
5! @ 120
\binom{5}{2} @ 10
\log_2 8 @ 3
\tan^{-1}(1) @ \frac{\pi}{4}
\cos 60^\circ @ \frac{1}{2}
e^{i\pi} @ -1
\frac{1+i}{1-i} @ i
6 + 9i @ 9i+6
0=2x-10 @ 0 = x-5
\sqrt{3+2\sqrt{2}}-\sqrt{2} @ 1
\cos\frac{\pi}{5}-\cos\frac{2\pi}{5} @ \frac{1}{2}
x^2+2x+1 @ (x+1)^{2}
0.1x+3 @ \frac{x}{10}+3
\langle 1, 2 \rangle @ (1,2)
4x^2-4 @ 4(x-1)(x+1)
p - q @ -(q-p)
2\pi r @ 2 r\pi
\sin^2 x + \cos^2 x @ 1
(1+x)^{100000} @ (1 + x)^{100000}
x=5 @ 5
5 @ x=5
x = \frac{1}{2} = 0.5 @ 1/2
AB = 5 @ 5
\angle ABC = 30^\circ @ 30
\sqrt{2}\approx 1.414 @ \sqrt{2}
2x+1 @ y=2x+1
f(x)=2x @ 2x
y=2x+1 @ 2x-y+1=0
2x+2y=2 @ x+y=1
x=2, y=3 @ y = 3, x = 2
2,1 @ 1,2
\{2,1\} @ \{1,2\}
x=1 \text{ or } x=2 @ \{1,2\}
\pm 2 @ 2,-2
1 \pm \sqrt{2} @ 1+\sqrt{2}, 1-\sqrt{2}
(1,2),(3,4) @ (3,4),(1,2)
\left( 1, \frac{\pi}{2} \right) @ (1,\pi/2)
(x,y)=(1,2) @ (1,2)
x\in(1,2] @ (1,2]
1<x<2 @ (1,2)
1<x<2 @ 2>x>1
[-2,7] @ -2 \le x \le 7
x \geq 2 @ [2,\infty)
\left[\frac{1}{2}, 1\right) @ [0.5, 1)
(-\infty,2)\cup(3,\infty) @ (3,\infty) \cup (-\infty, 2)
\mathbb{R} @ (-\infty,\infty)
\emptyset @ \varnothing
\begin{bmatrix}\frac12&2\\3&4\end{bmatrix} @ \begin{pmatrix} 0.5&2 \\ 3&4 \end{pmatrix}
10\text{ cm} @ 10
5\text{ cm}^2 @ 5 \text{ square centimeters}
36\text{ dollars} @ \$36
90^\circ @ 90
5 cm @ 5
\text{Tuesday} @ Tuesday
\text{ellipse} @ Ellipse
20\ \text{to}\ 39 @ 20 to 39
\textbf{(B)} @ B
(A) @ \text{A}
\text{no} @ No
\boxed{3} @ 3
42 @ 42
42.0 @ 42
\left( 1, 2 \right) @ (1,2)
(A) @ A
\begin{pmatrix}1\\2\end{pmatrix} @ \begin{pmatrix} 1 \\ 2 \end{pmatrix}
1\frac{1}{2} @ 1.5
\frac{\pi}{2} @ \pi/2
\text{(A)} @ A
e^{x} @ \exp(x)
\infty @ \infty
a+bi @ bi + a
11\sqrt2 @ 11\sqrt{2}
6 + 9i @ 6+9i
3\sqrt{13} @ \sqrt{117}
\frac{1}{\sqrt{2}} @ \frac{\sqrt{2}}{2}
\frac{3}{4}\text{ miles} @ 0.75
\text{Yes} @ yes
(2, \frac{\pi}{2}) @ \left(2,\frac{\pi}{2}\right)
\frac{x+2}{7} @ \frac{2+x}{7}
y^4-2y^3+7y^2+y-5 @ -5+y+7y^2-2y^3+y^4
\$36 @ 36
x<2 \text{ or } x>3 @ x>3 \text{ or } x<2
4\pi\text{ cm} @ 4\pi
2\frac12 @ 5/2
x_1 = 3 @ 3
1 1/2 @ 3/2
\{x | x > 2\} @ \{x | x > 2\}
\lfloor 3.7 \rfloor @ 3
\dfrac{3\pi}{4} @ 0.75\pi
\boxed{5} @ 5
2^{10} @ 1024
\cos 60^\circ @ \cos(60^{\circ})
\sqrt[3]{8} @ 2
(1,2)\cup(2,3)\cup[4,5] @ [4,5]\cup(1,2)\cup(2,3)
(-\infty,-1)\cup(-1,\infty) @ (-\infty, -1) \cup (-1, +\infty)
11,\! 111,\! 111,\! 100 @ 11111111100
\$32,\!348 @ 32348
1 - \frac{1}{\mathrm{e}} @ 1-e^{-1}
19, 46, and 82 @ 19, 46, \text{ and } 82
{-2021, 2021} @ \pm 2021
28 pct @ 28\%
1 000 @ 1000
12\text{ and }13 @ 13, 12
n=1, 2, 3 @ n=1,2,3
D = (0, 1) @ (0,1)
\frac{270}7\text{ degrees} @ \frac{270}{7}
-\cot x @ -\frac{\cos x}{\sin x}
5.4 @ 5.4 \text{ cents}
y = \frac{x}{2} + 3 @ y = \frac{1}{2} x + 3
\frac{x}{2} + 3 @ y = \frac{1}{2} x + 3
(3,-1), (3,-3) @ (3,-3), (3,-1)
\sqrt{2}, -\sqrt2 @ \pm\sqrt{2}
6\text{ p.m.} @ 6 \text{ p.m.}
\frac{\sqrt[3]{4}}{2} @ \frac{4^{1/3}}{2}
\frac{1}{2}\ln 2 @ \frac{\ln(2)}{2}
\ln\frac{3}{2} @ \ln 3 - \ln 2
2^{n+1}-2 @ 2(2^n-1)
\frac{n(n+1)}{2} @ \frac{n^2+n}{2}
k=3 @ 3
\frac{3}{5}+\frac{4}{5}i @ \frac{3+4i}{5}
x \neq 2 @ (-\infty,2)\cup(2,\infty)
x<-1 \text{ or } x>1 @ (-\infty,-1)\cup(1,\infty)
(-\infty, 0] @ x \le 0
30^{\circ} @ 30\text{ degrees}
\arctan 2 @ \tan^{-1}(2)
\frac{1}{4}e^{2x}+C @ \frac{e^{2x}}{4}+C
3\binom{5}{2} @ 30
\text{Friday} @ \text{friday}
x^3-3x+1=0 @ x^3 - 3x = -1
a_n = 2n+1 @ 2n+1
f(x) = x^2 @ x^{2}
P(x)=x^2-1 @ (x-1)(x+1)
1:2 @ 1 : 2
\left(\frac{3}{5}, \frac{8}{3}\right] @ (0.6, 8/3]
1.0\times 10^3 @ 1000
\cos\theta+i\sin\theta @ \cos(\theta)+i\sin(\theta)
\sqrt{x+1} @ (x+1)^{1/2}
\sqrt{5}-1 @ -1+\sqrt{5}
\frac{\sqrt{5}-1}{2} @ \frac{2}{1+\sqrt5}
0.5\% @ 0.5
1/3 @ 0.3333333
\frac{1}{2} \text{ or } 0.5 @ \frac12, \frac12
2 \mathrm{~cm} @ 2
9.8 \mathrm{~m} / \mathrm{s}^{2} @ 9.8
\text{16} @ 16
16 \text{ ways} @ 16
3(4) @ 12
2(3+4) @ 14
3(x+1) @ 3x+3
\log_2(8) @ 3
5\text{ m/s} @ 5 \text{ meters per second}
5 \text{ m}/\text{s} @ 5
8 \mathrm{~m}^{2} @ 8
2\frac{\pi}{4} @ \frac{\pi}{2}
\boldsymbol{18} @ 18
12 students @ 12
3\text{ x-intercepts} @ 3
12 eggs per day @ 12
75^\circ C @ 75
75^{\circ} \mathrm{F} @ 75^\circ F
2√3 @ 2\sqrt{3}
√(x+1) @ \sqrt{x+1}
\left[\begin{matrix}1&0\\0&1\end{matrix}\right] @ \begin{pmatrix}1&0\\0&1\end{pmatrix}
-\infty < x < 3 @ (-\infty,3)
\pi(R-r)(R+r) @ \pi(R^2-r^2)
5=x @ x=5
"""

DIFFERENT = r"""
4200 @ 42
0.42 @ 42
42\% @ 0.42
50\% @ \frac{1}{2}
42.1 @ 42
-42 @ 42
1000001 @ 1000000
41.999999 @ 42
0.0000002 @ 0.0000001
0.33 @ \frac{1}{3}
3.14 @ \pi
\frac{22}{7} @ \pi
42 + 0.0000000001 @ 42
2^{2024}+1 @ 2^{2024}
1 2 @ 12
1 1/2 @ 11/2
42\,43 @ 42
1010_2 @ 1010
1010_3 @ 1010_2
5m @ 5
42x @ 42
0=42 @ 42
42=42 @ 42
41+1=42 @ 42
2x=42 @ 42
x=0=42 @ 42
\pi=42 @ 42
\sin x = 42 @ 42
42\neq 43 @ 42
x=42, y=43 @ 42
1=0 @ x^2+1=0
0=0 @ x=1
y=5 @ x=5
x^2=4 @ x=2
x+y=2 @ x+y=1
1<2 @ x<2
x>2 @ x<2
1<x\leq 2 @ 1<x<2
[2,\infty) @ x>2
x^2+2x-1 @ (x+1)^{2}
(x+1)^3 @ (x+1)^2
|x| @ x
\sqrt{x^2} @ x
x @ y
3\sqrt{2} @ 2\sqrt{3}
\infty @ -\infty
\frac{1}{0} @ 0
\frac{0}{0} @ 42
41, 42 @ 42
1,1 @ 1
1,1,2 @ 1,2
(1,2) @ (2,1)
(1,2) @ [1,2]
(1,2] @ [1,2)
[2,1] @ [1,2]
\{1,2\} @ (2,1)
(1,2)\cup(3,4] @ (1,2)\cup(3,4)
\begin{pmatrix}1&2\end{pmatrix} @ \begin{pmatrix} 1 \\ 2 \end{pmatrix}
\begin{pmatrix}2\\1\end{pmatrix} @ \begin{pmatrix} 1 \\ 2 \end{pmatrix}
5\text{ cm} @ 5\text{ m}
5\text{ cm}^2 @ 5\text{ cm}^3
100\text{ cm} @ 1\text{ m}
42^\circ @ 42\text{ cm}
42\text{ or }43 @ 42
42\text{ million} @ 42
42\text{ is wrong, it is 43} @ 42
evil @ live
\text{no} @ on
\text{not Tuesday} @ Tuesday
\ @ 42
\frac{1}{ @ 1
nan @ 42
__import__('os') @ 42
5\% @ 0.05
x=y=42 @ 43
\{42\} \cup \{43\} @ 42
42\cup 43 @ 42
\mathbb{R} @ 42
e^{i\pi} @ 1
\frac{1}{3} @ 0.3
0.5 @ 0.50001
1/0 @ 42
i @ 1
\frac{1}{2004!} @ \frac{1}{2006!}
\frac{1}{2^{99}} @ \frac{1}{2^{98}}
32, 349 @ 32349
\pm 2021 @ 2021
12:00 @ 1:00
D=(0,1.5) @ D=(0,1)
\tfrac{1}{2} + \frac1{72} @ \frac{1}{2} + 2/3
5x - 7y + 11z + 4 = 0 @ x + y - z + 2 = 0
10, 4, 2 @ 4, 12, 2
x^2+1=0 @ x^2+2=0
0 @ x
\frac{3}{0.0} @ 0
(3,-1), (3,3) @ (3,-3), (3,-1)
3(4) @ 7
3\binom{5}{2} @ 13
5\text{ m/s} @ 5 \text{ m/s}^2
5 \text{ m}/\text{s} @ 5\text{ m}
0 @ \pi(R^2-r^2)
1 @ \frac{R}{r}
x<\infty @ \emptyset
x^2+1<0 @ \emptyset
x^2+1>0 @ \emptyset
x^2-5x+6<0 @ (2,3)
x^2-5x+6>0 @ (-\infty,2)\cup(3,\infty)
3x-1\geq 5 @ x\geq 2
3x+2=17 @ x=5
3\mathrm{e} @ 3
3\text{i} @ 3
3\text{x} @ 3
4\text{2} @ 4
5\text{ /2} @ 5
5\text{-3} @ 5
5\text{e3} @ 5
5\text{ squared} @ 5
5\text{ thousands} @ 5
5 millions @ 5
5 factorial @ 5
5 feet 3 inches @ 5
75^\circ F @ 75^\circ C
"""


def pairs(table):
    return [tuple(line.split(" @ ")) for line in table.strip().splitlines()]


@pytest.mark.parametrize(("answer", "truth"), pairs(EQUAL))
def test_equal(answer, truth):
    assert equivalent(truth, answer).equal
    assert equivalent(truth, truth).equal


@pytest.mark.parametrize(("answer", "truth"), pairs(DIFFERENT))
def test_different(answer, truth):
    assert not equivalent(truth, answer).equal


@pytest.mark.parametrize("answer", ["", " ", "$$", r"\text{}"])
def test_nothing_equals_nothing(answer):
    assert not equivalent("42", answer).equal
    assert not equivalent(answer, answer).equal


numbers = st.fractions(-10**6, 10**6, max_denominator=10**4)
spellings = st.sampled_from([
    lambda n: str(n),
    lambda n: rf"\frac{{{n.numerator}}}{{{n.denominator}}}",
    lambda n: rf"\dfrac{{{2 * n.numerator}}}{{{2 * n.denominator}}}",
    lambda n: rf"x = {n}",
    lambda n: rf"${n}$",
    lambda n: rf"{n}\text{{ cm}}",
    lambda n: rf"\left({n}\right)",
])


@given(numbers, spellings, spellings)
def test_a_number_equals_itself_in_any_spelling(number, spell, other):
    assert equivalent(spell(number), other(number)).equal


@given(numbers, numbers, spellings)
def test_two_numbers_are_equal_only_if_they_are_the_same(number, other, spell):
    assert equivalent(str(number), spell(other)).equal == (number == other)


@given(numbers.filter(bool), st.sampled_from([100, 10, 1000, -1, 60]))
def test_no_factor_is_forgiven(number, factor):
    assert not equivalent(str(number), str(number * factor)).equal
    assert not equivalent(str(number), str(number / factor)).equal


@given(st.lists(st.integers(-99, 99), min_size=2, max_size=5, unique=True), st.randoms(use_true_random=False))
def test_order_matters_in_tuples_and_not_in_sets(values, rng):
    mixed = rng.sample(values, len(values))

    def text(items):
        return ", ".join(map(str, items))

    assert equivalent(rf"\{{{text(values)}\}}", text(mixed)).equal
    assert equivalent(f"({text(values)})", f"({text(mixed)})").equal == (values == mixed)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-9, 9), min_size=2, max_size=4), st.integers(1, 5))
def test_a_product_equals_its_expansion_and_nothing_near_it(roots, shift):
    product = "".join(f"(x-({root}))" for root in roots)
    coefficients = [1]
    for root in roots:
        coefficients = [a - root * b for a, b in zip([*coefficients, 0], [0, *coefficients], strict=True)]
    expansion = "+".join(f"({c})x^{{{len(roots) - i}}}" for i, c in enumerate(coefficients))
    assert equivalent(product, expansion).equal
    assert not equivalent(product, f"{expansion}+{shift}").equal


@settings(deadline=None)
@given(st.text("0123456789x^{}()[]!\\+-*=<>,|$%. binomfracsqrttextpi", max_size=40))
def test_judging_never_raises(text):
    assert isinstance(equivalent("x^2+1", text).equal, bool)
    assert isinstance(equivalent("42", text).equal, bool)


BOMBS = [
    r"9^{9^{9^9}}", r"9^9^9^9", r"(1+x)^{100000}", r"((9^{9999})^{9999})^{9999}", r"10^{999999999}",
    r"9^\frac{9^{9^9}}{1}", r"(999999!)!", r"9999999!", r"2^{9999!}", r"\binom{10^9}{10^8}", r"\binom{1000000}{500000}",
    r"\binom{x}{1000}", r"\sum_{i=1}^{10000000} \frac{1}{i^3+1}", r"\prod_{i=1}^{99999} (x+i)",
    r"\int_0^1 e^{x^2} \sin(x) dx", "(" * 60 + "1" + ")" * 60, "(x+1)^{99}(y+1)^{99}(z+1)^{99}", "x" * 5000, "|x" * 60,
    r"e^{e^{e^{9}}}", r"\Gamma(10^9)", r"\cup".join(f"({i},{i + 1})" for i in range(60)), "7" * 10**7
]  # yapf: disable


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("truth", ["42", "x+1"])
def test_what_would_never_end_is_refused_at_once(bomb, truth):
    equivalent("x^2", "x^2+1")  # SymPy is there
    with computes_within(0.5):
        assert equivalent(truth, bomb).refused


@pytest.mark.parametrize("formula", [
    r"\frac{-b \pm \sqrt{b^2-4ac}}{2a}", "2^{2024}", "x^{2024}+1", "e^{x^{2}}", "2024!", r"\binom{20}{10}",
    "2^3 \\cdot 3^2 \\cdot 5^{4}", r"x^{12}+x^{11}+x^{10}+x^{9}+x^{8}", r"(x+1)^{12}(x-1)^{3}",
    r"\sin^{2}(x)+\cos^{2}(x)", r"3.5 \times 10^{-12}", r"90^\circ", "n!",
    r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "f^{-1}(x)", r"|x-1|+|x-2|", r"\Gamma(\frac{1}{2})",
    r"(1,2)\cup(2,3)\cup(3,4)"
])  # yapf: disable
def test_ordinary_answers_are_not_refused(formula):
    assert too_complex(formula) == ""


@given(st.text("0123456789x^{}()[]!\\+-*|. binomfracGamma", max_size=60))
def test_guard_never_raises(text):
    assert isinstance(too_complex(text), str)


def test_works_in_a_thread():
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(equivalent(r"\frac{x}{2}", r"\frac{2x}{4}").equal))
    thread.start()
    thread.join()
    assert verdicts == [True]


def test_importing_the_judge_takes_no_algebra_along_and_algebra_says_nothing():
    code = (
        "import sys, json; from reward_score.equivalence.judging import equivalent; light = 'sympy' not in sys.modules;"
        "print(json.dumps([light, equivalent('x+1', '1+x').equal]))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [True, True]
    assert done.stderr == ""
