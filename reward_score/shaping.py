"""From a score to the reward that training maximises: scale and bias, credit for the format, overlong penalty."""

from dataclasses import dataclass

XML_FORMAT_BONUS = 0.1  # of a wrong answer in the asked format
_TAGS = ("<think>", "</think>", "<answer>", "</answer>")


@dataclass(frozen=True)
class OverlongPenalty:
    """Soft overlong punishment (DAPO, arXiv:2503.14476, eq. 13).

    Attributes:
        max_length: tokens at which the penalty is full.
        buffer: tokens before it over which the penalty grows from 0.
        factor: the full penalty.
    """

    max_length: int
    buffer: int
    factor: float = 1.0

    def __call__(self, length: int) -> float:
        """What to add to the reward of a response of `length` tokens; at most 0."""
        exceeded = length - (self.max_length - self.buffer)
        return -min(max(exceeded, 0) / self.buffer, 1.0) * self.factor


@dataclass(frozen=True)
class Shaping:
    """reward = (score + format bonus - bias) * scaling + overlong penalty.

    Attributes:
        scaling, bias: AReaL's; a score in {0, 1} becomes -5 or 5 with scaling 10 and bias 0.5, one in {-1, 1}
            becomes 0 or 1 with scaling 0.5 and bias -1.
        check_xml_format: a score of 0 becomes XML_FORMAT_BONUS where the response has the asked form (`xml_format`).
        overlong: None: no penalty.
    """

    scaling: float = 1.0
    bias: float = 0.0
    check_xml_format: bool = False
    overlong: OverlongPenalty | None = None

    def __call__(self, score: float, acc: float, response: str, length: int) -> float:
        """The reward of a response of `length` tokens."""
        if self.check_xml_format and score == acc == 0 and xml_format(response):
            score += XML_FORMAT_BONUS
        return (score - self.bias) * self.scaling + (self.overlong(length) if self.overlong else 0.0)


def xml_format(response: str) -> bool:
    """Whether a response is one thinking block and one answer, `<think>...</think><answer>...</answer>`, and nothing
    else. The opening `<think>` may be missing, since chat templates put it into the prompt.
    """
    thinking, _, rest = response.strip().removeprefix("<think>").partition("</think>")
    rest = rest.strip()
    if not (rest.startswith("<answer>") and rest.endswith("</answer>")):
        return False
    answer = rest.removeprefix("<answer>").removesuffix("</answer>")
    return not any(tag in thinking or tag in answer for tag in _TAGS)
