#!/bin/sh
docker stack deploy -c compose.yaml shop
