"""Which names are those of secrets, which values are ones, and where they stand in a text."""

from __future__ import annotations

import time

import pytest

from dockfix.build.secrets import is_placeholder, is_secret_name, secret_in, secret_spans

SECRET = "SECRET_KEY DB_PASSWORD MYSQL_ROOT_PASSWORD apiKey jwt-secret GITHUB_TOKEN AWS_SECRET_ACCESS_KEY smtp_pass"
OTHERS = "PASSWORD_FILE TOKEN_TTL GPG_KEY PUBLIC_KEY STRIPE_PUBLISHABLE_KEY SORT_KEY PWD SECRET_NAME REACT_APP_API_KEY"


@pytest.mark.parametrize("name", SECRET.split())
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", OTHERS.split())
def test_names_of_other_things(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "value",
    ["", "changeme", "<your-key>", "${SECRET_KEY}", "$KEY", "xxx", "***", "placeholder", "your-secret-key", "example"],
)
def test_placeholders(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize(
    "value",
    [
        "None",
        "{{ secret }}",
        "00000000-0000-0000",
        "dummy",
        "not-a-secret",
        "change_this_in_production",
        "INSERT_API_KEY",
    ],
)
def test_no_secrets(value: str) -> None:
    assert is_placeholder(value)
    assert secret_in("SECRET_KEY", value) is None


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("SECRET_KEY", "h7Kq2pLs93vX", "h7Kq2pLs93vX"),
        ("PASSWORD", "postgres", "postgres"),
        ("DATABASE_URL", "postgresql://shop:t0p@db/shop", "t0p"),
        ("DATABASE_URL", "postgresql://shop:${PASSWORD}@db/shop", None),
        ("DATABASE_URL", "sqlite:///shop.db", None),
        ("CONNECTION", "Server=db;User Id=shop;Password=t0p", "t0p"),
        ("ANYTHING", "ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
        ("SECRET_KEY", "/run/secrets/key", None),
        ("LOG_LEVEL", "h7Kq2pLs93vX", None),
        ("VITE_API_KEY", "AIzaSyA0123456789abcdefghijklmnopqrstuv", None),
    ],
)
def test_values(name: str, value: str, secret: str | None) -> None:
    assert secret_in(name, value) == secret


@pytest.mark.parametrize(
    ("text", "code", "found"),
    [
        ("ENV SECRET_KEY=abc123x LOG=info", False, ["abc123x"]),
        ("ENV SECRET_KEY a b c", False, ["a b c"]),
        ('SECRET_KEY: str = "abc123x"', True, ["abc123x"]),
        ("SECRET_KEY = compute()", True, []),
        ('os.getenv("API_TOKEN", "abc123x")', True, ["abc123x"]),
        ("unknown instruction: API_TOKEN=abc123x", False, ["abc123x"]),
        ("could not reach amqp://u:abc123x@queue:5672//", False, ["abc123x"]),
        ("user=u&password=abc123x", False, ["abc123x"]),
        ('{"password": "abc123x", "path": "/"}', False, ["abc123x"]),
        ("the password is wrong: try again", False, []),
    ],
)
def test_spans(text: str, code: bool, found: list[str]) -> None:
    assert [text[start:end] for start, end in secret_spans(text, code=code)] == found


@pytest.mark.parametrize(
    "piece", ["pass", "a-", "a.", "token://", "x://a:", "?password=", 'token="', "token='\\", "key: a\n"]
)
def test_long_texts_take_no_longer_a_character(piece: str) -> None:
    def seconds(count: int) -> float:
        text = f"{piece * count}token"
        start = time.process_time()
        secret_spans(text)
        secret_in("SECRET_KEY", text)
        return time.process_time() - start

    short = seconds(2_000)
    assert seconds(16_000) < 8 * 4 * short + 0.05


def test_what_compose_asks_for_is_no_secret() -> None:
    for text in ("DB_PASSWORD: ${DB_PASSWORD:?}", "SECRET_KEY: ${SECRET_KEY:?set it}", "u: a://b:${DB_PASSWORD:?}@c"):
        assert secret_spans(text) == []
    text = "DB_PASSWORD: ${DB_PASSWORD:-hunter2} and more"
    assert [text[start:end] for start, end in secret_spans(text)] == ["hunter2"]
