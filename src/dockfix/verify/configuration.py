"""Compare what the images' configurations promise: user, ports, command, environment, labels, volumes, and the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from dockfix.verify.engine import shown
from dockfix.verify.image import Configuration
from dockfix.verify.result import Row, Side, Verdict

_ROOT: Final = frozenset({"", "0", "root", "0:0", "root:root", "0:root", "root:0"})
_SERVERS: Final = (
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "waitress-serve",
    "daphne",
    "granian",
    "uwsgi",
    "tini",
    "dumb-init",
)


def configuration_rows(before: Side, after: Side, *, secrets: bool) -> Iterator[Row]:
    """Yield the rows. Values of variables are never shown: they may be secrets."""
    assert before.image is not None
    assert after.image is not None
    old, new = before.image.configuration, after.image.configuration
    yield _user(old.user, new.user)
    yield _sets("ports", old.ports, new.ports)
    yield _command(old, new)
    yield _environment(old.environment, new.environment, before.plan.stated, secrets)
    yield _labels(old.labels, new.labels)
    yield _sets("volumes", old.volumes, new.volumes)
    for what, first, second in (
        ("workdir", old.workdir or "/", new.workdir or "/"),
        ("stop signal", old.stop_signal, new.stop_signal),
    ):
        if first != second:
            yield Row(what, first or "none", second or "none", Verdict.WORSE)
    if old.health and not new.health:
        yield Row("health check", "stated", "none", Verdict.WORSE)


def _user(old: str, new: str) -> Row:
    first, second = (("root" if user in _ROOT else user) for user in (old, new))
    if first == second:
        return Row("user", first, second, Verdict.SAME)
    return Row("user", first, second, Verdict.INTENDED if first == "root" else Verdict.WORSE)


def _sets(what: str, old: frozenset[str], new: frozenset[str]) -> Row:
    verdict = Verdict.WORSE if old - new else Verdict.INTENDED if new - old else Verdict.SAME
    details = (*(f"lost: {item}" for item in sorted(old - new)), *(f"added: {item}" for item in sorted(new - old)))
    return Row(what, ", ".join(sorted(old)) or "none", ", ".join(sorted(new)) or "none", verdict, details)


def _command(old: Configuration, new: Configuration) -> Row:
    first, second = (shown((*one.entrypoint, *one.command)) or "none" for one in (old, new))
    if first == second:
        return Row("command", first, second, Verdict.SAME)
    words = (*new.entrypoint, *new.command)
    if not words:
        return Row("command", first, second, Verdict.WORSE, ("the image has no command any more",))
    reason = "another command"
    if " ".join(_without_shell(old)) == " ".join(_without_shell(new)):
        reason = "exec form in place of shell form, or the other way round"
    elif any(name in word for name in _SERVERS for word in words):
        reason = "the server"
    return Row("command", first, second, Verdict.INTENDED, (reason,))


def _without_shell(one: Configuration) -> list[str]:
    words = [*one.entrypoint, *one.command]
    while words[:2] == ["/bin/sh", "-c"] and len(words) > 2:
        words = words[2].removeprefix("exec ").split() + words[3:]
    return words


def _environment(old: Mapping[str, str], new: Mapping[str, str], stated: frozenset[str], secrets: bool) -> Row:
    lost = [name for name in old if name not in new]
    changed = [name for name in old if name in new and old[name] != new[name]]
    added = [name for name in new if name not in old]
    worse = []
    details = [f"added: {name}" for name in added]
    for name in lost:
        if name not in stated:
            details.append(f"lost, of the base image: {name}")
        elif secrets:
            details.append(f"taken out of the image: {name}")
        else:
            worse.append(f"lost: {name}")
    for name in changed:
        if name == "PATH":
            gone = [part for part in old[name].split(":") if part not in new[name].split(":")]
            target = worse if gone else details
            target.append(f"PATH without {', '.join(gone)}" if gone else "PATH has more folders")
        elif name in stated:
            worse.append(f"another value: {name}")
        else:
            details.append(f"another value, of the base image: {name}")
    verdict = Verdict.WORSE if worse else Verdict.INTENDED if details else Verdict.SAME
    count = f"{len(new)} variable{'' if len(new) == 1 else 's'}"
    return Row("environment", f"{len(old)} variables", count, verdict, (*worse, *details))


def _labels(old: Mapping[str, str], new: Mapping[str, str]) -> Row:
    worse = [f"lost: {name}" for name in old if name not in new]
    worse += [f"another value: {name}" for name in old if name in new and old[name] != new[name]]
    added = [f"added: {name}" for name in new if name not in old]
    verdict = Verdict.WORSE if worse else Verdict.INTENDED if added else Verdict.SAME
    return Row("labels", str(len(old)), str(len(new)), verdict, (*worse, *added))
