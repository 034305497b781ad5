"""What a program could not do any more as another user than root: files that only root may read, or write to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from posixpath import basename, normpath
from typing import Final

from dockfix.build.copies import Copy
from dockfix.build.keyvalue import pairs_of
from dockfix.build.manifests import origin_of
from dockfix.build.model import Build, Stage, Step
from dockfix.project.context import Context
from dockfix.syntax.patterns import pattern
from dockfix.syntax.shell import Command, Word
from dockfix_transforms._environments import check_python, environment_folder
from dockfix_transforms._obstacle import Obstacle
from dockfix_transforms._root_needs import with_scripts
from dockfix_transforms._server_install import shared_environment
from dockfix_transforms._tools import python_image
from dockfix_transforms._tree_writers import path_of, within

_READ_ONLY: Final = (
    "/usr",
    "/etc",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/proc",
    "/sys",
    "/dev",
    "/tmp",
    "/boot",
    "/opt",
)
_PLACES: Final = pattern(
    r"(?:^|[\s='\":])(/(?:data|db|logs?|uploads?|storage|media|mnt|srv|var|run|outputs?|results?|cache|state|reports?|backups?)"
    r"(?:/[\w.-]+)*)(?![\w-])",
    words=(
        *("/data", "/db", "/log", "/upload", "/storage", "/media", "/mnt", "/srv", "/var", "/run", "/output"),
        *("/result", "/cache", "/state", "/report", "/backup"),
    ),
)
_REDIRECT: Final = pattern(r"(?:(?<![-=&\d])\d?>{1,2}|\btee\s+(?:-a\s+)?)\s*(/[\w./-]+)", words=(">", "tee"))
_FOR_FILES: Final = pattern(
    r"(?:\w+_)?(?:DIR|FOLDER|OUTPUT|CACHE|STORE|LOG|LOGS|LOGFILE|DATA|DB|HOME|HF_HOME)(?:_\w+)?\Z",
    words=("DIR", "FOLDER", "OUTPUT", "CACHE", "STORE", "LOG", "DATA", "DB", "HOME"),
)
_OF_BUILDS: Final = pattern(
    r"(?:PIP|UV|POETRY|PDM|PIPENV|VIRTUAL|PYTHON|CONDA|CARGO|RUSTUP|NVM|NPM|YARN|JAVA|GO|NODE|LD|ORACLE|NLTK|TESSDATA)"
)
_WRITING: Final = pattern(
    r"(?:\bopen\(\s*f?[\"'](?P<opened>/[^\"']*)[\"']\s*,\s*(?:mode\s*=\s*)?[\"'][rbt]*[wax+])"
    r"|(?:makedirs|mkdir|connect|FileHandler|to_csv|to_json|to_parquet|save|savefig|TinyDB|basicConfig|Path|copy|move)\("
    r"[^()\n]*?f?[\"'](?:sqlite:///)?(?P<named>/[^\"'\s]*)[\"']",
    words=(
        *("open(", "makedirs(", "mkdir(", "connect(", "FileHandler(", "to_csv(", "to_json(", "to_parquet("),
        *("save(", "savefig(", "TinyDB(", "basicConfig(", "Path(", "copy(", "move("),
    ),
)
_MAKING: Final = pattern(
    r"\bopen\(\s*f?[\"'](/[^\"']*)[\"']\s*,\s*(?:mode\s*=\s*)?[\"'][rbt]*[wax+]"
    r"|(?:makedirs|mkdir|FileHandler|to_csv|to_json|to_parquet)\(\s*f?[\"'](/[^\"'\s]*)[\"']",
    words=("open(", "makedirs(", "mkdir(", "FileHandler(", "to_csv(", "to_json(", "to_parquet("),
)
_ALTERS: Final = pattern(
    r"\b(?:mkdir|touch|rm|rmdir|ln|cp|mv|chmod|install|sed\s+-i\S*|tee)\b[^\n;&|]*\s(/[\w./-]+)[ \t]*(?=$|[;&|\n])",
    re.MULTILINE,
    words=("mkdir", "touch", "rm", "ln", "cp", "mv", "chmod", "install", "sed", "tee"),
)
_EVERYBODYS: Final = ("/tmp", "/dev", "/proc", "/var/tmp")
_CONSTANT: Final = pattern(
    r"^\s*[\w.]*(?:DIR|FOLDER|OUTPUT|CACHE|STORE|DATA|DB|LOG|UPLOAD|STATIC_ROOT|MEDIA_ROOT)\w*(?:\s*:\s*\w+)?\s*=\s*f?(?:Path\()?[\"'](/[\w./-]+)[\"']",
    re.MULTILINE | re.IGNORECASE,
)
_WRITES: Final = pattern(
    r"sqlite|\.write\(|\.save\(|write_text|write_bytes|makedirs|mkdir\(|FileHandler|to_csv|\bdump\(|shelve|"
    r"open\([^)\n]*,\s*(?:mode\s*=\s*)?['\"][rbt]*[wax+]",
    words=(
        *("sqlite", ".write(", ".save(", "write_text", "write_bytes", "makedirs", "mkdir(", "FileHandler"),
        *("to_csv", "dump(", "shelve", "open("),
    ),
)
_UPWARDS: Final = pattern(
    r"\.parent\.parent|\bparents\[|dirname\([^\n]*dirname\(|[\"']\.\./|\bpardir\b",
    words=("parent.parent", "parents[", "dirname(", "../", "pardir"),
)
_PRIVILEGES: Final = pattern(
    r"\bSOCK_RAW\b|^\s*(?:from|import)\s+(?:scapy|icmplib|ping3|pyshark|RPi|gpiozero|smbus2?|spidev|pcapy|evdev|usb)\b|"
    r"/dev/(?:tty|mem|video|gpio|i2c|spi|snd|input|usb)|\bos\.(?:setuid|setgid|chown|chroot|mknod|initgroups)\("
    r"|\bdocker\.(?:from_env|DockerClient|APIClient)\("
    r"|[\"'](?:sudo|iptables|apt-get|apt|mount|tcpdump|ping|chown)[\"' ]"
    r"|[\"']pip3?[\"'],\s*[\"']install|[\"'](?:\S+ )?pip3? install ",
    re.MULTILINE,
    words=(
        *("SOCK_RAW", "scapy", "icmplib", "ping", "pyshark", "RPi", "gpiozero", "smbus", "spidev", "pcapy"),
        *("evdev", "usb", "/dev/", "os.", "docker.", "sudo", "iptables", "apt", "mount", "tcpdump", "chown"),
        *("pip",),
    ),
)
_LOW_ADDRESS: Final = pattern(
    r"[\"'](?:0\.0\.0\.0|127\.0\.0\.1|localhost|::|)[\"']\s*,\s*(?:port\s*=\s*)?0*(?:\d{1,3}|10[01]\d|102[0-3])\s*[,)]"
)
_ENV_PORT: Final = pattern(
    r"^(?:export\s+)?(?:(?:APP|SERVER|HTTP|WEB|LISTEN|UVICORN|FLASK_RUN|API)_)?PORT\s*=\s*[\"']?"
    r"(?:\d{1,3}|10[01]\d|102[0-3])\b",
    re.MULTILINE,
    words=("PORT",),
)
_OTHER_USER: Final = pattern(
    r"\bgunicorn\b[^\n;&|]*\s(?:-u|-g|--user|--group)[\s=]|\b(?:celery|uwsgi)\b[^\n;&|]*\s--(?:uid|gid)[\s=]",
    words=("-u", "-g"),
)
_CONFIGURED_USER: Final = pattern(r"^(?:user|group)\s*=\s*[\"'\d]", re.MULTILINE, words=("user", "group"))
_HOME: Final = pattern(r"\$\{?HOME\}?(?![\w}]|/\.(?:cache|npm)\b)|\bcd\s*(?:&&|;|~|\Z)|(?:^|\s)~(?:\s|\Z)")
_ASKS_HOME: Final = pattern(r"\bPath\.home\(|\bexpanduser\(", words=("Path.home(", "expanduser("))
_DOWNLOADS: Final = pattern(
    r"download|pretrained|pipeline\(|SentenceTransformer|\bReader\(|load_model\(|\bfetch\b|snapshot|torchvision|torch\.hub|\bhub\."
    r"|gdown|\bcache|whisper|easyocr|\bstanza\b|tiktoken|keras|YOLO\("
)
_DOWNLOADERS: Final = pattern(
    r"(?:^|[;&|]\s*)(?:patchright|camoufox|rembg|crawl4ai-\w+|seleniumbase|sbase|ipython|jupyter|argospm|huggingface-cli|hf|"
    r"spacy|prefect|dvc|kaggle|playwright)\s"
)


def check_user(build: Build, chain: Sequence[Stage], owned: Sequence[str], workdir: str) -> None:
    """Raise ``Obstacle`` where something outside of the directories *owned* is root's that the program needs."""
    for stage in chain:
        for step in stage.steps[1:]:
            _check_modes(step, owned)
            if step.keyword == "RUN":
                _check_run(build, step, owned)
            elif step.keyword == "ENV":
                for pair in pairs_of(step.instruction, step.escape):
                    _check_variable(
                        pair.name, step.env.get(pair.name) or (pair.raw or "").strip("\"'"), owned, step.line
                    )
            elif step.keyword in ("COPY", "ADD"):
                _check_place(build, step, owned, workdir)
    _check_starts(build, chain, owned)
    _check_code(build, chain, owned)


