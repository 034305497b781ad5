#!/bin/sh
gcc -o /tmp/fast fast.c
exec gunicorn app:app
