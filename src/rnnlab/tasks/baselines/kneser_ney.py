"""The next token by the few before it: n-grams with modified Kneser-Ney smoothing, of one length or of all mixed.

There is no loop over the text.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlab.output import progress
from rnnlab.tasks.task import Array

LONGEST = 10

LEAST_DISCOUNT = 0.1
"""So that something is left for what never followed."""

BUCKETS = 8
"""Of contexts, for each length."""

ROUNDS, PRIOR = 50, 10
"""Of expectation and maximisation, and the tokens that each bucket has beside its own, as they are on the whole."""

Tokens = NDArray[np.integer]
Grams = NDArray[np.int64]
"""N-grams as numbers: the tokens' bits side by side, the oldest token's the highest."""

Single = NDArray[np.float32]
"""Enough for a probability, in half the memory."""


class _Order(NamedTuple):
    """All that was met of one length n: ascending n-grams with the p of their last token after those before it.

    contexts: those n - 1 tokens, ascending; of each: left, the share of p that goes to the next shorter context, and
    likeliest, the token with the highest p, which is `highest`.
    """

    grams: Grams
    p: Single
    contexts: Grams
    left: Single
    likeliest: NDArray[np.int32]
    highest: Single


class KneserNey:
    """p(x | h) = (c(hx) - d(c(hx))) / c(h) + left(h) p(x | h without its oldest token), down to p = 1 / size.

    c counts n-grams of the longest length; of a shorter one, how many different tokens it was met behind (Kneser and
    Ney 1995). The discounts d, one for counts of 1, of 2 and of more, come from how many n-grams were met once, twice,
    three and four times; left(h) is what they take off (Chen and Goodman 1999).
    """

    def __init__(self, size: int, orders: list[_Order]) -> None:
        self.size = size
        self.orders = orders

    @property
    def longest(self) -> int:
        return len(self.orders)

    def predict(self, tokens: Tokens, first: int) -> tuple[Array, NDArray[np.int32]]:
        """The p of each of tokens[first:], after those before it, and the token that was the likeliest there."""
        bits, size = _bits(self.size), len(tokens) - first
        p, likeliest = np.full(size, 1 / self.size), np.zeros(size, np.int32)
        for length, order in enumerate(self.orders, 1):
            # at the beginning of a text too few tokens are before it: what fewer of them say stays
            begin = max(0, length - 1 - first)
            if begin >= size:
                break
            grams = _grams(tokens[first + begin - length + 1 :], length, bits)
            p[begin:] = _extended(p[begin:], order, grams, bits)
            at, known = _find(order.contexts, grams >> bits)
            likeliest[begin:] = np.where(known, order.likeliest[at], likeliest[begin:])
        return p, likeliest


class Grown(NamedTuple):
    """Kneser-Ney of the lengths 1, 2, ..., each with its losses: what `tops` holds of length n is the longest order of
    the model of that length, above the n - 1 first ones of `shorter`."""

    size: int
    tops: list[_Order]
    shorter: list[_Order]
    losses: list[float]

    @classmethod
    def fit(cls, tokens: Tokens, size: int, validation: Tokens) -> "Grown":
        """Count in `tokens`, numbers below `size`; up to the first length by which what follows becomes less likely.

        validation: what follows `tokens` in the text.
        """
        bits = _bits(size)
        longest = min(LONGEST, 63 // bits - 1, len(tokens) - 1)
        both = np.concatenate([tokens[-longest:], validation])
        p_of_shorter = np.full(len(validation), 1 / size)
        found = cls(size, [], [], [])
        grams, counts = _counted(_grams(tokens, 1, bits))
        for length in progress(range(1, longest + 1), "n-grams"):
            below = found.shorter[-1] if found.shorter else None
            found.tops.append(_order(grams, counts, below, size, length))
            following = _grams(both, length, bits)[-len(validation) :]
            found.losses.append(float(-np.log(_extended(p_of_shorter, found.tops[-1], following, bits)).mean()))
            if found.losses[-1] >= min(found.losses[:-1], default=np.inf):
                break
            grams, counts = _counted(_grams(tokens, length + 1, bits))
            found.shorter.append(_order(*_counted(grams & _mask(length, bits)), below, size, length))
            p_of_shorter = _extended(p_of_shorter, found.shorter[-1], following, bits)
        return found

    @property
    def best(self) -> KneserNey:
        """Of the length under which what follows is the likeliest."""
        length = int(np.argmin(self.losses)) + 1
        return KneserNey(self.size, [*self.shorter[: length - 1], self.tops[length - 1]])


class Mixed:
    """p(x | h) = Σ w(n | b) pₙ(x | h), pₙ the p of Kneser-Ney of length n, for the lengths that `Grown` has.

    b: a bucket of the context h, by the longest length that training has it in and by the share that this one leaves to
    shorter ones: few things that often followed, or many that did once. The weights are those under which what they are
    fitted to is the likeliest, by expectation and maximisation (Jelinek and Mercer 1980).
    """

    def __init__(self, grown: Grown) -> None:
        self.grown = grown
        lengths = len(grown.tops)
        self.weights = np.full((lengths * BUCKETS, lengths), 1 / lengths)

    @classmethod
    def fit(cls, grown: Grown, tokens: Tokens) -> "Mixed":
        """tokens: a text that `grown` has not counted."""
        mixed = cls(grown)
        walked = mixed._walked(tokens, 0)
        for _ in range(ROUNDS):
            share = mixed.weights[walked.bucket] * walked.p
            share /= share.sum(axis=1, keepdims=True)
            weights = np.stack([np.bincount(walked.bucket, each, len(mixed.weights)) for each in share.T], axis=1)
            weights += PRIOR * share.mean(axis=0)
            mixed.weights = weights / weights.sum(axis=1, keepdims=True)
        return mixed

    def predict(self, tokens: Tokens, first: int) -> tuple[Array, NDArray[np.int32]]:
        """The p of each of tokens[first:], after those before it, and which token was the likeliest there: of those
        that are so by one of the lengths, the one that these give the most of p."""
        walked = self._walked(tokens, first)
        weights = self.weights[walked.bucket]
        given = weights * walked.highest
        votes = [(given * (walked.likeliest == each[:, None])).sum(axis=1) for each in walked.likeliest.T]
        chosen = np.argmax(votes, axis=0)
        return (weights * walked.p).sum(axis=1), walked.likeliest[np.arange(len(chosen)), chosen]

    def _walked(self, tokens: Tokens, first: int) -> "_Walked":
        size, bits = len(tokens) - first, _bits(self.grown.size)
        shape = (size, len(self.grown.tops))
        found = _Walked(np.empty(shape), np.empty(shape, np.int32), np.empty(shape), np.zeros(size, np.int64))
        left = np.ones(size)
        p_of_shorter = np.full(size, 1 / self.grown.size)
        for place, top in enumerate(self.grown.tops):
            # at the beginning of a text too few tokens are before it: what fewer of them say stays
            begin = min(max(0, place - first), size)
            before = max(0, place - 1)
            for column in (found.p, found.likeliest, found.highest):
                column[:begin, place] = column[:begin, before]
            if begin == size:
                continue
            grams = _grams(tokens[first + begin - place :], place + 1, bits)
            found.p[begin:, place] = _extended(p_of_shorter[begin:], top, grams, bits)
            at, known = _find(top.contexts, grams >> bits)
            found.likeliest[begin:, place] = np.where(known, top.likeliest[at], found.likeliest[begin:, before])
            found.highest[begin:, place] = np.where(known, top.highest[at], found.highest[begin:, before])
            found.bucket[begin:] = np.where(known, place, found.bucket[begin:])
            left[begin:] = np.where(known, top.left[at], left[begin:])
            if place < len(self.grown.shorter):
                p_of_shorter[begin:] = _extended(p_of_shorter[begin:], self.grown.shorter[place], grams, bits)
        found.bucket[:] = found.bucket * BUCKETS + np.minimum(left * BUCKETS, BUCKETS - 1).astype(np.int64)
        return found


class _Walked(NamedTuple):
    """Of each token and length: p, the likeliest token, and the p of that one, (tokens, lengths). bucket: of what is
    before the token, (tokens,).
    """

    p: Array
    likeliest: NDArray[np.int32]
    highest: Array
    bucket: NDArray[np.int64]


def _bits(size: int) -> int:
    return max(1, (size - 1).bit_length())


def _mask(length: int, bits: int) -> int:
    """Of the newest `length` tokens."""
    return (1 << bits * length) - 1


def _grams(tokens: Tokens, length: int, bits: int) -> Grams:
    """All of this length, in the order of the text."""
    found = np.zeros(len(tokens) - length + 1, np.int64)
    for start in range(length):
        found = found << bits | tokens[start : start + len(found)].astype(np.int64)
    return found


def _counted(grams: Grams) -> tuple[Grams, NDArray[np.int32]]:
    """The different ones, ascending, and how often each occurs. It sorts `grams` where they lie."""
    grams.sort()
    starts = np.flatnonzero(np.concatenate([[True], grams[1:] != grams[:-1]]))
    return grams[starts], np.diff(starts, append=len(grams)).astype(np.int32)


def _find(ascending: Grams, wanted: Grams) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each lies, and whether it is there at all."""
    at = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return at, ascending[at] == wanted


