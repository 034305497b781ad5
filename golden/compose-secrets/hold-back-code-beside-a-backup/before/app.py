import psycopg2

psycopg2.connect(host="db", user="shop", password="hunter2")