def _outside(path: str, owned: Sequence[str]) -> bool:
    return not any(within(path, place) for place in owned) and not any(within(path, place) for place in _READ_ONLY)


def _foreign(path: str, owned: Sequence[str]) -> bool:
    """Whether only root may write to *path*."""
    return not any(within(path, place) for place in (*owned, *_EVERYBODYS))


def _check_modes(step: Step, owned: Sequence[str]) -> None:
    """Refuse files that chmod, install or ``--chmod`` keep from everybody but root."""
    flag = step.instruction.flag("chmod")
    copy = step.copy if flag is not None else None
    if flag is not None and _private(flag.value or "") and copy is not None:
        goal = copy.destination
        if goal is None or not any(within(goal, one) for one in owned):
            raise Obstacle(f"--chmod={flag.value} lets only root use what it copies", step.line)
    if step.keyword != "RUN" or step.script is None:
        return
    for command in step.script.commands:
        mode, operands = _mode(command)
        if mode is None or not _private(mode):
            continue
        for word in operands:
            path = path_of(word, step, step.script)
            if path is None or not any(within(path, place) for place in owned):
                raise Obstacle(f"`{mode}` lets only root use {word.raw}", step.line)


def _mode(command: Command) -> tuple[str | None, list[Word]]:
    words = [word for word in command.words[1:] if not re.match(r"-[RvfD]+\Z|--\w", word.raw)]
    if command.name == "chmod" and len(words) > 1:
        return words[0].raw, words[1:]
    if command.name == "install":
        for at, word in enumerate(command.words):
            if word.raw == "-m" and at + 1 < len(command.words):
                return command.words[at + 1].raw, [command.words[-1]]
            if found := re.match(r"(?:-m|--mode=)(\d{3,4})\Z", word.raw):
                return found.group(1), [command.words[-1]]
    return None, []


