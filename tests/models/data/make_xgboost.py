#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes small models in the format of XGBoost's save_model(), and margins computed here, apart from any of our C++.

Random trees, no training: what matters is the format and the arithmetic (float32 thresholds, float32 sums). Run it in this
folder to write the fixtures again: they do not change."""
import json
import math
import random
import struct


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def shortest(x):
    """The fewest digits that give the same float32 back, as XGBoost prints them."""
    for digits in range(1, 10):
        text = "%.*g" % (digits, x)
        if f32(float(text)) == x:
            return float(text)
    return x


class Maker:
    def __init__(self, seed, features, spans):
        self.random, self.features, self.spans = random.Random(seed), features, spans

    def tree(self, depth, leaf_scale, tree_id):
        nodes = []

        def add(d, parent):
            me = len(nodes)
            nodes.append(dict(l=-1, r=-1, f=0, v=0.0, p=parent, m=0))
            if d == depth or (d > 1 and self.random.random() < 0.2):
                nodes[me]["v"] = shortest(f32(self.random.uniform(-leaf_scale, leaf_scale)))
                return me
            f = self.random.randrange(self.features)
            span = self.spans[f]
            # XGBoost splits integers at .5 or at a value itself (x < t)
            t = self.random.randint(-span, span) + self.random.choice([0, 0.5])
            nodes[me].update(f=f, v=shortest(f32(t)), m=self.random.randrange(2))
            nodes[me]["l"] = add(d + 1, me)
            nodes[me]["r"] = add(d + 1, me)
            return me

        add(0, 2147483647)
        n = len(nodes)
        return {
            "id": tree_id,
            "tree_param": {"num_nodes": str(n), "num_feature": str(self.features), "num_deleted": "0", "size_leaf_vector": "1"},
            "left_children": [x["l"] for x in nodes], "right_children": [x["r"] for x in nodes],
            "parents": [x["p"] for x in nodes], "split_indices": [x["f"] for x in nodes],
            "split_conditions": [x["v"] for x in nodes], "split_type": [0] * n, "default_left": [x["m"] for x in nodes],
            "categories": [], "categories_nodes": [], "categories_segments": [], "categories_sizes": [],
            "base_weights": [0.0] * n, "loss_changes": [0.0] * n, "sum_hessian": [1.0] * n,
        }


def leaf(tree, row):
    n = 0
    while tree["left_children"][n] != -1:
        x, t = f32(row[tree["split_indices"][n]]), f32(tree["split_conditions"][n])
        n = tree["left_children"][n] if x < t else tree["right_children"][n]
    return f32(tree["split_conditions"][n])


def margin(model, row, base):
    total = base
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        total = f32(total + leaf(tree, row))
    return total


def write(name, version, objective, base_score_text, base_margin, trees, maker, names, parallel=1):
    learner = {
        "attributes": {}, "feature_names": names, "feature_types": ["int"] * len(names),
        "gradient_booster": {"name": "gbtree", "model": {
            "gbtree_model_param": {"num_parallel_tree": str(parallel), "num_trees": str(len(trees))},
            "tree_info": [0] * len(trees), "trees": trees}},
        "learner_model_param": {"base_score": base_score_text, "boost_from_average": "1", "num_class": "0",
                                "num_feature": str(maker.features), "num_target": "1"},
        "objective": {"name": objective},
    }
    if version[0] >= 3:
        learner["gradient_booster"]["model"]["iteration_indptr"] = list(range(0, len(trees) + 1, parallel))
        learner["gradient_booster"]["model"]["cats"] = {"enc": [], "feature_segments": [], "sorted_idx": []}
    model = {"learner": learner, "version": version}
    with open(name + ".json", "w") as out:
        json.dump(model, out, separators=(",", ":"))
        out.write("\n")
    with open(name + ".csv", "w") as out:
        out.write(",".join("x%d" % i for i in range(maker.features)) + ",margin_e9\n")
        for _ in range(200):
            row = []
            for span in maker.spans:
                row.append(maker.random.choice([maker.random.randint(-span, span), maker.random.randint(-4, 4), 0]))
            out.write(",".join(map(str, row)) + ",%d\n" % round(margin(model, row, base_margin) * 1e9))


def main():
    m = Maker(1, 4, [8, 64, 4096, 50000000])  # the last one beyond 2^24, where float32 rounds integers
    p = f32(0.3)
    logit = -f32(math.log(f32(f32(1.0 / p) - 1.0)))
    write("xgb17_logistic", [1, 7, 4], "binary:logistic", "3E-1", f32(logit), [m.tree(5, 0.4, i) for i in range(6)], m, [])
    m = Maker(2, 3, [100, 100, 30000])
    names = ["run", "wakes", "nice"]
    write("xgb31_regression", [3, 1, 0], "reg:squarederror", "[4.448063E1]", f32(44.48063), [m.tree(4, 900, i) for i in range(5)], m, names)
    m = Maker(3, 3, [20, 20, 20])
    write("xgb30_forest", [3, 0, 0], "reg:squarederror", "0E0", 0.0, [m.tree(6, 3, i) for i in range(4)], m, [], parallel=4)


if __name__ == "__main__":
    main()
