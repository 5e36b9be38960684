"""A document as HTML: facts, listings, tables, notes."""

from __future__ import annotations

from collections.abc import Sequence

from bench.render.document import Document, Item, Listing, Table
from bench.render.page.markup import NOTHING, Markup, joined, tag


def facts(pairs: Sequence[tuple[str, str]]) -> Markup:
    """Labels with texts."""
    return tag("dl", *(tag("div", tag("dt", label), tag("dd", text)) for label, text in pairs))


def body(document: Document, name: str) -> Markup:
    """Blocks, footnotes and notes; ``name`` is what tables of the document are called."""
    return joined(
        [
            *(block(each, name) for each in document.blocks),
            footnotes(document.footnotes),
            notes(document.notes),
        ]
    )


def block(each: Table | Listing, name: str) -> Markup:
    return table(each, name) if isinstance(each, Table) else listing(each)


def listing(each: Listing, folded: str = "") -> Markup:
    """Details are ``folded`` behind this text, where there is one."""
    heading = tag("p", each.heading) if each.heading else NOTHING
    items = tag("ul", *(_item(item, folded) for item in each.items)) if each.items else NOTHING
    return joined([heading, items])


def _item(item: Item, folded: str) -> Markup:
    names = tag("strong", " ".join(item.names)) if item.names else NOTHING
    details = [tag("div", tag("em", f"{label}:"), " ", text) for label, text in item.details]
    if details and folded:
        details = [tag("details", tag("summary", folded), *details)]
    content = joined([names, Markup(": ") if names else NOTHING, item.text, *details])
    return tag("li", content, class_=item.severity or "plain")


def footnotes(texts: Sequence[str]) -> Markup:
    """Numbered as cells of tables refer to them."""
    return tag("ol", *(tag("li", text) for text in texts), class_="footnotes") if texts else NOTHING


def notes(texts: Sequence[str]) -> Markup:
    return _list("ul", texts, "notes")


def _list(name: str, texts: Sequence[str], what: str) -> Markup:
    return tag(name, *(tag("li", text) for text in texts), class_=what) if texts else NOTHING


def table(each: Table, name: str) -> Markup:
    """Sorted by its headings' buttons and filtered by what is typed; ``name`` is its caption."""
    headings = [
        tag(
            "th",
            tag("button", column.label, type="button"),
            scope="col",
            aria_sort="none",
            class_="number" if column.right else "text",
        )
        for column in each.columns
    ]
    rows = [
        tag(
            "tr",
            *(
                tag("td", column.cells[row], class_="number" if column.right else "text")
                for column in each.columns
            ),
            class_="bad" if row in each.bad else "best" if row in each.best else "row",
        )
        for row in range(len(each.columns[0].cells) if each.columns else 0)
    ]
    filtering = tag(
        "p",
        tag("label", "Rows with ", Markup('<input type="search" autocomplete="off">')),
        " ",
        tag("span", f"{len(rows)} rows", class_="count", aria_live="polite"),
        class_="filter",
    )
    head = tag("thead", tag("tr", *headings))
    made = tag("table", tag("caption", name), head, tag("tbody", *rows))
    scrolled = tag("div", made, class_="scroll", role="region", aria_label=name, tabindex="0")
    return tag("div", filtering, scrolled, class_="table")
