"""One command runs it all: web server, worker and scheduler in one tree of two processes."""
