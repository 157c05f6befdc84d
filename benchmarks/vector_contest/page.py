"""Page: a contest as tables to read, numbers to compare and curves to look at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.floors import Floor
from benchmarks.report import FOLDER, as_plain

from .contest import RECALLS, Entry
from .curve import best_at
from .engines import EF_CONSTRUCTION, GRAPHS, LINKS, OURS, UNLISTED, M

PLOT_BYTES_MAX = 300_000
Contests = Mapping[str, Sequence[Entry]]


class PlotTooBig(Exception):
    """The plot would not fit into the repository."""


def write_contest(
    name: str,
    contests: Contests,
    floors: Sequence[Floor],
    machine: Mapping[str, str],
    folder: Path = FOLDER,
) -> Path:
    """Write `<name>.md`, `.json` and `.svg`; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": dict(machine), "contests": as_plain(dict(contests)),
        "floors": as_plain(list(floors)),
    }  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(content) + "\n", encoding="utf-8")
    draw(folder / f"{name}.svg", contests)
    lines = [f"# Vector index beside its peers: {name}", "", f"![recall and rate]({name}.svg)", ""]
    lines += [
        f"k 10, M {M} (our `maxConnections` {LINKS}), efConstruction {EF_CONSTRUCTION}; batched "
        "searches, best of interleaved rounds; memory is what the process grew by.",
        "",
        *floor_lines(floors),
    ]
    for data, entries in contests.items():
        lines += [f"## {data}", "", *summary_lines(entries), "", *point_lines(entries), ""]
    lines += ["## Machine", "", "| what | which |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in machine.items()]
    page = folder / f"{name}.md"
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return page


def floor_lines(floors: Sequence[Floor]) -> list[str]:
    """The promises as a table."""
    lines = ["## Promises", "", "| verdict | promise | value | bound | numbers |"]
    lines.append("|---|---|---:|---:|---|")
    for floor in floors:
        sign = "≤" if floor.at_most else "≥"
        lines.append(
            f"| {floor.verdict} | {floor.name} | {floor.value:.3g} {floor.unit} "
            f"| {sign} {floor.bound:g} | {floor.detail} |"
        )
    return [*lines, ""]


def summary_lines(entries: Sequence[Entry]) -> list[str]:
    """Builds, memory, opening, and rates at the wanted recalls, an engine a line."""
    heads = [f"{recall}, {threads} thr." for recall in RECALLS for threads in (1, 2)]
    lines = [
        f"| engine | build, 2 thr. | build, 1 thr. | built | memory | file | open | "
        f"{' | '.join(heads)} |",
        "|---|---:|---:|---|---:|---:|---:|" + "---:|" * len(heads),
    ]
    for entry in entries:
        cells = [entry.name + (" ¹" if entry.name in UNLISTED else "")]
        for build in (entry.build_two, entry.build_one):
            cells.append("" if build is None else f"{build.seconds:.1f} s, {build.rows:,}")
        cells += [entry.built_on, f"{entry.memory_bytes / 1e6:,.0f} MB"]
        cells.append(f"{entry.file_bytes / 1e6:,.0f} MB")
        cells.append("" if entry.open_s is None else f"{entry.open_s:.2f} s")
        for recall in RECALLS:
            for threads in (1, 2):
                found = best_at(entry.points, recall, threads=threads)
                cells.append("not reached" if found is None else f"{found[0]:,.0f}/s")
        lines.append(f"| {' | '.join(cells)} |")
        if entry.failure:
            lines.append(f"| | failed: {entry.failure} |")
    if any(entry.name in UNLISTED for entry in entries):
        lines += ["", "¹ keeps codes and originals; shown, not among the named peers."]
    return lines


def point_lines(entries: Sequence[Entry]) -> list[str]:
    """Every measured point: knob, recall, searches per second."""
    lines = [
        "| engine | ef or nprobe: recall, searches/s with one thread (with two) |",
        "|---|---|",
    ]
    for entry in entries:
        cells = []
        for point in entry.points:
            two = "" if point.two_per_s is None else f" ({point.two_per_s:,.0f})"
            cells.append(f"{point.knob}: {point.recall:.4f}, {point.one_per_s:,.0f}{two}")
        lines.append(f"| {entry.name} | {' · '.join(cells)} |")
    return lines


def draw(path: Path, contests: Contests) -> None:
    """Recall against searches per second, one panel a dataset. Raises PlotTooBig."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.fonttype"] = "none"
    columns = min(2, len(contests))
    rows = (len(contests) + columns - 1) // columns
    figure, panels = pyplot.subplots(
        rows, columns, figsize=(6 * columns, 4.2 * rows), squeeze=False
    )
    for panel in panels.flat[len(contests) :]:
        panel.set_visible(False)
    for panel, (data, entries) in zip(panels.flat, contests.items(), strict=False):
        for entry in entries:
            points = [item for item in entry.points if item.recall >= 0.7]
            is_ours = entry.name.startswith(OURS)
            panel.plot(
                [item.recall for item in points], [item.one_per_s for item in points],
                marker="o", markersize=3, label=entry.name, linewidth=2.2 if is_ours else 1.0,
                linestyle="-" if entry.name in GRAPHS or is_ours else "--",
            )  # fmt: skip
        panel.set(yscale="log", title=data, xlabel="recall@10", ylabel="searches/s, one thread")
        panel.grid(visible=True, which="both", alpha=0.3)
    panels.flat[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
    if path.stat().st_size > PLOT_BYTES_MAX:
        raise PlotTooBig(f"{path}: {path.stat().st_size} bytes")
