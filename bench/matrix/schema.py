"""What a matrix file may say: pydantic models, made from what there is to choose from.

Each type takes what users write and gives the canonical form (model.Value). The messages of
ValueErrors are for users; matrix puts pydantic's own into words.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from textwrap import dedent
from typing import Annotated, Any, ClassVar, Literal, Self, Union

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails

from bench.base.units import (
    DURATION,
    MOST_CPUS,
    RATE,
    SIZE,
    duration_text,
    parse_bytes,
    parse_duration,
    parse_rate,
    share_text,
    show,
)
from bench.base.values import Value, covers, key_of
from bench.base.written import DurationNs, Share, bytes_between, part_up_to
from bench.matrix.programs import Program
from bench.model.axes import (
    Axis,
    Choice,
    Flag,
    Kind,
    Method,
    OfCpus,
    Part,
    Ring,
    SendBuffer,
    Size,
    VlanTag,
    Whole,
    defaults,
    ring_of_slots,
)
from bench.model.matrix import Measure, Rounds
from bench.model.programs import EXEC
from bench.model.results import LARGEST_INTEGER
from bench.model.vocabulary import KindInfo, Vocabulary

_INT_MAX = 2**31 - 1  # tp_block_size, tp_block_nr, SO_SNDBUF: the kernel takes a positive int


_MOST_ROUNDS, _MOST_OPENINGS = 100_000, 1000


_USUAL = Measure()


_MOST_SHOWN = 8  # values of an axis in a message


# The models of a vocabulary


@dataclass(slots=True)
class Context:
    """What a validation knows beyond the value at hand; give it to every ``model_validate``.

    ``taken`` begins with the values of the axes that the file does not name, and has those of each
    one that it names as soon as they are right; what is held against them is validated later.
    ``lengths`` has the number of values of the axes that the file names, ``axes`` the names of all
    that there are. ``known`` is filled on the way, too: the keys that a mapping may have, by its
    id(), and in ``examples`` a right one for each with a ``kind``. So is ``programs``: those of the
    method axis, by their names.
    """

    taken: dict[str, Sequence[Value]] = field(default_factory=dict)
    lengths: Mapping[str, int] = field(default_factory=dict)
    axes: tuple[str, ...] = ()
    known: dict[int, tuple[str, ...]] = field(default_factory=dict)
    examples: dict[int, Mapping[str, str]] = field(default_factory=dict)
    programs: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Models:
    """The model of the whole file; what its axes are if not named."""

    file: type[BaseModel]
    defaults: Mapping[str, Value]


@functools.lru_cache(maxsize=1)
def models_of(vocabulary: Vocabulary) -> Models:
    """The models in which methods, interface kinds and qdiscs are those of a vocabulary."""
    known = vocabulary.axes
    types = {name: _type(axis, vocabulary, partial=False) for name, axis in known.items()}
    rule_types = {name: _type(axis, vocabulary, partial=True) for name, axis in known.items()}
    rules = {name: _several(_taken(known[name], type_)) for name, type_ in rule_types.items()}
    values = {name: _remembered(name, _several(type_)) for name, type_ in types.items()}
    axes = _axes("Axes", known, values)
    rule: Any = _axes("Rule", known, rules)
    row: Any = _axes("Row", known, types | {"method": _method([*vocabulary.methods], named=True)})
    threshold: Any = create_model("Threshold", __base__=rule, min_effect=Share)
    fields: dict[str, Any] = {
        "name": Annotated[str, _NAME],
        "description": (str, ""),
        "axes": axes,  # before what is held against them
        "zip": (_groups_of(_one_of(known)), []),
        "exclude": (list[rule], []),
        "include": (list[row], []),
        "measure": (_Measure, _as_written({})),
        "baseline": (row, _absent()),
        "thresholds": (list[threshold], []),
    }
    file = create_model("MatrixFile", __base__=_Strict, **fields)
    return Models(file, defaults(known, vocabulary.page_size))


def documented(options: type[BaseModel]) -> type[BaseModel]:
    """The same model: what is written below its fields is their description from now on.

    (``use_attribute_docstrings`` would read the sources in every process, and takes longer than
    all else about the models.)
    """
    for model in reversed(options.__mro__):
        if not issubclass(model, BaseModel) or model is BaseModel:
            continue
        (definition,) = ast.parse(dedent(inspect.getsource(model))).body
        assert isinstance(definition, ast.ClassDef)
        for pair in pairwise(definition.body):
            match pair:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(ast.Constant(str(text))):
                    options.model_fields[name].description = inspect.cleandoc(text)
    return options


def _type(axis: Axis, vocabulary: Vocabulary, *, partial: bool) -> Any:
    """The type of one value of an axis; partial for the rules of ``exclude``."""
    limits = vocabulary.limits
    match axis.type:
        case Whole(low, high):
            return Annotated[int, _whole(limits.of(low), limits.of(high))]
        case OfCpus(low, high):
            return _number_or_share(limits.of(low), limits.of(high))
        case Size(low, high):
            return Annotated[int, bytes_between(limits.of(low), limits.of(high))]
        case Choice(names):
            return _one_of(names)
        case Flag():
            return bool
        case Method():
            return _method([*vocabulary.methods], partial=partial, named=partial)
        case Kind("interfaces"):
            return _kind(vocabulary.interfaces, partial=partial)
        case Kind():
            return _kind(vocabulary.qdiscs, partial=partial)
        case Ring():
            return _ring(vocabulary.page_size, partial=partial)
        case SendBuffer():
            return _sndbuf(partial=partial)
        case VlanTag():
            return _vlan(partial=partial)
        case Part(most_parts):
            return Annotated[str, part_up_to(most_parts)]


def _one_of(names: Iterable[str]) -> Any:
    literal: Any = Literal
    return literal[tuple(names)]


def _any_of(*types: Any) -> Any:
    union: Any = Union
    return union[types]


def _located(problems: Mapping[tuple[int | str, ...], str]) -> ValidationError:
    """The error of a validator that has something to say about parts of its value."""
    return ValidationError.from_exception_data(
        "matrix",
        [
            InitErrorDetails(
                type="value_error", loc=path, input=None, ctx={"error": ValueError(message)}
            )
            for path, message in problems.items()
        ],
    )


# Numbers and lists


def _whole(low: int, high: int) -> PlainValidator:
    """A whole number, and neither text nor true."""
    return PlainValidator(
        lambda value: _in_range(value, low, high),
        json_schema_input_type=Annotated[int, Field(ge=low, le=high)],
    )


def _in_range(value: object, low: int, high: int, otherwise: str = "") -> int:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise ValueError(
        f"{show(value)} is not allowed; write a whole number from {low} to {high}{otherwise}"
    )


_CPU_SHARE = r"all|100%|[1-9][0-9]?%"


def _number_or_share(low: int, high: int) -> Any:
    """A whole number, or a share of CPUs: what it comes to, the plan knows."""

    def check(value: object) -> int | str:
        if isinstance(value, str) and re.fullmatch(_CPU_SHARE, value):
            return "all" if value == "100%" else value
        return _in_range(value, low, high, ", 1% to 100% of the CPUs, or all")

    number: Any = Annotated[int, Field(ge=low, le=high)]
    share: Any = Annotated[str, Field(pattern=f"^({_CPU_SHARE})$")]
    return Annotated[Any, PlainValidator(check, json_schema_input_type=_any_of(number, share))]


def _several(element: Any) -> Any:
    """A list of distinct values; in the file a single one may stand bare."""
    values = Annotated[list[element], Field(min_length=1)]
    written = _any_of(element, values)
    return Annotated[values, WrapValidator(_distinct, json_schema_input_type=written)]


def _distinct(written: Any, validate: ValidatorFunctionWrapHandler) -> list[Any]:
    values: list[Any] = validate(written)
    first: dict[str, int] = {}
    repeated: dict[tuple[int | str, ...], str] = {}
    for index, value in enumerate(values):
        earlier = first.setdefault(key_of(value), index)
        if earlier != index:
            repeated[(index,)] = (
                f"{show(written[index])} repeats {show(written[earlier])}; write each value once"
            )
    if repeated:
        raise _located(repeated)
    return values


# Mappings


class _Strict(BaseModel):
    """What all mappings of a matrix file have in common."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _remember_known_keys(cls, data: Any, info: ValidationInfo[Context]) -> Any:
        # An error about an unknown key does not tell which ones the model knows.
        info.context.known[id(data)] = tuple(cls.model_fields)
        return data