def _private(mode: str) -> bool:
    """Whether *mode*, as chmod takes it, leaves others without what it gives the owner."""
    if re.fullmatch(r"[0-7]{3,4}", mode):
        owner, others = int(mode[-3]), int(mode[-1])
        return not others & 4 or (owner & 1 and not others & 1) != 0
    return any(re.match(r"u[+=]\w*x|(?:g?o|og)[-=](?!\w*r)", part) is not None for part in mode.split(","))


def _check_run(build: Build, step: Step, owned: Sequence[str]) -> None:
    text = step.instruction.value
    if found := re.search(r"\bumask\s+\d*7(?!\d)", text):
        raise Obstacle(f"`{found.group()}` leaves what is made to root", step.line)
    if found := _HOME.search(text):
        raise Obstacle(
            f"{found.group().strip() or 'cd'} is root's home, and the program may need what is put there", step.line
        )
    if found := _DOWNLOADERS.search(text):
        raise Obstacle(
            f"`{found.group().strip(' ;&|')}` may leave files in root's home that the program needs", step.line
        )
    script = step.script
    for command in script.commands if script is not None else ():
        words = [word.value or word.raw for word in command.words]
        name = basename(words[0]) if words else ""
        if name == "touch" and script is not None:
            for word in command.words[1:]:
                path = path_of(word, step, script)
                if path is not None and _outside(path, owned):
                    raise Obstacle(f"{path} is made for root", step.line)
        if re.match(r"python[\d.]*\Z", name) and (shown := _downloads(build, words[1:])):
            raise Obstacle(f"`{shown}` may leave files in root's home that the program needs", step.line)
    for install in step.installs:
        _check_home_environment(build, step, install.manager)


