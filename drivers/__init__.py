"""Franka arm and hand, RealSense cameras, teleop devices: one process each."""
