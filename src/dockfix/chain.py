"""Run transforms over Dockerfiles: collect, order, apply, parse again, until nothing changes.

The chain never raises: what goes wrong in a file or in a transform is a ``Failure`` in the result, and the files and
transforms beside it are done all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from dockfix.build.model import Build
from dockfix.development import development
from dockfix.ignores import Ignores
from dockfix.merge import closing, inside, move_lines, moves_open_end, syntax_error, without_overlaps
from dockfix.project.files import Files
from dockfix.records import record, replace
from dockfix.result import Done, Failure, Refused, Result
from dockfix.syntax.dockerfile import Dockerfile, DockerfileSyntaxError, parse
from dockfix.syntax.edit import Edit, OverlapError, apply_edits, encode
from dockfix.transform import Fix, Safety, Skip, Transform

ROUNDS: Final = 10


@record
class Settings:
    """What to run, and how."""

    transforms: Sequence[Transform]
    safe_only: bool = False
    options: Mapping[str, Mapping[str, object]] = MappingProxyType({})
    """Options by the name of their transform."""
    known: Collection[str] = ()
    """The names of all transforms that there are, for comments that name one; empty where that is not asked."""

    def options_of(self, transform: Transform) -> dict[str, object]:
        """Return the transform's options with their defaults filled in."""
        return {**transform.options, **self.options.get(transform.name, {})}


def run(files: Files, dockerfiles: Sequence[str], settings: Settings) -> Result:
    """Run the chain over *dockerfiles* (paths in *files*), one after another over the same, growing changes."""
    tree = _Tree(files)
    runs = {path: _Run(path, settings) for path in dockerfiles}
    seen: dict[str, int] = {}
    own = frozenset(dockerfiles)
    for _ in range(ROUNDS):  # a file that several Dockerfiles share may change after one of them was done
        for path, one in runs.items():
            if seen.get(path) != tree.shared_version:
                one.run(tree, own)
                one.forget()
                seen[path] = tree.shared_version
        if all(version == tree.shared_version for version in seen.values()):
            break
    after = tree.changed()
    return Result(
        before={path: files.text(path) for path in after},
        after=after,
        fixes=tuple(done for one in runs.values() for done in one.fixes),
        suggestions=tuple(done for one in runs.values() for done in one.suggestions()),
        skips=tuple(refused for one in runs.values() for refused in one.refusals()),
        failures=tuple(failure for one in runs.values() for failure in one.failures),
    )


class _Tree:
    """The repository with the changes made so far."""

    def __init__(self, base: Files) -> None:
        self.base = base
        self.files = base
        self.contents: dict[str, str] = {}
        self.version = 0
        self.shared_version = 0
        self.origins: dict[str, list[int]] = {}  # of changed files: line now, from 0, -> line before any change

    def line(self, path: str, line: int) -> int:
        """Return the line before any change of what is at *line* now; 0 in a file that is new."""
        if line <= 0 or self.base.text(path) is None:
            return 0
        origin = self.origins.get(path)
        return origin[min(line, len(origin)) - 1] if origin else line

    def move(self, path: str, edits: Iterable[Edit]) -> None:
        """Take note that *edits* move the lines of the file."""
        text = self.files.text(path)
        if text is not None:
            origin = self.origins.get(path) or list(range(1, text.count("\n") + 2))
            self.origins[path] = move_lines(origin, text, edits)

    def change(self, texts: Mapping[str, str], own: frozenset[str]) -> None:
        """Lay *texts* over the files; *own* are the Dockerfiles, which no other Dockerfile's run depends on."""
        from dockfix.project.disk import OverlayFiles
        from dockfix.project.invocations import states

        self.contents.update(texts)
        if self.files is not self.base and isinstance(self.files, OverlayFiles):
            self.files = self.files.changed(texts, states)  # these are the tree's own
        else:
            self.files = OverlayFiles(self.base, texts)
        self.shared_version += not own.issuperset(texts)
        self.version += 1

    def restore(self, texts: Mapping[str, str | None], own: frozenset[str]) -> None:
        """Give the files back the contents that they had; None for what was as on disk."""
        from dockfix.project.disk import OverlayFiles

        for path, text in texts.items():
            self.origins.pop(path, None)
            if text is None:
                self.contents.pop(path, None)
            else:
                self.contents[path] = text
        self.files = OverlayFiles(self.base, self.contents) if self.contents else self.base
        self.shared_version += not own.issuperset(texts)
        self.version += 1

    def changed(self) -> dict[str, str]:
        return {path: text for path, text in sorted(self.contents.items()) if text != self.base.text(path)}


