"""State that a module keeps in its process, in every shape."""

import pytest

from dockfix.project.process_state import state_of
from dockfix.project.python_module import parse_module

_TOP = [
    "import os\nclass Config:\n    SECRET_KEY = os.urandom(32)",
    "import os\nKEY = os.urandom(24)",
    "import random, string\nsecret_key = ''.join(random.choices(string.ascii_letters, k=20))",
    "from cryptography.fernet import Fernet\nFERNET = Fernet(Fernet.generate_key())",
    "from django.core.management.utils import get_random_secret_key\nSECRET_KEY = get_random_secret_key()",
    "def create_app():\n    app.secret_key = os.urandom(24)\n    return app",
    "import threading\nthreading.Thread(target=print).start()",
    "import threading\nif True:\n    threading.Thread(target=print).start()",
    "from apscheduler.schedulers.background import BackgroundScheduler\n"
    "def init():\n    s = BackgroundScheduler()\n    s.start()\ninit()",
    "from threading import Lock\nlock = Lock()",
    "import sqlite3\ndb = sqlite3.connect('file::memory:?cache=shared', uri=True)",
    "from cachelib import SimpleCache\ncache = SimpleCache()",
    "cache = Cache(config={'CACHE_TYPE': 'flask_caching.backends.simplecache.SimpleCache'})",
    "import fakeredis\nr = fakeredis.FakeRedis()",
    "from flask_limiter import Limiter\nlimiter = Limiter(str)",
    "SESSION_ENGINE = 'django.contrib.sessions.backends.cache'",
    "class Store:\n    def put(self, x):\n        self.items.append(x)\nstore = Store()",
]
_CHANGED = [
    ("todos: list[str] = []", "todos.append('x')"),
    ("class Store:\n    def __init__(self):\n        self.items = []\nstore = Store()", "store.items.append('x')"),
    ("class Store:\n    items = []", "Store.items.append('x')"),
    ("app = Flask(__name__)\napp.todos = []", "app.todos.append('x')"),
    ("app = Flask(__name__)\napp.config['N'] = 0", "app.config['N'] += 1"),
    ("from collections import deque\nq = deque(maxlen=9)", "q.appendleft(1)"),
    ("import itertools\nc = itertools.count()", "next(c)"),
    ("db = {'items': []}", "db['items'].append(1)"),
    ("a, b = [], {}", "b['x'] = 1"),
    ("board = [0] * 9", "board[1] = 1"),
    ("todos = {i: i for i in range(9)}", "del todos[1]"),
    ("import json\ntodos = json.loads('[]')", "todos.append(1)"),
    ("from types import SimpleNamespace\nst = SimpleNamespace(n=0)", "st.n += 1"),
    ("import store", "store.ITEMS.append(1)"),
    ("from store import ITEMS", "ITEMS['x'] = 1"),
]
_NONE = [
    ("from flask import session", "session['x'] = 1"),
    ("from flask import session", "session.pop('x')"),
    ("from models import db", "db.session.add(1)"),
    ("from database import session", "session.add(1)"),
    ("import os", "os.environ['X'] = '1'"),
    ("names = ['a']", "names = []\n    names.append('x')"),
    ("names = ['a']", "return sorted(names)"),
    ("app = Flask(__name__)", "app.config['X'] = 1"),
    ("from flask import g", "g.user = 1"),
    ("app = Flask(__name__)\nlog = app.logger", "log.info('x')"),
    ("cache = {}\nif __name__ == '__main__':\n    cache['x'] = 1", "return cache"),
    ("import os\nNAME = os.environ['TOKEN']", "return NAME"),
]


def _found(text: str) -> list[str]:
    tree = parse_module(text)
    assert tree is not None
    return [state.what for state in state_of("app.py", tree, text)]


@pytest.mark.parametrize("text", _TOP)
def test_state_of_the_module_itself(text: str) -> None:
    assert _found(text)


@pytest.mark.parametrize(("top", "statement"), _CHANGED)
def test_a_function_changes_what_the_module_holds(top: str, statement: str) -> None:
    assert not _found(top)
    assert _found(f"{top}\n\ndef view():\n    {statement}\n")


@pytest.mark.parametrize(("top", "statement"), _NONE)
def test_no_state(top: str, statement: str) -> None:
    assert not _found(f"{top}\n\ndef view():\n    {statement}\n")


@pytest.mark.parametrize(
    ("text", "created"),
    [
        ("with app.app_context():\n    db.create_all()", True),
        ("Base.metadata.create_all(bind=engine)", True),
        ("def create_app():\n    with app.app_context():\n        db.create_all()\n    return app", True),
        (
            "def create_app():\n    @app.cli.command()\n    def init_db():\n        db.create_all()\n    return app",
            False,
        ),
        ("@app.cli.command()\ndef init_db():\n    db.create_all()", False),
        ("if __name__ == '__main__':\n    db.create_all()", False),
    ],
)
def test_tables_that_every_worker_would_create(text: str, created: bool) -> None:
    tree = parse_module(text)
    assert tree is not None
    assert any("tables" in state.what for state in state_of("app.py", tree, text)) is created
