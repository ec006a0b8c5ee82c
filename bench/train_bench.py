#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Training: our trees and boosted trees against xgboost's `hist` with one thread, on the same rows.

usage: bench/train_bench.py [--reps 9] [--rows 100000] [--build build] [--json]      needs python3-xgboost (Debian's python3)

Every repetition runs both, one after the other, and the other one first each time. Time is from the integers in memory to a
model: for xgboost DMatrix (which also makes floats of them) and train; `train only` leaves the DMatrix out, but a fresh one is
made each time, since the first training also sorts it into bins, which is part of ours. Accuracy is on other rows.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = "1"
import numpy  # noqa: E402
import xgboost  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
COLUMNS = 8
TEST_ROWS = 50_000
CASES = [("tree", 1, 6), ("tree", 1, 10), ("gbt", 100, 6)]


def make_rows(rows, top, seed):
    """Integers 0..top; five of eight inputs decide together, one label in twenty is wrong."""
    random = numpy.random.default_rng(seed)
    x = random.integers(0, top + 1, size=(rows, COLUMNS), dtype=numpy.int32)
    part = x / top
    y = (part[:, 0] > 0.46) ^ (part[:, 1] + part[:, 2] > 1.07) ^ ((part[:, 3] > 0.76) & (part[:, 4] < 0.3))
    return x, (y ^ (random.integers(0, 20, rows) == 0)).astype(numpy.int32)


def save(path, x, y):
    names = [f"x{i}" for i in range(COLUMNS)] + ["y"]
    table = numpy.zeros(len(y), dtype=[(name, "<i4") for name in names])
    for i in range(COLUMNS):
        table[names[i]] = x[:, i]
    table["y"] = y
    numpy.save(path, table)


class Ours:
    def __init__(self, program, train, test):
        self.process = subprocess.Popen([program, train, test], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, kind, rounds, depth):
        self.process.stdin.write(f"{kind} {rounds} {depth}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return {"seconds": answer["seconds"], "train": answer["seconds"], "accuracy": answer["accuracy"]}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Theirs:
    def __init__(self, train, test):
        self.train, self.labels = train
        self.test, self.answers = xgboost.DMatrix(test[0], nthread=1), test[1]

    def run(self, kind, rounds, depth):
        options = {"tree_method": "hist", "max_bin": 256, "nthread": 1, "objective": "binary:logistic", "max_depth": depth,
                   "eta": 0.3, "lambda": 1, "min_child_weight": 1, "verbosity": 0}
        if kind == "tree":
            options["min_child_weight"] = 2  # hessian 1/4 a row: leaves of 8 rows, as our default
        start = time.perf_counter()
        data = xgboost.DMatrix(self.train, self.labels, nthread=1)
        ready = time.perf_counter()
        booster = xgboost.train(options, data, num_boost_round=rounds)
        end = time.perf_counter()
        right = (booster.predict(self.test) > 0.5) == (self.answers != 0)
        return {"seconds": end - start, "train": end - ready, "accuracy": float(right.mean())}


def spread(values):
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def compare(ours, theirs, case, reps):
    runs = []
    for rep in range(reps):
        pair = {}
        for name, side in (("ours", ours), ("xgboost", theirs))[:: 1 if rep % 2 else -1]:
            pair[name] = side.run(*case)
        runs.append(pair)
    return {
        "ours_ms": spread([1e3 * r["ours"]["seconds"] for r in runs]),
        "xgboost_ms": spread([1e3 * r["xgboost"]["seconds"] for r in runs]),
        "ratio": spread([r["ours"]["seconds"] / r["xgboost"]["seconds"] for r in runs]),
        "ratio_train_only": spread([r["ours"]["seconds"] / r["xgboost"]["train"] for r in runs]),
        "accuracy": runs[0]["ours"]["accuracy"],
        "xgboost_accuracy": runs[0]["xgboost"]["accuracy"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reps", type=int, default=9)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--build", default="build")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    program = (ROOT / args.build / "bench/train_bench").resolve()
    if not program.exists():
        sys.exit(f"train_bench: {program} is missing; build it: ninja -C {args.build} train_bench")
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for values, top in (("16 bits", 65535), ("30 bits", (1 << 30) - 1)):
            train, test = make_rows(args.rows, top, 1), make_rows(TEST_ROWS, top, 2)
            files = [f"{folder}/train.npy", f"{folder}/test.npy"]
            save(files[0], *train)
            save(files[1], *test)
            ours, theirs = Ours(program, *files), Theirs(train, test)
            for case in CASES:
                results[f"{case[0]}, depth {case[2]}" + (f", {case[1]} rounds" if case[1] > 1 else "") + f", {values}"] = compare(
                    ours, theirs, case, args.reps)
            ours.close()
    if args.json:
        print(json.dumps(results, indent=1))
        return
    print(f"{args.rows} rows x {COLUMNS}, {args.reps} repetitions, xgboost {xgboost.__version__} hist, one thread")
    for name, r in results.items():
        print(f"{name:32} {r['ours_ms']['median']:8.1f} ms, xgboost {r['xgboost_ms']['median']:8.1f} ms, ratio {r['ratio']['median']:.2f} "
              f"({r['ratio']['low']:.2f}..{r['ratio']['high']:.2f}), train only {r['ratio_train_only']['median']:.2f} "
              f"({r['ratio_train_only']['low']:.2f}..{r['ratio_train_only']['high']:.2f}); "
              f"accuracy {100 * r['accuracy']:.2f} % and {100 * r['xgboost_accuracy']:.2f} %")


if __name__ == "__main__":
    main()
