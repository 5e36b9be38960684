"""SVG and PNG of pictures, and Vega's own code for a page: the only user of vl-convert-python.

It has Vega and Vega-Lite inside and needs neither browser nor network. It is 84 MB, so that only
the extra ``report`` has it.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from bench.base.errors import BenchError
from bench.render.pictures import theme
from bench.render.pictures.picture import Picture, Spec, shown
from bench.store import kept

HOW = "pip install 'bench[report]'"


WIDTH_OF_LETTER = 5.3
"""Pixels, about, of a text that is read and not only looked at."""


def library() -> ModuleType:
    """Raises BenchError that says how to get it."""
    try:
        import vl_convert
    except ImportError as error:
        raise BenchError(f"pictures need vl-convert-python ({error}); {HOW}") from None
    return vl_convert


def vega() -> str:
    """JavaScript that puts ``vegaEmbed`` into a page: some 900 kB.

    Of Vega and Vega-Lite by themselves, which would be 630 kB, version 1.9 makes null. The library
    takes as long for it as a page of a hundred cells does, so it is kept.
    """
    found = library()
    path = kept.path_for(Path(found.__file__ or "").parent, "vega")
    known = kept.read(path, tuple[str, str])
    if known and known[0] == found.__version__:
        return known[1]
    code = str(found.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
    kept.write(path, (found.__version__, code))
    return code


def standing_alone(picture: Picture, width: int, scheme: theme.Scheme, below: str) -> Spec:
    """A picture that has no page around it: with a title, a line of text below it, and colours."""
    config = {**theme.config(scheme), "background": scheme.background, "padding": 10}
    lines = textwrap.wrap(picture.caption, int(width / WIDTH_OF_LETTER))
    title = {"text": picture.title, "subtitle": [below, *lines], "fontSize": 14, "offset": 8}
    return {
        **picture.spec(width),
        "datasets": picture.datasets,
        "title": shown(title),
        "config": config,
    }


def svg(spec: Spec) -> str:
    """Raises BenchError."""
    with _told():
        return str(library().vegalite_to_svg(json.dumps(spec)))


def png(spec: Spec, scale: float) -> bytes:
    """``scale`` is the number of the PNG's pixels for one of the picture's. Raises BenchError."""
    with _told():
        return bytes(library().vegalite_to_png(json.dumps(spec), scale=scale))


@contextmanager
def _told() -> Iterator[None]:
    """What the library cannot draw is one line; it tells where in its own code, too."""
    try:
        yield
    except ValueError as error:
        said = str(error).split("\n    at ")[0]
        raise BenchError(f"vl-convert cannot draw it: {' '.join(said.split())}") from error
