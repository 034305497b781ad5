#!/bin/sh
[ "$FLASK_ENV" = production ] || exec flask run
exec gunicorn app:app
