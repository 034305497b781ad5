#!/bin/sh
export APP_MODULE=${APP_MODULE-app.main:app}
export HOST=${HOST:-0.0.0.0}

exec uvicorn "$APP_MODULE" --host $HOST --port "${PORT:-8000}"
