# mypy: ignore-errors
# Runs inside the image, with whatever Python is there (3.5 or newer): no f-strings, no imports from dockfix. It prints
# the distributions of every environment that it finds as one line of JSON: [name, version, requirements].
import glob
import json
import os
import re
import sys

HOMES = ["/root", *glob.glob("/home/*")]
ENVIRONMENTS = [
    "/opt/*",
    "/venv",
    "/.venv",
    "/env",
    os.path.join(os.getcwd(), ".venv"),
    os.path.join(os.getcwd(), "venv"),
    os.path.join(os.getcwd(), "env"),
] + [
    home + below
    for home in HOMES
    for below in ("/.cache/pypoetry/virtualenvs/*", "/.local/share/virtualenvs/*", "/.virtualenvs/*", "/.venv", "/venv")
]


def name_of(text):
    return re.sub("[-_.]+", "-", text).lower()


def distributions(path):
    try:
        from importlib.metadata import distributions as found
    except ImportError:
        try:
            from importlib_metadata import distributions as found
        except ImportError:
            import pkg_resources

            for item in pkg_resources.WorkingSet(path):
                yield item.project_name, item.version, [str(one) for one in item.requires()]
            return
    for item in found(path=path):
        name = item.metadata["Name"]
        if name:
            yield name, item.version, item.requires or []


def main():
    paths = list(sys.path)
    for pattern in ENVIRONMENTS:
        for folder in glob.glob(pattern):
            if os.path.exists(os.path.join(folder, "pyvenv.cfg")):
                paths += glob.glob(os.path.join(folder, "lib", "python3*", "site-packages"))
    for home in HOMES:
        paths += glob.glob(home + "/.local/lib/python3*/site-packages")
    paths = [path for number, path in enumerate(paths) if path and path not in paths[:number]]
    seen = []
    for name, version, requires in distributions(paths):
        seen.append([name_of(name), version, requires])
    print("\n" + json.dumps({"python": ".".join(map(str, sys.version_info[:2])), "distributions": seen}))


main()
