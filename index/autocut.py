"""Autocut: where does a ranking stop being good? At the jumps in its distances or scores."""

from __future__ import annotations

from collections.abc import Sequence


def autocut(values: Sequence[float], jumps: int) -> int:
    """How many of the first hits to keep: those before the jump number `jumps` (from 1).

    The values are stretched to 0..1 from first to last, the straight line between the two is taken
    off, and a jump is a local maximum of what is left. With fewer jumps everything stays.
    """
    assert jumps > 0, jumps
    count = len(values)
    if count < 2 or values[-1] == values[0]:
        return count
    span = values[-1] - values[0]
    above = [(value - values[0]) / span - at / (count - 1) for at, value in enumerate(values)]
    seen = 0
    for at in range(1, count):
        if _is_jump(above, at):
            seen += 1
            if seen == jumps:
                return at
    return count


def _is_jump(above: Sequence[float], at: int) -> bool:
    if above[at] <= above[at - 1]:
        return False
    if at + 1 < len(above):
        return above[at] > above[at + 1]
    return at >= 2 and above[at] > above[at - 2]