def _downloads(build: Build, words: Sequence[str]) -> str | None:
    words = [word for word in words if word not in ("-u", "-B")]
    if not words or (words[0] == "-m" and words[1:2] in (["pip"], ["venv"], ["compileall"], ["nltk.downloader"])):
        return None
    shown = f"python {' '.join(words)[:40]}"
    if words[0] in ("-c", "-m"):
        return shown if any(_DOWNLOADS.search(word) for word in words[1:]) and words[1:2] != ["spacy"] else None
    if basename(words[0]) in ("manage.py", "setup.py"):
        return None
    context = build.project.context
    texts = (context.text(path) or "" for path in context.paths if basename(path) == basename(words[0]))
    return shown if any(_DOWNLOADS.search(text) for text in texts) else None


def _check_home_environment(build: Build, step: Step, manager: str) -> None:
    """Refuse a Python that uv brings, and environments of poetry and pipenv, which are in root's home."""
    context = build.project.context
    stage = build.stages[step.stage]
    for install in step.installs:
        if install.manager != manager:
            continue
        if manager in ("uv-sync", "uv-pip") and "--system" not in install.options:
            if step.env.get("UV_PYTHON_INSTALL_DIR"):
                continue
            if python_image(stage.image) is None and (step.env.get("UV_PYTHON_DOWNLOADS") or "") not in ("never", "0"):
                if not step.env.get("UV_SYSTEM_PYTHON"):
                    raise Obstacle("uv may bring a Python, which is in root's home then", step.line)
            elif python_image(stage.image) is not None:
                check_python(build, stage, step, install)
        if manager in ("poetry", "pipenv") and not shared_environment(build, step, install):
            copies = [other.copy for other in stage.steps if other.copy is not None]
            texts = (other.instruction.value for other in stage.of("RUN") if other.line <= step.line)

            origin = partial(_origin, copies, context)
            inside = environment_folder(install, step.env, texts, origin, context)
            if inside is None and install.action in ("install", "sync"):
                raise Obstacle(f"{manager} makes its environment in root's home", step.line)


def _origin(copies: Sequence[Copy], context: Context, target: str) -> str | None:
    return next((path for copy in copies if (path := origin_of(copy, context, target))), None)


def _check_variable(name: str, value: str, owned: Sequence[str], line: int, path: str | None = None) -> None:
    if _FOR_FILES.match(name) and not _OF_BUILDS.match(name) and re.fullmatch(r"/[\w./-]+", value):
        place = normpath(value)
        if _outside(place, owned) and not place.startswith("/home/"):
            raise Obstacle(f"whether the program writes to {value} is not known", line, path)


def _check_place(build: Build, step: Step, owned: Sequence[str], workdir: str) -> None:
    """Refuse code outside of the directories that the user gets, where it may write beside itself."""
    copy = step.copy
    if copy is None or copy.from_ is not None or copy.destination is None:
        return
    kept = any(within(copy.destination, place) for place in (*owned, *_EVERYBODYS))
    if copy.remote and not kept and step.instruction.flag("chmod") is None:
        raise Obstacle(f"what ADD downloads to {copy.destination} is root's alone (mode 600)", step.line)
    if any(within(copy.destination, place) for place in owned) or not _outside(copy.destination, ()):
        return
    context = build.project.context
    above = within(workdir, copy.destination)
    for path in context.paths[:2000]:
        target = copy.image_path(path) if path.endswith(".py") and not context.ignored(path) else None
        if target is None or (above and within(target, workdir) and not _UPWARDS.search(context.text(path) or "")):
            continue
        if _WRITES.search(context.text(path) or ""):
            reason = f"the program may write to {copy.destination}, which is root's"
            raise Obstacle(reason, step.line)


