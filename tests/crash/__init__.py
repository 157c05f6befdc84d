"""Crash rounds: concurrent writers, SIGKILL, restart, and a checker that misses nothing."""