def _strict(name: str, model: type[BaseModel], *, partial: bool, **more: Any) -> type[BaseModel]:
    """A strict model of the given name with the fields of another, and some more.

    With ``partial`` each of the other's fields may be missing, and what it validates across
    fields is left out.
    """
    if not partial:
        return create_model(name, __base__=(_Strict, model), **more)
    optional: dict[str, Any] = {
        key: (Annotated[info.annotation, *info.metadata, Field()], _absent())
        for key, info in model.model_fields.items()
    }
    return create_model(f"{name}_rule", __base__=_Strict, **more, **optional)


def _absent(description: str | None = None) -> Any:
    """A field that may be missing; not null, though that is what pydantic calls its default."""

    def drop_default(schema: dict[str, Any]) -> None:
        del schema["default"]

    return Field(default=None, description=description, json_schema_extra=drop_default)


def _kind(kinds: Mapping[str, KindInfo], *, partial: bool) -> Any:
    """A name, or a mapping of ``kind`` and its options; canonical is the mapping.

    An option that the canonical value does not have is another way to write one that it has
    (latency of a tbf): a partial value with it has to be whole.
    """
    known = create_model("Kind", kind=(_one_of(kinds), ...))
    models, whole_models = (
        {
            name: _strict(name, info.options, partial=some, kind=(_one_of([name]), ...))
            for name, info in kinds.items()
        }
        for some in (partial, False)
    )

    examples = {name: {"kind": name} | _examples(info.options) for name, info in kinds.items()}

    def canonical(value: object, info: ValidationInfo[Context]) -> Value:
        written = value if isinstance(value, dict) else {"kind": value}
        kind = known.model_validate(written).model_dump()["kind"]
        info.context.examples[id(written)] = examples[kind]
        some = partial and not any(of.exclude for of in _given(kinds[kind].options, written))
        model = (models if some else whole_models)[kind]
        found = model.model_validate(written, context=info.context)
        return {"kind": kind} | found.model_dump(mode="json", exclude_unset=some)

    bare = [name for name, info in kinds.items() if partial or not _required(info.options)]
    written = _any_of(_one_of(bare), *models.values())
    return Annotated[Any, PlainValidator(canonical, json_schema_input_type=written)]


