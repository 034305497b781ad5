#!/bin/sh
set -e
mkdir -p /app/uploads
exec gunicorn --bind 0.0.0.0:8000 app:app