def _extended(p_of_shorter: Array, order: _Order, grams: Grams, bits: int) -> Array:
    """The p of each n-gram, from that of its newest n - 1 tokens."""
    at, known = _find(order.grams, grams)
    context, met = _find(order.contexts, grams >> bits)
    result: Array = np.where(known, order.p[at], np.where(met, order.left[context], 1) * p_of_shorter)
    return result


def _order(grams: Grams, counts: NDArray[np.int32], shorter: _Order | None, size: int, length: int) -> _Order:
    bits = _bits(size)
    contexts, starts = np.unique(grams >> bits, return_index=True)
    kinds = np.diff(starts, append=len(grams))
    taken = _discounts(counts)[np.minimum(counts, 3)]
    total = np.add.reduceat(counts, starts).astype(np.float32)
    left = (np.add.reduceat(taken, starts) / total).astype(np.float32)
    p: Single = np.divide(counts.astype(np.float32) - taken, np.repeat(total, kinds), dtype=np.float32)
    if shorter is None:
        p += np.repeat(left, kinds) / np.float32(size)
        other, other_p = np.zeros(1, np.int32), np.full(1, 1 / size, np.float32)
    else:
        p += np.repeat(left, kinds) * shorter.p[_find(shorter.grams, grams & _mask(length - 1, bits))[0]]
        at = _find(shorter.contexts, contexts & _mask(length - 2, bits))[0]
        other, other_p = shorter.likeliest[at], shorter.highest[at]
    # a token that never followed can be the likeliest only if it is so after the shorter context
    highest: Single = np.maximum.reduceat(p, starts)
    followed = highest >= left * other_p
    is_highest = np.flatnonzero(p == np.repeat(highest, kinds))
    first = is_highest[np.searchsorted(is_highest, starts)]
    likeliest = np.where(followed, grams[first] & _mask(1, bits), other).astype(np.int32)
    return _Order(grams, p, contexts, left, likeliest, np.where(followed, highest, left * other_p))


def _discounts(counts: NDArray[np.int32]) -> Single:
    """What is taken off a count of 0, 1, 2, and 3 or more."""
    once, twice, thrice, four = (int((counts == number).sum()) for number in (1, 2, 3, 4))
    share = once / (once + 2 * twice) if once else 0.5
    if min(once, twice, thrice, four) == 0:  # too few n-grams to tell more
        found = np.full(3, share)
    else:
        found = np.array([1 - 2 * share * twice / once, 2 - 3 * share * thrice / twice, 3 - 4 * share * four / thrice])
    return np.append(0, found.clip(LEAST_DISCOUNT, [1, 2, 3])).astype(np.float32)