def _given(options: type[BaseModel], written: Mapping[str, Any]) -> list[FieldInfo]:
    return [info for name, info in options.model_fields.items() if name in written]


def _method(names: Sequence[str], *, partial: bool = False, named: bool = False) -> Any:
    """A method's name, or a program: a mapping, or where ``named`` the name of one of the axis."""
    ours = _one_of([name for name in names if name != EXEC])
    if EXEC not in names:
        return ours
    one, program = TypeAdapter(ours), _program(partial)

    def canonical(value: object, info: ValidationInfo[Context]) -> Value:
        known = info.context.programs
        if named and isinstance(value, str) and value in known:
            return known[value]
        if value == EXEC:
            raise ValueError(f"{EXEC} is a program of yours; write {_EXAMPLE}")
        if not isinstance(value, dict):
            return str(one.validate_python(value))
        if (kind := value.get("kind")) != EXEC and kind in names:
            raise ValueError(
                f"{kind} is written without options; write {kind}, and each option as an axis of "
                f"its own: `bench methods {kind}` has them"
            )
        model = program.model_validate(value, context=info.context)
        found = model.model_dump(exclude_unset=partial)
        if partial:
            return found
        name = found["name"]
        if name in names or known.setdefault(name, found) != found:
            raise ValueError(f"another method is called {name}; write a name: of its own into each")
        return found

    written = _any_of(ours, program, *([str] if named else []))
    return Annotated[Any, PlainValidator(canonical, json_schema_input_type=written)]


