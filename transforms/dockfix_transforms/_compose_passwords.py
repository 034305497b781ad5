"""Which secrets a compose file holds, and which of its places hold the same one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from dockfix.build.secrets import is_placeholder, secret_in
from dockfix.project.files import Files
from dockfix.syntax.compose import Value
from dockfix.syntax.patterns import pattern
from dockfix_transforms._compose_files import ComposeFile, dependencies, environment, known_image, words
from dockfix_transforms._knowledge import table

_URL: Final = pattern(r"://([^:/?#@\s\"']*):([^/?#\s\"']+)@([^/:?#,\s\"']+)")
_REQUIREPASS: Final = pattern(r"--requirepass[= ]\s*[\"']?([^\s\"'$]+)")
_ON_COMMAND_LINE: Final = (
    r"(?:(?:^|\s)-[pa]\s?|--(?:root-)?(?:password|pass)[= ]|(?:PGPASSWORD|REDISCLI_AUTH|MYSQL_PWD)=)[\"']?"
)
_OPTION: Final = pattern(r"(?:-[pa]|--(?:root-)?(?:password|pass|requirepass))\Z")
_SEARCHED: Final = pattern(
    r"\.(?:py|js|ts|json|ini|cfg|toml|conf|properties|ya?ml|sh|env|rb|php|go|java)\Z|(?:^|/)\.env[^/]*\Z"
)
_MOST_FILES: Final = 400
_USER: Final = pattern(r"(?:(?:^|\s)-u\s?|--user(?:name)?[= ]\s*)[\"']?([\w$-]+)")
_PASSWORD: Final = pattern(r"PASS|PWD", re.I)
_NO_HOST: Final = pattern(r"USER|PASS|NAME|_DB\Z", re.I)
_NO_SECRET: Final = pattern(r"USER|NAME|_DB\Z|DATABASE", re.I)
_OF_A_SERVER: Final = pattern(
    r"DB|DATABASE|SQL|PG(?!ADMIN)|POSTGRE|MARIA|MONGO|REDIS|RABBIT|AMQP|BROKER|CACHE|SEARCH|ELASTIC", re.I
)


class Place(NamedTuple):
    """Where a secret stands: ``value[start:end]`` of the scalar at ``path``. ``name`` is the variable's, if it is one.

    ``user`` and ``host`` are those of the URL that it is part of.
    """

    service: str
    path: tuple[str | int, ...]
    value: str
    start: int
    end: int
    name: str = ""
    user: str | None = None
    host: str | None = None

    @property
    def secret(self) -> str:
        """The secret itself."""
        return self.value[self.start : self.end]


class Secret(NamedTuple):
    """One secret: the variable that it becomes, and all places that hold it."""

    name: str
    places: tuple[Place, ...]
    giver: str | None
    """The service that is started with it, such as the database, where the others are its clients."""

    @property
    def value(self) -> str:
        """The secret itself."""
        return self.places[0].secret

    @property
    def clients(self) -> tuple[Place, ...]:
        """The places outside of its own service."""
        return tuple(place for place in self.places if place.service != self.giver)


def secrets_of(file: ComposeFile) -> list[Secret]:
    """Return the secrets that are written out in *file*, the same one once for the service and its clients."""
    given: list[list[Place]] = []
    others: list[Place] = []
    places = list(_places(file))
    for place in places:
        own = "build" not in file.services[place.service] or _is_server(file, place, places)
        if own and place.host is None and _is_password(place):
            given.append([place])
        else:
            others.append(place)
    for group in list(given):  # an image may be the client of another one
        place = group[0]
        if place.name in (known_image(file.services[place.service]) or {}).get("passwords", ()):
            continue
        giving = _giver(file, place, [one for one in given if one is not group])
        if giving is not None:
            given.remove(group)
            giving.append(place)
    for started in given:
        started += _on_command_line(file, started[0])
    _give_once(file, given)
    loose: dict[tuple[str, str], list[Place]] = {}
    for place in others:
        giving = _giver(file, place, given)
        if giving is not None:
            giving.append(place)
        elif place.name:
            whole = place._replace(start=len(place.value) - len(_of(place)), end=len(place.value), host=None, user=None)
            loose.setdefault((whole.name, whole.secret), []).append(whole)
    taken: dict[str, str] = {}
    found: dict[str, Secret] = {}
    for group in [*given, *loose.values()]:
        first = group[0]
        name = first.name or "REDIS_PASSWORD"
        if "_" not in name or taken.get(name, first.secret) != first.secret:  # PASSWORD says too little
            name = f"{first.service}_{name}".upper()
        name = re.sub(r"\W|\A(?=\d)", "_", name, flags=re.ASCII)
        taken[name] = first.secret
        same = found[name].places if name in found else ()
        giver = first.service if group in given else None
        found[name] = Secret(name, (*same, *group), found[name].giver if name in found else giver)
    return list(found.values())


def code(files: Files) -> list[str]:
    """Return the files in which an application may have a password of its own, the first of very many."""
    return [path for path in sorted(files.paths) if _SEARCHED.search(path) and "compose" not in path][:_MOST_FILES]


def holding(files: Files, value: str, paths: Iterable[str]) -> str | None:
    """Return the first of *paths* that holds *value* as a value of its own, None where none does."""
    expression = re.compile(rf"[\"'=:\s]{re.escape(value)}(?=[\"'@\s]|\Z)")
    for path in paths:
        text = files.text(path) or ""
        if path.rpartition("/")[2].startswith(".env"):
            text = re.sub(r"(?m)^\s*#.*", "", text)
        if value in text and expression.search(text):
            return path
    return None


def values_of(file: ComposeFile) -> frozenset[str]:
    """Return every password that is written out in *file*, those in URLs without the rest of it."""
    return frozenset(_decoded(place.secret) if place.host else _of(place) for place in _places(file))


def _is_server(file: ComposeFile, place: Place, places: list[Place]) -> bool:
    """Whether the service, though it is built here, is started with the password as the image of a database is."""
    names = {name for entry in table("services")["service"] for name in entry.get("passwords", ())}
    hosts = _hosts(file, place.service)
    return place.name in names and any(other.host in hosts for other in places)


def _of(place: Place) -> str:
    """Return the value of the variable, without the name that a list has in front of it."""
    return place.value.partition("=")[2] if isinstance(place.path[-1], int) else place.value


def _is_password(place: Place) -> bool:
    return not place.name or _PASSWORD.search(place.name) is not None


def _places(file: ComposeFile) -> Iterator[Place]:
    for name, service in file.services.items():
        for path, key, value in _variables(name, service.get("environment")):
            offset = len(key) + 1 if isinstance(path[-1], int) else 0
            text = value[offset:]
            if secret_in(key, text) is None:
                continue
            url = _URL.search(text)
            if url and not is_placeholder(url.group(2)):
                start, end = (offset + at for at in url.span(2))
                yield Place(name, path, value, start, end, key, url.group(1), url.group(3))
            else:
                yield Place(name, path, value, offset, len(value), key)
        for path, text in _texts(name, service):
            for url in _URL.finditer(text):
                if not is_placeholder(url.group(2)):
                    yield Place(name, path, text, *url.span(2), "", url.group(1), url.group(3))
        yield from _requirepass(name, service)


def _requirepass(name: str, service: Mapping[str, Value]) -> Iterator[Place]:
    command = service.get("command")
    if isinstance(command, str) and (match := _REQUIREPASS.search(command)):
        yield Place(name, ("services", name, "command"), command, *match.span(1))
    items = command if isinstance(command, tuple) else ()
    for number, item in enumerate(items[1:], 1):
        if items[number - 1] == "--requirepass" and isinstance(item, str) and "$" not in item and item:
            yield Place(name, ("services", name, "command", number), item, 0, len(item))


def _variables(name: str, value: Value) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    path = ("services", name, "environment")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, str):
                yield (*path, key), key, item
    for number, item in enumerate(value if isinstance(value, tuple) else ()):
        if isinstance(item, str) and "=" in item:
            yield (*path, number), item.partition("=")[0], item


def _texts(name: str, service: Mapping[str, Value]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the command lines of a service."""
    check = service.get("healthcheck")
    test = check.get("test") if isinstance(check, Mapping) else None
    for path, value in (
        (("command",), service.get("command")),
        (("entrypoint",), service.get("entrypoint")),
        (("healthcheck", "test"), test),
    ):
        if isinstance(value, str):
            yield ("services", name, *path), value
        for number, item in enumerate(value if isinstance(value, tuple) else ()):
            if isinstance(item, str):
                yield ("services", name, *path, number), item


