docker stack deploy -c compose.yaml shop