def _check_starts(build: Build, chain: Sequence[Stage], owned: Sequence[str]) -> None:
    texts = [
        (step.line, None, " ".join(step.instruction.json_form or (step.instruction.value,)))
        for stage in chain
        for step in stage.of("CMD", "ENTRYPOINT")
    ]
    said: list[tuple[int, str | None, str]] = list(texts)
    for service in build.project.services:
        for command in (service.command, service.entrypoint):
            said.append((service.line, service.path, command if isinstance(command, str) else " ".join(command or ())))
        for name, value in service.environment.items():
            _check_variable(name, value or "", owned, service.line, service.path)
    for line, path, text in said:
        for place, script in with_scripts(build, text):
            where = (0 if place else line, place or path)
            made = (*_REDIRECT.finditer(script), *_ALTERS.finditer(script))
            if written := next((found.group(1) for found in made if _foreign(found.group(1), owned)), None):
                raise Obstacle(f"the start command writes to {written}, which is root's", *where)
            for found in _PLACES.finditer(script):
                if _outside(found.group(1), owned) and not re.match(r"/(?:var/)?run/secrets\b", found.group(1)):
                    raise Obstacle(f"whether the program writes to {found.group(1)} is not known", *where)
            if _OTHER_USER.search(script):
                raise Obstacle("the server changes its user by itself", *where)


def _check_code(build: Build, chain: Sequence[Stage], owned: Sequence[str]) -> None:
    context = build.project.context
    makers = [
        step.instruction.value for stage in chain for step in stage.of("RUN") if "useradd" in step.instruction.value
    ]
    homeless = any(not re.search(r"\s(?:-m|--create-home|-\w*m\w*)\s", text) for text in makers)
    for path in (".env", ".flaskenv"):
        if path in context.paths and (found := _ENV_PORT.search(context.text(path) or "")):
            raise Obstacle("a port in the settings is below 1024", 0, context.repository_path(path))
    for path, text in _texts(build):
        where = context.repository_path(path)
        if not path.endswith(".py"):
            place = next((found.group(1) for found in _PLACES.finditer(text) if _outside(found.group(1), owned)), None)
            if place is not None:
                raise Obstacle(f"whether the program writes to {place} is not known", 0, where)
            continue
        if "gunicorn" in basename(path) and (found := _CONFIGURED_USER.search(text)):
            raise Obstacle("the server changes its user by itself", _line(text, found), where)
        if found := _PRIVILEGES.search(text):
            raise Obstacle(f"the program may need root: {found.group().strip()}", _line(text, found), where)
        if found := _LOW_ADDRESS.search(text):
            raise Obstacle("a port in the code is below 1024", _line(text, found), where)
        if homeless and (found := _ASKS_HOME.search(text)):
            raise Obstacle("the program asks for its home, which the user has not", _line(text, found), where)
        for found in _MAKING.finditer(text):
            if _foreign(named := found.group(1) or found.group(2), owned):
                raise Obstacle(f"whether the program writes to {named} is not known", _line(text, found), where)
        places = [(found, found["opened"] or found["named"]) for found in _WRITING.finditer(text)]
        if _WRITES.search(text) or "_ROOT" in text:
            places += [(found, found.group(1)) for found in _CONSTANT.finditer(text)]
        for found, named in places:
            if _outside(named, owned) and not re.match(r"/(?:var/)?run/secrets\b|/\Z", named):
                raise Obstacle(f"whether the program writes to {named} is not known", _line(text, found), where)


def _texts(build: Build) -> Iterator[tuple[str, str]]:
    """Yield the code, and settings of logging."""
    context = build.project.context
    for path in context.paths[:2000]:
        name = basename(path)
        settings = re.search(r"log", name) and re.search(r"\.(?:ini|cfg|conf|ya?ml|json|toml)\Z", name)
        code = (
            name.endswith(".py") and "/test" not in f"/{path}" and name not in ("setup.py", "noxfile.py", "conftest.py")
        )
        if (settings or code) and not context.ignored(path):
            yield path, context.text(path) or ""


def _line(text: str, found: re.Match[str]) -> int:
    return text.count("\n", 0, found.start()) + 1
