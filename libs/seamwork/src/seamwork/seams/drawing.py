"""Draw a flow: as SVG, level by level from whoever begins, and as Mermaid."""

from html import escape

from seamwork.seams.page import Drawing
from seamwork.seams.topology import Line, Topology

_WIDE, _HIGH, _GAP_X, _GAP_Y, _EDGE = 150, 40, 40, 70, 20
_LETTER = 9  # pixels of one at 14 px, the widest ones of a name among them


def drawing(topology: Topology) -> Drawing:
    """Draw the ways of work; a line along which work is given away is thick."""
    return Drawing(
        f"{topology.flow}: work goes down; a thick line gives it away for good",
        _svg(topology),
        _mermaid(topology),
    )


def _levels(topology: Topology) -> list[list[str]]:
    """Put each agent one level below whoever first hands it work."""
    left = {*topology.agents, *topology.begins}
    levels: list[list[str]] = []
    level = sorted(topology.begins)
    while level:
        levels.append(level)
        left -= set(level)
        level = sorted({line.target for line in topology.lines if line.source in level} & left)
    return [*levels, sorted(left)] if left else levels


def _svg(topology: Topology) -> str:
    levels = _levels(topology)
    # A name has up to 41 letters, and must not run into the box beside it.
    wide = max(_WIDE, _GAP_X // 2 + _LETTER * max(len(name) for level in levels for name in level))
    widest = max(len(level) for level in levels)
    width = widest * (wide + _GAP_X) - _GAP_X + 2 * _EDGE
    height = len(levels) * (_HIGH + _GAP_Y) - _GAP_Y + 2 * _EDGE
    at: dict[str, tuple[int, int]] = {}
    for depth, level in enumerate(levels):
        row = len(level) * (wide + _GAP_X) - _GAP_X
        for place, name in enumerate(level):
            at[name] = ((width - row) // 2 + place * (wide + _GAP_X), _EDGE + depth * (_HIGH + _GAP_Y))
    parts = [
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"',
        f' aria-label="{escape(_told(topology))}">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"',
        ' markerUnits="userSpaceOnUse"><path d="M0 0 8 4 0 8z"/></marker></defs>',
        *(_way(line, at, wide) for line in topology.lines),
    ]
    for name, (x, y) in at.items():
        kind = ' class="begins"' if name in topology.begins else ""
        parts.append(
            f'<g{kind}><rect x="{x}" y="{y}" width="{wide}" height="{_HIGH}" rx="8"/>'
            f'<text x="{x + wide // 2}" y="{y + _HIGH // 2 + 5}" text-anchor="middle">{escape(name)}</text></g>'
        )
    return "".join([*parts, "</svg>"])


def _way(line: Line, at: dict[str, tuple[int, int]], wide: int) -> str:
    (x1, y1), (x2, y2) = at[line.source], at[line.target]
    middle = wide // 2
    if y1 < y2:  # down
        ends = f"M{x1 + middle} {y1 + _HIGH} L{x2 + middle} {y2}"
    elif y1 > y2:  # back up, past the boxes between
        ends = f"M{x1 + middle} {y1} Q{min(x1, x2) - _GAP_X // 2} {(y1 + y2) // 2} {x2} {y2 + _HIGH // 2}"
    elif line.source == line.target:
        ends = f"M{x1 + wide} {y1 + 10} q{_GAP_X} 10 0 20"
    else:  # sideways, below the boxes
        bend = y1 + _HIGH + _GAP_Y // 2
        ends = f"M{x1 + middle} {y1 + _HIGH} Q{(x1 + x2) // 2 + middle} {bend} {x2 + middle} {y2 + _HIGH}"
    kind = ' class="transfers"' if line.transfers else ""
    return f'<path{kind} d="{ends}" marker-end="url(#tip)"><title>{escape(line.contract)}</title></path>'


def _mermaid(topology: Topology) -> str:
    names = {name: f"n{number}" for number, name in enumerate((*topology.begins, *topology.agents))}
    lines = ["flowchart TD"]
    lines += [f'  {ident}["{name}"]' for name, ident in names.items()]
    for line in topology.lines:
        arrow = "==>" if line.transfers else "-->"
        lines.append(f'  {names[line.source]} {arrow}|"{line.contract}"| {names[line.target]}')
    return "\n".join(lines)


def _told(topology: Topology) -> str:
    ways = "; ".join(f"{line.source} to {line.target} under {line.contract}" for line in topology.lines)
    return f"{topology.flow}: {ways}"
