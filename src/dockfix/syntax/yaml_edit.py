"""Edits of a YAML file that leave everything else as it is: comments, anchors, quotes, order, line ends, indentation.

Each function returns edits of the text as given, or None where it cannot be done safely: several documents, a place
that an alias shares, tagged or folded text, a layout that is not plain. Before edits are returned, the text that they
make is read again and must say exactly what was said before but for the one change.

A path is a sequence of keys (``str``) and positions in sequences (``int``) from the top: ``("services", "web")``.
New values are ``str``, ``int``, ``bool``, None (null), a mapping, a list (written as a block) or a tuple (written in
brackets, its strings in double quotes). New strings are quoted where YAML wants it, in the quotes of what is beside
them; new lines take the indentation and the line ends of the file. Several changes of one file::

    editing = Editing(text)
    if not editing.apply(add_key(editing.text, ("services",), "migrate", {"build": "."}, after=["web"])):
        ...  # hold back: the file is not written in a way that can be extended
    if not editing.apply(set_environment(editing.text, "migrate", "SECRET_KEY", "${SECRET_KEY:?}")):
        ...
    edits = editing.edits()  # of the first text, as a Fix wants them

``add_key`` to a key with nothing behind it (``environment:``) fills it, and ``yaml_tree.read_tree(text).at(path)``
tells what is there. A service that a merge (``<<``) completes can be given other keys than those that the merge brings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from dockfix.syntax.edit import Edit, OverlapError, apply_edits, insert
from dockfix.syntax.patterns import pattern
from dockfix.syntax.yaml_layout import Layout, New, scalar_text
from dockfix.syntax.yaml_tree import TAG, Alias, Items, Keys, Node, Path, Scalar, Tree, read_tree, walk

_Data = tuple[object, ...]
"""What a node says, for comparison: positions, quotes and comments left out."""
_REST: Final = pattern(r"[ \t]*(?:[ \t]#[^\n]*)?(?:\r?\n|\Z)")
_COMMENT: Final = pattern(r"([ ]*)#[^\n]*(?:\n|\Z)")


class Editing:
    """Several changes of one text, one after another; ``text`` is the text so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._size = len(text)
        self._pieces: list[tuple[int, int] | str] = [(0, len(text))]

    def apply(self, edits: Sequence[Edit] | None) -> bool:
        """Make *edits*, which are of ``text``; return False, and change nothing, where they are None."""
        if edits is None:
            return False
        self.text = apply_edits(self.text, edits)
        for edit in sorted(edits, key=lambda edit: (edit.start, edit.end), reverse=True):
            head, rest = _cut(self._pieces, edit.start)
            _, tail = _cut(rest, edit.end - edit.start)
            self._pieces = [*head, *([edit.replacement] if edit.replacement else []), *tail]
        return True

    def edits(self) -> list[Edit]:
        """Return all changes as edits of the first text."""
        found: list[Edit] = []
        position, added = 0, ""
        for piece in [*self._pieces, (self._size, self._size)]:
            if isinstance(piece, str):
                added += piece
                continue
            if added or piece[0] > position:
                found.append(Edit(position, piece[0], added))
            position, added = piece[1], ""
        return found


def _cut(
    pieces: list[tuple[int, int] | str], at: int
) -> tuple[list[tuple[int, int] | str], list[tuple[int, int] | str]]:
    for number, piece in enumerate(pieces):
        size = len(piece) if isinstance(piece, str) else piece[1] - piece[0]
        if at < size:
            if not at:
                return pieces[:number], pieces[number:]
            if isinstance(piece, str):
                return [*pieces[:number], piece[:at]], [piece[at:], *pieces[number + 1 :]]
            middle = piece[0] + at
            return [*pieces[:number], (piece[0], middle)], [(middle, piece[1]), *pieces[number + 1 :]]
        at -= size
    return pieces, []