@functools.cache
def _program(partial: bool) -> type[BaseModel]:
    return _strict("program", Program, partial=partial)


_EXAMPLE = '{kind: exec, command: [trafgen, --dev, "{interface}"]}'


_QUANTITIES = {parse_bytes: SIZE, parse_rate: RATE, parse_duration: DURATION}


def _examples(options: type[BaseModel]) -> dict[str, str]:
    """A value of each option that has to be given, as users write it."""
    found: dict[str, str] = {}
    for name in _required(options):
        info = options.model_fields[name]
        parsers = (getattr(each, "func", None) for each in info.metadata)
        quantities = (_QUANTITIES[parse].example for parse in parsers if parse in _QUANTITIES)
        if example := next((str(of) for of in (*(info.examples or ()), *quantities)), ""):
            found[name] = example
    return found


def _required(options: type[BaseModel]) -> list[str]:
    return [name for name, info in options.model_fields.items() if info.is_required()]


_KernelBytes = Annotated[int, bytes_between(1, _INT_MAX)]


class _Ring(BaseModel):
    """Blocks as they are to be: a kernel with larger pages than block_size refuses them."""

    version: Annotated[int, _whole(1, 3)] = 2
    block_size: Annotated[
        _KernelBytes, Field(description="Bytes: whole pages of the kernel; slots may leave a rest.")
    ]
    block_nr: Annotated[int, _whole(1, _INT_MAX)]
    frame_size: _KernelBytes


class _RingOfSlots(BaseModel):
    """At least so many slots in the smallest blocks that fit the pages of any kernel."""

    version: Annotated[int, _whole(1, 3)] = 2
    slots: Annotated[
        int,
        _whole(1, _INT_MAX),
        Field(
            description="At least so many, in the smallest blocks of whole pages, on any kernel."
        ),
    ]
    frame_size: _KernelBytes


def _ring(page_size: int, *, partial: bool) -> Any:
    """A ring in blocks or in slots; canonical are blocks, of which a rule may name a part."""
    blocks = _strict("ring", _Ring, partial=partial)
    slots = _strict("ring_of_slots", _RingOfSlots, partial=False)

    def canonical(value: object, info: ValidationInfo[Context]) -> Value:
        _refuse_frame_nr(value, page_size)
        is_in_blocks = isinstance(value, dict) and any("block" in key for key in value)
        if is_in_blocks or (partial and not (isinstance(value, dict) and "slots" in value)):
            ring = blocks.model_validate(value, context=info.context)
            return ring.model_dump(exclude_unset=partial)
        ring = slots.model_validate(value, context=info.context)
        made = ring_of_slots(**ring.model_dump(), page_size=page_size)
        if made["block_size"] > _INT_MAX:
            frame_size = min(made["frame_size"], _INT_MAX - page_size) // page_size * page_size
            most = page_size << 7  # blocks of the kernel's table, each of which has one slot then
            fewer = f", slots: {most}" if ring.model_dump()["slots"] > most else ""
            raise ValueError(
                f"slots of {made['frame_size']} bytes fill blocks of {made['block_size']} bytes, "
                f"and no smaller ones; at most {_INT_MAX}: write frame_size: {frame_size}{fewer}"
            )
        if partial and "version" not in ring.model_fields_set:
            del made["version"]
        return made

    return Annotated[Any, PlainValidator(canonical, json_schema_input_type=_any_of(slots, blocks))]


def _refuse_frame_nr(ring: object, page_size: int) -> None:
    """What struct tpacket_req has, too, follows from the rest: the kernel takes no other number."""
    for key in ("frame_nr", "tp_frame_nr"):
        if isinstance(ring, dict) and key in ring:
            write = "leave it out"
            with suppress(KeyError, TypeError, ValueError, ZeroDivisionError):
                in_block = parse_bytes(ring["block_size"]) // parse_bytes(ring["frame_size"])
                blocks = ring[key] // in_block
                if "block_nr" not in ring and 0 < blocks <= page_size << 7:  # the kernel's table
                    write = f"write block_nr: {blocks} in its place"
            raise _located(
                {(key,): f"follows from block_size / frame_size slots in each block; {write}"}
            )


