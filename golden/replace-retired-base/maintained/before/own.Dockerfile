FROM example.com/tiangolo/uwsgi-nginx-flask:python3.8
