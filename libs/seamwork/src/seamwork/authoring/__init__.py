"""What authors of agents and contracts get before anything of theirs runs: beginnings, stand-ins, trials, pages."""
