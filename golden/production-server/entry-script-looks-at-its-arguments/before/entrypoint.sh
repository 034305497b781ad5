#!/bin/sh
set -e
if [ "$1" = flask ]; then flask db upgrade; fi
exec "$@"
