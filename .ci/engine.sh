#!/usr/bin/env bash
# A container engine for the tests that build and run images, on a machine where none runs.
#
#   eval "$(.ci/engine.sh start)"   installs Debian's docker.io where it is missing, starts it, exports DOCKER_HOST
#   .ci/engine.sh stop              stops the engine that this script started, and only that one
#
# Where DOCKER_HOST or the usual socket answers already, that engine is used as it is. The one started here keeps its
# data in DOCKFIX_ENGINE (default: below the cache folder); DOCKFIX_ENGINE_STARTED tells that it did not run before. It
# has no bridge network, so that it needs no right to change the machine's firewall: builds need the network of the
# host, which DOCKFIX_BUILD_NETWORK tells the tests.
set -euo pipefail

folder=${DOCKFIX_ENGINE:-${XDG_CACHE_HOME:-$HOME/.cache}/dockfix-engine}
socket=$folder/docker.sock
pidfile=$folder/docker.pid

fail() {  # what happened, a log
  echo "engine.sh: $1" >&2
  if [ -s "${2:-}" ]; then
    echo "the end of $2:" >&2
    tail -n 25 "$2" >&2
  fi
  exit 1
}

clients() { type -ap docker || true; }  # the tests, too, take the one among them that can do the most

answers() {
  local client
  for client in $(clients); do
    DOCKER_HOST=$1 timeout 20 "$client" version >/dev/null 2>&1 && return
  done
  return 1
}

has_bridge() {
  local client
  for client in $(clients); do
    DOCKER_HOST=$1 timeout 20 "$client" network inspect bridge >/dev/null 2>&1 && return
  done
  return 1
}

install() {
  [ "$(id -u)" = 0 ] || fail "no engine answers, and dockerd is not installed; only root can install it"
  command -v apt-get >/dev/null || fail "no engine answers, dockerd is not installed, and there is no apt-get"
  local log=$folder/install.log
  for attempt in 1 2 3; do
    if apt-get update -qq >"$log" 2>&1 &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io >>"$log" 2>&1; then
      return
    fi
    sleep $((attempt * 5))
  done
  fail "Debian's docker.io cannot be installed" "$log"
}

start() {
  local host
  for host in "${DOCKER_HOST:-}" unix:///var/run/docker.sock; do
    if [ -n "$host" ] && [ "$host" != "unix://$socket" ] && answers "$host"; then
      echo "export DOCKER_HOST=$host"
      has_bridge "$host" || echo "export DOCKFIX_BUILD_NETWORK=host"
      return
    fi
  done
  mkdir -p "$folder"
  [ -x /usr/sbin/dockerd ] || install
  if ! answers "unix://$socket"; then
    rm -f "$pidfile"
    setsid /usr/sbin/dockerd --iptables=false --bridge=none --data-root "$folder/data" --exec-root "$folder/exec" \
      --pidfile "$pidfile" --host "unix://$socket" >"$folder/dockerd.log" 2>&1 </dev/null &
    local waited=0
    until answers "unix://$socket"; do
      waited=$((waited + 1))
      if [ $waited -gt 120 ] || ! kill -0 $! 2>/dev/null; then
        fail "dockerd does not start here; it needs root, and the right to mount and to make namespaces" \
          "$folder/dockerd.log"
      fi
      sleep 0.5
    done
    echo "export DOCKFIX_ENGINE_STARTED=1"
  fi
  echo "export DOCKER_HOST=unix://$socket"
  echo "export DOCKFIX_BUILD_NETWORK=host"
}

stop() {
  local pid
  pid=$(cat "$pidfile" 2>/dev/null) || return 0
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 60); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.5
  done
  fail "dockerd ($pid) does not stop"
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  *) echo "usage: engine.sh start|stop" >&2; exit 2 ;;
esac
