"""
Named streams of random numbers: one seed, many purposes, none disturbs another.

A stream is addressed by (seed, purpose, position), so that nothing but the position has to be remembered to go on with
it: epoch 7 draws the same order whether or not epochs 1 to 6 ran in this process.
"""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, purpose: str, *position: int) -> np.random.Generator:
    """PCG64 on a seed sequence of the seed, the purpose's CRC-32 and the position."""
    entropy = [seed, zlib.crc32(purpose.encode()), *position]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def number(seed: int, purpose: str, *position: int) -> int:
    """One number of 63 bits from a stream, as a seed for somebody else."""
    return int(generator(seed, purpose, *position).integers(2**63 - 1))
