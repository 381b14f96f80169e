"""Definitions as canonical JSON and back, their hash, and the binding of a tenant's choices.

The JSON lists each distinct node once, children before parents, and refers to nodes by position, so that equal
definitions give equal bytes and reading costs one pass. Not here: checking that a definition makes sense (`checks`).
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache

from cohortium_plugins.errors import DefinitionError, MalformedPack, nearest
from cohortium_plugins.model import nodes
from cohortium_plugins.model.definition import (
    Adjustment,
    Code,
    Codelist,
    Cohort,
    Definition,
    Indicator,
    Parameter,
    Reason,
    Reference,
    Shown,
    Stratifier,
)
from cohortium_plugins.model.values import Conversion, Duration, Scalar, Unit, ValueType

__all__ = ["Json", "bind", "content_hash", "from_json", "substitute", "to_json"]

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

SCHEMA = 1
NODE_TYPES: Mapping[str, type[nodes.Node]] = {
    kind.__name__: kind
    for kind in vars(nodes).values()
    if isinstance(kind, type) and issubclass(kind, nodes.Node) and dataclasses.is_dataclass(kind)
    and not kind.__name__.startswith("_")
}  # fmt: skip


def content_hash(definition: Definition) -> str:
    """Give the SHA-256 of the canonical JSON, codelists included, as hexadecimal digits."""
    text = json.dumps(to_json(definition), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


# --- scalars ------------------------------------------------------------------------------------------------------


def scalar_to_json(value: Scalar) -> Json:
    """Write a constant: dates and durations as objects, the rest as they are."""
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, Duration):
        return {"duration": [value.count, value.unit.value]}
    return value


def scalar_from_json(value: Json) -> Scalar:
    """Read a constant."""
    try:
        if isinstance(value, dict):
            if set(value) == {"date"}:
                return date.fromisoformat(str(value["date"]))
            if set(value) == {"duration"}:
                count, unit = typing.cast("list[typing.Any]", value["duration"])
                return Duration(int(count), Unit(unit))
    except (ValueError, TypeError) as error:
        raise MalformedPack("A constant is malformed.", "Write a date as {'date': 'YYYY-MM-DD'}.") from error
    if isinstance(value, bool | int | float | str):
        return value
    raise MalformedPack("A constant is malformed.", "Use a date, number, text, true or false, or duration.")


# --- nodes --------------------------------------------------------------------------------------------------------


@cache
def _fields(kind: type[nodes.Node]) -> tuple[tuple[str, object], ...]:
    hints = typing.get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in dataclasses.fields(kind))  # type: ignore[arg-type]


def _field_to_json(value: object, place: Mapping[nodes.Node, int]) -> Json:
    if isinstance(value, nodes.Node):
        return place[value]
    if isinstance(value, tuple):
        return [_field_to_json(item, place) for item in value]
    if isinstance(value, enum.Enum):
        return typing.cast("str", value.value)
    if isinstance(value, Conversion):
        return [value.unit, value.factor, value.offset]
    return None if value is None else scalar_to_json(typing.cast("Scalar", value))


def _conversion_from_json(value: Json) -> Conversion:
    match value:
        case [(str() | None) as unit, int() | float() as factor, int() | float() as offset]:
            return Conversion(unit, float(factor), float(offset))
    raise MalformedPack("A conversion is malformed.", "Write [unit or null, factor, offset].")


def _node_to_json(node: nodes.Node, place: Mapping[nodes.Node, int]) -> Json:
    fields = {name: _field_to_json(getattr(node, name), place) for name, _ in _fields(type(node))}
    return {"node": type(node).__name__, **fields}


def _is_node_type(hint: object) -> bool:
    return isinstance(hint, type) and issubclass(hint, nodes.Node)


def _field_from_json(value: Json, hint: object, made: list[nodes.Node]) -> object:
    if typing.get_origin(hint) is types.UnionType and hint != Scalar:
        options = [option for option in typing.get_args(hint) if option is not types.NoneType]
        return None if value is None else _field_from_json(value, options[0], made)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise MalformedPack("A list was expected.")
        return tuple(_field_from_json(item, typing.get_args(hint)[0], made) for item in value)
    if _is_node_type(hint):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(made):
            raise MalformedPack("A node refers to one that does not stand before it.")
        if not isinstance(made[value], typing.cast("type", hint)):
            raise MalformedPack("A node stands where another kind of node belongs.")
        return made[value]
    return _leaf_from_json(value, hint)


def _leaf_from_json(value: Json, hint: object) -> object:
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        try:
            return hint(value)
        except (ValueError, TypeError) as error:
            raise MalformedPack("A word is none of those that may stand there.", nearest(str(value), hint)) from error
    if hint == Scalar:
        return scalar_from_json(value)
    if hint is Conversion:
        return _conversion_from_json(value)
    if not isinstance(value, typing.cast("type", hint)):
        raise MalformedPack("A field has the wrong type.")
    return value


def _node_from_json(item: Json, made: list[nodes.Node]) -> nodes.Node:
    kind = NODE_TYPES.get(str(item.get("node"))) if isinstance(item, dict) else None
    if not isinstance(item, dict) or kind is None:
        raise MalformedPack(f"Node {len(made)} is of no known kind.", f"Kinds: {', '.join(sorted(NODE_TYPES))}.")
    fields = _fields(kind)
    if set(item) != {"node", *(name for name, _ in fields)}:
        raise MalformedPack(f"Node {len(made)} ({kind.__name__}) does not have exactly its fields.")
    try:
        return kind(**{name: _field_from_json(item[name], hint, made) for name, hint in fields})
    except (ValueError, TypeError) as error:
        raise MalformedPack(f"Node {len(made)} ({kind.__name__}) has a value that does not fit.") from error


# --- definitions --------------------------------------------------------------------------------------------------


def _part_to_json(part: object, place: Mapping[nodes.Node, int]) -> Json:
    """Write a dataclass of `definition` field by field; nodes become positions."""
    if isinstance(part, nodes.Node):
        return place[part]
    if isinstance(part, Codelist):
        return _codelist_to_json(part)
    if dataclasses.is_dataclass(part) and not isinstance(part, type | Duration):
        return {f.name: _part_to_json(getattr(part, f.name), place) for f in dataclasses.fields(part)}
    if isinstance(part, tuple):
        return [_part_to_json(item, place) for item in part]
    if isinstance(part, enum.Enum):
        return typing.cast("str", part.value)
    return None if part is None else scalar_to_json(typing.cast("Scalar", part))


def _codelist_to_json(codelist: Codelist) -> Json:
    """Write a codelist with a short line a code, since a pack has tens of thousands."""
    codes: list[Json] = [[code.code, code.term, code.category, code.local] for code in codelist.codes]
    about: dict[str, Json] = {name: getattr(codelist, name) for name in ("name", "title", "source", "version")}
    return {**about, "codes": codes}


def _codelist_from_json(value: Json) -> Codelist:
    if not isinstance(value, dict) or set(value) != {"name", "title", "source", "version", "codes"}:
        raise MalformedPack(
            "A codelist does not have exactly its fields.", "They are name, title, source, version, codes."
        )
    about = [value[name] for name in ("name", "title", "source", "version")]
    if not all(isinstance(text, str) for text in about) or not isinstance(value["codes"], list):
        raise MalformedPack("A codelist has a field of the wrong type.")
    name, title, source, version = typing.cast("list[str]", about)
    return Codelist(name, title, source, version, tuple(_code_from_json(item) for item in value["codes"]))


def _code_from_json(item: Json) -> Code:
    match item:
        case [int() as code, str() as term, (str() | None) as category, bool() as local] if not isinstance(code, bool):
            return Code(code, term, category, local)
    raise MalformedPack("A code is malformed.", "Write [identifier, term, category or null, whether it is local].")


def to_json(definition: Definition) -> dict[str, Json]:
    """Write a definition."""
    order = list(nodes.walk(*definition.roots()))
    place = {node: position for position, node in enumerate(order)}
    return {
        "schema": SCHEMA,
        "codelists": [_part_to_json(definition.codelists[name], place) for name in sorted(definition.codelists)],
        "parameters": _part_to_json(definition.parameters, place),
        "nodes": [_node_to_json(node, place) for node in order],
        "cohorts": _part_to_json(definition.cohorts, place),
        "indicators": _part_to_json(definition.indicators, place),
        "stratifiers": _part_to_json(definition.stratifiers, place),
    }


_PARTS: tuple[type, ...] = (Adjustment, Cohort, Indicator, Parameter, Reason, Reference, Shown, Stratifier)


def _part_from_json(value: Json, hint: object, made: list[nodes.Node]) -> object:
    if hint is Codelist:
        return _codelist_from_json(value)
    if hint == Reference | None:
        return None if value is None else _part_from_json(value, Reference, made)
    if hint in _PARTS:
        kind = hint
        hints = typing.get_type_hints(kind)
        names = [field.name for field in dataclasses.fields(kind)]
        if not isinstance(value, dict) or set(value) != set(names):
            raise MalformedPack(f"A {kind.__name__} does not have exactly its fields.", f"They are {', '.join(names)}.")
        return kind(**{name: _part_from_json(value[name], hints[name], made) for name in names})
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise MalformedPack("A list was expected.")
        args = typing.get_args(hint)
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(kinds) != len(value):
            raise MalformedPack("A list has the wrong length.")
        return tuple(_part_from_json(item, kind, made) for item, kind in zip(value, kinds, strict=True))
    return _field_from_json(value, hint, made)


def from_json(data: Mapping[str, Json]) -> Definition:
    """Read a definition. Raises `MalformedPack` on anything that does not follow the schema."""
    wanted = {"schema", "codelists", "parameters", "nodes", "cohorts", "indicators", "stratifiers"}
    if set(data) != wanted or data["schema"] != SCHEMA or not isinstance(data["nodes"], list):
        raise MalformedPack("This is not a definition that this version can read.", f"It needs {sorted(wanted)}.")
    made: list[nodes.Node] = []
    for item in data["nodes"]:
        made.append(_node_from_json(item, made))

    def part(name: str, kind: type) -> typing.Any:  # noqa: ANN401 - one of the parts named by its type
        return _part_from_json(data[name], tuple[kind, ...], made)  # type: ignore[valid-type]

    codelists: tuple[Codelist, ...] = part("codelists", Codelist)
    return Definition(
        codelists={codelist.name: codelist for codelist in codelists},
        parameters=part("parameters", Parameter),
        cohorts=part("cohorts", Cohort),
        indicators=part("indicators", Indicator),
        stratifiers=part("stratifiers", Stratifier),
    )


# --- binding ------------------------------------------------------------------------------------------------------


def substitute(definition: Definition, change: Callable[[nodes.Node], nodes.Node]) -> Definition:
    """Give the definition with every node replaced by what `change` makes of it, children first."""
    done: dict[nodes.Node, nodes.Node] = {}
    for node in nodes.walk(*definition.roots()):
        done[node] = change(_rebuilt(node, done))

    def part(value: typing.Any) -> typing.Any:  # noqa: ANN401 - follows the structure whatever it is
        if isinstance(value, nodes.Node):
            return done[value]
        if isinstance(value, tuple):
            return tuple(part(item) for item in value)
        if isinstance(value, Cohort | Reference | Reason | Indicator | Stratifier | Adjustment | Shown):
            return type(value)(**{f.name: part(getattr(value, f.name)) for f in dataclasses.fields(value)})
        return value

    return Definition(
        codelists=definition.codelists,
        parameters=definition.parameters,
        cohorts=part(definition.cohorts),
        indicators=part(definition.indicators),
        stratifiers=part(definition.stratifiers),
    )


def _rebuilt(node: nodes.Node, done: Mapping[nodes.Node, nodes.Node]) -> nodes.Node:
    def field(value: object) -> object:
        if isinstance(value, nodes.Node):
            return done[value]
        if isinstance(value, tuple):
            return tuple(field(item) for item in value)
        return value

    return type(node)(**{name: field(getattr(node, name)) for name, _ in _fields(type(node))})


def bind(
    definition: Definition,
    parameters: Mapping[str, Scalar] | None = None,
    additions: Mapping[str, tuple[Code, ...]] | None = None,
) -> Definition:
    """Put a tenant's choices in place: parameters become constants, local codes join their codelists.

    Raises DefinitionError for an unknown parameter or codelist, or a value that is not among the choices.
    """
    chosen = {parameter.name: parameter.default for parameter in definition.parameters}
    for name, value in (parameters or {}).items():
        declared = next((p for p in definition.parameters if p.name == name), None)
        if declared is None:
            raise DefinitionError(f"There is no parameter {name}.", nearest(name, chosen))
        if value not in declared.choices:
            raise DefinitionError(f"{value} is not a choice for {name}.", f"Choose from {declared.choices}.")
        chosen[name] = value
    codelists = dict(definition.codelists)
    for name, codes in (additions or {}).items():
        if name not in codelists:
            raise DefinitionError(f"There is no codelist {name}.", nearest(name, codelists))
        codelists[name] = codelists[name].extended(codes)

    def change(node: nodes.Node) -> nodes.Node:
        if not isinstance(node, nodes.ParameterValue):
            return node
        value = chosen[node.name]
        return nodes.Constant(float(value) if node.kind is ValueType.NUMBER else value, node.kind)  # type: ignore[arg-type]

    bound = substitute(definition, change)
    return Definition(codelists, definition.parameters, bound.cohorts, bound.indicators, bound.stratifiers)
