module example.org/shop

go 1.24

replace example.org/common => ./common
