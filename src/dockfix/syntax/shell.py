"""The commands inside RUN, CMD, ENTRYPOINT and scripts: a reader of POSIX shell that gives up loudly.

It reads; it never writes shell. Every word and command carries the file offsets where it stands, so that transforms
insert and delete at spans. Where the text is not plain enough to be sure, ``ShellError`` is raised and the text is
left alone.
"""

from __future__ import annotations

import re
from typing import Final

from dockfix.records import record
from dockfix.syntax.dockerfile import Logical
from dockfix.syntax.patterns import pattern

_MAX_NESTING: Final = 40
_WORD_ENDS: Final = r"(?=[ \t\n;&|<>()]|\Z)"
_BLANKS: Final = pattern(r"(?:[ \t]|\\\n)+(?:#[^\n]*)?|(?<![^ \t\n;&|()`])#[^\n]*")
_OPERATOR: Final = pattern(r"&&|\|\||\|&|;(?![;&])|\||&|\n")
_JOINERS: Final = frozenset({"&&", "||", "|", "|&"})
_STOP: Final = pattern(r"\)|;;&|;;|;&|(?:then|else|elif|fi|done|do|esac|\}|\]\])" + _WORD_ENDS)
_MAY_BE_EMPTY: Final = frozenset({"", ";;", ";&", ";;&", "esac"})
_RESERVED: Final = pattern(
    r"(?:if|for|while|until|case|\{|\[\[|function|select|coproc|!|time)(?=[ \t\n]|\\\n|\Z)|(?:!|time|if|while)(?=\()"
)
_RESERVED_WORDS: Final = frozenset(
    {"if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac"}
    | {"{", "}", "[[", "]]", "!", "function", "select", "coproc"}
)
_ENDS_COMMAND: Final = ";&|\n()"
_REDIRECT: Final = pattern(r"(?:\d*(<<<|<<-|<<|<&|>&|<>|>>|>\||<(?!\()|>(?!\())|(&>>|&>))")
_PLAIN: Final = pattern(r"[^ \t\n;&|<>()\"'\\$`]+")
_IN_QUOTES: Final = pattern(r"[^\"\\$`]*")
_IN_HEREDOC: Final = pattern(r"[^\\$`]*")
_IN_BRACES: Final = pattern(r"[^\"'\\$`}]*")
_IN_ARITHMETIC: Final = pattern(r"[^()$`\"'\\;\n]*")
_ANSI_C: Final = pattern(r"\$'(?:[^'\\]|\\.)*'", re.DOTALL)
_VARIABLE: Final = pattern(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-])")
_PARAMETER: Final = pattern(r"[!#]?(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-])(?=[]}:+=?#%/^,@*[-])")
_NAME: Final = pattern(r"[A-Za-z_][A-Za-z0-9_-]*")
_ASSIGNMENT: Final = pattern(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_ELEMENT: Final = pattern(r"[A-Za-z_][A-Za-z0-9_]*\[")
_PARENTHESES: Final = pattern(r"[ \t]*\([ \t]*\)")
_IN: Final = pattern(r"in" + _WORD_ENDS)
_DO: Final = pattern(r"do" + _WORD_ENDS)
_ESAC: Final = pattern(r"esac" + _WORD_ENDS)
_PATTERN_END: Final = pattern(r"[|)]")
_TEST_END: Final = pattern(r"\]\]" + _WORD_ENDS)
_TEST_OPERATOR: Final = pattern(r"&&|\|\||[()<>]")


class ShellError(ValueError):
    """The text is no shell that this reader is sure about; the message says why."""


@record
class Word:
    """A shell word. ``start``/``end``: offsets in the *logical* text that was read; ``raw``: the text between.

    ``value`` is the text behind quotes and backslashes, None where it holds an expansion ($x, $(..), `..`, a glob,
    a leading tilde or a brace expansion). ``quoted`` tells whether any part of it was quoted or escaped.
    """

    start: int
    end: int
    raw: str
    value: str | None
    quoted: bool


@record
class Redirect:
    """``2>&1``, ``> file``, ``<<EOF``: ``operator`` without the file descriptor, ``target`` the word behind it."""

    start: int
    end: int
    operator: str
    target: Word


@record
class Command:
    """One simple command: assignments, words, redirections.

    ``start``/``end`` span it in the logical text, redirections included, separators not.
    ``before`` is the operator in front of it within its list ("", "&&", "||", ";", "|", "&", "\\n"); ``after`` the one
    behind it. ``depth`` is 0 at the top level and counts subshells, groups, if/for/while/case bodies and functions
    around it; commands inside ``$(...)`` or backticks are listed with ``substitution`` True.
    """

    start: int
    end: int
    assignments: tuple[Word, ...]
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...]
    before: str
    after: str
    depth: int = 0
    substitution: bool = False
    shells: tuple[int, ...] = ()
    """The offsets of the subshells and substitutions around it: a ``cd`` in one of them ends with it."""

    @property
    def argv(self) -> tuple[str | None, ...]:
        """The value of every word; None where it holds an expansion."""
        return tuple(word.value for word in self.words)

    @property
    def name(self) -> str | None:
        """The value of the first word, or None."""
        return self.words[0].value if self.words else None


