"""What a matrix file says of a program that sends."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from bench.base.units import show
from bench.matrix.complaints import choice
from bench.model.programs import PLACEHOLDERS, filled, placeholders

MOST_WORDS, LONGEST_WORD = 1000, 100_000
"""Words of a command, and characters of one: the kernel takes 131,072 bytes (execve(2))."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}"
_IN_CONTENT = {"source": "00", "destination": "00", "frame": "00"}
"""Placeholders that are bytes, each with some."""


def _known(text: str) -> None:
    for name in placeholders(text):
        if name not in PLACEHOLDERS:
            own = f"braces that are no placeholder have spaces: {{ {name} }}"
            raise ValueError(f"{{{name}}} is unknown; {choice(name, [*PLACEHOLDERS])}; {own}")
    for name in re.findall(r"(?<!\$)\{([^{}]*)\}", text):
        meant = name.strip().lower().replace("-", "_")
        if name != meant in PLACEHOLDERS:
            raise ValueError(f"{{{name}}} is unknown; write {{{meant}}}")


def _words(value: object) -> list[str]:
    """A command as words; text is split as a shell would do it."""
    words = _split(value) if isinstance(value, str) else value
    if not isinstance(words, list) or not 1 <= len(words) <= MOST_WORDS:
        raise ValueError(
            f"{show(value)} is not allowed; write a list of words, a program and its arguments: "
            '[trafgen, --dev, "{interface}"]'
        )
    return [_word(word) for word in words]


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{show(text)}: {str(error).lower()}; write a list of words") from None


def _word(word: object) -> str:
    if isinstance(word, dict):
        raise ValueError(f'{show(word)} is a mapping; quote a placeholder: "{{interface}}"')
    if isinstance(word, bool) or not isinstance(word, str | int):
        raise ValueError(f"{show(word)} is no word; put it in quotes")
    text = str(word)
    if "\0" in text or len(text) > LONGEST_WORD:
        raise ValueError(f"{show(word)[:40]} is not allowed; a word is short, and without NUL")
    _known(text)
    return text


def _content(value: object) -> str:
    """Hexadecimal digits, with colons or spaces wherever one likes, and placeholders."""
    text = re.sub(r"[:\s]", "", value).lower() if isinstance(value, str) else None
    if text is not None:
        _known(text)
        given = set(placeholders(text))
        if given <= _IN_CONTENT.keys() and re.fullmatch(
            r"([0-9a-f]{2})*", filled([text], _IN_CONTENT)[0]
        ):
            return text
    raise ValueError(
        f"{show(value)} is not allowed; write the bytes with which each frame begins in "
        "hexadecimal digits; {destination}, {source} and {frame} are such bytes, too: "
        '"{destination}{source}88b5"'
    )


class Program(BaseModel):
    """A program that sends frames out of the interface: it runs in the interface's namespace."""

    kind: Literal["exec"]
    command: Annotated[
        list[str],
        BeforeValidator(_words, json_schema_input_type=str | list[str | int]),
        Field(
            description="The program and its arguments: a list of words, or one text. "
            "Placeholders: " + "; ".join(f"{{{n}}} {help_}" for n, help_ in PLACEHOLDERS.items())
        ),
    ]
    name: Annotated[
        str,
        Field(
            default="",
            pattern=f"^({_NAME})?$",
            description="What tables call it; the file's name of the program, if not given.",
        ),
    ]
    content: Annotated[
        str,
        BeforeValidator(_content, json_schema_input_type=str),
        Field(
            default="",
            description="The bytes with which each of its frames begins, in hexadecimal digits "
            "with placeholders ({frame} is the whole of bench's frame). Not given: only the length "
            "of its frames is checked.",
        ),
    ]

    @model_validator(mode="after")
    def _named(self) -> Program:
        if not self.name:
            name = Path(self.command[0]).name
            if not re.fullmatch(_NAME, name):
                raise ValueError(f"{show(name)} is no name for tables; write name: besides")
            self.name = name
        return self
