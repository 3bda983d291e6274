"""Bundles, samplers, hooks, monitors, policy server and client."""
