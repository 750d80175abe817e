WORD = "layered"
