print(open("/root/.token").read())
