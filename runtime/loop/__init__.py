"""The tick: one step function that reads no clock, and the ports through which it sees the world."""
