#!/bin/sh
if [ "$1" = serve ]; then python app.py "$2"; else sh -c "$*"; fi