def add_key(text: str, path: Path, key: str, value: New, *, after: Sequence[str] = ()) -> list[Edit] | None:
    """Add ``key: value`` to the mapping at *path* (or to nothing at all there, ``name:``), None where it is there.

    It goes behind the last entry, or behind the last of those named *after* that there are.
    """
    tree = read_tree(text)
    node = _editable(tree, path)
    if tree is None or node is None:
        return None
    pair = (("s", f"{TAG}str", key), _data_of(value))
    if isinstance(node, Scalar) and path:
        parent, name = tree.at(path[:-1]), path[-1]
        if not node.null or not isinstance(parent, Keys) or parent.flow or not isinstance(name, str):
            return None
        layout = Layout(text, tree, path[:-1])
        lines = layout.entry(key, value, parent.column + layout.step)
        edits = _below(text, node.end, parent.column + 1, lines)
        return _checked(text, edits, _replaced(_data(tree.root), path, ("m", None, None, pair)))
    if not isinstance(node, Keys) or not (node.entries or node.flow):
        return None
    merged = tree.merged(node)
    if merged is None or key in merged or node.find(key) is not None:
        return None
    layout = Layout(text, tree, path)
    number = max((at for name in after if (at := node.find(name)) is not None), default=len(node.entries) - 1)
    if node.flow:
        number = len(node.entries) - 1
        last = node.entries[-1] if node.entries else None
        added = f"{layout.flow_key(key, node)}: {layout.flow(value, '')}"
        edits = _into_flow(text, node, last and last[0], last and last[1], added)
    else:
        end = number == len(node.entries) - 1
        lines = layout.entry(key, value, node.column, _common_style(node))
        edits = _below(text, _content_end(text, node.entries[number]), node.column + (not end), lines)
    pairs = [(_data(name), _data(item)) for name, item in node.entries]
    expected = ("m", node.anchor, node.tag, *pairs[: number + 1], pair, *pairs[number + 1 :])
    return _checked(text, edits, _replaced(_data(tree.root), path, expected))


def add_item(text: str, path: Path, value: New) -> list[Edit] | None:
    """Add *value* at the end of the sequence at *path*."""
    tree = read_tree(text)
    node = _editable(tree, path)
    if tree is None or not isinstance(node, Items) or not (node.items or node.flow):
        return None
    layout = Layout(text, tree, path[:-1])
    style = node.items[-1].style if node.items and isinstance(node.items[-1], Scalar) else ""
    if node.flow:
        last = node.items[-1] if node.items else None
        edits = _into_flow(text, node, last, last, layout.flow(value, style))
    else:
        lines = layout.item(value, node.column, style)
        edits = _below(text, _content_end(text, (node.items[-1],)), node.column, lines)
    expected = ("l", node.anchor, node.tag, *(_data(item) for item in node.items), _data_of(value))
    return _checked(text, edits, _replaced(_data(tree.root), path, expected))


def replace_scalar(text: str, path: Path, value: str) -> list[Edit] | None:
    """Replace the scalar at *path* by the string *value*, in the quotes that it has."""
    tree = read_tree(text)
    node = _editable(tree, path)
    if tree is None or not path or not isinstance(node, Scalar) or node.anchor or node.tag or node.style in ("|", ">"):
        return None
    before = text[node.start : node.end]
    if "\n" in before:
        return None
    parent = tree.at(path[:-1])
    after = scalar_text(value, flow=isinstance(parent, (Keys, Items)) and parent.flow, style=node.style)
    if after is None:
        return None
    if node.null:
        edits = [insert(node.start, f" {after}")]
    else:
        head = _common(before, after)
        tail = min(_common(before[::-1], after[::-1]), len(before) - head, len(after) - head)
        edits = [Edit(node.start + head, node.end - tail, after[head : len(after) - tail])] if before != after else []
    return _checked(text, edits, _replaced(_data(tree.root), path, ("s", f"{TAG}str", value)))


