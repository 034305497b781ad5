SECRET_KEY = "x9Kd!27pQ"
print "loaded"
