"""A forge for tests: git over HTTP by ``git http-backend``, and what GitHub and GitLab answer, with a memory.

One server at one address: repositories at /OWNER/NAME.git, GitHub at /api/v3, GitLab at /api/v4. It knows what was sent
to it, can be told to fail, and holds the whole truth, so that a publisher can be killed and started again before it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "s3cret/t+ken~with=odd&bits"
_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Owner",
    "GIT_AUTHOR_EMAIL": "owner@example.com",
    "GIT_COMMITTER_NAME": "Owner",
    "GIT_COMMITTER_EMAIL": "owner@example.com",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}


def git(*arguments: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
    """Run git and return what it prints."""
    done = subprocess.run(
        ["git", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env={**_ENVIRONMENT, **(env or {})},
        check=False,
    )
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout.decode().strip()


def commit(
    repository: Path,
    files: Mapping[str, str | bytes],
    branch: str = "main",
    env: Mapping[str, str] | None = None,
    message: str = "a commit",
) -> str:
    """Add a commit with these files to a branch of a bare repository; return it."""
    index = {"GIT_INDEX_FILE": str(repository / "test-index"), "GIT_DIR": str(repository)}
    (repository / "test-index").unlink(missing_ok=True)
    found = git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}", env=index)
    if found:
        git("read-tree", found, env=index)
    for path, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        blob = git("hash-object", "-w", "--stdin", stdin=data, env=index)
        git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
    tree = git("write-tree", env=index)
    made = git("commit-tree", tree, *(("-p", found) if found else ()), "-m", message, env={**index, **(env or {})})
    git("update-ref", f"refs/heads/{branch}", made, env=index)
    return made


@dataclass
class Pull:
    """A pull request as the forge keeps it."""

    number: int
    title: str
    body: str
    head: str
    base: str
    draft: bool
    author: str = "bot"
    state: str = "open"
    labels: list[str] = field(default_factory=list)
    reviewers: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    sha: str = ""


@dataclass
class Repo:
    """A repository as the forge keeps it."""

    name: str
    path: Path
    id: int
    archived: bool = False
    may_push: bool = True
    drafts: bool = True
    default_branch: str = "main"
    private: bool = False
    pulls: list[Pull] = field(default_factory=list)


@dataclass
class Sent:
    """A request that reached the forge."""

    method: str
    path: str
    status: int
    at: float
    body: Any = None


@dataclass
class Fault:
    """What goes wrong with the next *times* requests that match; *done*: the forge does it first, then fails."""

    match: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    times: int = 1
    done: bool = False


class Answer(Exception):
    """An answer that is not the usual one."""

    def __init__(self, status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = {"message": "Not Found"} if body is None else body
        self.headers = dict(headers or {})


class Forge:
    """The forge's memory, and its address."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repos: dict[str, Repo] = {}
        self.sent: list[Sent] = []
        self.faults: list[Fault] = []
        self.page_size = 100
        self.users = ["ada", "grace", "bot"]
        self.before: Callable[[str, str], None] = lambda method, path: None
        self.lock = threading.RLock()
        self.address = ""

    def add(self, name: str, files: Mapping[str, str | bytes] | None = None) -> Repo:
        """Make a repository; *files* are its first commit, None for an empty one."""
        path = self.root / f"{name}.git"
        git("init", "--quiet", "--bare", "--initial-branch=main", path)
        git("--git-dir", path, "config", "http.receivepack", "true")
        git("--git-dir", path, "config", "uploadpack.allowReachableSHA1InWant", "true")
        repo = self.repos[name] = Repo(name, path, 1000 + len(self.repos))
        if files is not None:
            commit(path, files)
        return repo

    def creating(self) -> list[Sent]:
        """Return the requests that created or changed something, pushes among them."""
        return [one for one in self.sent if one.status < 300 and is_creating(one)]

    def pushes(self) -> list[Sent]:
        """Return the pushes."""
        return [one for one in self.creating() if one.path.endswith("/git-receive-pack")]

    def fail(
        self,
        match: str,
        status: int,
        body: Any = None,
        times: int = 1,
        done: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Let requests (``METHOD /path``) that match the expression fail; status 0 breaks the connection."""
        self.faults.append(Fault(match, status, headers or {}, body, times, done))

    def fault(self, method: str, path: str) -> Fault | None:
        """Return what is to go wrong with this request."""
        with self.lock:
            for fault in self.faults:
                if fault.times and re.search(fault.match, f"{method} {path}"):
                    fault.times -= 1
                    return fault
        return None

    def tip(self, repo: Repo, branch: str) -> str:
        """Return the commit at the tip of a branch, "" where there is none."""
        return git("--git-dir", repo.path, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")

    def sha(self, repo: Repo, pull: Pull) -> str:
        """Return the commit of a pull request."""
        pull.sha = self.tip(repo, pull.head) or pull.sha
        return pull.sha

    def open(self, repo: Repo, title: str, body: str, head: str, base: str, draft: bool) -> Pull:
        """Open a pull request as forges do: one for a branch, and only where there is something to merge."""
        if not self.tip(repo, head):
            raise Answer(422, {"message": "Validation Failed", "errors": [{"field": "head", "code": "invalid"}]})
        pull = Pull(len(repo.pulls) + 1, title, body, head, base, draft)
        self.sha(repo, pull)
        repo.pulls.append(pull)
        return pull


def is_creating(one: Sent) -> bool:
    """Return whether a request creates or changes something."""
    if one.path.endswith("/git-upload-pack"):
        return False
    return one.method != "GET"


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: whoever asked was killed."""


@contextmanager
def serving(root: Path) -> Iterator[Forge]:
    """Serve a forge whose repositories are below *root*."""
    forge = Forge(root)

    class Handler(_Handler):
        pass

    Handler.forge = forge
    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    forge.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield forge
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    forge: Forge
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

    def _handle(self) -> None:
        data = self._read()
        parts = urlsplit(self.path)
        if ".git/" in parts.path:
            self._git(parts.path, parts.query, data)
            return
        body = json.loads(data) if data else None
        fault = self.forge.fault(self.command, self.path)
        try:
            self.forge.before(self.command, self.path)
            if fault is not None and not fault.done:
                raise Answer(fault.status, fault.body, fault.headers)
            if self.headers.get("authorization") != f"Bearer {TOKEN}":
                raise Answer(401, {"message": "Bad credentials"})
            with self.forge.lock:
                answer: Any = self._route(parts.path, parse_qs(parts.query), body)
            status = 201 if self.command == "POST" and not parts.path.endswith("/labels") else 200
            headers: dict[str, str] = {}
            if isinstance(answer, list):
                answer, headers = self._page(answer, parts.path, parse_qs(parts.query))
        except Answer as other:
            status, answer, headers = other.status, other.body, other.headers
        if fault is not None and fault.done:
            self.forge.sent.append(Sent(self.command, self.path, status, time.time(), body))
            status, answer, headers = fault.status, fault.body or {}, dict(fault.headers)
        elif status:
            self.forge.sent.append(Sent(self.command, self.path, status, time.time(), body))
        if not status:
            self.close_connection = True
            return
        self._answer(status, json.dumps(answer).encode(), {"Content-Type": "application/json", **headers})

    def _read(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline().strip(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("content-length", "0")))

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def _page(self, items: list[Any], path: str, query: Mapping[str, list[str]]) -> tuple[list[Any], dict[str, str]]:
        size = min(int(query.get("per_page", ["30"])[0]), self.forge.page_size)
        page = int(query.get("page", ["1"])[0])
        rest = "&".join(f"{key}={value[0]}" for key, value in query.items() if key != "page")
        next_page = f'<{self.forge.address}{path}?{rest}&page={page + 1}>; rel="next"'
        more = len(items) > page * size
        return items[(page - 1) * size : page * size], {"Link": next_page} if more else {}

    # --- git

    def _git(self, path: str, query: str, data: bytes) -> None:
        service = parse_qs(query).get("service", [path.rpartition("/")[2]])[0]
        repo = self.forge.repos.get(path.partition(".git/")[0].strip("/"))
        given = self.headers.get("authorization", "")
        user, _, password = base64.b64decode(given.removeprefix("Basic ") + "==").decode().partition(":")
        known = password == TOKEN and user in ("x-access-token", "oauth2")
        if not known and (given or service == "git-receive-pack" or repo is None or repo.private):
            self._answer(401, b"", {"WWW-Authenticate": 'Basic realm="git"'})
            return
        if repo is None:
            self._answer(404, b"repository not found", {})
            return
        if service == "git-receive-pack" and not repo.may_push:
            self._answer(403, b"no", {})
            return
        fault = self.forge.fault(f"GIT {self.command}", path)
        if fault is not None and not fault.done:
            if fault.status:
                self._answer(fault.status, str(fault.body).encode(), {"Content-Type": "text/plain", **fault.headers})
            self.close_connection = True
            return
        environment = {
            **_ENVIRONMENT,
            "GIT_PROJECT_ROOT": str(self.forge.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(data)),
            "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
            "REMOTE_USER": user,
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], input=data, capture_output=True, env=environment, check=False)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        if self.command == "POST":
            self.forge.sent.append(Sent("POST", path, status, time.time()))
        if fault is not None:
            self.close_connection = True
            return
        self._answer(status, body, headers)

    # --- the two forges

    def _route(self, path: str, query: Mapping[str, list[str]], body: Any) -> Any:
        one = {key: values[0] for key, values in query.items()}
        if path.startswith("/api/v3/"):
            return self._github(path.removeprefix("/api/v3"), one, body)
        return self._gitlab(path.removeprefix("/api/v4"), one, body)

    def _github(self, path: str, query: Mapping[str, str], body: Any) -> Any:
        if match := re.fullmatch(r"/(orgs|users)/([^/]+)/repos", path):
            found = [repo for name, repo in self.forge.repos.items() if name.startswith(f"{match[2]}/")]
            if not found or match[1] == "users":
                raise Answer(404)
            return [self._github_repo(repo) for repo in found]
        match = re.fullmatch(r"/repos/([^/]+/[^/]+)(/.*)?", path)
        repo = self.forge.repos.get(unquote(match[1])) if match else None
        if match is None or repo is None:
            raise Answer(404)
        rest = match[2] or ""
        if not rest:
            return self._github_repo(repo)
        if self.command != "GET" and repo.archived:
            raise Answer(403, {"message": "Repository was archived so is read-only."})
        if rest == "/pulls" and self.command == "GET":
            pulls = [self._github_pull(repo, pull) for pull in repo.pulls]
            wanted = query.get("state", "open")
            branch = query.get("head", "").partition(":")[2]
            return [
                pull
                for pull in reversed(pulls)
                if wanted in ("all", pull["state"]) and branch in ("", pull["head"]["ref"])
            ]
        if rest == "/pulls":
            return self._github_open(repo, body)
        number = int(rest.split("/")[2])
        pull = next(pull for pull in repo.pulls if pull.number == number)
        match (self.command, rest.split("/")[1], *rest.split("/")[3:]):
            case ("PATCH", "pulls"):
                pull.title, pull.body = body.get("title", pull.title), body.get("body", pull.body)
            case ("POST", "issues", "labels"):
                pull.labels += [label for label in body["labels"] if label not in pull.labels]
                return [{"name": label} for label in pull.labels]
            case ("POST", "pulls", "requested_reviewers"):
                if unknown := set(body["reviewers"]) - set(self.forge.users):
                    raise Answer(422, {"message": f"Reviews may only be requested from collaborators: {unknown}"})
                pull.reviewers += body["reviewers"]
            case ("POST", "issues", "comments"):
                pull.comments.append(body["body"])
                return {"id": len(pull.comments), "body": body["body"]}
            case ("GET", "issues", "comments"):
                return [{"id": index, "body": text} for index, text in enumerate(pull.comments)]
            case _:
                raise Answer(404)
        return self._github_pull(repo, pull)

    def _github_open(self, repo: Repo, body: Any) -> Any:
        errors = {"message": "Validation Failed", "errors": []}
        if any(pull.head == body["head"] and pull.state == "open" for pull in repo.pulls):
            text = f"A pull request already exists for {repo.name.partition('/')[0]}:{body['head']}."
            raise Answer(422, {**errors, "errors": [{"resource": "PullRequest", "code": "custom", "message": text}]})
        if body["draft"] and not repo.drafts:
            raise Answer(422, {**errors, "message": "Draft pull requests are not supported in this repository."})
        pull = self.forge.open(repo, body["title"], body["body"], body["head"], body["base"], body["draft"])
        return self._github_pull(repo, pull)

    def _github_repo(self, repo: Repo) -> Any:
        return {
            "id": repo.id,
            "full_name": repo.name,
            "default_branch": repo.default_branch,
            "archived": repo.archived,
            "disabled": False,
            "fork": False,
            "permissions": {"admin": False, "push": repo.may_push, "pull": True},
        }

    def _github_pull(self, repo: Repo, pull: Pull) -> Any:
        return {
            "number": pull.number,
            "html_url": f"{self.forge.address}/{repo.name}/pull/{pull.number}",
            "state": "open" if pull.state == "open" else "closed",
            "merged_at": "2026-01-01T00:00:00Z" if pull.state == "merged" else None,
            "title": pull.title,
            "body": pull.body,
            "draft": pull.draft,
            "head": {"ref": pull.head, "sha": self.forge.sha(repo, pull), "repo": {"id": repo.id}},
            "labels": [{"name": label} for label in pull.labels],
            "requested_reviewers": [{"login": name} for name in pull.reviewers],
            "requested_teams": [],
        }

    def _gitlab(self, path: str, query: Mapping[str, str], body: Any) -> Any:
        if path == "/users":
            return [
                {"id": number, "username": name}
                for number, name in enumerate(self.forge.users)
                if name == query["username"]
            ]
        if match := re.fullmatch(r"/groups/([^/]+)/projects", path):
            prefix = f"{unquote(match[1])}/"
            found = [self._project(repo) for name, repo in self.forge.repos.items() if name.startswith(prefix)]
            if not found:
                raise Answer(404, {"message": "404 Group Not Found"})
            return found
        match = re.fullmatch(r"/projects/([^/]+)(/.*)?", path)
        key = unquote(match[1]) if match else ""
        repo = next((repo for repo in self.forge.repos.values() if key in (repo.name, str(repo.id))), None)
        if match is None or repo is None:
            raise Answer(404, {"message": "404 Project Not Found"})
        rest = match[2] or ""
        if not rest:
            return self._project(repo)
        if rest == "/merge_requests" and self.command == "GET":
            found = [self._merge_request(repo, pull) for pull in reversed(repo.pulls)]
            wanted, branch = query.get("state", "all"), query.get("source_branch")
            return [
                item for item in found if wanted in ("all", item["state"]) and branch in (None, item["source_branch"])
            ]
        if rest == "/merge_requests":
            return self._gitlab_open(repo, body)
        number = int(rest.split("/")[2])
        pull = next(pull for pull in repo.pulls if pull.number == number)
        match (self.command, *rest.split("/")[3:]):
            case ("PUT",):
                pull.body = body.get("description", pull.body)
                added = body.get("add_labels", "").split(",")
                pull.labels += [label for label in added if label and label not in pull.labels]
                if "reviewer_ids" in body:
                    pull.reviewers = [self.forge.users[number] for number in body["reviewer_ids"]]
            case ("POST", "notes"):
                pull.comments.append(body["body"])
                return {"id": len(pull.comments), "body": body["body"]}
            case ("GET", "notes"):
                return [{"id": index, "body": text} for index, text in enumerate(pull.comments)]
            case _:
                raise Answer(404)
        return self._merge_request(repo, pull)

    def _gitlab_open(self, repo: Repo, body: Any) -> Any:
        for pull in repo.pulls:
            if pull.head == body["source_branch"] and pull.state == "open":
                text = f"Another open merge request already exists for this source branch: !{pull.number}"
                raise Answer(409, {"message": [text]})
        draft = body["title"].startswith("Draft: ")
        pull = self.forge.open(
            repo, body["title"], body["description"], body["source_branch"], body["target_branch"], draft
        )
        return self._merge_request(repo, pull)

    def _project(self, repo: Repo) -> Any:
        return {
            "id": repo.id,
            "path_with_namespace": repo.name,
            "default_branch": repo.default_branch,
            "archived": repo.archived,
            "merge_requests_access_level": "enabled",
            "empty_repo": not self.forge.tip(repo, repo.default_branch),
            "permissions": {"project_access": {"access_level": 30 if repo.may_push else 10}, "group_access": None},
        }

    def _merge_request(self, repo: Repo, pull: Pull) -> Any:
        return {
            "iid": pull.number,
            "web_url": f"{self.forge.address}/{repo.name}/-/merge_requests/{pull.number}",
            "state": {"open": "opened"}.get(pull.state, pull.state),
            "title": pull.title,
            "description": pull.body,
            "draft": pull.draft,
            "sha": self.forge.sha(repo, pull),
            "source_branch": pull.head,
            "source_project_id": repo.id,
            "labels": pull.labels,
            "reviewers": [{"username": name} for name in pull.reviewers],
        }
