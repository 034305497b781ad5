#!/bin/sh
envsubst < template > /etc/app.conf
exec gunicorn app:app
