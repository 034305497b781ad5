#!/bin/sh
mkdir -p /exports
exec gunicorn app:app
