bind = "0.0.0.0:8443"
certfile = "/certs/server.pem"
keyfile = "/certs/server.key"
