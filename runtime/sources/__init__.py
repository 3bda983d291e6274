"""Where commands come from: hold, home, planned waypoints, jog. Whoever has the lease is asked once per tick."""
