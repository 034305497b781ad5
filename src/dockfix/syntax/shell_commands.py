"""The commands of shell text: lists, compound commands, redirections."""

from __future__ import annotations

from typing import Final

from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command, Redirect, ShellError, Word
from dockfix.syntax.shell_words import ASSIGNMENT, BLANKS, MAX_NESTING, WordReader

_WORD_ENDS: Final = r"(?=[ \t\n;&|<>()]|\Z)"
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
_NAME: Final = pattern(r"[A-Za-z_][A-Za-z0-9_-]*")
_ELEMENT: Final = pattern(r"[A-Za-z_][A-Za-z0-9_]*\[")
_PARENTHESES: Final = pattern(r"[ \t]*\([ \t]*\)")
_IN: Final = pattern(r"in" + _WORD_ENDS)
_DO: Final = pattern(r"do" + _WORD_ENDS)
_ESAC: Final = pattern(r"esac" + _WORD_ENDS)
_PATTERN_END: Final = pattern(r"[|)]")
_TEST_END: Final = pattern(r"\]\]" + _WORD_ENDS)
_TEST_OPERATOR: Final = pattern(r"&&|\|\||[()<>]")


class CommandReader(WordReader):
    """A recursive descent over the text."""

    def read_list(self, stops: frozenset[str]) -> str:
        """Read commands up to one of *stops*, consume and return it; without *stops*, up to the end."""
        self.nesting += 1
        if self.nesting > MAX_NESTING:
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
                if not words and ASSIGNMENT.match(word.raw):
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
        blanks = BLANKS.match(self.text, self.position, self.end)
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
