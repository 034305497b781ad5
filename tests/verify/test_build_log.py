"""What is read from the logs of the builders."""

from __future__ import annotations

from dockfix.verify.buildlog import BuildLog

BUILDKIT = """\
#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 37B done
#1 DONE 0.0s

#4 [builder 1/3] FROM docker.io/library/python:3.11
#4 CACHED

#5 [builder 2/3] RUN python -m venv /opt/venv
#5 CACHED

#6 [builder 3/3] RUN pip install -r requirements.txt
#6 0.512 Collecting flask
#6 1.204 ERROR: No matching distribution found for flask==99
#6 ERROR: executor failed running [/bin/sh -c pip install -r requirements.txt]: exit code: 1

#7 [stage-1 2/2] COPY . .
#7 CANCELED
------
 > [builder 3/3] RUN pip install -r requirements.txt:
------
executor failed running [/bin/sh -c pip install -r requirements.txt]: exit code: 1
"""
CLASSIC = """\
Sending build context to Docker daemon  2.048kB
Step 1/3 : FROM python:3.11
 ---> 1bd8a5ca3bc7
Step 2/3 : WORKDIR /app
 ---> Using cache
 ---> 0a1b2c3d4e5f
Step 3/3 : RUN false
 ---> Running in 6f7e8d9c0b1a
The command '/bin/sh -c false' returned a non-zero code: 1
"""
BUILDAH = """\
[1/2] STEP 1/2: FROM python:3.11 AS builder
[1/2] STEP 2/2: RUN pip install flask
--> Using cache 1f2e3d4c5b6a
[2/2] STEP 1/2: FROM python:3.11
[2/2] STEP 2/2: COPY . .
--> 2a3b4c5d6e7f
"""


def read(text: str) -> BuildLog:
    log = BuildLog()
    for line in text.splitlines():
        log.read(line)
    return log


def test_buildkit() -> None:
    log = read(BUILDKIT)
    assert [(step.stage, step.text, step.cached) for step in log.steps] == [
        ("builder", "RUN python -m venv /opt/venv", True),
        ("builder", "RUN pip install -r requirements.txt", False),
        ("stage-1", "COPY . .", False),
    ]
    assert log.failed is not None
    assert log.failed.text == "RUN pip install -r requirements.txt"
    assert "ERROR: No matching distribution found for flask==99" in log.ending()
    assert not any("DONE" in line or "sha256" in line for line in log.ending())


def test_seconds_of_a_step() -> None:
    log = read("#5 [2/2] RUN make\n#5 DONE 12.5s\n")
    assert log.steps[0].seconds == 12.5
    assert log.failed is None


def test_the_classic_builder() -> None:
    log = read(CLASSIC)
    assert [(step.text, step.cached) for step in log.steps] == [("WORKDIR /app", True), ("RUN false", False)]
    assert log.failed is not None
    assert log.failed.text == "RUN false"
    assert "The command '/bin/sh -c false' returned a non-zero code: 1" in log.ending()


def test_buildah() -> None:
    log = read(BUILDAH)
    assert [(step.stage, step.text, step.cached) for step in log.steps] == [
        ("1", "RUN pip install flask", True),
        ("2", "COPY . .", False),
    ]


def test_colours_are_not_read() -> None:
    assert read("\x1b[1m#5 [2/2] RUN make\x1b[0m\n").steps[0].text == "RUN make"
