open('/etc/app/key.pem').read()
