"""What the typed models refuse, in our own words: one table from pydantic's error types to sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from shared.contracts.names import SLUG_PATTERN, TOKEN_PATTERN, nearest
from shared.contracts.template.problems import Problem, one_of, pointer, shown

PATTERNS: Final[Mapping[str, tuple[str, str]]] = {
    SLUG_PATTERN: ("a slug", "Start with a letter a-z and go on with at most 62 of a-z, 0-9 and '-'."),
    TOKEN_PATTERN: ("an identifier", "Start with a letter a-z and go on with at most 62 of a-z, 0-9, '_' and '-'."),
}


@dataclass(frozen=True)
class Mistake:
    """A pydantic error with what is needed to explain it."""

    detail: ErrorDetails
    field: FieldInfo | None
    model: type[BaseModel]

    @property
    def name(self) -> str:
        return str(self.detail["loc"][-1]) if self.detail["loc"] else "the document"

    @property
    def value(self) -> str:
        return shown(self.detail["input"])

    def context(self, key: str) -> Any:
        return self.detail.get("ctx", {}).get(key)

    @property
    def allowed(self) -> list[str]:
        """The members of the field's Literal type."""
        return _literals(self.field.annotation) if self.field else []


def problems_of(error: ValidationError, model: type[BaseModel]) -> Iterator[Problem]:
    """One problem for each error of the models."""
    for detail in error.errors(include_url=False):
        if detail["type"] == "default_factory_not_called":
            continue  # follows from another error, which is told
        owner, field = _field_at(model, detail["loc"])
        tell = SENTENCES.get(detail["type"], _other)
        problem, mend = tell(Mistake(detail, field, owner))
        yield Problem(pointer(detail["loc"]), problem, mend)


def _wrong_type(what: str, mend: str) -> Callable[[Mistake], tuple[str, str]]:
    return lambda mistake: (f"{mistake.value} is not {what}.", mend)


def _missing(mistake: Mistake) -> tuple[str, str]:
    about = f": {mistake.field.description}" if mistake.field and mistake.field.description else "."
    examples = mistake.field.examples if mistake.field and mistake.field.examples else mistake.allowed
    example = f" For example `{mistake.name}: {examples[0]}`." if examples else ""
    return f"`{mistake.name}` is missing.", f"Add `{mistake.name}`{about}{example}"


def _unknown(mistake: Mistake) -> tuple[str, str]:
    known = [field.alias or name for name, field in mistake.model.model_fields.items()]
    close = nearest(mistake.name, known, 1)
    if close:
        mend = f"Did you mean `{close[0]}`? Names of your own start with `x-`."
    else:
        mend = f"Take it out, or start it with `x-`. Known here: {', '.join(known)}."
    return f"There is no field {shown(mistake.name)} here.", mend


def _choice(mistake: Mistake) -> tuple[str, str]:
    given, allowed = mistake.detail["input"], mistake.allowed
    folded = {name.casefold(): name for name in allowed}
    close = nearest(given.casefold(), folded, 1) if isinstance(given, str) else []
    mend = f"Write `{folded[close[0]]}`?" if close else f"Write {one_of(allowed)}."
    return f"{mistake.value} is not one of {', '.join(allowed)}.", mend


def _pattern(mistake: Mistake) -> tuple[str, str]:
    noun, mend = PATTERNS[mistake.context("pattern")]
    return f"{mistake.value} is not {noun}.", mend


def _bound(key: str, words: str) -> Callable[[Mistake], tuple[str, str]]:
    def tell(mistake: Mistake) -> tuple[str, str]:
        bounds = _bounds(mistake.field)
        between = f"between {bounds[0]:g} and {bounds[1]:,g}" if bounds else f"{words} {mistake.context(key):g}"
        return f"{mistake.value} is out of bounds: it must be {words} {mistake.context(key):g}.", (
            f"Write a number {between}."
        )

    return tell


def _length(key: str, words: str, unit: str) -> Callable[[Mistake], tuple[str, str]]:
    def tell(mistake: Mistake) -> tuple[str, str]:
        limit = mistake.context(key)
        return f"`{mistake.name}` must have {words} {limit:,} {unit}.", (
            "Shorten it." if "most" in words else "Write something, or leave the field out where it is optional."
        )

    return tell


def _other(mistake: Mistake) -> tuple[str, str]:
    about = mistake.field.description if mistake.field and mistake.field.description else "See the template's schema."
    return f"{mistake.value} does not fit here.", about


SENTENCES: Final[Mapping[str, Callable[[Mistake], tuple[str, str]]]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "literal_error": _choice,
    "string_type": _wrong_type("text", "Write text; put it in quotes where it looks like a number or true or false."),
    "string_unicode": _wrong_type("text", "Write whole characters."),
    "bool_type": _wrong_type("true or false", "Write true or false, without quotes."),
    "int_type": _wrong_type("a whole number", "Write a whole number, without quotes."),
    "int_from_float": _wrong_type("a whole number", "Write a whole number."),
    "float_type": _wrong_type("a number", "Write a number, without quotes."),
    "finite_number": _wrong_type("a finite number", "Write a finite number."),
    "list_type": _wrong_type("a list", "Write a list: one `- ` for each element, or `[...]`."),
    "dict_type": _wrong_type("a mapping", "Write a mapping: one `name: value` for each entry, or `{...}`."),
    "model_type": _wrong_type("a mapping", "Write a mapping: one `name: value` for each field."),
    "string_pattern_mismatch": _pattern,
    "greater_than_equal": _bound("ge", "at least"),
    "less_than_equal": _bound("le", "at most"),
    "string_too_short": _length("min_length", "at least", "character"),
    "string_too_long": _length("max_length", "at most", "characters"),
    "too_short": _length("min_length", "at least", "element"),
    "too_long": _length("max_length", "at most", "elements"),
}


def _field_at(model: type[BaseModel], location: tuple[str | int, ...]) -> tuple[type[BaseModel], FieldInfo | None]:
    """The innermost field on the way to a location, and the model whose field it is or should have been."""
    owner, field, annotation = model, None, _bare(model)
    for part in location:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            owner, field = annotation, _field_named(annotation, part)
            annotation = _bare(field.annotation) if field else None
        else:
            annotation = _bare((*get_args(annotation), None)[-2]) if get_args(annotation) else None
    return owner, field


def _field_named(model: type[BaseModel], name: str | int) -> FieldInfo | None:
    fields = model.model_fields
    return next((field for key, field in fields.items() if (field.alias or key) == name), None)


def _bare(annotation: Any) -> Any:
    """A type without `Annotated` and `| None`."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return _bare(next(part for part in get_args(annotation) if part is not NoneType))
    return annotation


def _literals(annotation: Any) -> list[str]:
    bare = _bare(annotation)
    return [str(name) for name in get_args(bare)] if get_origin(bare) is Literal else []


def _bounds(field: FieldInfo | None) -> tuple[float, float] | None:
    """Both bounds of a number, where it has both."""
    metadata = [*field.metadata, *_nested_metadata(field.annotation)] if field else []
    low = next((item.ge for item in metadata if hasattr(item, "ge")), None)
    high = next((item.le for item in metadata if hasattr(item, "le")), None)
    return (float(str(low)), float(str(high))) if low is not None and high is not None else None


def _nested_metadata(annotation: Any) -> Iterator[Any]:
    for part in get_args(annotation):
        for item in getattr(part, "__metadata__", ()):
            yield from item.metadata if isinstance(item, FieldInfo) else (item,)
