"""Benchmarks: how fast, beside whom, on what machine?"""