def remove_key(text: str, path: Path) -> list[Edit] | None:
    """Remove the entry at *path* from a mapping in block style, with the lines that it alone has.

    Comments above it stay. Empty lines behind it go where there is nothing or an empty line above.
    """
    tree = read_tree(text)
    if tree is None or not path or not isinstance(name := path[-1], str):
        return None
    node = _editable(tree, path[:-1])
    number = node.find(name) if isinstance(node, Keys) else None
    if not isinstance(node, Keys) or number is None or node.flow or len(node.entries) < 2:
        return None
    key, value = node.entries[number]
    if any(one.anchor in tree.aliases for one in walk(value)):
        return None
    start = text.rfind("\n", 0, key.start) + 1
    start += text.startswith("\ufeff") and not start
    rest = _REST.match(text, _content_end(text, (key, value)))
    if text[start : key.start].strip() or rest is None:
        return None
    end = rest.end()
    above = text[:start].removeprefix("\ufeff").splitlines()
    if not above or not above[-1].strip():
        empty = re.compile(r"(?:[ \t]*\r?\n)*").match(text, end)
        end = empty.end() if empty else end
    if end == len(text) and not text.endswith("\n"):  # the line end in front of it goes instead
        start -= 2 if text.endswith("\r\n", 0, start) else 1
    pairs = [(_data(name), _data(item)) for name, item in node.entries]
    expected = ("m", node.anchor, node.tag, *pairs[:number], *pairs[number + 1 :])
    return _checked(text, [Edit(start, end, "")], _replaced(_data(tree.root), path[:-1], expected))


def items_to_keys(text: str, path: Path, values: Mapping[str, Mapping[str, New]]) -> list[Edit] | None:
    """Turn the sequence of strings at *path* into a mapping whose keys they are, with the value that each has.

    That is the long form of ``depends_on``. Comments stay beside their item. Every item needs a value.
    """
    tree = read_tree(text)
    node = _editable(tree, path)
    parent = tree.at(path[:-1]) if tree and path else None
    if tree is None or not isinstance(node, Items) or not isinstance(parent, Keys) or parent.flow or node.tag:
        return None
    names = [item.value for item in node.items if isinstance(item, Scalar) and not item.anchor and not item.tag]
    if not names or len(names) < len(node.items) or len(set(names)) < len(names) or set(names) - set(values):
        return None
    layout = Layout(text, tree, path[:-1])
    column = parent.column + layout.step
    edits: list[Edit] = []
    if node.flow:
        rest = _REST.match(text, node.end)
        if "\n" in text[node.start : node.end] or "#" in text[node.start : node.end] or rest is None:
            return None
        start = node.start
        while text[start - 1] in " \t":
            start -= 1
        edits.append(Edit(start, node.end, ""))
        lines = [line for name in names for line in layout.entry(name, values[name], column)]
        below = _below(text, node.end, column, lines)
        if below is None:
            return None
        edits += below
    else:
        shift = column - node.column if node.column <= parent.column else 0
        column = node.column + shift
        for item, name in zip(node.items, names, strict=True):
            dash = text.rfind("\n", 0, item.start) + 1 + node.column
            rest = _REST.match(text, item.end)
            if rest is None or not re.fullmatch(r" *- *", text[dash - node.column : item.start]):
                return None
            head, *lines = layout.entry(name, values[name], column)
            edits.append(Edit(dash, item.end, head[node.column :]))
            below = _below(text, item.end, column + 1, lines)
            if below is None:
                return None
            edits += below
    pairs = (((("s", f"{TAG}str", name)), _data_of(values[name])) for name in names)
    return _checked(text, edits, _replaced(_data(tree.root), path, ("m", node.anchor, None, *pairs)))


def set_environment(text: str, service: str, name: str, value: str) -> list[Edit] | None:
    """Give a compose service the variable *name*, in place of one that it has, in the form that its list has.

    *value* is as compose reads it: ``${NAME:?}`` comes from the environment of compose, ``$$`` is a dollar sign.
    """
    tree = read_tree(text)
    path = ("services", service, "environment")
    node = tree.at(path) if tree else None
    if node is None:
        return add_key(text, path[:-1], "environment", {name: value})
    if isinstance(node, Items):
        for number, item in enumerate(node.items):
            if isinstance(item, Scalar) and item.value.partition("=")[0] == name:
                return replace_scalar(text, (*path, number), f"{name}={value}")
        return add_item(text, path, f"{name}={value}")
    if isinstance(node, Keys) and node.find(name) is not None:
        return replace_scalar(text, (*path, name), value)
    return add_key(text, path, name, value)


def _editable(tree: Tree | None, path: Path) -> Node | None:
    """Return the node at *path*, unless an alias shares it with another place or a tag says more than its text."""
    for size in range(len(path) + 1 if tree else 0):
        node = tree.at(path[:size]) if tree else None
        if node is None or node.tag is not None or (tree and node.anchor in tree.aliases):
            return None
    return tree.at(path) if tree else None