@record
class Script:
    """What was read. ``source`` maps logical offsets back to the file (``source.raw_span(word.start, word.end)``).

    ``commands`` are all simple commands in the order of their start, nested ones as well. ``simple`` tells whether
    the whole is a list of depth-0 simple commands joined by ``&&``, ``;``, ``||``, ``|``, ``&`` or line ends only.
    """

    source: Logical
    commands: tuple[Command, ...]
    simple: bool

    def span(self, item: Word | Command | Redirect) -> tuple[int, int]:
        """Return the file offsets of *item*."""
        return self.source.raw_span(item.start, item.end)


def read_shell(source: Logical) -> Script:
    """Return the commands of the shell text *source*. Raises ``ShellError`` where it is not sure."""
    if "\r" in source.text or "\0" in source.text:
        raise ShellError("a carriage return or a null character in the shell text")
    reader = _Reader(source.text)
    reader.read_list(frozenset())
    if reader.pending:
        raise ShellError("a heredoc without its body")
    reader.commands.sort(key=lambda command: command.start)
    return Script(source, tuple(reader.commands), reader.simple)


class _Reader:
    """A recursive descent over the text. ``end`` is the limit of the region in hand (backticks, heredocs)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.end = len(text)
        self.commands: list[Command] = []
        self.simple = True
        self.depth = 0
        self.substitutions = 0
        self.nesting = 0
        self.shells: tuple[int, ...] = ()
        self.pending: list[tuple[str, bool, bool, int]] = []  # name, expands, strips tabs, substitutions around it

    # Lists and separators

    def read_list(self, stops: frozenset[str]) -> str:
        """Read commands up to one of *stops*, consume and return it; without *stops*, up to the end."""
        self.nesting += 1
        if self.nesting > _MAX_NESTING:
            raise ShellError("nested too deeply")
        before = ""
        count = 0
        dangling = False
        closed = False  # a compound command stands in front without a separator
        while True:
            self.skip(newlines=True)
            stop = self.stop()
            if stop is not None:
                if stop not in stops and (stop or stops):
                    raise ShellError(f"unexpected {stop or 'end'}")
                if (dangling and before in _JOINERS) or (not count and stop not in _MAY_BE_EMPTY):
                    raise ShellError(f"no command before {stop or 'the end'}")
                self.position += len(stop)
                self.nesting -= 1
                return stop
            if closed:
                raise ShellError("no separator behind a compound command")
            self.read_command(before)
            count += 1
            operator = self.operator()
            closed, dangling = not operator, bool(operator)
            if operator:
                self.position += len(operator)
                before = operator

    def stop(self) -> str | None:
        """Return what ends a list here: ``)``, ``;;``, a reserved word, or "" at the end; None for a command."""
        if self.position >= self.end:
            return ""
        match = _STOP.match(self.text, self.position, self.end)
        return match.group() if match else None

    def operator(self) -> str:
        self.skip(newlines=False)
        if self.text.startswith(";;", self.position) or self.text.startswith(";&", self.position):
            return ""
        match = _OPERATOR.match(self.text, self.position, self.end)
        return match.group() if match and match.group() != "\n" else self.newline_operator()

    def newline_operator(self) -> str:
        if self.position < self.end and self.text[self.position] == "\n":
            self.read_newline()
            self.position -= 1  # the caller steps over one character
            return "\n"
        return ""

    def read_newline(self) -> None:
        self.position += 1
        waiting, self.pending = self.pending, []
        for name, expands, chomps, substitutions in waiting:
            if substitutions != self.substitutions:
                raise ShellError("a heredoc across a substitution")
            self.read_heredoc(name, expands, chomps)

    def read_heredoc(self, name: str, expands: bool, chomps: bool) -> None:
        start = self.position
        while self.position < self.end:
            at = self.text.find("\n", self.position, self.end)
            stop = self.end if at < 0 else at
            line = self.text[self.position : stop]
            body_end = self.position
            self.position = min(stop + 1, self.end)
            if (line.lstrip("\t") if chomps else line) == name:
                if expands:
                    after, limit = self.position, self.end
                    self.position, self.end = start, body_end
                    self.read_expanding("")
                    self.position, self.end = after, limit
                return
        raise ShellError(f"a heredoc without its end {name}")

    def skip(self, *, newlines: bool) -> None:
        """Step over blanks, joined lines and comments, and over line ends as well if asked to."""
        while True:
            match = _BLANKS.match(self.text, self.position, self.end)
            if match:
                self.position = match.end()
            if newlines and self.position < self.end and self.text[self.position] == "\n":
                self.read_newline()
            elif not match:
                return

    # Commands

    def read_command(self, before: str) -> None:
        match = _RESERVED.match(self.text, self.position, self.end)
        if match:
            self.simple = False
            self.read_compound(match.group(), match.end(), before)
            return
        if self.text.startswith("(", self.position):
            if self.text.startswith("((", self.position):
                raise ShellError("(( is not read")
            self.simple = False
            self.position += 1
            self.read_subshell(frozenset({")"}))
            self.read_redirects()
            return
        self.read_simple(before)

    def read_compound(self, keyword: str, end: int, before: str) -> None:
        self.position = end
        match keyword:
            case "!" | "time":
                self.skip(newlines=False)
                again = self.text.startswith("!", self.position)
                if again or self.stop() is not None or self.text[self.position] in ";&|\n-":
                    raise ShellError(f"no command behind {keyword}")
                self.read_command(before)
                return
            case "{":
                self.read_body(frozenset({"}"}))
            case "if":
                stop = "elif"
                while stop == "elif":
                    self.read_body(frozenset({"then"}))
                    stop = self.read_body(frozenset({"elif", "else", "fi"}))
                if stop == "else":
                    self.read_body(frozenset({"fi"}))
            case "while" | "until":
                self.read_body(frozenset({"do"}))
                self.read_body(frozenset({"done"}))
            case "for":
                self.read_for()
            case "case":
                self.read_case()
            case "[[":
                self.read_test()
            case "function":
                self.skip(newlines=False)
                self.expect(_NAME, "a function's name")
                self.skip(newlines=False)
                parentheses = _PARENTHESES.match(self.text, self.position, self.end)
                if parentheses:
                    self.position = parentheses.end()
                self.read_function_body()
                return
            case _:
                raise ShellError(f"{keyword} is not read")
        self.read_redirects()

    def read_body(self, stops: frozenset[str]) -> str:
        self.depth += 1
        stop = self.read_list(stops)
        self.depth -= 1
        return stop

    def read_subshell(self, stops: frozenset[str]) -> None:
        shells = self.shells
        self.shells = (*shells, self.position)
        self.read_body(stops)
        self.shells = shells

    def expect(self, pattern: re.Pattern[str], what: str) -> str:
        match = pattern.match(self.text, self.position, self.end)
        if not match:
            raise ShellError(f"{what} expected")
        self.position = match.end()
        return match.group()

    def read_for(self) -> None:
        self.skip(newlines=False)
        self.expect(_NAME, "a variable")
        self.skip(newlines=True)
        if _IN.match(self.text, self.position, self.end):
            self.position += 2
            self.skip(newlines=False)
            while self.position < self.end and self.text[self.position] not in ";\n":
                self.read_word()
                self.skip(newlines=False)
        if self.position < self.end and self.text[self.position] == ";":
            self.position += 1
        self.skip(newlines=True)
        self.expect(_DO, "do")
        self.read_body(frozenset({"done"}))

    def read_case(self) -> None:
        self.skip(newlines=False)
        self.read_word()
        self.skip(newlines=True)
        self.expect(_IN, "in")
        while True:
            self.skip(newlines=True)
            match = _ESAC.match(self.text, self.position, self.end)
            if match:
                self.position = match.end()
                return
            if self.position < self.end and self.text[self.position] == "(":
                self.position += 1
            while True:
                self.skip(newlines=False)
                self.read_word()
                self.skip(newlines=False)
                if self.expect(_PATTERN_END, ") behind a pattern") == ")":
                    break
            if self.read_body(frozenset({";;&", ";;", ";&", "esac"})) == "esac":
                return

    def read_test(self) -> None:
        regex = False
        self.skip(newlines=True)
        if _TEST_END.match(self.text, self.position, self.end):
            raise ShellError("[[ without a condition")
        while True:
            self.skip(newlines=True)
            if self.position >= self.end:
                raise ShellError("[[ without ]]")
            match = _TEST_END.match(self.text, self.position, self.end)
            if match:
                self.position = match.end()
                return
            if regex:
                if self.text[self.position] in "(|":
                    raise ShellError("a regular expression with parentheses")
                self.read_word()
                if self.position < self.end and self.text[self.position] in "(|<>&":
                    raise ShellError("a regular expression with parentheses")
                regex = False
                continue
            match = _TEST_OPERATOR.match(self.text, self.position, self.end)
            if match:
                self.position = match.end()
            else:
                regex = self.read_word().raw == "=~"

    def read_function_body(self) -> None:
        self.simple = False
        self.skip(newlines=True)
        self.depth += 1
        if not (self.text.startswith("(", self.position) or _RESERVED.match(self.text, self.position, self.end)):
            raise ShellError("a function without a body")
        self.read_command("")
        self.depth -= 1

    def read_simple(self, before: str) -> None:
        start = stop = self.position
        assignments: list[Word] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            redirect = self.read_redirect()
            if redirect:
                redirects.append(redirect)
            elif self.position >= self.end or self.text[self.position] in _ENDS_COMMAND:
                break
            else:
                word = self.read_word()
                following = self.text[self.position : min(self.position + 1, self.end)]
                if following == "(":
                    parentheses = _PARENTHESES.match(self.text, self.position, self.end)
                    if words or assignments or redirects or not parentheses or not _NAME.fullmatch(word.raw):
                        raise ShellError("( inside a command")
                    self.position = parentheses.end()
                    self.read_function_body()
                    return
                if following in ("<", ">") and word.raw.startswith("{") and word.raw.endswith("}"):
                    raise ShellError("a file descriptor in a variable")
                if not words and word.raw in _RESERVED_WORDS:
                    raise ShellError(f"unexpected {word.raw}")
                if not words and _ASSIGNMENT.match(word.raw):
                    assignments.append(word)
                elif not words and _ELEMENT.match(word.raw):
                    raise ShellError("an assignment to an array")
                else:
                    words.append(word)
            stop = self.position
            self.skip(newlines=False)
        if stop == start:
            raise ShellError(f"unexpected {self.text[self.position : self.position + 1] or 'end'}")
        match = _OPERATOR.match(self.text, self.position, self.end)
        if self.position < self.end and self.text[self.position] == "(":
            raise ShellError("( inside a command")
        after = match.group() if match else ""
        command = Command(
            start,
            stop,
            tuple(assignments),
            tuple(words),
            tuple(redirects),
            before,
            after,
            self.depth,
            self.substitutions > 0,
            self.shells,
        )
        self.commands.append(command)

    def read_redirects(self) -> None:
        """Read the redirections behind a compound command."""
        self.skip(newlines=False)
        while self.read_redirect():
            self.skip(newlines=False)

    def read_redirect(self) -> Redirect | None:
        match = _REDIRECT.match(self.text, self.position, self.end)
        if not match:
            return None
        operator = match.group(1) or match.group(2)
        start, self.position = self.position, match.end()
        blanks = _BLANKS.match(self.text, self.position, self.end)
        if blanks and "#" not in blanks.group():
            self.position = blanks.end()
        target = self.read_word()
        if operator in ("<<", "<<-"):
            if not target.raw or any(char in target.raw for char in "$`\n"):
                raise ShellError("a heredoc whose name is not plain")
            name = target.value
            if name is None:
                if target.quoted:
                    raise ShellError("a heredoc whose name is not plain")
                name = target.raw
            self.pending.append((name, not target.quoted, operator == "<<-", self.substitutions))
        return Redirect(start, self.position, operator, target)

    # Words

    def read_word(self) -> Word:
        text, end = self.text, self.end
        start = self.position
        parts: list[str] = []
        bare: list[str] = []
        quoted = False
        known = True
        while self.position < end:
            match = _PLAIN.match(text, self.position, end)
            if match:
                parts.append(match.group())
                bare.append(match.group())
                self.position = match.end()
                continue
            char = text[self.position]
            if char == '"':
                quoted = True
                self.position += 1
                value = self.read_expanding('"')
                if value is None:
                    known = False
                else:
                    parts.append(value)
                bare.append("\0")
            elif char == "'":
                quoted = True
                parts.append(self.read_single())
                bare.append("\0")
            elif char == "\\":
                if self.position + 1 >= end:
                    raise ShellError("a backslash at the end")
                if text[self.position + 1] != "\n":
                    quoted = True
                    parts.append(text[self.position + 1])
                    bare.append("\0")
                self.position += 2
            elif char == "$":
                following = text[self.position + 1 : self.position + 2] if self.position + 1 < end else ""
                if following == "'":
                    match = _ANSI_C.match(text, self.position, end)
                    if not match:
                        raise ShellError("a quote without its end")
                    self.position = match.end()
                    quoted, known = True, False
                elif following == '"':
                    self.position += 2
                    self.read_expanding('"')
                    quoted, known = True, False
                elif self.read_dollar(quoted=False):
                    known = False
                else:
                    parts.append("$")
                    bare.append("$")
            elif char == "`":
                self.read_backticks()
                known = False
            elif char in "<>" and text.startswith("(", self.position + 1) and self.position == start:
                self.position += 2
                self.read_substitution()
                known = False
            elif char == "(" and _ASSIGNMENT.fullmatch(text, start, self.position):
                self.read_array()
                known = False
            else:
                break
        if self.position == start:
            raise ShellError(f"unexpected {text[start : start + 1] or 'end'}")
        raw = text[start : self.position]
        if known and _expands("".join(bare)):
            known = False
        return Word(start, self.position, raw, "".join(parts) if known else None, quoted)

    def read_single(self) -> str:
        at = self.text.find("'", self.position + 1, self.end)
        if at < 0:
            raise ShellError("a quote without its end")
        value = self.text[self.position + 1 : at]
        if self.pending and "\n" in value:
            raise ShellError("a heredoc across a quote")
        self.position = at + 1
        return value

    def read_expanding(self, closer: str) -> str | None:
        """Read the inside of double quotes, or a heredoc's body without *closer*; return its value if it is known."""
        text = self.text
        parts: list[str] = []
        known = True
        while True:
            match = (_IN_QUOTES if closer else _IN_HEREDOC).match(text, self.position, self.end)
            assert match
            parts.append(match.group())
            self.position = match.end()
            if self.pending and "\n" in match.group():
                raise ShellError("a heredoc across a quote")
            if self.position >= self.end:
                if closer:
                    raise ShellError("a quote without its end")
                return None
            char = text[self.position]
            if char == closer:
                self.position += 1
                return "".join(parts) if known else None
            if char == "\\":
                following = text[self.position + 1 : self.position + 2]
                if self.position + 1 >= self.end and closer:
                    raise ShellError("a quote without its end")
                self.position = min(self.position + 2, self.end)
                if following in ("$", "`", '"', "\\"):
                    parts.append(following)
                elif following != "\n":
                    parts.append("\\" + following)
            elif char == "`":
                self.read_backticks()
                known = False
            elif self.read_dollar(quoted=True):
                known = False
            else:
                parts.append("$")

    def read_dollar(self, *, quoted: bool) -> bool:
        """Step over ``$`` and the expansion behind it; return whether there is one."""
        text, at = self.text, self.position
        match = _VARIABLE.match(text, at, self.end)
        if match:
            self.position = match.end()
        elif text.startswith("$((", at):
            self.position = at + 3
            self.read_arithmetic()
        elif text.startswith("$(", at):
            self.position = at + 2
            self.read_substitution()
        elif text.startswith("${", at):
            self.position = at + 2
            self.read_parameter(quoted=quoted)
        elif text.startswith("$[", at):
            raise ShellError("$[ is not read")
        else:
            self.position = at + 1
            return False
        return True

    def read_substitution(self) -> None:
        simple = self.simple
        self.substitutions += 1
        self.read_subshell(frozenset({")"}))
        if self.pending and self.pending[-1][3] == self.substitutions:
            raise ShellError("a heredoc without its body")
        self.substitutions -= 1
        self.simple = simple

    def read_backticks(self) -> None:
        at = self.text.find("`", self.position + 1, self.end)
        if at < 0:
            raise ShellError("a backtick without its end")
        if "\\" in self.text[self.position : at]:
            raise ShellError("a backslash inside backticks")
        limit, simple = self.end, self.simple
        self.position, self.end = self.position + 1, at
        self.substitutions += 1
        self.read_subshell(frozenset())
        if self.pending and self.pending[-1][3] == self.substitutions:
            raise ShellError("a heredoc without its body")
        self.substitutions -= 1
        self.position, self.end, self.simple = at + 1, limit, simple

    def read_parameter(self, *, quoted: bool) -> None:
        self.nesting += 1
        if self.nesting > _MAX_NESTING:
            raise ShellError("nested too deeply")
        self.expect(_PARAMETER, "a variable in ${}")
        while True:
            match = _IN_BRACES.match(self.text, self.position, self.end)
            assert match
            self.position = match.end()
            if self.position >= self.end:
                raise ShellError("${ without }")
            char = self.text[self.position]
            if char == "}":
                self.position += 1
                self.nesting -= 1
                return
            if char == '"':
                self.position += 1
                self.read_expanding('"')
            elif char == "'":
                if quoted:
                    raise ShellError("a single quote in ${} in double quotes")
                self.read_single()
            elif char == "\\":
                self.position += 2
            elif char == "`":
                self.read_backticks()
            else:
                self.read_dollar(quoted=quoted)

    def read_arithmetic(self) -> None:
        open_parentheses = 0
        while True:
            match = _IN_ARITHMETIC.match(self.text, self.position, self.end)
            assert match
            self.position = match.end()
            char = self.text[self.position] if self.position < self.end else ""
            if char == "(":
                open_parentheses += 1
                self.position += 1
            elif char == ")" and open_parentheses:
                open_parentheses -= 1
                self.position += 1
            elif char == ")" and self.text.startswith("))", self.position) and self.position + 1 < self.end:
                self.position += 2
                return
            elif char == "$":
                self.read_dollar(quoted=True)
            else:
                raise ShellError("arithmetic that is not plain")

    def read_array(self) -> None:
        self.position += 1
        while True:
            self.skip(newlines=True)
            if self.position < self.end and self.text[self.position] == ")":
                self.position += 1
                return
            self.read_word()


def _expands(bare: str) -> bool:
    """Whether the unquoted characters of a word make a glob, a brace expansion or a home directory."""
    if "*" in bare or "?" in bare or bare.startswith("~") or "=~" in bare or ":~" in bare:
        return True
    if "[" in bare and "]" in bare[bare.index("[") :] and bare not in ("[[", "]]"):
        return True
    return "{" in bare and "}" in bare and ("," in bare or ".." in bare)
