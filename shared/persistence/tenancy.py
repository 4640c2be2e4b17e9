"""Tenant scoping: no statement reaches a tenant's table without naming whose rows it means.

A table says with `owned_by("enterprise")` which of its columns holds the tenant. Every `Database` looks at every
statement before it is sent, and refuses one that touches such a table without comparing that column, so that a query
that forgets it fails in the first test that runs it and can never answer with other tenants' rows. What serves no
caller but keeps the service itself going says so: `across_tenants(statement)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Delete, Executable, FromClause, Select, Table, Update
from sqlalchemy.sql import ClauseElement, operators
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, BooleanClauseList, ColumnElement, Grouping
from sqlalchemy.sql.selectable import CTE, Alias, Join, Subquery

S = TypeVar("S", bound=Executable)

_TENANT: Final = "tenant"
_ACROSS: Final = "across_tenants"


class UnscopedStatementError(RuntimeError):
    """A statement would read or change rows of every tenant."""


def owned_by(column: str) -> dict[str, str]:
    """For `Table(..., info=owned_by("enterprise"))`: whose a row is stands in `column`."""
    return {_TENANT: column}


def tenant_column(table: FromClause) -> str | None:
    """The name of the column that `owned_by` named; None for a table that belongs to the service itself."""
    info: Mapping[str, str] = getattr(_table(table), "info", {})
    return info.get(_TENANT)


def across_tenants(statement: S) -> S:
    """Let a statement touch every tenant's rows: for what the service does for itself, never for a caller."""
    return statement.execution_options(**{_ACROSS: True})


def says_across(options: Mapping[str, Any]) -> bool:
    """Whether execution options are those of `across_tenants`."""
    return bool(options.get(_ACROSS))


def require_tenant(statement: object) -> None:
    """Refuse a statement that touches a tenant's table without naming the tenant, unless it says `across_tenants`."""
    if not isinstance(statement, Executable) or not says_across(statement.get_execution_options()):
        require_named(statement)


def require_named(statement: object) -> None:
    """Refuse a statement that touches a tenant's table without naming the tenant, whatever it says besides."""
    if not isinstance(statement, ClauseElement):
        return
    unscoped = set(_unscoped(statement, frozenset()))
    if unscoped:
        raise UnscopedStatementError(
            f"A statement on {', '.join(sorted(unscoped))} does not say whose rows it means. Compare the tenant's "
            "column, or mark it with across_tenants() where it serves no caller."
        )


def _unscoped(element: ClauseElement, around: frozenset[FromClause]) -> Iterator[str]:
    """The tables of `element`, and of every statement inside of it, that lack a tenant.

    `around` are the sources of the statement around: a query inside may speak of them without having them as its own.
    """
    if isinstance(element, Select | Update | Delete):
        own, conditions = _read(element)
        if len(own) > 1:
            own = [source for source in own if source not in around]
        named = _named(conditions, own)
        yield from (_table(source).name for source in own if tenant_column(source) is not None and source not in named)
        around = frozenset(own)
    elif isinstance(element, Subquery | CTE):
        around = frozenset()
    for child in element.get_children():
        if isinstance(child, ClauseElement):
            yield from _unscoped(child, around)


def _read(statement: Select[Any] | Update | Delete) -> tuple[list[FromClause], list[ColumnElement[Any]]]:
    """What a statement reads or changes, and what it asks of the rows."""
    where = [] if statement.whereclause is None else [statement.whereclause]
    if isinstance(statement, Select):
        sources, joined = _flatten(statement.get_final_froms())
        return sources, [*joined, *where]
    return [statement.table], where


def _flatten(sources: Iterable[FromClause]) -> tuple[list[FromClause], list[ColumnElement[Any]]]:
    """Tables and their aliases, and the conditions that join them."""
    tables: list[FromClause] = []
    conditions: list[ColumnElement[Any]] = []
    for source in sources:
        if isinstance(source, Join):
            inner, joined = _flatten([source.left, source.right])
            tables += inner
            conditions += [*joined, source.onclause] if not source.isouter and source.onclause is not None else joined
        else:
            tables.append(source)
    return tables, conditions


def _named(conditions: Iterable[ColumnElement[Any]], own: Iterable[FromClause]) -> set[FromClause]:
    """The sources whose tenant every row must have: compared to a value, or to a tenant that is.

    A tenant of the statement around counts as one that is, since that statement is looked at as well.
    """
    flat = list(_conjuncts(conditions))
    named = set[FromClause]().union(*map(_fixed_by, flat))
    pairs = [pair for pair in map(_tenants_compared, flat) if pair is not None]
    known = set(own)
    for _ in pairs:
        for left, right in (*pairs, *((right, left) for left, right in pairs)):
            if left in named or left not in known:
                named.add(right)
    return named


def _conjuncts(conditions: Iterable[ColumnElement[Any]]) -> Iterator[ColumnElement[Any]]:
    for condition in conditions:
        inner = _bare(condition)
        if isinstance(inner, BooleanClauseList) and inner.operator is operators.and_:
            yield from _conjuncts(cast("Iterable[ColumnElement[Any]]", inner.clauses))
        else:
            yield inner


def _bare(element: Any) -> Any:
    return element.element if isinstance(element, Grouping) else element


def _fixed_by(condition: ColumnElement[Any]) -> set[FromClause]:
    """The tables whose tenant this condition fixes; of alternatives, those that each of them fixes."""
    if isinstance(condition, BooleanClauseList) and condition.operator is operators.or_:
        alternatives = [
            set[FromClause]().union(*map(_fixed_by, _conjuncts([alternative]))) for alternative in condition.clauses
        ]
        return set.intersection(*alternatives)
    if not isinstance(condition, BinaryExpression) or condition.operator not in {operators.eq, operators.in_op}:
        return set()
    for one, other in ((condition.left, condition.right), (condition.right, condition.left)):
        source = _whose(one)
        if source is not None and isinstance(_bare(other), BindParameter):
            return {source}
    return set()


def _tenants_compared(condition: ColumnElement[Any]) -> tuple[FromClause, FromClause] | None:
    if not isinstance(condition, BinaryExpression) or condition.operator is not operators.eq:
        return None
    left, right = _whose(condition.left), _whose(condition.right)
    return None if left is None or right is None else (left, right)


def _whose(element: Any) -> FromClause | None:
    """The table whose tenant's column this is."""
    source: FromClause | None = getattr(element, "table", None)
    if source is None or tenant_column(source) != getattr(element, "name", ""):
        return None
    return source


def _table(source: FromClause) -> Table | Any:
    return _table(source.element) if isinstance(source, Alias) else source
