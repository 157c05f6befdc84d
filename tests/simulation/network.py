"""Network: carries messages late, twice, in another order, or never.

A link is one direction between two nodes; so a partition may be one-way. A message to a node whose
process is dead is refused at once, as by a machine whose port is closed; a cut link stays silent.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from .events import Events

USUAL_S_MAX = 0.2
"""No message takes longer over a link that is not slow."""
LATE_S_MAX = 20.0
"""No message is older when it arrives: connections break before that."""
Link: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Weather:
    """How the network is on ordinary days. Delays are log-normal around `delay_s`."""

    delay_s: float = 0.002
    spread: float = 0.5
    """Of the logarithm of the delay: 0.5 is a local network, 1.5 reorders wildly."""
    loss: float = 0.0
    duplication: float = 0.0

    def calmed(self) -> Weather:
        """The same without loss."""
        return replace(self, loss=0.0)

    def __post_init__(self) -> None:
        assert self.delay_s > 0, self
        assert 0 <= self.loss < 1, self
        assert 0 <= self.duplication < 1, self


@dataclass(slots=True)
class Traffic:
    """What was carried."""

    sent: int = 0
    lost: int = 0
    cut: int = 0
    twice: int = 0


@dataclass(slots=True)
class Network:
    """All links between the nodes of a cluster."""

    events: Events
    dice: random.Random
    weather: Weather
    cut: dict[Link, int] = field(default_factory=dict)
    """How many partitions cut a link at present."""
    slow: dict[Link, float] = field(default_factory=dict)
    """Times the usual delay."""
    lossy: dict[Link, float] = field(default_factory=dict)
    """Probability of loss, in the place of the ordinary one."""
    traffic: Traffic = field(default_factory=Traffic)

    def carry(self, source: str, target: str, deliver: Callable[[], None]) -> None:
        """Send one message; `deliver` is called where and as often as it arrives."""
        self.traffic.sent += 1
        link = (source, target)
        if self.cut.get(link):
            self.traffic.cut += 1
            return
        if source != target and self.dice.random() < self.lossy.get(link, self.weather.loss):
            self.traffic.lost += 1
            return
        self.events.after(self._delay(link), deliver)
        if source != target and self.dice.random() < self.weather.duplication:
            self.traffic.twice += 1
            self.events.after(self._delay(link), deliver)

    def block(self, links: list[Link]) -> None:
        """Cut links; a link may be cut by several partitions at once."""
        for link in links:
            self.cut[link] = self.cut.get(link, 0) + 1

    def unblock(self, links: list[Link]) -> None:
        """Take one partition off each link."""
        for link in links:
            assert self.cut.get(link), f"{link} is not cut"
            self.cut[link] -= 1

    def _delay(self, link: Link) -> float:
        if link[0] == link[1]:
            return 0.0
        delay = self.weather.delay_s * self.dice.lognormvariate(0.0, self.weather.spread)
        delay = min(delay, USUAL_S_MAX)
        return min(delay * self.slow.get(link, 1.0), LATE_S_MAX)
