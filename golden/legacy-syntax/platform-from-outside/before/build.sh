docker build --build-arg TARGETPLATFORM=linux/amd64 -t app .
