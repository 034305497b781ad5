"""Put expressions in the place of literals of a Python module, with libcst; everything else stays as it is."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from dockfix.syntax.edit import Edit, apply_edits, insert
from dockfix.syntax.patterns import pattern
from dockfix_transforms._config_literals import Literal

_CODING: Final = pattern(r"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_BREAK: Final = pattern(r"\r\n|\r|\n")


class Unchangeable(Exception):
    """Why the module is left as it is."""


def rewritten(text: str, tree: ast.Module, literals: Sequence[Literal]) -> list[Edit]:
    """Return the edits that put each literal's new text in its place, and import os where it is not. Raises."""
    for line in text.removeprefix("\ufeff").splitlines()[:2]:
        coding = _CODING.match(line)
        if coding and coding.group(1).lower().replace("_", "-") not in ("utf-8", "utf8", "us-ascii", "ascii"):
            raise Unchangeable(f"it is written in {coding.group(1)}, not in UTF-8")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Unchangeable("it is not in UTF-8") from None
    environ, importing = _environ(text, tree, min((one.line, one.node.col_offset) for one in literals))
    spans = _spans(text, literals)
    edits = []
    for literal, (start, end) in zip(literals, spans, strict=True):
        quote = _quote(text, start)
        edits.append(Edit(start, end, literal.text.replace("{environ}", environ).replace("{q}", quote)))
    _replaced(text, edits)
    return sorted([*importing, *edits])


def _spans(text: str, literals: Sequence[Literal]) -> list[tuple[int, int]]:
    """Return where the literals stand; ``ast`` counts lines, and columns in bytes of UTF-8."""
    first = 1 if text.startswith("\ufeff") else 0
    starts = [first, *(match.end() for match in _BREAK.finditer(text, first))]

    def offset(line: int, column: int) -> int:
        start = starts[line - 1]
        return start + len(text[start:].encode("utf-8")[:column].decode("utf-8"))

    spans = []
    for literal in literals:
        node = literal.node
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        spans.append((offset(node.lineno, node.col_offset), offset(node.end_lineno, node.end_col_offset)))
    return spans


def _quote(text: str, start: int) -> str:
    """Return the quote that the literal has, else the one that its line, or the module, has more of."""
    own = re.match(r"[rRuU]?(['\"])", text[start : start + 2])
    if own:
        return own.group(1)
    line = text[text.rfind("\n", 0, start) + 1 : start + text[start:].find("\n")]
    more = next((some for some in (line, text) if some.count("'") != some.count('"')), "")
    return "'" if more.count("'") > more.count('"') else '"'


def _replaced(text: str, edits: Sequence[Edit]) -> None:
    """Make the same change on libcst's tree, and raise where its text is another one than the edits make."""
    import libcst
    from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper

    plain = text.removeprefix("\ufeff")
    first = len(text) - len(plain)
    try:
        module = libcst.parse_module(plain)
    except (libcst.ParserSyntaxError, RecursionError):
        raise Unchangeable("it cannot be parsed") from None
    if module.code != plain:
        raise Unchangeable("libcst does not give it back as it is")
    wanted = {
        len(text[first : edit.start].encode()): (len(text[edit.start : edit.end].encode()), edit) for edit in edits
    }
    wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
    places = wrapper.resolve(ByteSpanPositionProvider)
    nodes: dict[libcst.CSTNode, libcst.BaseExpression] = {}
    for node, place in places.items():
        size, edit = wanted.get(place.start, (-1, None))
        if (
            edit is not None
            and size == place.length
            and isinstance(node, libcst.SimpleString | libcst.ConcatenatedString | libcst.Name | libcst.List)
        ):
            expression = libcst.parse_expression(edit.replacement)
            nodes[node] = expression.with_changes(lpar=node.lpar, rpar=node.rpar)

    class Replace(libcst.CSTTransformer):
        def on_leave(  # type: ignore[override]
            self, original_node: libcst.CSTNode, updated_node: libcst.CSTNode
        ) -> libcst.CSTNode:
            return nodes.get(original_node, updated_node)

    changed = wrapper.module.visit(Replace())
    if len(nodes) != len(edits) or not isinstance(changed, libcst.Module):
        raise Unchangeable("the literal is not found in libcst's tree")
    if changed.code != apply_edits(text, edits)[first:]:
        raise Unchangeable("libcst does not give it back as it is")


def _environ(text: str, tree: ast.Module, before: tuple[int, int]) -> tuple[str, list[Edit]]:
    """Return how the module names the environment, and the edits that import os where nothing did so up to *before*."""
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            bound.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                name = alias.asname or alias.name
                of_os = isinstance(node, ast.Import) and (name == "os" or alias.name.startswith("os."))
                if name == "os" and not (of_os and alias.name == "os"):
                    bound.add("os")
    if "os" in bound:
        raise Unchangeable("the name os means something else in it")
    for statement in tree.body:
        if (statement.lineno, statement.col_offset) >= before:
            break
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                if alias.name == "os":
                    return f"{alias.asname or 'os'}.environ", []
                if alias.name.startswith("os.") and alias.asname is None:
                    return "os.environ", []
        if isinstance(statement, ast.ImportFrom) and statement.module == "os" and "environ" not in bound:
            for alias in statement.names:
                if alias.name == "environ":
                    return alias.asname or "environ", []
    return "os.environ", [_import_os(text, tree, before[0])]


def _import_os(text: str, tree: ast.Module, before: int) -> Edit:
    """Return the edit that imports os: sorted among the modules of the library, above those of others."""
    newline = "\r\n" if "\r\n" in text else "\n"
    first = 1 if text.startswith("\ufeff") else 0
    starts = [first, *(match.end() for match in _BREAK.finditer(text, first)), len(text)]
    lines = [text[start:end] for start, end in pairwise(starts)]
    body = list(tree.body)
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]  # the docstring
    while body and isinstance(body[0], ast.ImportFrom) and body[0].module == "__future__":
        body = body[1:]
    block: list[ast.Import | ast.ImportFrom] = []
    for statement in body:
        if not isinstance(statement, ast.Import | ast.ImportFrom) or statement.lineno >= before:
            break
        if block and statement.lineno != (block[-1].end_lineno or 0) + 1:
            break
        block.append(statement)
    if block and _root(block[0]) in sys.stdlib_module_names:
        plain = [one for one in block if isinstance(one, ast.Import)]
        later = [one for one in plain if one.names[0].name > "os"]
        if later:
            return insert(starts[later[0].lineno - 1], f"import os{newline}")
        if plain:
            return insert(starts[plain[-1].end_lineno or plain[-1].lineno], f"import os{newline}")
        return insert(starts[block[0].lineno - 1], f"import os{newline}")
    at = (body[0].lineno if body else before) - 1
    above = at
    while above and lines[above - 1].lstrip().startswith("#"):
        above -= 1
    if above and not lines[above - 1].strip():  # the comment is about the statement, not about the file
        at = above
    apart = 2 if body and isinstance(body[0], ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) else 1
    return insert(starts[at], f"import os{newline}" + newline * apart)


def _root(statement: ast.Import | ast.ImportFrom) -> str:
    if isinstance(statement, ast.ImportFrom):
        return "" if statement.level else (statement.module or "").partition(".")[0]
    return statement.names[0].name.partition(".")[0]
