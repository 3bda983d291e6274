"""The Franka arm and hand: one process per device, the only holder of the robot, on the real client library (franky)."""