def _common_style(node: Keys) -> str:
    """Return the quotes that all strings of a mapping have."""
    styles = {value.style for _, value in node.entries if isinstance(value, Scalar)}
    return styles.pop() if len(styles) == 1 and styles <= {"'", '"'} else ""


def _content_end(text: str, nodes: Sequence[Node]) -> int:
    """Return where the text of the last of *nodes* ends, without comments and empty lines behind it."""
    node = nodes[-1]
    if isinstance(node, Keys) and not node.flow and node.entries:
        return _content_end(text, node.entries[-1])
    if isinstance(node, Items) and not node.flow and node.items:
        return _content_end(text, node.items[-1:])
    if isinstance(node, Scalar) and node.style in ("|", ">"):
        return node.start + len(text[node.start : node.end].rstrip())
    return node.end


def _below(text: str, end: int, column: int, lines: Sequence[str]) -> list[Edit] | None:
    """Insert *lines* below the line on which *end* is, and below the comments there that begin at *column* or right."""
    rest = _REST.match(text, end)
    if rest is None:
        return None
    at = rest.end()
    while (comment := _COMMENT.match(text, at)) and len(comment.group(1)) >= column and at < len(text):
        at = comment.end()
    newline = "\r\n" if "\r\n" in text else "\n"
    if at and text[at - 1] == "\n":
        return [insert(at, "".join(line + newline for line in lines))]
    return [insert(at, "".join(newline + line for line in lines))]


def _into_flow(text: str, node: Node, first: Node | None, last: Node | None, added: str) -> list[Edit] | None:
    """Add to a collection in brackets, on a line of its own where its last item has one."""
    if first is None or last is None:
        inside = text[node.start + 1 : node.end - 1]
        return [Edit(node.start + 1, node.end - 1, added)] if not inside.strip() else None
    if text[last.end : node.end - 1].strip():
        return None
    start = text.rfind("\n", 0, first.start) + 1
    separator = ", "
    if start > node.start and not text[start : first.start].strip():
        separator = ("," + "\r\n" if "\r\n" in text else ",\n") + text[start : first.start]
    return [insert(last.end, separator + added)]


def _common(one: str, other: str) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _data(node: Node) -> _Data:
    match node:
        case Scalar():
            null = node.resolved == f"{TAG}null"
            return ("s", node.resolved, "" if null else node.value, *((node.anchor,) if node.anchor else ()))
        case Alias():
            return ("a", node.name)
        case Items():
            return ("l", node.anchor, node.tag, *(_data(item) for item in node.items))
        case Keys():
            return ("m", node.anchor, node.tag, *((_data(key), _data(value)) for key, value in node.entries))
    raise TypeError(node)


def _data_of(value: New) -> _Data:
    if value is None:
        return ("s", f"{TAG}null", "")
    if isinstance(value, bool):
        return ("s", f"{TAG}bool", "true" if value else "false")
    if isinstance(value, (int, str)):
        return ("s", TAG + ("str" if isinstance(value, str) else "int"), str(value))
    if isinstance(value, Mapping):
        return ("m", None, None, *((_data_of(key), _data_of(one)) for key, one in value.items()))
    return ("l", None, None, *(_data_of(one) for one in value))


def _replaced(data: _Data, path: Path, new: _Data) -> _Data:
    if not path:
        return new
    step, rest = path[0], path[1:]
    parts = list(data)
    for number, part in enumerate(parts[3:], 3):
        if isinstance(step, int) and number == step + 3 and isinstance(part, tuple):
            parts[number] = _replaced(part, rest, new)
        elif isinstance(step, str) and isinstance(part, tuple) and part[0][2:3] == (step,) and part[0][0] == "s":
            parts[number] = (part[0], _replaced(part[1], rest, new))
    return tuple(parts)


def _checked(text: str, edits: list[Edit] | None, expected: _Data) -> list[Edit] | None:
    """Return *edits* if the text that they make says what is expected."""
    if edits is None:
        return None
    try:
        tree = read_tree(apply_edits(text, edits))
    except (OverlapError, ValueError):
        return None
    return edits if tree is not None and _data(tree.root) == expected else None
