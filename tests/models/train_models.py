#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""train_models.py xgboost|sklearn|onnx FOLDER: trains small models and writes them with what the library predicts.

NAME.json|.ubj the model, NAME.exp: {"x": integer rows, null missing, "margin" and "prediction" rows, "decision" of each row,
"tie" rows whose decision hangs on less than 1e-6}. Exit 77, with the reason as the last line: a package is missing."""
import json
import os
import subprocess
import sys

kind, folder = sys.argv[1], sys.argv[2]
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
try:
    import numpy as np
    if kind == "xgboost":
        import xgboost
    else:
        import sklearn
    if kind == "onnx":
        import onnx
except ImportError as error:
    print("%s (Debian: python3-%s)" % (error, kind))
    sys.exit(77)

rng = np.random.RandomState(7)
ROWS = 1500
X = np.stack([rng.randint(0, 100, ROWS), rng.randint(-50, 50, ROWS), rng.randint(0, 2, ROWS), rng.randint(0, 30000000, ROWS),
              rng.randint(0, 12, ROWS), rng.randint(-5, 6, ROWS)], axis=1).astype(np.float64)
score = X[:, 0] - X[:, 1] + 20 * X[:, 2] + X[:, 3] / 1e6 + 7 * (X[:, 4] % 3) + rng.normal(0, 5, ROWS)
two = (score > np.median(score)).astype(int)
three = np.digitize(score, np.quantile(score, [0.33, 0.66]))
probe = X.copy()
probe[::2] = X[::2] + rng.randint(-1, 2, X[::2].shape)
probe[:, 2] = np.clip(probe[:, 2], 0, 1)
probe[:, 4] = np.clip(probe[:, 4], 0, 14)


def save(name, rows, margin, prediction, decision, model=None, tie=None):
    if model is not None:
        with open(os.path.join(folder, name + ".json"), "w") as f:
            json.dump(model, f, allow_nan=False)
    cell = lambda v: None if np.isnan(v) else int(v)
    table = lambda a: np.asarray(a, dtype=np.float64).reshape(len(rows), -1).tolist()
    with open(os.path.join(folder, name + ".exp"), "w") as f:
        json.dump({"x": [[cell(v) for v in row] for row in rows], "margin": table(margin), "prediction": table(prediction),
                   "decision": [float(d) for d in decision], "tie": [int(t) for t in (tie if tie is not None else np.zeros(len(rows)))]}, f)


def with_missing(a, share=0.1):
    out = a.copy()
    mask = rng.rand(*out.shape) < share
    mask[:, 4] = False
    out[mask] = np.nan
    return out


def train_xgboost():
    def run(name, params, label, rows, test, rounds=8, types=None):
        data = xgboost.DMatrix(rows, label=label, feature_types=types, enable_categorical=types is not None)
        booster = xgboost.train(dict(max_depth=4, seed=3, nthread=1, base_score=params.pop("base_score", 0.4), **params), data, rounds)
        for ext in ("json", "ubj"):
            booster.save_model(os.path.join(folder, "%s.%s" % (name, ext)))
        open(os.path.join(folder, name + ".dump"), "w").write("[" + ",".join(booster.get_dump(dump_format="json")) + "]")
        # predictions one row at a time are those of many
        check = xgboost.DMatrix(test, feature_types=types, enable_categorical=types is not None)
        margin, prediction = booster.predict(check, output_margin=True), booster.predict(check)
        objective = params["objective"]
        m = margin.reshape(len(test), -1)
        if objective.startswith("binary"):
            decision, room = (m[:, 0] > 0), np.abs(m[:, 0])
        elif objective.startswith("multi"):
            top = np.sort(m, axis=1)
            decision, room = m.argmax(axis=1), (top[:, -1] - top[:, -2]) / 2
        else:
            decision = np.floor(np.float64(m[:, 0]) + 0.5)
            room = np.abs(np.float64(m[:, 0]) + 0.5 - np.round(np.float64(m[:, 0]) + 0.5))
        save(name, test, margin, prediction, decision, tie=room < 1e-4)

    run("xgb_binary", {"objective": "binary:logistic"}, two, X, probe)
    run("xgb_hinge", {"objective": "binary:hinge"}, two, X, probe)
    run("xgb_missing", {"objective": "binary:logistic"}, two, with_missing(X), with_missing(probe))
    run("xgb_regression", {"objective": "reg:squarederror"}, score, X, probe)
    run("xgb_poisson", {"objective": "count:poisson"}, np.maximum(score, 0), X, probe)
    run("xgb_three", {"objective": "multi:softprob", "num_class": 3}, three, X, probe)
    run("xgb_dart", {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.4}, two, with_missing(X), with_missing(probe))
    run("xgb_forest", {"objective": "reg:squarederror", "num_parallel_tree": 5, "subsample": 0.6}, score, X, probe, rounds=1)
    run("xgb_gblinear", {"objective": "reg:squarederror", "booster": "gblinear"}, score, X, probe)
    codes = ["q", "q", "q", "q", "c", "q"]
    for name, label, extra in (("xgb_sets", three, {"objective": "multi:softprob", "num_class": 3}), ("xgb_onehot", two, {"objective": "binary:logistic"})):
        run(name, dict(tree_method="approx", max_cat_to_onehot=1 if name == "xgb_sets" else 100, **extra), label, X, probe, types=codes)


def train_sklearn():
    from sklearn import ensemble, tree
    from export_model import export

    def classify(name, estimator, label, rows=X, test=probe):
        estimator.fit(rows, label)
        p = estimator.predict_proba(test)
        top = np.sort(p, axis=1)
        decision = np.searchsorted(estimator.classes_, estimator.predict(test))
        save(name, test, p, p, decision, export(estimator), tie=(top[:, -1] - top[:, -2]) < 1e-9)

    def regress(name, estimator, rows=X, test=probe):
        estimator.fit(rows, score)
        p = estimator.predict(test)
        save(name, test, p, p, np.floor(p + 0.5), export(estimator), tie=np.abs(p + 0.5 - np.round(p + 0.5)) < 1e-5)

    classify("sk_tree", tree.DecisionTreeClassifier(max_depth=6, random_state=1), three)
    regress("sk_tree_value", tree.DecisionTreeRegressor(max_depth=6, random_state=1))
    classify("sk_forest", ensemble.RandomForestClassifier(12, max_depth=6, random_state=1), three)
    classify("sk_forest_names", ensemble.RandomForestClassifier(9, max_depth=5, random_state=1), np.array(["cold", "warm"])[two])
    regress("sk_forest_value", ensemble.ExtraTreesRegressor(8, max_depth=6, random_state=1))
    classify("sk_boosting", ensemble.GradientBoostingClassifier(n_estimators=12, random_state=1), two)
    classify("sk_boosting_exponential", ensemble.GradientBoostingClassifier(n_estimators=12, loss="exponential", random_state=1), two)
    classify("sk_boosting_three", ensemble.GradientBoostingClassifier(n_estimators=7, random_state=1), three)
    regress("sk_boosting_value", ensemble.GradientBoostingRegressor(n_estimators=12, random_state=1))
    hist = dict(max_iter=9, max_depth=5, random_state=1)
    classify("sk_hist", ensemble.HistGradientBoostingClassifier(**hist), two, with_missing(X), with_missing(probe))
    classify("sk_hist_three", ensemble.HistGradientBoostingClassifier(**hist), three, with_missing(X), with_missing(probe))
    regress("sk_hist_value", ensemble.HistGradientBoostingRegressor(**hist), with_missing(X), with_missing(probe))
    if sklearn.__version__ < "1.4":
        classify("sk_hist_sets", ensemble.HistGradientBoostingClassifier(categorical_features=[4], **hist), three, X, probe)


def train_onnx():
    from onnx import TensorProto, helper
    from sklearn import ensemble
    from export_model import export
    est = ensemble.GradientBoostingRegressor(n_estimators=6, max_depth=4, random_state=1, init="zero").fit(X, score)
    # each tree with another operator; thresholds are half integers, so float32 holds them while they are small
    a = {k: [] for k in ("nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_values", "nodes_modes", "nodes_truenodeids",
                         "nodes_falsenodeids", "nodes_missing_value_tracks_true", "target_treeids", "target_nodeids", "target_ids", "target_weights")}
    for t, stage in enumerate(est.estimators_):
        arrays = stage[0].tree_
        for n in range(arrays.node_count):
            l, r = arrays.children_left[n], arrays.children_right[n]
            mode = "LEAF" if l == -1 else ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT", "BRANCH_GTE")[t % 4]
            if mode in ("BRANCH_GT", "BRANCH_GTE"):
                l, r = r, l
            a["nodes_treeids"].append(t), a["nodes_nodeids"].append(n), a["nodes_modes"].append(mode)
            a["nodes_featureids"].append(max(0, int(arrays.feature[n])))
            a["nodes_values"].append(float(arrays.threshold[n])), a["nodes_missing_value_tracks_true"].append(0)
            a["nodes_truenodeids"].append(max(0, int(l))), a["nodes_falsenodeids"].append(max(0, int(r)))
            if mode == "LEAF":
                a["target_treeids"].append(t), a["target_nodeids"].append(n), a["target_ids"].append(0)
                a["target_weights"].append(float(arrays.value[n][0][0]) * est.learning_rate)
    node = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", n_targets=1, post_transform="NONE", base_values=[1.5], **a)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 6])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])])
    p = est.predict(probe) + 1.5
    save("onnx_regressor", probe, p, p, np.floor(p + 0.5), export(helper.make_model(graph)), tie=np.abs(p + 0.5 - np.round(p + 0.5)) < 1e-3)


# Classifiers as .onnx files, through the script as a person calls it. Thresholds are half integers that float32 holds.
def train_onnx_classifiers():
    import onnx
    from onnx import TensorProto, helper
    from sklearn import ensemble
    rows, test = X.copy(), probe.copy()
    rows[:, 3], test[:, 3] = rows[:, 3] // 1000, test[:, 3] // 1000
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "export_model.py")

    def write(name, trees, weights, p, decision, tie, **more):
        a = {k: [] for k in ("nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_values", "nodes_modes", "nodes_truenodeids",
                             "nodes_falsenodeids", "class_treeids", "class_nodeids", "class_ids", "class_weights")}
        for t, arrays in enumerate(trees):
            for n in range(arrays.node_count):
                leaf = arrays.children_left[n] == -1
                a["nodes_treeids"].append(t), a["nodes_nodeids"].append(n), a["nodes_modes"].append("LEAF" if leaf else "BRANCH_LEQ")
                a["nodes_featureids"].append(max(0, int(arrays.feature[n]))), a["nodes_values"].append(0.0 if leaf else float(arrays.threshold[n]))
                a["nodes_truenodeids"].append(max(0, int(arrays.children_left[n])))
                a["nodes_falsenodeids"].append(max(0, int(arrays.children_right[n])))
                for k, w in weights(t, arrays, n) if leaf else []:
                    a["class_treeids"].append(t), a["class_nodeids"].append(n), a["class_ids"].append(k), a["class_weights"].append(float(w))
        node = helper.make_node("TreeEnsembleClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", **a, **more)
        graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 6])],
                                  [helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
                                   helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, None])])
        path = os.path.join(folder, name)
        onnx.save(helper.make_model(graph), path + ".onnx")
        subprocess.run([sys.executable, script, path + ".onnx", "-o", path + ".json"], check=True)
        save(name, test, p, p, decision, tie=tie)

    def near(p):
        top = np.sort(p, axis=1)
        return (top[:, -1] - top[:, -2]) < 1e-5

    def shares(estimator):
        size = len(estimator.estimators_)
        return lambda t, arrays, n: enumerate(arrays.value[n][0] / arrays.value[n][0].sum() / size)

    forest = ensemble.RandomForestClassifier(9, max_depth=5, random_state=1).fit(rows, three)
    p = forest.predict_proba(test)
    write("onnx_three", [e.tree_ for e in forest.estimators_], shares(forest), p, forest.predict(test), near(p), classlabels_int64s=[0, 1, 2])
    forest = ensemble.RandomForestClassifier(9, max_depth=5, random_state=1).fit(rows, two)
    p, trees = forest.predict_proba(test), [e.tree_ for e in forest.estimators_]
    write("onnx_names", trees, shares(forest), p, forest.predict(test), near(p), classlabels_strings=["cold", "warm"])
    # Two classes and one class id, whichever: the score is that of the second class.
    for k in (0, 1):
        one = shares(forest)
        write("onnx_probability_%d" % k, trees, lambda t, a, n: [(k, list(one(t, a, n))[1][1])], p, forest.predict(test), near(p), classlabels_int64s=[0, 1])
    boosted = ensemble.GradientBoostingClassifier(n_estimators=9, random_state=1, init="zero").fit(rows, two)
    p, trees = boosted.predict_proba(test), [e[0].tree_ for e in boosted.estimators_]
    logit = lambda t, arrays, n: [(1, arrays.value[n][0][0] * boosted.learning_rate)]
    write("onnx_logistic", trees, logit, p, boosted.predict(test), near(p), classlabels_int64s=[0, 1], post_transform="LOGISTIC")
    m = boosted.decision_function(test) - 0.25
    write("onnx_margin", trees, logit, np.stack([1 - m, m], axis=1), (m > 0).astype(int), np.abs(m) < 1e-5, classlabels_int64s=[0, 1], base_values=[-0.25])
    boosted = ensemble.GradientBoostingClassifier(n_estimators=6, random_state=1, init="zero").fit(rows, three)
    p = boosted.predict_proba(test)
    write("onnx_softmax", [e.tree_ for stage in boosted.estimators_ for e in stage], lambda t, a, n: [(t % 3, a.value[n][0][0] * boosted.learning_rate)],
          p, boosted.predict(test), near(p), classlabels_int64s=[0, 1, 2], post_transform="SOFTMAX")


def train_all_onnx():
    train_onnx()
    train_onnx_classifiers()


{"xgboost": train_xgboost, "sklearn": train_sklearn, "onnx": train_all_onnx}[kind]()
