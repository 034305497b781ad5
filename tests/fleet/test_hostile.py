"""Repositories that attack who looks at them."""

from __future__ import annotations

import io
import os
import time
import zlib
from contextlib import closing
from hashlib import sha1
from pathlib import Path

import pytest
from campaigns import DOCKERFILE, FILES, Fleet
from forge_server import TOKEN, Repo, commit, git, serving

from dockfix.fleet.campaign import load_campaign
from dockfix.fleet.clone import _remove, clone, head_of
from dockfix.fleet.git import Git, GitError, TooLarge, clean_environment
from dockfix.fleet.journal import Journal
from dockfix.fleet.plan import plan
from dockfix.fleet.progress import Progress
from dockfix.fleet.push import Branch
from dockfix.fleet.secret import Secret


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that is there once anything of the user's or the repository's settings was run."""
    sprung, home = tmp_path / "sprung", tmp_path / "home"
    hooks = home / "hooks"
    hooks.mkdir(parents=True)
    spring = f"#!/bin/sh\ntouch {sprung}\ncat\n"
    for name in ("post-checkout", "reference-transaction", "post-index-change", "pre-push", "fsmonitor", "filter"):
        (hooks / name).write_text(spring)
        (hooks / name).chmod(0o755)
    (home / ".gitconfig").write_text(
        f"[core]\nhooksPath = {hooks}\nfsmonitor = {hooks}/fsmonitor\nsymlinks = true\n"
        f'[filter "lfs"]\nsmudge = {hooks}/filter\nclean = {hooks}/filter\nrequired = true\n'
        f"[init]\ntemplateDir = {home}/template\n[submodule]\nrecurse = true\n[protocol]\nallow = always\n"
        f"[credential]\nhelper = !touch {sprung}\n"
    )
    (home / "template/hooks").mkdir(parents=True)
    (home / "template/hooks/post-checkout").write_text(spring)
    (home / "template/hooks/post-checkout").chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    return sprung


def add_entry(repo: Repo, mode: str, path: str, data: bytes = b"", sha: str = "") -> None:
    """Add an entry of any mode to the tip of a bare repository."""
    env = {"GIT_DIR": str(repo.path), "GIT_INDEX_FILE": str(repo.path / "test-index")}
    git("read-tree", "main", env=env)
    blob = sha or git("hash-object", "-w", "--stdin", stdin=data, env=env)
    git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", env=env)
    tree = git("write-tree", env=env)
    git("update-ref", "refs/heads/main", git("commit-tree", tree, "-p", "main", "-m", "more", env=env), env=env)


def document(fleet: Fleet, name: str) -> str:
    with closing(Journal(fleet.folder)) as journal:
        return journal.document(name) + Path(journal.patch_path(fleet.standing(name).patch)).read_text()


def test_nothing_of_anybodys_settings_runs(fleet: Fleet, trap: Path) -> None:
    inside = {
        "HEAD": "ref: refs/heads/main\n",
        "config": f"[core]\nbare = true\nfsmonitor = touch {trap}\nhooksPath = hooks\nworktree = ..\n",
        "hooks/post-checkout": f"#!/bin/sh\ntouch {trap}\n",
        "objects/keep": "",
        "refs/heads/keep": "",
        "Dockerfile": DOCKERFILE,
    }
    attributes = {".gitattributes": "* filter=lfs diff=lfs merge=lfs text eol=crlf\n", ".lfsconfig": "[lfs]\nurl = x\n"}
    fleet.add("acme/one", {**{f"bare/{path}": text for path, text in inside.items()}, **attributes})
    assert fleet.plan() == 0
    assert fleet.publish() == 0
    assert fleet.standing().fixes == 2, "the Dockerfile inside the bare repository is one as well"
    assert not trap.exists()
    changed = git("--git-dir", fleet.forge.repos["acme/one"].path, "diff", "--stat", "main", "dockfix/tidy")
    assert "2 files changed, 2 insertions(+), 2 deletions(-)" in changed, "no line endings were changed"


def test_links_are_not_followed(fleet: Fleet, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "Dockerfile").write_text(DOCKERFILE.replace("flask", "outsidepackage"))
    (outside / "ignore").write_text("outsideignore\n")
    repo = fleet.add("acme/one", {"Dockerfile": f"{DOCKERFILE}COPY . /app\n", ".gitignore": "*.pyc\n"})
    add_entry(repo, "120000", "link", str(outside).encode())
    add_entry(repo, "120000", "Dockerfile.outside", f"{outside}/Dockerfile".encode())
    add_entry(repo, "120000", ".dockerignore", f"{outside}/ignore".encode())
    fleet.chain = 'select = ["pip-no-cache-dir", "dockerignore"]'
    fleet.plan()
    assert fleet.standing().state == "refused"
    assert ".dockerignore is a symbolic link" in fleet.standing().reason
    assert (outside / "ignore").read_text() == "outsideignore\n"
    fleet.chain = 'select = ["pip-no-cache-dir"]'
    fleet.plan()
    assert fleet.standing().fixes == 1
    assert "outside" not in document(fleet, "acme/one")


def test_submodules_are_not_fetched(fleet: Fleet, trap: Path, tmp_path: Path) -> None:
    other = fleet.forge.add("acme/other", FILES)
    repo = fleet.add("acme/one")
    modules = f'[submodule "x"]\npath = sub\nurl = file://{other.path}\n[submodule "y"]\npath = y\nurl = -u./x\n'
    commit(repo.path, {".gitmodules": modules})
    add_entry(repo, "160000", "sub", sha=fleet.forge.tip(other, "main"))
    assert fleet.plan() == 0
    assert fleet.publish() == 0
    assert fleet.standing().fixes == 1
    assert not trap.exists()


@pytest.mark.parametrize("name", [b"..", b".git", b".GIT", b"."])
def test_paths_that_lead_out_are_that_repositorys_failure(fleet: Fleet, name: bytes, tmp_path: Path) -> None:
    repo = fleet.add("acme/one")
    fleet.add("acme/two")
    env = {"GIT_DIR": str(repo.path)}
    blob = bytes.fromhex(git("hash-object", "-w", "--stdin", stdin=b"[core]\nfsmonitor = touch pwned\n", env=env))
    inner = written(repo, b"100644 config\0" + blob)
    docker = bytes.fromhex(git("rev-parse", "main:Dockerfile", env=env))
    tree = written(repo, b"40000 " + name + b"\0" + inner + b"100644 Dockerfile\0" + docker)
    git("update-ref", "refs/heads/main", git("commit-tree", tree.hex(), "-m", "bad", env=env), env=env)
    assert fleet.plan() == 1
    assert fleet.standing("acme/one").state == "failed"
    assert fleet.standing("acme/two").state == "changed"


def written(repo: Repo, content: bytes) -> bytes:
    """Write a tree that git would refuse to make."""
    data = b"tree %d\0%s" % (len(content), content)
    name = sha1(data).hexdigest()
    path = repo.path / "objects" / name[:2] / name[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(zlib.compress(data))
    return bytes.fromhex(name)


@pytest.mark.parametrize("path", ["../escaped", "/escaped", ".git/config", "link/escaped", "a/../../escaped"])
def test_a_patch_that_leads_out_is_not_committed(fleet: Fleet, path: str, tmp_path: Path) -> None:
    repo = fleet.add("acme/one")
    add_entry(repo, "120000", "link", str(tmp_path).encode())
    scratch = tmp_path / "scratch"
    (scratch / "home").mkdir(parents=True)
    patch = tmp_path / "bad.patch"
    patch.write_text(f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+text\n")
    campaign = fleet.campaign
    git_here = Git(str(scratch / "home"), Secret(), float("inf"))
    branch = Branch(git_here, campaign.clone_url("acme/one"), campaign, str(scratch))
    with pytest.raises(GitError):
        branch.commit(fleet.forge.tip(repo, "main"), str(patch))
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize(
    "entry",
    [
        "ext::sh -c touch% pwned",
        "--upload-pack=touch pwned",
        "ssh://-oProxyCommand=touch/x",
        "https://user:pass@host/x",
    ],
)
def test_addresses_that_run_something_are_no_repositories(fleet: Fleet, entry: str) -> None:
    from dockfix.fleet.campaign import CampaignError

    fleet.names.append(entry)
    with pytest.raises(CampaignError):
        fleet.plan()
    assert not Path("pwned").exists()


def test_a_repository_that_redirects_elsewhere_is_not_followed(fleet: Fleet, tmp_path: Path) -> None:
    with serving(tmp_path / "other") as other:
        other.add("acme/one", FILES)
        fleet.add("acme/one")
        place = {"Location": f"{other.address}/acme/one.git/info/refs?service=git-upload-pack"}
        fleet.forge.fail("GIT GET", 302, headers=place, times=9)
        assert fleet.plan() == 1
        assert other.sent == []


def test_what_grows_without_end_is_stopped(tmp_path: Path) -> None:
    grown = tmp_path / "grown"
    grown.mkdir()
    here = Git(str(tmp_path), Secret(), time.monotonic() + 60, megabytes=1)
    grow = f"alias.grow=!dd if=/dev/zero of={grown}/file bs=1M count=3 2>/dev/null; sleep 50"
    start = time.monotonic()
    with pytest.raises(TooLarge, match="larger than 1 MB"):
        here.run("-c", grow, "grow", folder=str(grown))
    assert time.monotonic() - start < 20


def test_links_and_submodules_leave_nothing_behind(fleet: Fleet, own_git: Git, tmp_path: Path) -> None:
    repo = fleet.add("acme/one", {"folder/file": "text\n"})
    add_entry(repo, "120000", "requirements.txt", b"../outside")
    add_entry(repo, "120000", "folder/link", b"/etc/passwd")
    add_entry(repo, "160000", "sub", sha="a" * 40)
    url = fleet.campaign.clone_url("acme/one")
    head = head_of(own_git, url)
    assert head is not None
    cloned = clone(own_git, url, head, str(tmp_path / "clone"), 100)
    assert cloned.elsewhere == {"requirements.txt", "folder/link", "sub"}
    assert cloned.outside("sub/Dockerfile") == "sub"
    assert cloned.outside("folder/file") is None
    assert sorted(os.listdir(tmp_path / "clone")) == [".git", "Dockerfile", "app.py", "folder", "sub"]
    assert os.listdir(tmp_path / "clone/folder") == ["file"]


def test_what_the_chain_sees_of_the_environment(fleet: Fleet) -> None:
    own = fleet.root / "own.py"
    own.write_text(
        '''
import os
from dockfix.transform import Phase, Safety, Skip, transform


@transform(safety=Safety.SAFE, phase=Phase.CONTENT)
def look(build):
    """Look.

    Why: to see.
    """
    yield Skip(f"{sorted(os.environ)} {os.getcwd() != os.environ['HOME'] or os.listdir('.')}", 1)
'''
    )
    os.environ["SOMETHING_SECRET"] = "x"
    fleet.chain = 'transforms = ["own.py"]\nselect = ["look"]'
    fleet.add("acme/one")
    fleet.plan()
    reason = fleet.standing().reason
    del os.environ["SOMETHING_SECRET"]
    assert "HOME" in reason
    assert "TOKEN" not in reason
    assert "SECRET" not in reason


def test_a_repository_around_the_plan_has_no_say(fleet: Fleet, trap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder for clones may lie in somebody's repository, whose settings are not meant for others."""
    git("init", "--quiet", fleet.root)
    (fleet.root / ".git/config").write_text(
        f'[url "file:///nonexistent"]\ninsteadOf = {fleet.forge.address}\n[core]\nfsmonitor = touch {trap}\n'
    )
    fleet.add("acme/one")
    scratch = fleet.root / "scratch"
    progress = Progress("plan", 1, io.StringIO())
    assert plan(fleet.campaign, fleet.folder, jobs=1, scratch=str(scratch), progress=progress) == 0
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    assert fleet.publish() == 0
    assert not trap.exists()


