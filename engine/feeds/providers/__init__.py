"""Where ticks come from: recordings, the simulator, sockets."""
