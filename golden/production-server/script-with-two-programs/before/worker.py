print('at work')
