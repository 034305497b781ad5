bind = "0.0.0.0:9000"
workers = 2
worker_class = "gthread"
threads = 16
accesslog = "-"
