"""Names and literals in Python code, as the readers of an application's routes ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ast

    from dockfix.project.context import Context


def module_file(context: Context, base: str) -> str | None:
    """Return the file of the module whose path without an ending is *base*, None where there is none."""
    base = base.strip("/")
    return next((path for path in (f"{base}.py", f"{base}/__init__.py") if context.text(path) is not None), None)


def dotted(node: ast.AST) -> str:
    """Return ``a.b.c`` of a name or an attribute, "" of anything else."""
    import ast

    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def text_of(node: ast.expr | None) -> str | None:
    """Return the text of a literal, "" for none, None for what is computed."""
    import ast

    if node is None:
        return ""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
