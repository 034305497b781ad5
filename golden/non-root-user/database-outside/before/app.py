URL = "sqlite:////data/app.db"
