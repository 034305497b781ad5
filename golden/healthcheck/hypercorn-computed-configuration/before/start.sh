#!/bin/sh
export SERVER_CONF=${SERVER_CONF:-/app/conf.py}
exec hypercorn -c "$SERVER_CONF" app:app