class _Run:
    """The chain over one Dockerfile."""

    def __init__(self, path: str, settings: Settings) -> None:
        self.path = path
        self.settings = settings
        self.fixes: list[Done] = []
        self.failures: list[Failure] = []
        self.answers: dict[str, tuple[list[Done], list[Refused]]] = {}
        self.build: Build | None = None
        self.version = -1
        self.ignores = Ignores()
        self.checked: Dockerfile | None = None
        """The last text of the Dockerfile that was parsed and cross-checked."""
        self.unreadable = False
        self.undo: dict[str, str | None] = {}
        """What the files that the last run changed held before it, None for what was as on disk."""

    def forget(self) -> None:
        """Let go of what can be read again: there may be thousands of Dockerfiles."""
        self.build = self.checked = None
        self.version = -1

    def suggestions(self) -> Iterable[Done]:
        return dict.fromkeys(done for answer in self.answers.values() for done in answer[0])

    def refusals(self) -> Iterable[Refused]:
        return dict.fromkeys(refused for answer in self.answers.values() for refused in answer[1])

    def fail(self, message: str, line: int = 0, transform: str | None = None) -> None:
        failure = Failure(self.path, line, message, transform)
        if failure not in self.failures:
            self.failures.append(failure)

    def run(self, tree: _Tree, own: frozenset[str]) -> None:
        self.undo = {}
        fixed = len(self.fixes)
        if self.unreadable:
            return
        if not self._prepare(tree):
            self.unreadable = True
            return
        quiet: dict[str, int] = {}
        changing: list[str] = []
        for _ in range(ROUNDS):
            changing = []
            for transform in self.settings.transforms:
                if quiet.get(transform.name) == tree.version:
                    continue
                if not self._prepare(tree):
                    self._take_back(tree, own, fixed)
                    return
                if self._step(transform, tree, own):
                    changing.append(transform.name)
                else:
                    quiet[transform.name] = tree.version
            if not changing:
                return
        self.fail(f"no end after {ROUNDS} rounds: {', '.join(changing)} kept changing it; the file is left alone")
        self._take_back(tree, own, fixed)

    def _take_back(self, tree: _Tree, own: frozenset[str], fixed: int) -> None:
        """Undo this run's changes: all fixes but the first *fixed*."""
        del self.fixes[fixed:]
        self.answers.clear()
        tree.restore(self.undo, own)

    def _prepare(self, tree: _Tree) -> bool:
        """Parse and build the Dockerfile as it stands now; return whether that worked."""
        if self.build is not None and self.version == tree.version:
            return True
        from dockfix.build.stages import copied_sources, stages_of
        from dockfix.project.model import Project
        from dockfix.syntax.crosscheck import crosscheck

        text = tree.files.text(self.path)
        if text is None:
            self.fail(f"cannot be read: {tree.files.trouble(self.path)}")
            return False
        if self.build is not None and self.build.dockerfile.text == text:
            dockerfile = self.build.dockerfile
        else:
            if "\0" in text:
                self.fail("a binary file, not a Dockerfile")
                return False
            try:
                checked = self.checked
                dockerfile = checked if checked is not None and checked.text == text else parse(text)
            except DockerfileSyntaxError as error:
                self.fail(error.message, error.line)
                return False
            if (refused := _refused(dockerfile)) is not None:
                self.fail(refused.message, refused.line)
                return False
            if dockerfile is not self.checked and (disagreement := crosscheck(dockerfile)) is not None:
                self.fail(disagreement)
                return False
            try:
                self.ignores = Ignores.read(dockerfile, self.settings.known if self.build is None else ())
            except DockerfileSyntaxError as error:
                self.fail(error.message, error.line)
                return False
        try:
            stages = stages_of(dockerfile)
            if not stages:
                self.fail("holds no FROM; a Dockerfile needs at least one")
                return False
            project = Project(tree.files, self.path, copied_sources(stages))
        except DockerfileSyntaxError as error:
            self.fail(error.message, error.line)
            return False
        except Exception as error:
            self.fail(f"cannot be understood ({type(error).__name__}: {error}); please report this")
            return False
        self.build, self.version = Build(self.path, dockerfile, stages, project), tree.version
        return True

    def _step(self, transform: Transform, tree: _Tree, own: frozenset[str]) -> bool:
        """Run one transform and apply its fixes; return whether anything changed."""
        assert self.build is not None
        name = transform.name
        build = replace(self.build, options=self.settings.options_of(transform))
        fixes: list[Fix] = []
        held: list[Done] = []
        refused: list[Refused] = []
        try:
            for item in transform.function(build):
                if self.ignores.hides(name, item, self.path):
                    continue
                match item:
                    case Fix() if moves_open_end(self.build.dockerfile, item.edits.get(self.path, ())):
                        last = self.build.dockerfile.instructions[-1]
                        why = f"{last.keyword} would move, and ends in a character that continues it into nothing"
                        refused.append(Refused(name, self.path, self.path, tree.line(self.path, last.line), why))
                    case Fix():
                        safety = item.safety or transform.safety
                        if safety is Safety.SUGGESTION or (self.settings.safe_only and safety is not Safety.SAFE):
                            held.append(self._done(transform, item, tree))
                        else:
                            fixes.append(item)
                    case Skip():
                        path = item.path or self.path
                        line = tree.line(path, item.line)
                        refused.append(Refused(name, self.path, path, line, item.reason))
        except Exception as error:
            self.fail(f"stopped with {type(error).__name__}: {error}; its fixes are left out", 0, name)
            self.answers[name] = ([], [])
            return False
        if transform.production and (fixes or held) and (reason := development(self.build)):
            fixes, held, refused = [], [], [Refused(name, self.path, self.path, 0, reason)]
        self.answers[name] = (held, refused)
        accepted = without_overlaps(fixes)
        if not accepted:
            return False
        outcome = self._applied(accepted, tree.files)
        if isinstance(outcome, str):  # find the fix that breaks it
            contents: dict[str, str] = {}
            good: list[Fix] = []
            for fix in accepted:
                outcome = self._applied([*good, fix], tree.files)
                if isinstance(outcome, str):
                    self.fail(f"undone: {fix.title}: {outcome}", tree.line(self.path, fix.line), name)
                else:
                    good.append(fix)
                    contents = outcome
            accepted, outcome = good, contents
        changed = {path: text for path, text in outcome.items() if text != tree.files.text(path)}
        if not changed:
            return False
        self.fixes += [self._done(transform, fix, tree) for fix in accepted]
        for path in changed:
            tree.move(path, [edit for fix in accepted for edit in fix.edits.get(path, ())])
        for path in changed:
            self.undo.setdefault(path, tree.contents.get(path))
        tree.change(changed, own)
        return True

    def _done(self, transform: Transform, fix: Fix, tree: _Tree) -> Done:
        path, line = self.path, fix.line
        if path not in fix.edits and fix.edits:
            files = tree.files
            path = next((one for one in fix.edits if files.text(one) is not None), min(fix.edits, default=path))
            first = min((edit.start for edit in fix.edits.get(path, ())), default=0)
            line = (files.text(path) or "").count("\n", 0, first) + 1
        return Done(
            transform.name,
            path,
            tree.line(path, line),
            fix.title,
            fix.safety or transform.safety,
            fix.notes,
            tuple(sorted(fix.edits)),
            fix.secrets,
            tuple(sorted(fix.variables.items())),
            self.path,
        )

    def _applied(self, fixes: Sequence[Fix], files: Files) -> dict[str, str] | str:
        """Return the new texts, or why they cannot be."""
        edits: dict[str, list[Edit]] = {}
        for fix in fixes:
            for path, some in fix.edits.items():
                edits.setdefault(path, []).extend(some)
        contents: dict[str, str] = {}
        for path, some in edits.items():
            if not inside(path):
                return f"it would write outside of the repository, {path}"
            before = files.text(path)
            if before is None and (path in files.paths or files.is_directory(path)):
                return f"{path} cannot be read, so it is not replaced"
            if path == self.path and self.build is not None:
                some = [*some, *closing(self.build.dockerfile, some)]
            try:
                contents[path] = apply_edits(before or "", some)
            except OverlapError as error:
                return f"{path}: {error}"
            complaint = self._complaint(path, before, contents[path])
            if complaint:
                return complaint
        return contents

    def _complaint(self, path: str, before: str | None, after: str) -> str | None:
        try:
            encode(after)
        except UnicodeEncodeError:
            return f"{path} would hold what is no text"
        if path != self.path:
            reason = syntax_error(path, after)
            if reason and (before is None or syntax_error(path, before) is None):
                return f"{path} would not parse any more: {reason}"
            return None
        from dockfix.syntax.crosscheck import crosscheck

        try:
            dockerfile = parse(after)
        except DockerfileSyntaxError as error:
            return f"the Dockerfile would not parse any more: line {error.line}: {error.message}"
        if (refused := _refused(dockerfile)) is not None:
            return f"the Dockerfile would not be taken any more: line {refused.line}: {refused.message}"
        disagreement = crosscheck(dockerfile)
        if disagreement is None:
            self.checked = dockerfile
        return disagreement


def _refused(dockerfile: Dockerfile) -> DockerfileSyntaxError | None:
    """Return what BuildKit's parser has against instructions that are there, None where it takes them."""
    from dockfix.build.keyvalue import pairs_of

    if not dockerfile.instructions:
        return DockerfileSyntaxError(0, "holds no instruction; a Dockerfile needs at least FROM")
    for one in dockerfile.instructions:
        if one.keyword == "FROM" and not one.value:
            return DockerfileSyntaxError(one.line, "FROM names no image")
        if one.keyword in ("ENV", "LABEL") and one.value.strip() and not pairs_of(one, dockerfile.escape):
            return DockerfileSyntaxError(one.line, f"{one.keyword} needs NAME=value")
    return None
