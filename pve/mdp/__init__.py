"""Finite Markov decision processes: operators, planning, simulation."""
