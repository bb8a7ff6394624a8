"""Runs other people's client test suites against a server and against the proxy before it."""
