"""A verdict as one self-contained HTML page: a timeline a partition, and the order that was found."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from reagents.testing.history import timeline
from reagents.testing.verdict import Part, Verdict

_EVENT = 34  # pixels an event, at least
_DRAWING = 4000  # pixels that a drawing may be wide to make room for the texts
_LETTER = 7.3  # pixels a letter of the drawing's font
_LANE = 34  # pixels a client
_MARGIN = 110  # room for the names of the clients

_STYLE = """
:root { --ink: #1b1f24; --soft: #59636e; --paper: #fff; --line: #d1d9e0; --placed: #dafbe1; --placed-line: #1a7f37;
  --stuck: #ffd7d5; --stuck-line: #cf222e; --rest: #eff2f5; --rest-line: #818b98; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --paper: #0d1117; --line: #3d444d;
  --placed: #12361f; --placed-line: #3fb950; --stuck: #4c1512; --stuck-line: #f85149; --rest: #262c36;
  --rest-line: #656c76; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
svg { display: block; font: 12px ui-monospace, monospace; }
svg text { fill: var(--ink); } svg .lane { stroke: var(--line); }
.placed { fill: var(--placed); stroke: var(--placed-line); } .stuck { fill: var(--stuck); stroke: var(--stuck-line); }
.rest { fill: var(--rest); stroke: var(--rest-line); } .pending { stroke-dasharray: 4 3; }
table { border-collapse: collapse; font: 13px ui-monospace, monospace; } td, th { text-align: left;
  padding: .15rem 1rem .15rem 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 600; } tr.stuck td { color: var(--stuck-line); } .soft { color: var(--soft); }
"""


def render(verdict: Verdict) -> str:
    """The whole page."""
    body = "\n".join(_part(verdict, part) for part in verdict.parts)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(verdict.headline)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(verdict.headline)}</h1>
<p class="soft">A box is an operation from its call to its return; the axis is the order of events, not their distance.
Green: its place in the order that was found. Red: nothing can come next, though one of these must.
Grey: not reached, or never took effect. A dashed box never returned.</p>
{body}
</body>
</html>
"""


def _part(verdict: Verdict, part: Part) -> str:
    heading = "" if part.key is None else f"<h2>Partition {escape(repr(part.key))}</h2>"
    return f'{heading}\n<div class="scroll">{_drawing(verdict, part)}</div>\n{_order(verdict, part)}'


def _drawing(verdict: Verdict, part: Part) -> str:
    times = timeline(part.operations)
    events = sum(1 if ret is None else 2 for _, ret in times)
    clients = dict.fromkeys(op.client for op in part.operations)
    lanes = {client: lane for lane, client in enumerate(clients)}
    labels = [f"{mark}: {op.text}" if mark else op.text for op, mark in zip(part.operations, part.marks(), strict=True)]
    # The shortest boxes decide how wide an event is, as far as that goes. A text that is still longer than its box
    # is cut off there, and whole in the tooltip.
    spans = [(events if ret is None else ret) - call + 0.5 for call, ret in times]
    wanted = max(((len(label) * _LETTER + 16) / span for label, span in zip(labels, spans, strict=True)), default=0)
    event = max(_EVENT, int(min(wanted, _DRAWING / max(events, 1))))
    width, height = _MARGIN + (events + 1) * event, len(clients) * _LANE + 16
    drawn = [f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">']
    for client, lane in lanes.items():
        middle = 8 + lane * _LANE + _LANE // 2
        drawn.append(f'<line class="lane" x1="{_MARGIN}" y1="{middle}" x2="{width}" y2="{middle}"/>')
        drawn.append(f'<text x="10" y="{middle + 4}">client {escape(str(client))}</text>')
    shapes = zip(part.operations, part.marks(), labels, times, spans, strict=True)
    for number, (op, mark, label, (call, ret), span) in enumerate(shapes):
        kind = ("rest" if verdict.ok else "stuck") if mark == "!" else "placed" if mark else "rest"
        left = _MARGIN + call * event
        box = int(span * event)
        top = 8 + lanes[op.client] * _LANE + 4
        dashed = " pending" if ret is None else ""
        drawn.append(
            f"<g><title>{escape(f'operation {number}, {op}, from {op.call} to {op.ret}')}</title>"
            f'<svg x="{left}" y="{top}" width="{box}" height="{_LANE - 8}">'
            f'<rect class="{kind}{dashed}" x="1" y="1" width="{box - 2}" height="{_LANE - 10}" rx="4"/>'
            f'<text x="6" y="17">{escape(label)}</text></svg></g>'
        )
    drawn.append("</svg>")
    return "\n".join(drawn)


def _order(verdict: Verdict, part: Part) -> str:
    what = "The order" if verdict.ok else "The longest part that could be put in order"
    states = part.states()
    rows = [_row("", ("", "initially", repr(states[0])))]
    for place, (number, state) in enumerate(zip(part.order, states[1:], strict=True), 1):
        rows.append(_row("", (str(place), str(part.operations[number]), repr(state))))
    for number, answer, fits in [] if verdict.ok else part.refused():
        why = "not tried yet" if fits else f"cannot come next: the specification answers {answer}"
        rows.append(_row("stuck", ("!", str(part.operations[number]), why)))
    return (
        f"<h2>{what}</h2>\n<table><thead><tr><th></th><th>operation</th><th>state after it</th></tr></thead>"
        f"<tbody>\n{''.join(rows)}</tbody></table>"
    )


def _row(kind: str, cells: Iterable[str]) -> str:
    return f'<tr class="{kind}">{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>\n'
