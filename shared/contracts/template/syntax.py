"""What is wrong with a text that is no YAML, in our words."""

from __future__ import annotations

from typing import Final, NamedTuple

import yaml

from shared.contracts.template.problems import Problem


class Explanation(NamedTuple):
    """`said` is a part of libyaml's message."""

    said: str
    problem: str
    mend: str


EXPLANATIONS: Final = (
    Explanation(
        "cannot start any token",
        "A character stands where nothing can start with it.",
        "Indent with spaces, not tabs, and quote text that starts with @, ` or %.",
    ),
    Explanation(
        "mapping values are not allowed",
        "A second `:` stands in one line, or the indentation is off.",
        "Put text with `: ` in quotes, and align the names of one mapping.",
    ),
    Explanation(
        "could not find expected ':'",
        "A name has no `:` after it, or a quote is not closed.",
        "Write `name: value`, and close each quote.",
    ),
    Explanation(
        "did not find expected key",
        "The indentation is off, or a quote or bracket above is not closed.",
        "Align the names of one mapping, and close what is open.",
    ),
    Explanation("did not find expected '-'", "A list is broken off.", "Align all `- ` of one list."),
    Explanation(
        "did not find expected ',' or",
        "A `,` or a closing bracket is missing.",
        "Separate elements by `,` and close the bracket.",
    ),
    Explanation(
        "did not find expected node content",
        "The text ends, or something else follows, where a value should stand.",
        "Write the value, and close each bracket.",
    ),
    Explanation(
        "exceeded maximum nesting depth",
        "Brackets are nested too deeply.",
        "Flatten it; a schema can use $defs and $ref.",
    ),
    Explanation("unexpected end of stream", "The text ends inside quotes.", "Close the quote."),
    Explanation(
        "unknown escape character",
        "A backslash in double quotes starts no known escape.",
        "Write two backslashes for one, or use single quotes.",
    ),
    Explanation(
        "expected <document start>",
        "Something follows after the end of the document.",
        "Keep one mapping, and align its names.",
    ),
    Explanation(
        "invalid Unicode character escape",
        "An escape stands for half of a surrogate pair.",
        "Write the character itself.",
    ),
    Explanation("undefined tag handle", "A tag is not allowed here.", "Put text that starts with `!` in quotes."),
    Explanation("control characters", "The text holds a control character.", "Take it out."),
)

UNEXPLAINED: Final = Explanation(
    "",
    "The YAML cannot be read from here on.",
    "Check quotes, brackets and indentation of this line and the one before.",
)


def syntax_problem(error: yaml.YAMLError, text: str) -> Problem:
    """The problem that stopped the parser, with its line, and its column where libyaml tells it."""
    message = str(error)
    told = next((each for each in EXPLANATIONS if each.said in message), UNEXPLAINED)
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return Problem("", told.problem, told.mend, mark.line + 1, mark.column + 1)
    offset = getattr(error, "position", None)
    line = text.encode()[:offset].count(b"\n") + 1 if isinstance(offset, int) else None
    return Problem("", told.problem, told.mend, line)
