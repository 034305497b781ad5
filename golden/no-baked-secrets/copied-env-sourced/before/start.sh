#!/bin/sh
set -a
. ./.env
exec python app.py
