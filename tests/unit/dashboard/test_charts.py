"""Charts as SVG."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from orchestration.dashboard import charts
from orchestration.dashboard.charts import Drawing, Number, Series, cut, heat_step, nice_ticks

HOSTILE = '<script>alert("x")</script>&'
SVG = "{http://www.w3.org/2000/svg}"


def drawing(width: int = 600) -> Drawing:
    return Drawing("panel-1-wide", HOSTILE, "Which & why?", width)


def shown(value: Number) -> str:
    return f"{value:,}"


def parsed(markup: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(markup)


def rectangles(markup: Markup) -> list[ElementTree.Element]:
    return list(parsed(markup).iter(f"{SVG}rect"))


def length(rectangle: ElementTree.Element, side: str) -> float:
    return float(rectangle.attrib[side])


EVERY_KIND: dict[str, Callable[[Drawing], Markup]] = {
    "bar": lambda one: charts.bar(one, [HOSTILE, "b"], [3, Decimal(0)], shown),
    "funnel": lambda one: charts.funnel(one, [HOSTILE, "b"], [3, 0], ["–", HOSTILE]),
    "stacked_bar": lambda one: charts.stacked_bar(
        one, [HOSTILE, "b"], [Series(HOSTILE, [1, None]), Series("two", [2, 3])], shown
    ),
    "line": lambda one: charts.line(one, [HOSTILE, "b"], [Series(HOSTILE, [1, 2])], shown),
    "heat_map": lambda one: charts.heat_map(
        one, [HOSTILE, "b"], ["0", HOSTILE], [[1.0, 0.5], [0.0, None]], shown
    ),
}
EMPTY: dict[str, Callable[[Drawing], Markup]] = {
    "bar": lambda one: charts.bar(one, [], [], shown),
    "funnel": lambda one: charts.funnel(one, [], [], []),
    "stacked_bar": lambda one: charts.stacked_bar(one, [], [], shown),
    "line": lambda one: charts.line(one, [], [], shown),
    "heat_map": lambda one: charts.heat_map(one, [], [], [], shown),
}


@pytest.mark.parametrize("width", [340, 1_120])
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_chart_is_whole_and_named(kind: str, width: int) -> None:
    """Prevents: markup from a name, a chart without a name, and marks outside of the picture."""
    tree = parsed(EVERY_KIND[kind](drawing(width)))
    assert tree.attrib["role"] == "img"
    assert tree.findtext(f"{SVG}title") == HOSTILE
    assert tree.findtext(f"{SVG}desc") == "Which & why?"
    named = {element.attrib["id"] for element in tree.iter() if "id" in element.attrib}
    assert set(tree.attrib["aria-labelledby"].split()) == named
    assert not list(tree.iter(f"{SVG}script"))
    assert not [element for element in tree.iter() if "style" in element.attrib]
    for rectangle in tree.iter(f"{SVG}rect"):
        assert length(rectangle, "x") >= 0
        assert length(rectangle, "x") + length(rectangle, "width") <= width + 0.2


@pytest.mark.parametrize("kind", EMPTY)
def test_a_chart_of_nothing_is_still_a_chart(kind: str) -> None:
    """Prevents: a division by zero for a tenant without rows."""
    assert parsed(EMPTY[kind](drawing())).tag == f"{SVG}svg"


def test_bars_are_in_proportion() -> None:
    """Prevents: a chart that shows other proportions than its numbers have."""
    long, short, none = rectangles(charts.bar(drawing(), ["a", "b", "c"], [200, 50, 0], shown))
    assert length(long, "width") == pytest.approx(4 * length(short, "width"), abs=0.3)
    assert length(none, "width") == 0


def test_stacks_stand_on_each_other() -> None:
    """Prevents: parts of a stack that overlap or float."""
    markup = charts.stacked_bar(
        drawing(), ["a"], [Series("low", [30]), Series("none", [0]), Series("high", [10])], shown
    )
    low, high = rectangles(markup)
    assert length(high, "y") + length(high, "height") == pytest.approx(length(low, "y"), abs=0.2)
    assert length(low, "height") == pytest.approx(3 * length(high, "height"), abs=0.3)


def test_a_missing_value_interrupts_a_line() -> None:
    """Prevents: a line through days of which nothing is known."""
    tree = parsed(charts.line(drawing(), list("abcd"), [Series("s", [1, None, 2, 3])], shown))
    drawn = [line for line in tree.iter(f"{SVG}line") if "stroke" in line.attrib["class"]]
    assert (len(drawn), len(list(tree.iter(f"{SVG}circle")))) == (1, 3)


def test_labels_do_not_run_into_each_other() -> None:
    """Prevents: an axis that nobody can read, because every month of two years is named."""
    labels = [f"Month {number:02}" for number in range(24)]
    tree = parsed(charts.stacked_bar(drawing(340), labels, [Series("s", list(range(24)))], shown))
    named = [text for text in tree.iter(f"{SVG}text") if str(text.text).startswith("Month")]
    places = [float(text.attrib["x"]) for text in named]
    assert named[-1].text == "Month 23"
    assert all(
        later - earlier >= charts.LETTER * len("Month 00")
        for earlier, later in itertools.pairwise(places)
    )


@pytest.mark.parametrize(
    ("most", "ticks"),
    [(0, [0, 1]), (1, [0, 0.5, 1]), (7, [0, 2, 4, 6, 8]), (Decimal(1_000), [0, 500, 1_000])],
)
def test_ticks_are_round_and_reach_the_most(most: Number, ticks: list[float]) -> None:
    """Prevents: axes that end below a bar, or count in steps of 1.75."""
    assert nice_ticks(most) == ticks


def test_shades_grow_with_the_share() -> None:
    """Prevents: a cell for somebody that looks like one for nobody."""
    shades = [heat_step(share) for share in (0, 0.001, 0.1, 0.3, 0.6, 1)]
    assert shades[0] == 0
    assert shades[1] == 1
    assert shades == sorted(shades)
    assert shades[-1] == heat_step(1.7) == charts.HEAT_STEPS


@pytest.mark.parametrize(("width", "is_above"), [(340, True), (520, False)])
def test_a_label_stands_whole_beside_or_above_its_bar(width: int, is_above: bool) -> None:
    """Prevents: reasons on a phone of which only the first word is left."""
    labels, values = ["Lifetime value too low", "Email suppressed"], [71, 3]
    tree = parsed(charts.bar(drawing(width), labels, values, shown))
    texts = {text.text: text for text in tree.iter(f"{SVG}text")}
    first = rectangles(charts.bar(drawing(width), labels, values, shown))[0]
    assert set(labels) <= set(texts)
    label = texts[labels[0]]
    assert (float(label.attrib["y"]) < length(first, "y")) is is_above
    assert (float(label.attrib["x"]) < length(first, "x")) is not is_above
    assert len(labels[0]) * charts.LETTER < width


def test_a_long_label_is_cut() -> None:
    """Prevents: a label that runs over its bar."""
    assert cut("a" * 50, 72) == "a" * 9 + "…"
    assert cut("short", 72) == "short"
