"""The whole file: its parts, its style, and the code that draws pictures and sorts tables.

Script is ours alone: a Content-Security-Policy has the hashes of the two scripts, and forbids every
other one and every request.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import count

from bench.render.page.markup import NOTHING, Markup, data, escaped, joined, tag
from bench.render.pictures import theme
from bench.render.pictures.picture import Picture, shown

WIDE, NARROW = 1040, 350
"""Pixels of a picture on a desk and on a telephone; in between it is scaled."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, what is below it, and pictures, of which one is seen at a time."""

    title: str
    content: Markup = NOTHING
    pictures: Sequence[Picture] = ()
    below: Markup = NOTHING


@dataclass(frozen=True, slots=True)
class Part:
    """What belongs to one run, or to several."""

    title: str
    lead: Markup
    sections: Sequence[Section]


def page(title: str, parts: Sequence[Part], vega: str) -> str:
    """``vega`` is JavaScript that defines ``vegaEmbed``; a page without pictures is without
    it."""
    numbers, figures = count(), []
    written = []
    for n, part in enumerate(parts):
        written.append(_part(part, f"part{n}", numbers))
        figures += [_drawn(s.pictures) for s in part.sections if s.pictures]
    themes = {name: theme.config(scheme) for name, scheme in theme.SCHEMES.items()}
    scripts = [*([vega] if figures else []), _file("page.js")]
    content = joined(
        [
            tag("header", tag("h1", title), _contents(parts)),
            tag("main", *written),
            data({"figures": figures, "themes": themes}, "data"),
            *(Markup(f"<script>{script}</script>") for script in map(_closed, scripts)),
        ]
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escaped(title)}</title>\n<style>{_file('style.css')}</style>\n</head>\n"
        f"<body>\n{content}\n</body>\n</html>\n"
    )


def _file(name: str) -> str:
    return resources.files(__package__ or "").joinpath(name).read_text()


def _closed(script: str) -> str:
    """Without what would end its element, which Vega does not write, so far."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _policy(scripts: Sequence[str]) -> str:
    """Vega makes functions of its expressions, which is 'unsafe-eval'; they are ours alone."""
    digests = (hashlib.sha256(_closed(script).encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _contents(parts: Sequence[Part]) -> Markup:
    links = [
        tag("li", tag("a", section.title, href=f"#{_id(f'part{n}', section)}"))
        for n, part in enumerate(parts)
        for section in part.sections
    ]
    if len(parts) > 1:
        links = [tag("li", tag("a", part.title, href=f"#part{n}")) for n, part in enumerate(parts)]
    return tag("nav", tag("ul", *links), aria_label="Contents")


def _id(part: str, section: Section) -> str:
    return f"{part}-{'-'.join(section.title.lower().split())}"


def _part(part: Part, name: str, numbers: count[int]) -> Markup:
    heading = tag("h2", part.title, id=name) if part.title else NOTHING
    level = "h3" if part.title else "h2"
    sections = [_section(section, name, level, numbers) for section in part.sections]
    return joined([heading, part.lead, *sections])


def _section(section: Section, part: str, level: str, numbers: count[int]) -> Markup:
    name = _id(part, section)
    figure = _figure(section.pictures, f"figure{next(numbers)}") if section.pictures else NOTHING
    heading = tag(level, section.title, id=f"{name}-heading")
    content = [heading, section.content, figure, section.below]
    return tag("section", *content, id=name, aria_labelledby=f"{name}-heading")


def _figure(pictures: Sequence[Picture], name: str) -> Markup:
    """The code draws into ``.plot``, and takes caption and name from the variant that is chosen."""
    first = pictures[0]
    options = [tag("option", p.variant, value=str(n)) for n, p in enumerate(pictures)]
    choosing = tag("label", "Show ", tag("select", *options)) if len(pictures) > 1 else NOTHING
    saving = [
        tag("button", f"Save as {form}", type="button", data_form=form.lower(), hidden=True)
        for form in ("SVG", "PNG")
    ]
    return tag(
        "figure",
        tag("p", choosing, class_="choose"),
        tag("figcaption", first.caption),
        tag("div", class_="plot", role="img", aria_label=f"{first.title}. {first.caption}"),
        tag("noscript", "Pictures are drawn by script; the table has every figure."),
        tag("p", *saving, class_="save"),
        id=name,
        class_="picture",
    )


def _drawn(pictures: Sequence[Picture]) -> list[dict[str, object]]:
    """For the code of the page. Data are there once for both widths."""
    return [
        {
            "title": shown(picture.title),
            "caption": shown(picture.caption),
            "datasets": picture.datasets,
            "wide": picture.spec(WIDE),
            "narrow": picture.spec(NARROW),
        }
        for picture in pictures
    ]
