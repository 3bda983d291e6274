"""The emulated robot: arm and hand servers that the real client libraries connect to, and the faults they can show."""
