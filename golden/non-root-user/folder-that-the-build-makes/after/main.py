open('/output/x.txt', 'w').write('a')
