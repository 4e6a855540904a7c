"""
What the kernels do to one block of samples: rotations, entanglers and observables on rows of lanes.

A block is two arrays [2^n, lanes], real and imaginary parts. A qubit is named by its bit in the row number: qubit 0 is
the most significant. A run of rotations on one qubit is a unit quaternion (w, x, y, z), the matrix w - i (xX + yY + zZ).
"""

from __future__ import annotations

from typing import Any

from qstore_appliance.engine.kernel_lanes import load, njit, splat, store

Array = Any

# Everything but the assumptions that NaN and infinity never occur: a diverged job must see its NaN.
_MATHS = {"contract", "reassoc", "nsz", "arcp"}


@njit(fastmath=_MATHS, error_model="numpy")
def quaternion(
    axes: Array, first: int, last: int, cosines: Array, sines: Array, places: Array, cos_lanes: Array, sin_lanes: Array
) -> Any:
    """The product of rotations first..last-1; a slot with a place has its own angle in every lane."""
    one = cosines.dtype.type(1.0)
    w = splat(one)
    x = splat(one - one)
    y = x
    z = x
    for slot in range(first, last):
        place = places[slot]
        if place >= 0:
            c = load(cos_lanes, place)
            s = load(sin_lanes, place)
        else:
            c = splat(cosines[slot])
            s = splat(sines[slot])
        axis = axes[slot]
        if axis == 0:
            w, x, y, z = c * w - s * x, c * x + s * w, c * y - s * z, c * z + s * y
        elif axis == 1:
            w, x, y, z = c * w - s * y, c * x + s * z, c * y + s * w, c * z - s * x
        else:
            w, x, y, z = c * w - s * z, c * x - s * y, c * y + s * x, c * z + s * w
    return w, x, y, z


@njit(fastmath=_MATHS, error_model="numpy")
def rotate(re: Array, im: Array, stride: int, w: Any, x: Any, y: Any, z: Any) -> None:
    """Apply a quaternion to the qubit whose bit is `stride`."""
    for base in range(0, re.shape[0], 2 * stride):
        for i in range(base, base + stride):
            j = i + stride
            ar = load(re, i)
            ai = load(im, i)
            br = load(re, j)
            bi = load(im, j)
            store(re, i, w * ar + z * ai - y * br + x * bi)
            store(im, i, w * ai - z * ar - y * bi - x * br)
            store(re, j, y * ar + x * ai + w * br - z * bi)
            store(im, j, y * ai - x * ar + w * bi + z * br)


@njit(fastmath=_MATHS, error_model="numpy")
def rotate_back(re: Array, im: Array, lre: Array, lim: Array, stride: int, w: Any, x: Any, y: Any, z: Any) -> Any:
    """
    Undo a quaternion on state and costate; measure first.

    Returns:
        Im <costate| P |state> for P = X, Y, Z on that qubit, before undoing: all that the derivatives of the run need.
    """
    zero = w - w
    vx = zero
    vy = zero
    vz = zero
    for base in range(0, re.shape[0], 2 * stride):
        px = zero
        py = zero
        pz = zero
        for i in range(base, base + stride):
            j = i + stride
            ar = load(re, i)
            ai = load(im, i)
            br = load(re, j)
            bi = load(im, j)
            cr = load(lre, i)
            ci = load(lim, i)
            dr = load(lre, j)
            di = load(lim, j)
            pz = pz + (cr * ai - ci * ar - dr * bi + di * br)
            px = px + (cr * bi - ci * br + dr * ai - di * ar)
            py = py + (dr * ar + di * ai - cr * br - ci * bi)
            store(re, i, w * ar - z * ai + y * br - x * bi)
            store(im, i, w * ai + z * ar + y * bi + x * br)
            store(re, j, w * br + z * bi - y * ar - x * ai)
            store(im, j, w * bi - z * br - y * ai + x * ar)
            store(lre, i, w * cr - z * ci + y * dr - x * di)
            store(lim, i, w * ci + z * cr + y * di + x * dr)
            store(lre, j, w * dr + z * di - y * cr - x * ci)
            store(lim, j, w * di - z * dr - y * ci + x * cr)
        vx = vx + px
        vy = vy + py
        vz = vz + pz
    return vx, vy, vz


@njit
def spread(k: int, bit: int) -> int:
    """Insert a 0 into the binary number k at the place of `bit`."""
    low = k & (bit - 1)
    return ((k - low) << 1) | low


@njit
def exchange(re: Array, im: Array, i: int, j: int) -> None:
    ar = load(re, i)
    ai = load(im, i)
    br = load(re, j)
    bi = load(im, j)
    store(re, i, br)
    store(im, i, bi)
    store(re, j, ar)
    store(im, j, ai)


@njit
def controlled_not(re: Array, im: Array, control: int, target: int) -> None:
    low = min(control, target)
    high = max(control, target)
    for k in range(re.shape[0] >> 2):
        i = spread(spread(k, low), high) | control
        exchange(re, im, i, i | target)


