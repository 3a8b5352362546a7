"""What the Makefile and continuous integration run; nothing of it is part of the product."""