class _SndBuf(BaseModel):
    bytes: _KernelBytes
    force: bool = False


def _sndbuf(*, partial: bool) -> Any:
    mapping = _strict("sndbuf", _SndBuf, partial=partial)

    def canonical(value: object, info: ValidationInfo[Context]) -> Value:
        if value == "default":
            return "default"
        written = value if isinstance(value, dict) else {"bytes": _bare_sndbuf(value)}
        model = mapping.model_validate(written, context=info.context)
        return model.model_dump(exclude_unset=partial)

    written = _any_of(_one_of(["default"]), _KernelBytes, mapping)
    return Annotated[Any, PlainValidator(canonical, json_schema_input_type=written)]


def _bare_sndbuf(value: object) -> int:
    with suppress(ValueError):
        return parse_bytes(value)
    raise ValueError(
        f"{show(value)} is not allowed; "
        "write default, a size (8MiB) or {bytes: 8MiB, force: true}"
    )


class _Vlan(BaseModel):
    id: Annotated[int, _whole(0, 4094)]
    priority: Annotated[int, _whole(0, 7)] = 0


def _vlan(*, partial: bool) -> Any:
    """none, an id, or a mapping of the tag's fields; canonical are none and the mapping."""
    mapping = _strict("vlan", _Vlan, partial=partial)

    def canonical(value: object, info: ValidationInfo[Context]) -> Value:
        if value == "none":
            return "none"
        if not isinstance(value, dict | int) or isinstance(value, bool):
            raise ValueError(
                f"{show(value)} is not allowed; write none or {{id: 100, priority: 3}}"
            )
        written = value if isinstance(value, dict) else {"id": value}
        model = mapping.model_validate(written, context=info.context)
        return model.model_dump(exclude_unset=partial)

    written = _any_of(_one_of(["none"]), Annotated[int, Field(ge=0, le=4094)], mapping)
    return Annotated[Any, PlainValidator(canonical, json_schema_input_type=written)]


# Sections of the file


class Axes(_Strict):
    """Any of the axes, but at least one."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})
    order: ClassVar[tuple[str, ...]] = ()
    """The names of the axes, in the order of tables."""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("nothing is named; name at least one axis")
        return self

    def given(self) -> dict[str, Any]:
        """What the file names, in the order of tables."""
        return {axis: getattr(self, axis) for axis in self.order if axis in self.model_fields_set}


def _axes(name: str, axes: Mapping[str, Axis], types: Mapping[str, Any]) -> type[Axes]:
    fields: dict[str, Any] = {
        name: (types[name], _absent(axis.help)) for name, axis in axes.items()
    }
    model = create_model(name, __base__=Axes, **fields)
    model.order = tuple(axes)
    return model


def _remembered(axis: str, values: Any) -> Any:
    """The type of an axis' values, which the rest of the file is held against."""

    def remember(right: list[Value], info: ValidationInfo[Context]) -> list[Value]:
        info.context.taken[axis] = right
        return right

    return Annotated[values, AfterValidator(remember)]


def _taken(axis: Axis, rule_type: Any) -> Any:
    """The type of a rule's value, which some value of the axis has to match.

    Only the machine knows the numbers that shares of its CPUs match.
    """

    def check(rule: Value, info: ValidationInfo[Context]) -> Value:
        taken = info.context.taken.get(axis.name)
        if taken is None or any(covers(rule, value) for value in taken):
            return rule
        if isinstance(axis.type, OfCpus) and any(isinstance(v, str) for v in (rule, *taken)):
            return rule
        values = ", ".join(map(show, taken[:_MOST_SHOWN]))
        more = ", ..." if len(taken) > _MOST_SHOWN else ""
        raise ValueError(f"{show(rule)} matches nothing; the axis has {values}{more}")

    return Annotated[rule_type, AfterValidator(check)]


def _groups_of(axis: Any) -> Any:
    group = Annotated[list[axis], Field(min_length=2)]
    return Annotated[list[group], AfterValidator(_zipped)]


