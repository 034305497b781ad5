#!/bin/sh
if [ -n "$DEBUG" ]; then
    flask run --reload
else
    gunicorn app:app
fi
