"""Writes forest.json: scores of scikit-learn's IsolationForest, against which the rank of ours is held (tests/guard/forest_test.cc).

Usage: forest.py > forest.json     (Debian: python3-sklearn; nothing that Orchard builds or runs needs it)
Three sets of 100 training samples and 200 questions, of requests as the guard sees them: path length, queries, header lines, bytes of
body, odd characters. 100 trees of 20 samples; a score is the mean over ten forests, since two of them do not rank alike either.
"""
import json

import numpy
from scipy.stats import spearmanr
from sklearn.ensemble import IsolationForest


def pages(rng, n):  # Visitors: short paths, few queries, alike headers, seldom a body.
    body = numpy.where(rng.random(n) < 0.1, rng.integers(20, 2000, n), 0)
    return numpy.stack([rng.integers(1, 40, n), rng.poisson(0.7, n), rng.integers(8, 14, n), body, rng.poisson(1.0, n)], 1)


def calls(rng, n):  # Programs: paths of a few lengths, bodies as a bell.
    return numpy.stack([rng.choice([12, 17, 23], n), rng.integers(0, 3, n), rng.choice([5, 6], n),
                        numpy.maximum(rng.normal(900, 200, n), 0).astype(int), rng.integers(0, 2, n)], 1)


def skewed(rng, n):  # Lengths as the logarithm's bell has them.
    return numpy.stack([numpy.exp(rng.normal(m, s, n)).astype(int) for m, s in ((3, .6), (.5, .5), (2.2, .2), (5, 1.5), (1, .8))], 1)


out = {"sklearn": __import__("sklearn").__version__, "sets": []}
for name, draw, seed in (("pages", pages, 1), ("calls", calls, 2), ("skewed", skewed, 3)):
    rng = numpy.random.default_rng(seed)
    train, ask = draw(rng, 100), draw(rng, 180)
    odd = ask[:20] * rng.integers(1, 6, (20, 5)) + rng.integers(0, 3, (20, 5))  # Some beyond what was seen.
    ask = numpy.concatenate([ask, odd])
    runs = [-IsolationForest(n_estimators=100, max_samples=20, random_state=r).fit(train).score_samples(ask) for r in range(10)]
    mean = numpy.mean(runs, 0)
    own = numpy.mean([spearmanr(r, mean).correlation for r in runs])
    out["sets"].append({"name": name, "own_rank_permille": round(1000 * own), "train": train.tolist(), "ask": ask.tolist(),
                        "score_permille": [round(1000 * s) for s in mean]})
text = json.dumps(out, separators=(",", ":"))
print(text.replace('{"name"', '\n{"name"').replace('"ask"', '\n"ask"').replace('"score_permille"', '\n"score_permille"'))
