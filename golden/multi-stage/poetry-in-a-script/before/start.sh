#!/bin/sh
poetry run alembic upgrade head
exec poetry run python app.py
