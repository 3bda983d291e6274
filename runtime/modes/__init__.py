"""What the arm may do now, and why: a pure function of (time, state, flags) over a table of causes."""
