import serial

serial.Serial('/dev/ttyUSB0')
