"""Charts as SVG: plain functions from numbers to markup, without styles or scripts.

Colours come from the classes that the style sheet defines, so that one drawing serves light and
dark. Lengths are in pixels of the drawing, whose width the caller gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from math import ceil, floor, log10

from markupsafe import Markup, escape

LETTER, LINE = 7.2, 13
BAR, GAP = 18, 10
PLOT_HEIGHT = 200
HEAT_STEPS = 7
SERIES_COLOURS = 8

Number = int | float | Decimal
Shown = Callable[[Number], str]


@dataclass(frozen=True)
class Drawing:
    """What every chart is told: an id that the page uses once, its words, and its width."""

    key: str
    title: str
    description: str
    width: int


@dataclass(frozen=True)
class Series:
    """One colour of a chart: its name, and a value per position; None where there is none."""

    name: str
    values: Sequence[Number | None]


def nice_ticks(most: Number, about: int = 4) -> list[float]:
    """Round numbers from 0 to at least `most`, in steps of 1, 2 or 5 times a power of ten."""
    most = float(most)
    if most <= 0:
        return [0.0, 1.0]
    rough = most / about
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    ticks = [0.0]
    while ticks[-1] < most * 0.999999:
        ticks.append(round(ticks[-1] + step, 10))
    return ticks


def cut(text: str, width: float) -> str:
    """The text, shortened with an ellipsis to what fits into the width."""
    room = max(2, int(width / LETTER))
    return text if len(text) <= room else text[: room - 1] + "…"


def bar(drawing: Drawing, labels: Sequence[str], values: Sequence[Number], shown: Shown) -> Markup:
    """Horizontal bars from a common zero, each with its value, and its label beside or above it."""
    room = _label_room(labels, drawing.width)
    is_above = _longest(labels) * LETTER > room - 8
    left = 1.0 if is_above else room
    above = LINE + 2 if is_above else 0
    right = _longest([shown(value) for value in values]) * LETTER + 8
    ticks = nice_ticks(max(values, default=0))
    plot = drawing.width - left - right
    bottom = len(labels) * (BAR + GAP + above)
    parts = []
    for tick in ticks:
        x = left + plot * tick / ticks[-1]
        parts.append(_line(x, 0, x, bottom, "axis" if tick == 0 else "grid"))
        if drawing.width > 400 or tick in (ticks[0], ticks[-1]):
            anchor = "start" if is_above and tick == 0 else "middle"
            parts.append(_text(x, bottom + LINE, _tick(tick, shown), "tick", anchor))
    for index, (label, value) in enumerate(zip(labels, values, strict=True)):
        y = index * (BAR + GAP + above) + GAP / 2 + above
        length = plot * max(0.0, float(value)) / ticks[-1]
        if is_above:
            words = cut(label, drawing.width)
            parts.append(_text(left + 4, y - 4, words, "label", full=label))
        else:
            parts.append(_text(left - 8, y + BAR - 5, label, "label", "end"))
        parts.append(_rectangle(left, y, length, BAR, "series-1", f"{label}: {shown(value)}"))
        parts.append(_text(left + length + 6, y + BAR - 5, shown(value), "value"))
    return _svg(drawing, bottom + LINE + 6, parts)


def funnel(
    drawing: Drawing, labels: Sequence[str], values: Sequence[Number], rates: Sequence[str]
) -> Markup:
    """Steps from the widest to what is left of it, with the share that went on in between."""
    left = _label_room(labels, drawing.width)
    plot = drawing.width - left - 8
    most = max((float(value) for value in values), default=0.0) or 1.0
    tall, between = 34, 26
    parts = []
    widths = [max(2.0, plot * float(value) / most) for value in values]
    for index, (label, value) in enumerate(zip(labels, values, strict=True)):
        y = index * (tall + between)
        x = left + (plot - widths[index]) / 2
        if index:
            above = left + (plot - widths[index - 1]) / 2
            corners = [
                (above, y - between),
                (above + widths[index - 1], y - between),
                (x + widths[index], y),
                (x, y),
            ]
            points = " ".join(f"{_round(across)},{_round(down)}" for across, down in corners)
            parts.append(Markup('<polygon class="passage" points="{}"/>').format(points))
            parts.append(
                _text(left + plot / 2, y - between / 2 + 4, rates[index], "rate", "middle")
            )
        parts.append(_text(left - 8, y + tall / 2 + 4, cut(label, left - 8), "label", "end"))
        parts.append(_rectangle(x, y, widths[index], tall, "series-1", f"{label}: {value:,}"))
        inside = widths[index] > len(f"{value:,}") * LETTER + 16
        parts.append(
            _text(left + plot / 2, y + tall / 2 + 4, f"{value:,}", "on-bar", "middle")
            if inside
            else _text(x + widths[index] + 6, y + tall / 2 + 4, f"{value:,}", "value")
        )
    return _svg(drawing, len(labels) * (tall + between) - between + 2, parts)


def stacked_bar(
    drawing: Drawing, labels: Sequence[str], series: Sequence[Series], shown: Shown
) -> Markup:
    """Upright bars, one per label, each a stack of its series from the first at the bottom."""
    totals = [sum(float(one.values[index] or 0) for one in series) for index in range(len(labels))]
    frame = _Frame(drawing, nice_ticks(max(totals, default=0)), shown, labels)
    parts = frame.axes()
    slot = frame.plot / max(1, len(labels))
    wide = min(slot * 0.72, 56)
    for index, label in enumerate(labels):
        x, height = frame.left + slot * (index + 0.5) - wide / 2, 0.0
        for number, one in enumerate(series):
            value = one.values[index]
            if value:
                tall = frame.height(value)
                y = PLOT_HEIGHT - height - tall
                words = f"{label}, {one.name}: {shown(value)}"
                parts.append(_rectangle(x, y, wide, tall, _colour(number), words))
                height += tall
    parts += frame.labels(labels, slot)
    return _svg(drawing, frame.bottom, parts, frame.top)


def line(drawing: Drawing, labels: Sequence[str], series: Sequence[Series], shown: Shown) -> Markup:
    """A line per series over the labels; a value that is missing interrupts it."""
    most = max((float(value) for one in series for value in one.values if value), default=0.0)
    frame = _Frame(drawing, nice_ticks(most), shown, labels)
    parts = frame.axes()
    slot = frame.plot / max(1, len(labels))
    for number, one in enumerate(series):
        points = [
            None if value is None else (frame.left + slot * (index + 0.5), frame.y(value))
            for index, value in enumerate(one.values)
        ]
        for start, end in pairwise(points):
            if start and end:
                parts.append(_line(*start, *end, f"stroke {_colour(number)}"))
        for index, point in enumerate(points):
            if point:
                words = f"{labels[index]}, {one.name}: {shown(one.values[index] or 0)}"
                parts.append(
                    Markup(
                        '<circle class="{}" cx="{}" cy="{}" r="3"><title>{}</title></circle>'
                    ).format(_colour(number), _round(point[0]), _round(point[1]), words)
                )
    parts += frame.labels(labels, slot)
    return _svg(drawing, frame.bottom, parts, frame.top)


def heat_map(
    drawing: Drawing,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    shown: Shown,
) -> Markup:
    """A cell per row and column, the darker the nearer its value is to 1; empty without one."""
    left = _label_room(rows, drawing.width)
    wide = (drawing.width - left) / max(1, len(columns))
    tall = 26
    parts = [
        _text(left + wide * (index + 0.5), LINE - 2, column, "tick", "middle")
        for index, column in enumerate(columns)
    ]
    for index, row in enumerate(rows):
        y = LINE + 6 + index * tall
        parts.append(_text(left - 8, y + tall / 2 + 4, cut(row, left - 8), "label", "end"))
        for across, value in enumerate(values[index]):
            if value is None:
                continue
            step = heat_step(value)
            x = left + across * wide
            words = f"{row}, {columns[across]}: {shown(value)}"
            parts.append(_rectangle(x + 1, y + 1, wide - 2, tall - 2, f"heat-{step}", words))
            if wide > 22:
                text = f"{100 * value:.0f}" + (" %" if wide > 44 else "")
                on = f"on-heat-{step}"
                parts.append(_text(x + wide / 2, y + tall / 2 + 4, text, on, "middle"))
    return _svg(drawing, LINE + 8 + len(rows) * tall, parts)


def heat_step(share: float) -> int:
    """Which of the shades a share from 0 to 1 has; only nothing at all has the lightest.

    Few shares of a retention table reach a half, so the shades are finer below.
    """
    if share <= 0:
        return 0
    return min(HEAT_STEPS, 1 + int((HEAT_STEPS - 1) * min(1.0, share) ** 0.6))


class _Frame:
    """The axes that upright charts share."""

    def __init__(
        self, drawing: Drawing, ticks: list[float], shown: Shown, labels: Sequence[str]
    ) -> None:
        self.ticks, self.shown = ticks, shown
        self.left = max(len(_tick(tick, shown)) for tick in ticks) * LETTER + 10
        # the last label stands below the middle of its slot and may need room at the right
        slot = (drawing.width - self.left) / max(1, len(labels))
        last = len(labels[-1]) * LETTER if labels else 0.0
        self.right = drawing.width - 6 - max(0.0, (last - slot) / 2)
        self.plot = self.right - self.left
        self.top, self.bottom = 8, PLOT_HEIGHT + LINE + 8

    def height(self, value: Number) -> float:
        return PLOT_HEIGHT * float(value) / self.ticks[-1]

    def y(self, value: Number) -> float:
        return PLOT_HEIGHT - self.height(value)

    def axes(self) -> list[Markup]:
        parts = []
        for tick in self.ticks:
            y = self.y(tick)
            parts.append(_line(self.left, y, self.right, y, "axis" if tick == 0 else "grid"))
            parts.append(_text(self.left - 6, y + 4, _tick(tick, self.shown), "tick", "end"))
        return parts

    def labels(self, labels: Sequence[str], slot: float) -> list[Markup]:
        """As many of them as fit, the last one always."""
        longest = max((len(label) for label in labels), default=1) * LETTER + 10
        every = max(1, ceil(longest / slot)) if labels else 1
        parts, free = [], float("inf")
        for index in range(len(labels) - 1, -1, -every):
            half = len(labels[index]) * LETTER / 2
            x = max(self.left + slot * (index + 0.5), half)
            if x + half <= free:
                parts.append(_text(x, PLOT_HEIGHT + LINE + 4, labels[index], "tick", "middle"))
                free = x - half - 6
        return parts[::-1]


def _tick(tick: float, shown: Shown) -> str:
    """A number of an axis, without a decimal that says nothing."""
    return re.sub(r"\.0(?![0-9])", "", shown(tick))


def _label_room(labels: Sequence[str], width: int) -> float:
    return min(_longest(labels) * LETTER + 12, width * 0.36)


def _longest(texts: Sequence[str]) -> int:
    return max((len(text) for text in texts), default=1)


def _colour(number: int) -> str:
    return f"series-{number % SERIES_COLOURS + 1}"


def _svg(drawing: Drawing, height: float, parts: Sequence[Markup], above: float = 0) -> Markup:
    return Markup(
        '<svg role="img" aria-labelledby="{key}-title {key}-desc" '
        'viewBox="0 {top} {width} {height}" xmlns="http://www.w3.org/2000/svg">'
        '<title id="{key}-title">{title}</title><desc id="{key}-desc">{desc}</desc>{parts}</svg>'
    ).format(
        key=drawing.key,
        top=_round(-above),
        width=drawing.width,
        height=_round(height + above),
        title=drawing.title,
        desc=drawing.description,
        parts=Markup().join(parts),
    )


def _rectangle(x: float, y: float, width: float, height: float, kind: str, words: str) -> Markup:
    return Markup(
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="2"><title>{}</title></rect>'
    ).format(kind, _round(x), _round(y), _round(width), _round(height), words)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
        kind, _round(x1), _round(y1), _round(x2), _round(y2)
    )


def _text(
    x: float, y: float, words: str, kind: str, anchor: str = "start", full: str | None = None
) -> Markup:
    more = Markup("<title>{}</title>").format(full) if full and full != words else escape("")
    return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}{}</text>').format(
        kind, _round(x), _round(y), anchor, words, more
    )


def _round(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
