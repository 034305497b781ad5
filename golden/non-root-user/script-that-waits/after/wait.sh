#!/bin/sh
hostport=(${1//:/ })
HOST=${hostport[0]}
PORT=${hostport[1]}
OTHER_PORT="$2"
shift 1
exec "$@"
