"""Floors: the promises of a run as ratios beside a peer of the same run. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Floor:
    """One promise: `value` must reach `bound` (or stay below it). NaN means not measured."""

    name: str
    value: float
    bound: float
    at_most: bool = False
    unit: str = "x"
    detail: str = ""

    @property
    def is_met(self) -> bool:
        """True when the promise is kept; a value that was not measured keeps nothing."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    @property
    def verdict(self) -> str:
        """PASS, MISS, or `not measured`."""
        if self.value != self.value:
            return "not measured"
        return "PASS" if self.is_met else "MISS"

    def __str__(self) -> str:
        sign = "<=" if self.at_most else ">="
        line = f"{self.verdict}  {self.name}: {self.value:.3g} {self.unit}"
        line += f" (promised {sign} {self.bound:g} {self.unit})"
        return f"{line}  {self.detail}" if self.detail else line


def search_floors(
    *, ours_per_s: float, ours_p50_ms: float, peer_per_s: float, peer_p50_ms: float, detail: str
) -> list[Floor]:
    """Vector search over gRPC beside hnswlib in-process at the same recall."""
    return [
        Floor("searches/s, 8 in flight, beside hnswlib", ours_per_s / peer_per_s, 0.55,
              detail=f"{ours_per_s:.0f}/s against {peer_per_s:.0f}/s, {detail}"),
        Floor("p50 one at a time, above hnswlib's", ours_p50_ms - peer_p50_ms, 0.5, at_most=True,
              unit="ms", detail=f"{ours_p50_ms:.3f} against {peer_p50_ms:.3f} ms"),
    ]  # fmt: skip


def import_floors(*, raw_per_s: float, client_per_s: float, peer_per_s: float) -> list[Floor]:
    """Imports until indexed beside hnswlib's build with two threads."""
    against = f"/s against {peer_per_s:.0f}/s"
    return [
        Floor("import by BatchObjects", raw_per_s / peer_per_s, 0.5,
              detail=f"{raw_per_s:.0f}{against}"),
        Floor("import by the official client", client_per_s / peer_per_s, 0.35,
              detail=f"{client_per_s:.0f}{against}"),
    ]  # fmt: skip


def memory_floor(resident_bytes: int, raw_bytes: int) -> Floor:
    """Resident memory beside the raw vectors."""
    detail = f"{resident_bytes / 2**20:.0f} MiB for {raw_bytes / 2**20:.0f} MiB of vectors"
    return Floor("memory", resident_bytes / raw_bytes, 5.0, at_most=True, detail=detail)


def restart_floor(seconds: float, objects: int, *, is_right: bool, when: str) -> Floor:
    """The way back after SIGKILL, until searches give right answers."""
    value = seconds if is_right else float("inf")
    detail = f"{objects:,} objects" + ("" if is_right else ", and the answers were wrong")
    return Floor(
        f"restart after SIGKILL, {when}", value, 2.0, at_most=True, unit="s", detail=detail
    )


def text_floors(*, keyword_per_s: float, hybrid_per_s: float, peer_per_s: float) -> list[Floor]:
    """Keyword and hybrid search over gRPC beside tantivy in-process."""
    against = f"/s against {peer_per_s:.0f}/s"
    return [
        Floor("BM25 with 5 terms, 8 in flight, beside tantivy", keyword_per_s / peer_per_s, 0.45,
              detail=f"{keyword_per_s:.0f}{against}"),
        Floor("hybrid, 8 in flight, beside tantivy", hybrid_per_s / peer_per_s, 0.2,
              detail=f"{hybrid_per_s:.0f}{against}"),
    ]  # fmt: skip
