"""The Python application, as its sources show it."""

from __future__ import annotations

from textwrap import dedent

import pytest

from dockfix.project.application import Application, find_applications
from dockfix.project.files import MemoryFiles


def find(root: str = "", **sources: str) -> tuple[Application, ...]:
    return find_applications(
        MemoryFiles({name.replace("__", "/") + ".py": dedent(text) for name, text in sources.items()}), root
    )


def test_flask_with_a_main_block() -> None:
    (found,) = find(
        app="""
        import os
        from flask import Flask

        app = Flask(__name__)

        @app.route("/health")
        def health():
            return "ok"

        if __name__ == "__main__":
            app.run(host="127.0.0.1", port=int(os.environ.get("PORT", 8080)), debug=True)
        """
    )
    assert (found.framework, found.module, found.variable, found.factory) == ("flask", "app", "app", False)
    assert [route.path for route in found.routes] == ["/health"]
    assert found.run is not None
    assert (found.run.port, found.run.port_variable, found.run.host) == (8080, "PORT", "127.0.0.1")
    assert found.run.others == ()
    assert found.state == ()


def test_other_work_in_the_main_block_is_told() -> None:
    (found,) = find(
        app="""
        from flask import Flask
        app = Flask(__name__)
        if __name__ == "__main__":
            print("starting")
            db.create_all()
            app.run()
        """
    )
    assert found.run is not None
    assert found.run.others == ((6, "db.create_all()"),)


def test_a_main_function_is_followed() -> None:
    (found,) = find(
        app="""
        import uvicorn
        from fastapi import FastAPI
        app = FastAPI()
        def main():
            migrate()
            uvicorn.run("app:app", host="0.0.0.0", port=9000, reload=True)
        if __name__ == "__main__":
            main()
        """
    )
    assert found.run is not None
    assert (found.run.callee, found.run.port, found.run.target) == ("uvicorn.run", 9000, "app:app")
    assert [source for _, source in found.run.others] == ["migrate()"]


def test_a_factory_is_named_as_one() -> None:
    source = "from flask import Flask\ndef create_app(config=None):\n    return Flask(__name__)\n"
    (found,) = find_applications(MemoryFiles({"shop/__init__.py": source}), "")
    assert (found.module, found.variable, found.factory, found.conditional) == ("shop", "create_app", True, None)


def test_a_package_imports_from_above_it_and_a_folder_from_inside() -> None:
    source = "from fastapi import FastAPI\napi = FastAPI()\n"
    files = {"src/main.py": source, "shop/__init__.py": "", "shop/main.py": source}
    inside, package = find_applications(MemoryFiles(files), "")
    assert {(item.import_root, item.module) for item in (inside, package)} == {("src", "main"), ("", "shop.main")}


def test_an_application_in_an_if_is_not_certain() -> None:
    (found,) = find(app="from flask import Flask\nif True:\n    app = Flask(__name__)\n")
    assert found.conditional


def test_django_is_found_by_manage_py() -> None:
    (found,) = find(
        manage='import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n',
        shop__settings='WSGI_APPLICATION = "shop.wsgi.application"\n',
        shop__wsgi="application = object()\n",
    )
    assert (found.framework, found.module, found.variable) == ("django", "shop.wsgi", "application")


@pytest.mark.parametrize(
    "line",
    [
        "items = []\ndef view():\n    items.append(1)\n",
        "hits = 0\ndef view():\n    global hits\n",
        "URI = 'sqlite:///:memory:'\n",
        "import threading\nthreading.Thread(target=print).start()\nworker.start()\n",
        "import os\napp.secret_key = os.urandom(24)\n",
    ],
)
def test_state_in_the_process(line: str) -> None:
    (found,) = find(app=f"from flask import Flask\napp = Flask(__name__)\n{line}")
    assert found.state


def test_tests_and_broken_modules_are_passed_over() -> None:
    assert find(tests__app="from flask import Flask\napp = Flask(__name__)\n", app="from flask import (\n") == ()


def test_paths_are_relative_to_the_root() -> None:
    (found,) = find("web", web__app="from flask import Flask\napp = Flask(__name__)\n")
    assert found.path == "app.py"