def _on_command_line(file: ComposeFile, given: Place) -> Iterator[Place]:
    """Yield where a service gives its own password to its own programs, a health check mostly."""
    expression = re.compile(_ON_COMMAND_LINE + f"({re.escape(given.secret)})(?=[\\s\"';]|\\Z)")
    before = ""
    for path, text in _texts(given.service, file.services[given.service]):
        for match in expression.finditer(text):
            yield Place(given.service, path, text, *match.span(1))
        if text == given.secret and _OPTION.match(before):
            yield Place(given.service, path, text, 0, len(text))
        before = text if isinstance(path[-1], int) else ""


def _give_once(file: ComposeFile, given: list[list[Place]]) -> None:
    """Leave a place on a command line that is the password of several users to the user whom the command names."""
    claims: dict[tuple[tuple[str | int, ...], int], list[list[Place]]] = {}
    for group in given:
        for place in group[1:]:
            claims.setdefault((place.path, place.start), []).append(group)
    for (path, start), groups in claims.items():
        if len(groups) < 2:
            continue
        texts = _texts(groups[0][0].service, file.services[groups[0][0].service])
        line = " ".join(text for other, text in texts if other in (path, path[:-1]) or other[:-1] == path[:-1])
        user = _USER.search(line)
        root = user is None or user.group(1).startswith("root")
        owner = next((group for group in groups if ("ROOT" in group[0].name) == root), groups[0])
        for group in groups:
            if group is not owner:
                group[:] = [place for place in group if (place.path, place.start) != (path, start)]


