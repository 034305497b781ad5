#!/bin/sh
docker compose --file compose.yaml \
  --file deploy/live.yaml up -d
