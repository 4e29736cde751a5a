"""Extensions for tests: each is a module and a row in its registry; nothing else in the program knows of them."""
