#!/usr/bin/env bash
# Stand-ins for the public Python base images, in the engine at DOCKER_HOST, for machines that cannot pull any.
#
#   python:X.Y-slim   Debian + CPython + pip
#   python:X.Y        the same with compilers, headers and git
#
# The root file system is made of Debian's packages (mmdebstrap), CPython is this machine's own interpreter, laid out
# below /usr/local as in the public images. All tags of Python run that one CPython. Package managers inside reach what
# they reach on this machine: with its certificates, its package index, its Debian mirror. An image that the engine has
# already is kept. About three minutes once; then it is instant.
set -euo pipefail

: "${DOCKER_HOST:?start the engine first: eval \"\$(.ci/engine.sh start)\"}"
python=${PYTHON:-$(command -v python3.11 || command -v python3)}
prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
full_version=$("$python" -c 'import platform; print(platform.python_version())')
certificates=/etc/ssl/certs/ca-certificates.crt
release=bookworm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A client that builds with BuildKit: with the plug-in, or old enough to have it built in.
docker=
for client in $(type -ap docker); do
  major=$("$client" version --format '{{.Client.Version}}' 2>/dev/null | cut -d. -f1)
  if "$client" buildx version >/dev/null 2>&1 || [ "${major:-99}" -lt 23 ]; then
    docker=$client
    break
  fi
done
: "${docker:?no docker client with BuildKit on PATH}"
export DOCKER_BUILDKIT=1

has() { "$docker" image inspect "$1" >/dev/null 2>&1; }

quietly() {  # a command whose output matters only when it fails; the network may, so it gets three tries
  local attempt
  for attempt in 1 2 3; do
    "$@" >"$work/log" 2>&1 && return
    sleep $((attempt * 5))
  done
  echo "base-images.sh: $1 fails; the end of what it said:" >&2
  tail -n 25 "$work/log" >&2
  return 1
}

build() {  # tag, folder
  quietly "$docker" build --progress plain ${DOCKFIX_BUILD_NETWORK:+--network "$DOCKFIX_BUILD_NETWORK"} -t "$1" "$2"
}

debian() {
  has debian:$release-slim && return
  if ! command -v mmdebstrap >/dev/null; then
    quietly apt-get update -qq
    quietly env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap
  fi
  local sources=/etc/apt/sources.list.d/debian.sources
  grep -qs "Suites:.*\b$release\b" $sources || sources=
  quietly mmdebstrap --variant=minbase \
    --include=ca-certificates,libbz2-1.0,libexpat1,libffi8,liblzma5,libncursesw6,libreadline8,libsqlite3-0,libssl3,libuuid1,netbase,tzdata,zlib1g \
    $release "$work/root.tar" $sources
  quietly "$docker" import -c 'CMD ["bash"]' "$work/root.tar" debian:$release-slim
  rm "$work/root.tar"
}

slim() {
  has "python:$version-slim" && return
  local root=$work/slim/local
  mkdir -p "$root/bin" "$root/lib/python$version/site-packages" "$root/include" "$work/slim/etc"
  cp "$prefix/bin/python$version" "$root/bin/"
  ln -s "python$version" "$root/bin/python3"
  ln -s python3 "$root/bin/python"
  cp -a "$prefix"/lib/libpython*.so* "$root/lib/" 2>/dev/null || true
  tar -C "$prefix/lib" --exclude='*/site-packages' --exclude='*/dist-packages' --exclude='*/test' --exclude='*/tests' \
    --exclude='libpython*.a' --exclude=__pycache__ -cf - "python$version" | tar -C "$root/lib" -xf -
  cp -a "$prefix/include/python$version" "$root/include/" 2>/dev/null || true
  cp -L $certificates "$work/slim/etc/certificates.crt"
  {
    printf '[global]\ncert = %s\n' $certificates
    "$python" -m pip config list 2>/dev/null |
      sed -n "s/^\(global\|install\|:env:\)\.\(index-url\|trusted-host\|proxy\|default-timeout\)='\([^']*\)'$/\2 = \3/p"
  } | awk -F' = ' '!seen[$1]++' | grep -v '= file:' >"$work/slim/etc/pip.conf"
  cat >"$work/slim/Dockerfile" <<DOCKERFILE
FROM debian:$release-slim
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin PYTHON_VERSION=$full_version
ENV SSL_CERT_FILE=$certificates REQUESTS_CA_BUNDLE=$certificates
COPY local /usr/local
COPY etc/certificates.crt $certificates
COPY etc/pip.conf /etc/pip.conf
RUN ldconfig && python3 -m ensurepip >/dev/null && ln -sf pip3 /usr/local/bin/pip \
 && find /usr/local -name __pycache__ -prune -exec rm -rf {} +
CMD ["python3"]
DOCKERFILE
  build "python:$version-slim" "$work/slim"
}

full() {
  has "python:$version" && return
  mkdir -p "$work/full"
  cat >"$work/full/Dockerfile" <<DOCKERFILE
FROM python:$version-slim
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    bzip2 curl default-libmysqlclient-dev file g++ gcc git gnupg imagemagick libbz2-dev libc6-dev \
    libcurl4-openssl-dev libevent-dev libffi-dev libgdbm-dev libglib2.0-dev libgmp-dev libjpeg-dev libkrb5-dev \
    liblzma-dev libmagickwand-dev libncurses-dev libpng-dev libpq-dev libreadline-dev libsqlite3-dev libssl-dev \
    libtool libwebp-dev libxml2-dev libxslt-dev libyaml-dev make openssh-client patch procps unzip wget xz-utils \
    zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
DOCKERFILE
  build "python:$version" "$work/full"
}

tags() {
  local tag alias
  for tag in 3 3.9 3.10 3.11 3.12 3.13; do
    for alias in "$tag" "$tag-$release"; do
      has "python:$alias" || "$docker" tag "python:$version" "python:$alias"
    done
    for alias in "$tag-slim" "$tag-slim-$release"; do
      has "python:$alias" || "$docker" tag "python:$version-slim" "python:$alias"
    done
  done
}

debian
slim
full
tags
