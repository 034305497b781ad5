"""What compose says of the containers of an image that its packages must not move away from."""

from __future__ import annotations

from typing import Final

from dockfix.build.model import Build
from dockfix.syntax.patterns import pattern
from dockfix_transforms._obstacle import Obstacle

_PACKAGES: Final = pattern(
    r"/usr/local/(?:bin/[\w.+-]+|lib/python[\w./-]*)|/usr/local(?:/bin|/lib)?/?\Z|\bsite-packages\b"
)
_LOGIN: Final = pattern(r"\b(?:ba|z|da)?sh\s+(?:-\w*l\w*\b|--login)|\bsu\s+-(?:\s|\Z)")


def check_services(build: Build, place: str) -> None:
    """Raise ``Obstacle`` where a compose service would not find packages that are in *place*, not in ``/usr/local``."""
    for service in build.project.services:
        if service.target not in (None, build.final.name):
            continue
        where = (service.line, service.path)
        for said in (service.command, service.entrypoint, service.healthcheck):
            text = " ".join(said) if isinstance(said, tuple) else said or ""
            if named := _PACKAGES.search(text):
                raise Obstacle(f"{service.name} names {named.group()}, where the packages are now", *where)
            if login := _LOGIN.search(text):
                raise Obstacle(f"`{login.group().strip()}` of {service.name} resets PATH", *where)
        for mount in service.mounts:
            target = mount.target.rstrip("/") or "/"
            if f"{place}/".startswith(f"{target}/") or target.startswith(f"{place}/"):
                raise Obstacle(f"{service.name} mounts {target} over the packages in {place}", *where)
            if _PACKAGES.match(target):
                raise Obstacle(f"{service.name} mounts {target}, where the packages are now", *where)
        if "PATH" in service.environment:
            raise Obstacle(f"{service.name} sets PATH itself, without {place}", *where)
        for name in ("PYTHONPATH", "PYTHONHOME"):
            if _PACKAGES.search(service.environment.get(name) or ""):
                raise Obstacle(f"{service.name} sets {name} to where the packages are now", *where)