def test_what_is_left_out_is_removed_where_it_is_and_nowhere_else(tmp_path: Path) -> None:
    """A folder may have become a link since it was looked at."""
    root, outside = tmp_path / "clone", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "file").write_text("mine")
    (root / "link").symlink_to(outside)
    for path in ("link/file", "../outside/file", ".git/config"):
        with pytest.raises(GitError):
            _remove(str(root), path)
    assert (outside / "file").read_text() == "mine"


@pytest.fixture
def own_git(tmp_path: Path) -> Git:
    (tmp_path / "git-home").mkdir()
    return Git(str(tmp_path / "git-home"), Secret(), float("inf"))


@pytest.fixture
def rigged(tmp_path: Path, trap: Path) -> Path:
    """Return a repository with a link, whose own settings and hooks run something whatever is done in it."""
    root = tmp_path / "rigged"
    git("init", "--quiet", "--initial-branch=main", root)
    (root / "file").write_text("text\n")
    (root / "link").symlink_to("/etc/passwd")
    git("-C", root, "add", "file", "link")
    git("-C", root, "commit", "--quiet", "-m", "x")
    hook = root / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {trap}\n")
    hook.chmod(0o755)
    with open(root / ".git/config", "a") as config:
        config.write(f'[core]\nfsmonitor = "touch {trap}; false"\n[credential]\nhelper = "!touch {trap}; false"\n')
        config.write(f'[core]\naskPass = "touch {trap}; false"\n[protocol]\nallow = always\n')
    return root


