"""Mutation testing of the safety core: changes one thing at a time and asks whether a test notices."""
