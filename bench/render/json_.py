"""JSON: the whole report, for programs."""

from __future__ import annotations

import json

from bench.model.results import CellResult, Report
from bench.render.records import figures

FORMAT = 1
"""Goes up when a key changes its meaning or goes away, not when one is added."""


def render(report: Report, _width: int = 0, _colour: bool = False) -> str:
    """The report as one JSON object; ``cells`` has an object per cell with its figures."""
    document = {
        "format": FORMAT,
        "name": report.name,
        "description": report.description,
        "run": report.run,
        "facts": dict(report.facts),
        "baseline": None if report.baseline is None else dict(report.baseline),
        "cells": [_cell(row) for row in report.rows],
        "notes": list(report.notes),
    }
    return json.dumps(document, indent=2) + "\n"


def _cell(row: CellResult) -> dict[str, object]:
    return {
        "cell": row.cell.id,
        "axes": dict(row.cell.values),
        **figures(row),
        "notes": list(row.notes),
    }
