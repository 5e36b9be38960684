"""What holds for all values of the model: nobody changes them, and what is not known is nothing."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from typing import Any

import pytest

from bench import model
from bench.model import header, samples

MODULES = [
    importlib.import_module(f"bench.model.{module.name}")
    for module in pkgutil.iter_modules(model.__path__)
]


def classes(module: Any) -> list[type]:
    own = [of for of in vars(module).values() if getattr(of, "__module__", "") == module.__name__]
    return [of for of in own if isinstance(of, type) and dataclasses.is_dataclass(of)]


@pytest.mark.parametrize("of", [of for module in MODULES for of in classes(module)])
def test_a_value_is_never_changed(of: Any) -> None:
    assert of.__dataclass_params__.frozen
    fields = dataclasses.fields(of)
    made = object.__new__(of)
    for field in fields:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, field.name, None)


USUAL = {("Settings", "openings"): 1, ("Settings", "precision"): 0.01}
"""Before a file said so, a run had one opening, and was to be so precise."""


@pytest.mark.parametrize("module", [header, samples])
def test_what_a_file_of_an_older_version_does_not_say_is_nothing(module: Any) -> None:
    told = {
        (of.__name__, field.name): field.default
        for of in classes(module)
        for field in dataclasses.fields(of)
        if field.default is not dataclasses.MISSING and field.default
    }
    assert told == (USUAL if module is header else {})
