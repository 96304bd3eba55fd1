"""`tally demo`: the whole of it on embedded servers, with a worker killed on the way and a recount at the end."""
