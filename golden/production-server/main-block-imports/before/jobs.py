print('jobs run')
