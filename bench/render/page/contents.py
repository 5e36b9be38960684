"""What a page says of a run, and of two: parts made of documents and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.model.header import Diagnosis, RunHeader
from bench.render.document import Document, Item, Listing
from bench.render.page import blocks
from bench.render.page.markup import NOTHING, Markup, joined, tag
from bench.render.page.page import Part, Section
from bench.render.pictures import KINDS, kind
from bench.render.pictures.picture import Choice, NotDrawn, Subject

SPOILING = ("bad", "warn", "note")
"""Levels of the doctor's findings that are not as they should be."""


def part_of_run(title: str, subject: Subject, document: Document) -> Part:
    """A run: its pictures, its table, its environment."""
    shown, missing = _pictures(subject)
    return Part(
        title,
        _lead(document, subject.run.header),
        (
            *_answer(document),
            *shown,
            Section("Table", blocks.body(document, f"Cells of {document.name or 'the run'}")),
            *_environment(document, subject.run.header.doctor),
            *((Section("Not drawn", blocks.listing(Listing(items=missing))),) if missing else ()),
        ),
    )


def part_of_comparisons(changes: Sequence[tuple[str, Document, Subject]]) -> Part:
    """What changed from the first run, A, to each of the others, by their letters."""
    sections = []
    for name, document, subject in changes:
        try:
            drawn = kind("comparison").pictures(subject, Choice())
        except NotDrawn:
            drawn = []
        title = f"What changed from A to {name}"
        below = blocks.body(document, title)
        sections.append(Section(title, blocks.facts(document.shown()), drawn, below))
    return Part("The runs compared", NOTHING, sections)


def part_without_comparison(why: str) -> Part:
    """Why several runs are not compared."""
    return Part("", tag("p", f"Not compared: {why}", class_="lead"), ())


def title_of(header: RunHeader) -> str:
    started = f", {header.started:%Y-%m-%d %H:%M}" if header.started else ""
    machine = f" on {header.machine_name}" if header.machine_name else ""
    return f"{header.matrix.name}{machine}{started}"


def _lead(document: Document, header: RunHeader) -> Markup:
    """The question, and where it was asked."""
    where = ", ".join(filter(None, (header.host.kernel, header.host.cpu, header.doctor.verdict)))
    lines = (document.description, where)
    return joined([tag("p", line, class_="lead") for line in lines if line])


def _pictures(subject: Subject) -> tuple[list[Section], tuple[Item, ...]]:
    """A section for each kind that can be drawn, and why the others cannot."""
    sections, missing = [], []
    for name in sorted(KINDS, key=lambda name: name != "comparison"):  # of two sides it is first
        if name == "comparison" and not subject.run.header.sides:
            continue  # it has a part of its own
        of = kind(name)
        try:
            sections.append(Section(of.title, pictures=of.pictures(subject, Choice())))
        except NotDrawn as why:
            missing.append(Item((of.title,), str(why)))
    return sections, tuple(missing)


def _answer(document: Document) -> Iterator[Section]:
    if document.lead:
        found = [
            blocks.listing(each, folded="which cells")
            if isinstance(each, Listing)
            else blocks.block(each, "Answer")
            for each in document.lead
        ]
        yield Section("Answer", joined(found))


def _environment(document: Document, doctor: Diagnosis) -> Iterator[Section]:
    if document.shown():
        yield Section("Environment", blocks.facts(document.shown()))
    if doctor.findings or doctor.verdict:
        items = [_finding(f) for f in doctor.findings if isinstance(f, dict)]
        listing = Listing(doctor.verdict, tuple(item for item in items if item))
        yield Section("What the doctor found", blocks.listing(listing))


def _finding(finding: dict[str, object]) -> Item:
    """Why it matters and what mends it, of what is not as it should be."""
    texts = {key: str(finding.get(key, "")) for key in ("level", "check", "found", "why", "mend")}
    details = ("why", "mend") if texts["level"] in SPOILING else ()
    return Item(
        (texts["level"], texts["check"]),
        texts["found"],
        tuple((key, texts[key]) for key in details if texts[key]),
        texts["level"],
    )