def test_hooks_monitors_and_links_are_off(own_git: Git, rigged: Path, trap: Path) -> None:
    (rigged / "link").unlink()
    own_git.run("-C", str(rigged), "checkout", "--force", "--detach", "HEAD")
    own_git.run("-C", str(rigged), "status")
    assert not trap.exists()
    assert not (rigged / "link").is_symlink()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("submodule.recurse", "false"),
        ("fetch.recurseSubmodules", "false"),
        ("core.symlinks", "false"),
        ("core.autocrlf", "false"),
        ("core.attributesFile", "/dev/null"),
        ("core.askPass", ""),
        ("http.followRedirects", "false"),
        ("commit.gpgSign", "false"),
        ("push.gpgSign", "false"),
        ("gc.auto", "0"),
        ("maintenance.auto", "false"),
    ],
)
def test_what_a_repository_says_of_it_counts_for_nothing(own_git: Git, rigged: Path, setting: str, value: str) -> None:
    git("-C", rigged, "config", setting, "true")
    assert own_git.run("-C", str(rigged), "config", "--get", setting).decode().strip() == value


def test_credential_helpers_are_not_asked(own_git: Git, rigged: Path, trap: Path, fleet: Fleet) -> None:
    fleet.add("acme/one").private = True
    url = fleet.campaign.clone_url("acme/one")
    with pytest.raises(GitError, match="not to be read with this token"):
        own_git.run("-C", str(rigged), "ls-remote", "--", url, url=url)
    assert not trap.exists()


