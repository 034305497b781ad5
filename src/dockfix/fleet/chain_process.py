"""``python -m dockfix.fleet.chain_process``: the chain over cloned repositories, each in a process with limits.

This process loads the chain once. For each request on standard input it makes a child by fork, which costs a few
milliseconds; the child has limits of its own, and what its repository holds may crash or exhaust the child, and nothing
else. The environment holds no token.

Requests and answers are JSON behind their length, eight bytes, as ``worker.py`` writes and reads them.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from dockfix.session import Request

_MEMORY: Final = 3_000_000_000
_ANSWER: Final = 200_000_000
_USUAL: Final = {
    "Dockerfile": "FROM python:3.11\nWORKDIR /app\nCOPY . .\nRUN pip install -r requirements.txt\nCMD python app.py\n",
    "requirements.txt": "flask\n",
    "app.py": "from flask import Flask\n\napp = Flask(__name__)\n\nif __name__ == '__main__':\n    app.run()\n",
    "pyproject.toml": "[project]\nname = 'app'\nversion = '1'\n",
    "compose.yaml": "services:\n  app:\n    build: .\n",
}
"""A repository that needs most of what the chain loads when it is first asked for."""


def read_message(stream: IO[bytes]) -> bytes | None:
    """Return the next message, None at the end."""
    head = stream.read(8)
    if len(head) < 8:
        return None
    data = stream.read(int.from_bytes(head, "big"))
    return data if len(data) == int.from_bytes(head, "big") else None


def write_message(stream: IO[bytes], data: bytes) -> None:
    """Write a message."""
    stream.write(len(data).to_bytes(8, "big") + data)
    stream.flush()


def request_of(settings: Mapping[str, Any], transforms: Sequence[str]) -> Request:
    """Return what the campaign's settings ask of the chain; *transforms* are files."""
    from dockfix.session import Request

    return Request(
        tuple(settings["select"]),
        tuple(settings["ignore"]),
        settings["safe_only"],
        tuple(transforms),
        options=settings["options"],
    )


def run_chain(
    root: str, dockerfiles: Sequence[str], settings: Mapping[str, Any], transforms: Sequence[str]
) -> dict[str, Any]:
    """Return the result as the JSON format has it, the patch, and what its transforms say of themselves."""
    from dockfix.changes import diff
    from dockfix.report import as_json
    from dockfix.session import Repository, run_one
    from dockfix.syntax.edit import encode

    outcome = run_one(Repository(root, "", tuple(dockerfiles)), request_of(settings, transforms))
    return {
        "result": json.loads(as_json.render([outcome])),
        "patch": encode(diff(outcome.changes)).decode("latin-1"),
        "about": _about({done.transform for done in outcome.result.fixes}, tuple(transforms)),
    }


def _about(names: set[str], files: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the summary and the reason (``Why:``) of each transform."""
    from dockfix.registry import load_transforms

    found = {}
    for item in load_transforms(files) if names else ():
        if item.name in names:
            _, _, why = item.documentation.partition("\nWhy:")
            found[item.name] = {"summary": item.summary, "why": " ".join(why.split("\n\n")[0].split())}
    return found


def _limit(seconds: float) -> None:
    import resource

    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, int(seconds) + 1),
        (resource.RLIMIT_FSIZE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    signal.alarm(int(seconds) + 1)


def _child(request: dict[str, Any], into: int) -> NoReturn:
    """Do one repository, write the answer to the pipe *into*, and end."""
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):  # a transform that prints spoils nothing
            os.dup2(nowhere, number)
        home = request.pop("home")
        os.environ["HOME"] = os.environ["XDG_CONFIG_HOME"] = home
        os.chdir(home)
        _limit(request.pop("seconds"))
        try:
            found = run_chain(**request)
        except MemoryError:
            found = {"error": "needed more memory than the chain may have"}
        except Exception as error:
            found = {"error": f"the chain stopped: {type(error).__name__}: {error}"[:300]}
        with open(into, "w", encoding="ascii") as stream:
            json.dump(found, stream)
    except BaseException:
        os._exit(1)
    os._exit(0)


def _answered(request: dict[str, Any]) -> bytes:
    """Return a child's answer; where it gave none, how it ended."""
    out, into = os.pipe()
    child = os.fork()
    if not child:
        os.close(out)
        _child(request, into)
    os.close(into)
    with open(out, "rb") as stream:
        answer = stream.read(_ANSWER)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return answer if answer and not code else json.dumps({"ended": code}).encode()


def _load() -> None:
    """Load what the chain needs, so that no child has to."""
    from dockfix.chain import Settings, run
    from dockfix.project.files import MemoryFiles
    from dockfix.registry import load_transforms

    run_chain(os.getcwd(), (), {"select": (), "ignore": (), "safe_only": False, "options": {}}, ())
    run(MemoryFiles(_USUAL), ("Dockerfile",), Settings(load_transforms(())))
    gc.collect()
    gc.freeze()


def main() -> None:
    """Answer requests until there are no more."""
    sys.dont_write_bytecode = True
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _load()
    while (request := read_message(sys.stdin.buffer)) is not None:
        write_message(answers, _answered(json.loads(request)))


if __name__ == "__main__":
    main()