def _zipped(groups: list[list[str]], info: ValidationInfo[Context]) -> list[list[str]]:
    lengths = info.context.lengths
    problems: dict[tuple[int | str, ...], str] = {}
    seen: set[str] = set()
    for number, group in enumerate(groups):
        for index, axis in enumerate(group):
            if axis in seen:
                problems[number, index] = f"{axis} is there twice; zip each axis once"
            elif axis not in lengths:
                problems[number, index] = f"{axis} is not in axes; give it values there"
            seen.add(axis)
        known = [axis for axis in group if axis in lengths]
        if len({lengths[axis] for axis in known}) > 1:
            counts = ", ".join(f"{axis} has {lengths[axis]}" for axis in known)
            problems[(number,)] = f"{counts} values; zipped axes need equally many"
    if problems:
        raise _located(problems)
    return groups


_NAME_PATTERN = r"[a-z0-9][a-z0-9_.-]{0,63}"  # it becomes the name of a folder


def _name(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(_NAME_PATTERN, value):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{show(value)} is a number; put the name in quotes")
    raise ValueError(
        f"{show(value)} is not allowed; write at most 64 of a-z, 0-9, _, . and -, "
        "and a letter or a digit first"
    )


_NAME = PlainValidator(
    _name, json_schema_input_type=Annotated[str, Field(pattern=f"^{_NAME_PATTERN}$")]
)


class _Rounds(_Strict):
    min: Annotated[int, _whole(1, _MOST_ROUNDS)] = _USUAL.rounds.min
    max: Annotated[int, _whole(1, _MOST_ROUNDS)] = _USUAL.rounds.max

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}; write min <= max")
        return self


def _rounds(value: object, info: ValidationInfo[Context]) -> Rounds:
    if isinstance(value, dict):
        rounds = _Rounds.model_validate(value, context=info.context)
        return Rounds(rounds.min, rounds.max)
    count = _in_range(value, 1, _MOST_ROUNDS, f" or {show(asdict(_USUAL.rounds))}")
    return Rounds(count, count)


def _window(window_ns: int) -> int:
    if not 100_000 <= window_ns <= 10_000_000_000:
        raise ValueError(f"{window_ns} ns is out of range; write 100us to 10s")
    return window_ns


_CpuNumber = Annotated[int, _whole(0, MOST_CPUS - 1)]


def _cpus(value: object) -> tuple[int, ...] | None:
    if value == "auto":
        return None
    if isinstance(value, list):
        return tuple(TypeAdapter(_several(_CpuNumber)).validate_python(value))
    raise ValueError(f"{show(value)} is not allowed; write auto or a list ([1, 2])")


def _as_written(default: Any) -> Any:
    """A default in the form that users write, which is what the JSON Schema shows."""
    return Field(default=default, validate_default=True)


class _Measure(_Strict):
    window: Annotated[DurationNs, AfterValidator(_window)] = _as_written(
        duration_text(_USUAL.window_ns)
    )
    rounds: Annotated[
        Rounds,
        PlainValidator(
            _rounds,
            json_schema_input_type=Annotated[int, Field(ge=1, le=_MOST_ROUNDS)] | _Rounds,
        ),
    ] = _as_written(asdict(_USUAL.rounds))
    openings: Annotated[int, _whole(1, _MOST_OPENINGS)] = _USUAL.openings
    precision: Share = _as_written(share_text(_USUAL.precision))
    seed: Annotated[int, _whole(0, LARGEST_INTEGER)] = _USUAL.seed
    cpus: Annotated[
        tuple[int, ...] | None,
        PlainValidator(_cpus, json_schema_input_type=Literal["auto"] | list[_CpuNumber]),
    ] = _as_written("auto")

    @model_validator(mode="after")
    def _rounds_for_each(self) -> Self:
        if self.openings > self.rounds.min:
            least = self.rounds.min
            raise ValueError(
                f"openings {self.openings} is above rounds min {least}, and each takes a round; "
                f"write openings: 1 to {least}, or more rounds"
            )
        return self

    def values(self) -> Measure:
        return Measure(
            window_ns=self.window,
            rounds=self.rounds,
            openings=self.openings,
            precision=self.precision,
            seed=self.seed,
            cpus=self.cpus,
        )