def named_otherwise(file: ComposeFile, secret: Secret) -> bool:
    """Whether the service whose password it is names it on a command line in a way that is not known."""
    if secret.giver is None:
        return False
    service = file.services[secret.giver]
    image = re.sub(r":[^/]*\Z|@.*", "", words(service.get("image"))).rpartition("/")[2]
    names = {text for key, text in environment(service).items() if _NO_SECRET.search(key)}
    if secret.value in {secret.giver, image, *names}:
        return False  # the name of the program, of the user or of the database
    taken = {(place.path, place.start) for place in secret.places}
    word = re.compile(rf"(?<![\w-]){re.escape(secret.value)}(?![\w-])")
    return any(
        (path, match.start()) not in taken
        for path, text in _texts(secret.giver, service)
        for match in word.finditer(text)
    )


def _giver(file: ComposeFile, place: Place, given: list[list[Place]]) -> list[Place] | None:
    """Return the group of the service whose password this is, as its client has it."""
    found = []
    for group in given:
        owner = group[0].service
        if group[0].secret not in (place.secret, _decoded(place.secret)) or owner == place.service:
            continue
        names = _hosts(file, owner)
        meant = place.name == group[0].name or _OF_A_SERVER.search(place.name) or owner.upper() in place.name.upper()
        if place.host in names or (place.host is None and meant and _mentions(file, place.service, names)):
            found.append(group)
    if len(found) > 1:
        user = place.user or ""
        if place.host is None:
            user = " ".join(
                text or "" for key, text in environment(file.services[place.service]).items() if "USER" in key
            )
        root = "ROOT" in place.name or "root" in user.split()
        found.sort(key=lambda group: (group[0].name != place.name, ("ROOT" in group[0].name) != root))
    return found[0] if found else None


def _decoded(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)


def _hosts(file: ComposeFile, name: str) -> set[str]:
    service = file.services[name]
    return {name, *(text for key in ("container_name", "hostname") if isinstance(text := service.get(key), str))}


def _mentions(file: ComposeFile, client: str, names: set[str]) -> bool:
    """Whether a service depends on one of these, or names one as a host."""
    service = file.services[client]
    if names & set(dependencies(service)):
        return True
    said = [words(service.get("links"))]
    said += [text or "" for key, text in environment(service).items() if not _NO_HOST.search(key)]
    return any(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text) for name in names for text in said)