@njit
def controlled_z(re: Array, im: Array, first: int, second: int) -> None:
    low = min(first, second)
    high = max(first, second)
    for k in range(re.shape[0] >> 2):
        i = spread(spread(k, low), high) | low | high
        store(re, i, -load(re, i))
        store(im, i, -load(im, i))


@njit
def swap(re: Array, im: Array, first: int, second: int) -> None:
    low = min(first, second)
    high = max(first, second)
    for k in range(re.shape[0] >> 2):
        i = spread(spread(k, low), high)
        exchange(re, im, i | low, i | high)


@njit
def toffoli(re: Array, im: Array, first: int, second: int, target: int) -> None:
    low = min(first, second, target)
    high = max(first, second, target)
    middle = first + second + target - low - high
    for k in range(re.shape[0] >> 3):
        i = spread(spread(spread(k, low), middle), high) | first | second
        exchange(re, im, i, i | target)


@njit
def entangle(re: Array, im: Array, code: int, a: int, b: int, c: int) -> None:
    """An entangler by its code in `lowering.ENTANGLERS`, on bits; each is its own inverse."""
    if code == 1:
        controlled_not(re, im, a, b)
    elif code == 2:
        controlled_z(re, im, a, b)
    elif code == 3:
        swap(re, im, a, b)
    else:
        toffoli(re, im, a, b, c)


@njit
def odd(number: int) -> bool:
    """Whether a row number below 2^32 has an odd number of ones."""
    number ^= number >> 16
    number ^= number >> 8
    number ^= number >> 4
    number ^= number >> 2
    number ^= number >> 1
    return (number & 1) == 1


@njit(fastmath=_MATHS, error_model="numpy")
def walsh(values: Array) -> None:
    """
    The Walsh-Hadamard transform, in place.

    Of probabilities it gives every product of Z at once, at the row whose ones are its qubits; of coefficients stored
    that way, their sum for every bit string.
    """
    stride = 1
    while stride < values.shape[0]:
        for base in range(0, values.shape[0], 2 * stride):
            for i in range(base, base + stride):
                a = load(values, i)
                b = load(values, i + stride)
                store(values, i, a + b)
                store(values, i + stride, a - b)
        stride *= 2


@njit(fastmath=_MATHS, error_model="numpy")
def expect(re: Array, im: Array, work: Array, observables: Array, out: Array) -> None:
    """
    Expectation values of Pauli strings into the rows of `out`.

    Args:
        work: [2^n, lanes], overwritten.
        observables: [n, 3]: bits that flip (X, Y), bits that sign (Z, Y), number of Y modulo 4.
    """
    diagonal = False
    for k in range(observables.shape[0]):
        diagonal |= observables[k, 0] == 0
    if diagonal:
        for i in range(re.shape[0]):
            a = load(re, i)
            b = load(im, i)
            store(work, i, a * a + b * b)
        walsh(work)
    for k in range(observables.shape[0]):
        flip, sign, turns = observables[k]
        if flip == 0:
            store(out, k, load(work, sign))
            continue
        plus = load(re, 0) - load(re, 0)
        minus = plus
        for i in range(re.shape[0]):
            j = i ^ flip
            if turns & 1:
                term = load(im, j) * load(re, i) - load(re, j) * load(im, i)
            else:
                term = load(re, j) * load(re, i) + load(im, j) * load(im, i)
            if odd(i & sign):
                minus = minus + term
            else:
                plus = plus + term
        store(out, k, minus - plus if turns & 2 else plus - minus)


@njit(fastmath=_MATHS, error_model="numpy")
def observe(re: Array, im: Array, lre: Array, lim: Array, observables: Array, cotangents: Array) -> None:
    """The costate: the sum over k of cotangent k times Pauli string k, applied to the state."""
    zero = load(re, 0) - load(re, 0)
    for i in range(re.shape[0]):
        store(lre, i, zero)
    for k in range(observables.shape[0]):
        if observables[k, 0] == 0:
            row = observables[k, 1]
            store(lre, row, load(lre, row) + load(cotangents, k))
    walsh(lre)
    for i in range(re.shape[0]):
        weight = load(lre, i)
        store(lre, i, weight * load(re, i))
        store(lim, i, weight * load(im, i))
    for k in range(observables.shape[0]):
        flip, sign, turns = observables[k]
        if flip == 0:
            continue
        for i in range(re.shape[0]):
            j = i ^ flip
            weight = load(cotangents, k)
            if odd(i & sign) != (turns >= 2):
                weight = -weight
            if turns & 1:
                store(lre, j, load(lre, j) - weight * load(im, i))
                store(lim, j, load(lim, j) + weight * load(re, i))
            else:
                store(lre, j, load(lre, j) + weight * load(re, i))
                store(lim, j, load(lim, j) + weight * load(im, i))
