#!/bin/sh
set -e

if [ "$1" = "gunicorn" ]; then
    python seed.py
fi

exec "$@"