def test_only_the_protocol_of_the_repository_is_spoken(own_git: Git, rigged: Path, trap: Path) -> None:
    for url in (f"ext::touch {trap}", f"file://{rigged}"):
        with pytest.raises(GitError):
            own_git.run("-C", str(rigged), "ls-remote", "--", url, url="http://127.0.0.1/other")
    assert not trap.exists()


def test_a_bare_repository_is_not_entered_by_chance(own_git: Git, tmp_path: Path) -> None:
    git("init", "--quiet", "--bare", tmp_path / "bare")
    with pytest.raises(GitError, match="bare repository"):
        own_git.run("-C", str(tmp_path / "bare"), "rev-parse", "--git-dir")


def test_passwords_of_the_user_are_not_used(fleet: Fleet, trap: Path) -> None:
    home = Path(os.environ["HOME"])
    (home / ".netrc").write_text(f"machine 127.0.0.1 login x-access-token password {TOKEN}\n")
    fleet.add("acme/one").private = True
    path = fleet.path
    path.write_text(path.read_text().replace("FLEET_TOKEN", "NOT_SET"))
    assert plan(load_campaign(str(path)), fleet.folder, progress=Progress("plan", 1, io.StringIO())) == 1


def test_settings_of_the_machine_have_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = ("GIT_DIR", "GIT_CONFIG", "GIT_CONFIG_SYSTEM", "GIT_SSH_COMMAND", "GIT_EXTERNAL_DIFF", "PYTHONPATH")
    for name in (*theirs, "GIT_TEMPLATE_DIR", "LD_PRELOAD", "SSH_AUTH_SOCK", "FLEET_TOKEN"):
        monkeypatch.setenv(name, "/somewhere")
    environment = clean_environment(str(tmp_path))
    assert "/somewhere" not in environment.values()
    assert environment["GIT_CONFIG_NOSYSTEM"] == environment["GIT_ATTR_NOSYSTEM"] == "1"
    assert environment["HOME"] == environment["XDG_CONFIG_HOME"] == str(tmp_path)


def test_settings_of_the_user_have_no_say(fleet: Fleet, trap: Path) -> None:
    with open(os.environ["GIT_CONFIG_GLOBAL"], "a") as config:
        config.write(f'[url "file:///nonexistent"]\ninsteadOf = {fleet.forge.address}\n')
    fleet.add("acme/one")
    assert fleet.plan() == 0
    assert fleet.publish() == 0
    assert not trap.exists()
