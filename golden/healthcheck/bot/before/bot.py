client.run('token')
