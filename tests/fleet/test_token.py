"""The token: it must not show up anywhere but in the requests to its own forge."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from campaigns import Fleet
from forge_server import TOKEN
from killing import start

from dockfix.fleet.campaign import CampaignError, ForgeSettings, load_campaign
from dockfix.fleet.secret import Secret, read_secret

FORMS = [
    TOKEN,
    quote(TOKEN, safe=""),
    base64.b64encode(TOKEN.encode()).decode().rstrip("="),
    *(base64.b64encode(f"{user}:{TOKEN}".encode()).decode().rstrip("=") for user in ("x-access-token", "oauth2")),
]


def leaks(data: bytes) -> list[str]:
    return [form for form in FORMS if form.encode() in data]


class Watch(threading.Thread):
    """Reads the argument list of every process, and every file below a folder, as long as it runs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder = folder
        self.found: list[str] = []
        self.seen = 0
        self.done = False

    def run(self) -> None:
        while not self.done:
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    self._look(Path("/proc", entry, "cmdline"))
            for folder, _, names in os.walk(self.folder):
                for name in names:
                    self._look(Path(folder, name))
            time.sleep(0.002)

    def _look(self, path: Path) -> None:
        try:
            data = path.read_bytes()
        except OSError:
            return
        self.seen += b"git" in data
        if leaks(data):
            self.found.append(str(path))


@pytest.mark.parametrize("private", [False, True], ids=["works", "refused"])
def test_no_argument_list_no_file_no_output(
    fleet: Fleet, kind: str, private: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.kind = kind
    for number in range(2):
        fleet.add(f"acme/r{number}").private = True
    if private:  # the forge and git show what they were given in what they complain about
        fleet.forge.fail("GET /api", 500, {"message": f"bad {TOKEN} {FORMS[-1]} {FORMS[-2]}"}, times=99)
    path = fleet.path
    path.write_text(f"{path.read_text()}\n[limits]\npause = 0\nback-off = 0.01\ntrial = 0\n")
    folder, said = tmp_path / "watched", tmp_path / "said.txt"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    watch = Watch(folder)
    watch.start()
    plan = start("plan", str(path), "--folder", str(folder / "plan"), "--scratch", str(folder), said=said).wait()
    publish = start("publish", str(path), "--folder", str(folder / "plan"), said=said).wait()
    start("report", str(path), "--folder", str(folder / "plan"), said=said).wait()
    watch.done = True
    watch.join()
    assert (plan, publish) == (0, 1 if private else 0), said.read_text()
    assert "stamina" not in said.read_text()
    assert watch.seen > 0
    assert watch.found == []
    assert leaks(said.read_bytes()) == []
    for file in folder.rglob("*"):
        assert file.is_dir() or leaks(file.read_bytes()) == [], file
    assert not leaks(b"".join(repr(one.body).encode() for one in fleet.forge.sent))


def test_what_a_server_tells_git_is_told_without_it(fleet: Fleet) -> None:
    fleet.add("acme/one")
    fleet.forge.fail("GIT GET", 403, " ".join(["you sent", *FORMS]))
    assert fleet.plan() == 1
    assert "you sent ***" in fleet.standing().reason
    assert leaks(fleet.standing().reason.encode()) == []


def test_it_goes_to_its_own_forge_only(fleet: Fleet, tmp_path: Path) -> None:
    secret = read_secret(fleet.campaign.forge, required=True)
    assert secret.git_configuration(f"{fleet.forge.address}/acme/one.git")
    for other in ("http://127.0.0.1:1/acme/one.git", "https://127.0.0.1/x.git", "file:///x", "https://evil.example/x"):
        assert secret.git_configuration(other) == {}


def test_a_text_without_it_in_any_form() -> None:
    secret = Secret(TOKEN, "oauth2", ("https://gitlab.com",))
    text = " ".join([*FORMS, f"Authorization: Basic {FORMS[-1]}", "authorization: Bearer something", repr(secret)])
    assert not leaks(secret.redact(text).encode())
    assert "something" not in secret.redact(text)
    assert TOKEN not in repr(secret)


def test_where_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    settings = ForgeSettings("github", "https://api.github.com", "https://github.com/{name}.git", "", str(file))
    assert read_secret(settings, required=True).token == TOKEN
    with pytest.raises(CampaignError, match=r"no token for .*the variable NOT_SET"):
        read_secret(ForgeSettings(token_env="NOT_SET"), required=True, environment={})
    file.write_text("two words")
    with pytest.raises(CampaignError) as error:
        read_secret(settings, required=True)
    assert "two" not in str(error.value)


@pytest.mark.parametrize("key", ["url", "clone-url"])
def test_none_in_the_campaign_file(tmp_path: Path, key: str) -> None:
    path = tmp_path / "campaign.toml"
    path.write_text(f'name = "a"\ntitle = "b"\n[forge]\n{key} = "https://x:{TOKEN}@example.com/{{name}}"\n')
    with pytest.raises(CampaignError, match="holds credentials") as error:
        load_campaign(str(path))
    assert TOKEN not in str(error.value)


@pytest.mark.parametrize("token", ["ghp_abcDEF123", "github_pat_11ABC_def", "glpat-x_y-z", "ghs_abc"])
def test_none_where_the_name_of_a_variable_belongs(tmp_path: Path, token: str) -> None:
    path = tmp_path / "campaign.toml"
    path.write_text(f'name = "a"\ntitle = "b"\n[forge]\ntoken-env = "{token}"\n')
    with pytest.raises(CampaignError, match="holds a token") as error:
        load_campaign(str(path))
    assert token not in str(error.value)


def test_one_with_characters_that_none_has_is_not_sent() -> None:
    with pytest.raises(CampaignError, match="right file or variable") as error:
        read_secret(ForgeSettings(token_env="T"), required=True, environment={"T": "t\u00f6ken"})
    assert "t\u00f6ken" not in str(error.value)


def test_the_plan_is_for_its_owner_alone(fleet: Fleet) -> None:
    fleet.add("acme/one")
    fleet.plan()
    for path in Path(fleet.folder).rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_git_asks_nobody(fleet: Fleet) -> None:
    """A repository that wants a password is a failure, not a prompt."""
    fleet.add("acme/one").private = True
    path = fleet.path
    path.write_text(path.read_text().replace("FLEET_TOKEN", "NOT_SET"))
    process = start("plan", str(path), "--folder", fleet.folder)
    try:
        assert process.wait(10) == 1
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert "not to be read with this token" in fleet.standing().reason
