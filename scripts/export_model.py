#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes a trained model as JSON, rmt_float (trees) or rmt_float_net, which `rmt-load model import` reads.

    export_model.py MODEL.pkl|MODEL.joblib|MODEL.onnx [-o OUT.json]
    from export_model import export; json.dump(export(estimator), file)

scikit-learn: DecisionTree*, ExtraTree*, RandomForest*, ExtraTrees*, GradientBoosting*, HistGradientBoosting*, MLP*, a Pipeline
of scalers and an MLP. ONNX: one TreeEnsembleClassifier or TreeEnsembleRegressor; a chain of Gemm or MatMul, Add, Relu.
What would not predict the same is refused. Reading a pickle runs what it says: only read files that you trust."""
import argparse
import json
import math
import struct
import sys


class Refused(Exception):
    """What cannot be exported, and what to do instead."""


def number(x):
    x = float(x)
    if math.isinf(x):
        return "Infinity" if x > 0 else "-Infinity"
    return x


def new_model(source, names, task, transform, base, **more):
    return dict(rmt_float=1, kind="trees", source=source, features=[dict(name=n) for n in names], task=task, transform=transform,
                compare="le", compare_as="f32", sum_as="f64", base=[number(b) for b in base], trees=[], **more)


def new_tree(output):
    return dict(left=[], right=[], feature=[], threshold=[], leaf=[], default_left=[], values=[], output=output)


def add_node(tree, left=-1, right=-1, feature=-1, threshold=0.0, default_left=False):
    tree["left"].append(int(left)), tree["right"].append(int(right)), tree["feature"].append(int(feature))
    tree["threshold"].append(number(threshold)), tree["default_left"].append(int(bool(default_left))), tree["leaf"].append(-1)


def add_leaf(tree, values):
    add_node(tree)
    tree["leaf"][-1] = len(tree["values"]) // len(values)
    tree["values"] += [number(v) for v in values]


# ---- scikit-learn ------------------------------------------------------------------------------------------------------


def feature_names(estimator):
    names = getattr(estimator, "feature_names_in_", None)
    return [str(n) for n in names] if names is not None else ["f%d" % i for i in range(estimator.n_features_in_)]


def labels(estimator):
    return [str(c) for c in estimator.classes_]


def sklearn_tree(arrays, output, leaf_values):
    """Left iff float32(x) <= threshold. Since 1.3 missing values have a side; before, scikit-learn refuses them."""
    tree = new_tree(output)
    side = getattr(arrays, "missing_go_to_left", None)
    for i in range(arrays.node_count):
        if arrays.children_left[i] == -1:
            add_leaf(tree, leaf_values(arrays.value[i]))
        else:
            add_node(tree, arrays.children_left[i], arrays.children_right[i], arrays.feature[i], arrays.threshold[i],
                     side is not None and side[i])
    return tree


def shares(value):
    """Of the classes in a leaf: counts before scikit-learn 1.3, fractions since."""
    total = value[0].sum()
    return [v / total for v in value[0]]


def export_forest(source, estimator, trees, classifier):
    if classifier:
        if estimator.n_outputs_ != 1:
            raise Refused("a classifier of several outputs: train one for each")
        if len(estimator.classes_) < 2:
            raise Refused("a classifier of one class")
        outputs, task, transform = len(estimator.classes_), "multiclass", "probability"
    else:
        outputs, transform = estimator.n_outputs_, "identity"
        task = "regression" if outputs == 1 else "multioutput"
    model = new_model(source, feature_names(estimator), task, transform, [0.0] * outputs)
    if classifier:
        model["classes"] = labels(estimator)
    if len(trees) > 1:
        model["divisor"] = float(len(trees))
    for t in trees:
        leaf = shares if classifier else (lambda value: [v[0] for v in value])
        model["trees"].append(sklearn_tree(t.tree_, -1 if outputs > 1 else 0, leaf))
    return model


def export_boosting(source, estimator, classifier):
    import numpy
    if not (estimator.init_ == "zero" or type(estimator.init_).__name__.startswith("Dummy")):
        raise Refused("GradientBoosting with an init estimator of its own: train with init=None or 'zero'")
    base = numpy.ravel(estimator._raw_predict_init(numpy.zeros((1, estimator.n_features_in_), dtype=numpy.float32)))
    model = new_model(source, feature_names(estimator), "regression", "identity", base)
    if classifier:
        model["classes"] = labels(estimator)
        model["task"], model["transform"] = ("binary", "sigmoid") if len(base) == 1 else ("multiclass", "softmax")
        if estimator.loss == "exponential":
            model["alpha"] = 2.0
    for stage in estimator.estimators_:
        for k, t in enumerate(stage):
            tree = sklearn_tree(t.tree_, k, lambda value: [value[0][0]])
            tree["weight"] = float(estimator.learning_rate)
            model["trees"].append(tree)
    return model


def bits_of(words):
    return [32 * i + b for i, w in enumerate(words) for b in range(32) if int(w) >> b & 1]


def hist_tree(predictor, output, known):
    """Left iff x <= threshold, in double. A category that training never saw goes where missing values go."""
    tree = new_tree(output)
    sets, of_node = [], []
    for n in predictor.nodes:
        of_node.append(-1)
        if n["is_leaf"]:
            add_leaf(tree, [n["value"]])
            continue
        left_if_missing = bool(n["missing_go_to_left"])
        add_node(tree, n["left"], n["right"], n["feature_idx"], 0.0 if n["is_categorical"] else n["num_threshold"], left_if_missing)
        if n["is_categorical"]:
            members = set(bits_of(predictor.raw_left_cat_bitsets[n["bitset_idx"]]))
            if left_if_missing:
                members = known[int(n["feature_idx"])] - members
            of_node[-1] = len(sets)
            sets.append(dict(members=sorted(members), left=not left_if_missing))
    if sets:
        tree["set"], tree["sets"] = of_node, sets
    return tree


def export_hist(source, estimator, classifier):
    import numpy
    if getattr(estimator, "_preprocessor", None) is not None:
        raise Refused("HistGradientBoosting that encodes its categories (scikit-learn 1.4 and later): encode them as numbers first")
    base = numpy.ravel(estimator._baseline_prediction)
    model = new_model(source, feature_names(estimator), "regression", "identity", base)
    model["compare_as"] = "f64"
    if classifier:
        model["classes"] = labels(estimator)
        model["task"], model["transform"] = ("binary", "sigmoid") if len(base) == 1 else ("multiclass", "softmax")
    elif estimator.loss in ("poisson", "gamma"):
        model["transform"] = "exp"
    known = {}
    categorical = getattr(estimator, "is_categorical_", None)
    if categorical is not None and any(categorical):
        bitsets, index = estimator._bin_mapper.make_known_categories_bitsets()
        known = {f: set(bits_of(bitsets[index[f]])) for f in range(len(categorical)) if categorical[f]}
        for f in known:
            model["features"][f]["categorical"] = True
    for stage in estimator._predictors:
        for k, predictor in enumerate(stage):
            model["trees"].append(hist_tree(predictor, k, known))
    return model


def export_mlp(source, estimator, classifier, scalers):
    """A scaler is (x - mean) / scale, given for each feature."""
    names = feature_names(estimator)
    mean, scale = [0.0] * len(names), [1.0] * len(names)
    for s in scalers:
        kind = type(s).__name__
        if kind == "StandardScaler":
            m = s.mean_ if s.with_mean else [0.0] * len(names)
            d = s.scale_ if s.with_std else [1.0] * len(names)
        elif kind == "MinMaxScaler" and not s.clip:
            d, m = [1 / v for v in s.scale_], [-b / v for b, v in zip(s.min_, s.scale_)]
        else:
            raise Refused("the step %s of the pipeline: StandardScaler and MinMaxScaler are supported" % kind)
        # ((x - mean) / scale - m) / d
        mean, scale = [a + b * c for a, b, c in zip(mean, scale, m)], [a * b for a, b in zip(scale, d)]
    if estimator.activation not in ("relu", "identity") and len(estimator.coefs_) > 1:
        raise Refused("activation '%s': the kernel has 'relu' and 'identity'" % estimator.activation)
    if classifier and estimator.out_activation_ == "logistic" and len(estimator.intercepts_[-1]) > 1:
        raise Refused("a classifier of several labels at once: train one for each")
    relu = estimator.activation == "relu"
    layers = [dense_layer(w.T, b, relu and i < len(estimator.coefs_) - 1)
              for i, (w, b) in enumerate(zip(estimator.coefs_, estimator.intercepts_))]
    return new_net(len(names), layers, mean, scale)


def dense_layer(weights, bias, relu):
    """y = W x + b, W[out][in] row after row."""
    return dict(kind="dense", outputs=len(bias), weights=[number(v) for row in weights for v in row], bias=[number(v) for v in bias], relu=relu)


def new_net(inputs, layers, mean=None, scale=None):
    """What comes out of the last layer are margins: no softmax, no sigmoid. One margin decides for class 1 above 0."""
    net = dict(rmt_float_net=1, inputs=inputs, steps=1, layers=layers)
    if mean is not None and (any(m != 0 for m in mean) or any(s != 1 for s in scale)):
        net["scaler"] = dict(mean=[number(m) for m in mean], scale=[number(s) for s in scale])
    return net


def export_sklearn(estimator):
    import sklearn
    kind = type(estimator).__name__
    source = "scikit-learn %s %s" % (sklearn.__version__, kind)
    classifier = kind.endswith("Classifier")
    scalers = []
    if kind == "Pipeline":
        *steps, estimator = [step for _, step in estimator.steps]
        scalers = [s for s in steps if s not in (None, "passthrough")]
        kind = type(estimator).__name__
        source, classifier = "scikit-learn %s %s" % (sklearn.__version__, kind), kind.endswith("Classifier")
        if scalers and not kind.startswith("MLP"):
            raise Refused("a scaler in front of %s: trees do not need one, train without" % kind)
    if kind.startswith(("DecisionTree", "ExtraTree")) and not kind.startswith("ExtraTrees"):
        return export_forest(source, estimator, [estimator], classifier)
    if kind.startswith(("RandomForest", "ExtraTrees")) and kind.endswith(("Classifier", "Regressor")):
        return export_forest(source, estimator, estimator.estimators_, classifier)
    if kind.startswith("GradientBoosting"):
        return export_boosting(source, estimator, classifier)
    if kind.startswith("HistGradientBoosting"):
        return export_hist(source, estimator, classifier)
    if kind.startswith("MLP"):
        return export_mlp(source, estimator, classifier, scalers)
    raise Refused("%s is not supported; trees, forests, gradient boosting and MLPs of scikit-learn are" % kind)


# ---- ONNX --------------------------------------------------------------------------------------------------------------


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def below(t):
    """The largest float32 below t: for float32 x, x < t is x <= below(t)."""
    t = f32(t)
    if t == 0:
        return -f32(1e-45)
    bits = struct.unpack("<i", struct.pack("<f", t))[0]
    return struct.unpack("<f", struct.pack("<i", bits + (-1 if t > 0 else 1)))[0]


def onnx_tree_nodes(a, doubles):
    """(tree, node) -> what it asks: operator <=, children as node numbers, side of NaN."""
    tracks = a.get("nodes_missing_value_tracks_true") or [0] * len(a["nodes_nodeids"])
    thresholds = a.get("nodes_values_as_tensor") or a["nodes_values"]
    nodes = {}
    for i, key in enumerate(zip(a["nodes_treeids"], a["nodes_nodeids"])):
        mode = a["nodes_modes"][i].decode()
        if key in nodes:
            raise Refused("node %d of tree %d is given twice" % key[::-1])
        if mode == "LEAF":
            nodes[key] = None
            continue
        if mode not in ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT", "BRANCH_GTE"):
            raise Refused("a node with mode %s: LEQ, LT, GT and GTE are supported" % mode)
        t = thresholds[i]
        if mode in ("BRANCH_LT", "BRANCH_GTE"):
            t = math.nextafter(t, -math.inf) if doubles else below(t)
        yes, no = a["nodes_truenodeids"][i], a["nodes_falsenodeids"][i]
        nan = bool(tracks[i])
        if mode in ("BRANCH_GT", "BRANCH_GTE"):  # not (x <= t): the other child, the other side for NaN
            yes, no, nan = no, yes, not nan
        nodes[key] = (yes, no, a["nodes_featureids"][i], t, nan)
    return nodes


def onnx_leaves(a, prefix):
    weights = {}
    values = a.get(prefix + "weights_as_tensor") or a[prefix + "weights"]
    for t, n, k, w in zip(a[prefix + "treeids"], a[prefix + "nodeids"], a[prefix + "ids"], values):
        weights.setdefault((t, n), []).append((k, w))
    return weights


def onnx_trees(model, a, outputs, prefix, output_of):
    doubles = bool(a.get("nodes_values_as_tensor"))
    model["compare_as"] = "f64" if doubles else "f32"
    nodes, leaves = onnx_tree_nodes(a, doubles), onnx_leaves(a, prefix)
    for t in sorted({key[0] for key in nodes}):
        tree = new_tree(-1 if outputs > 1 else 0)
        order = [n for tt, n in nodes if tt == t]
        place = {n: i for i, n in enumerate(order)}
        inner_children = {c for n in order if nodes[t, n] for c in nodes[t, n][:2]}
        roots = [n for n in order if n not in inner_children]
        if len(roots) != 1 or roots[0] != order[0]:
            raise Refused("tree %d does not start with its one root" % t)
        for n in order:
            ask = nodes[t, n]
            if ask is None:
                values = [0.0] * outputs
                for k, w in leaves.get((t, n), []):
                    values[output_of(k)] += w
                add_leaf(tree, values)
            else:
                if ask[0] not in place or ask[1] not in place:
                    raise Refused("a child of node %d of tree %d does not exist" % (n, t))
                add_node(tree, place[ask[0]], place[ask[1]], ask[2], ask[3], ask[4])
        model["trees"].append(tree)
    return model


def onnx_ensemble(node, a, features):
    names = ["f%d" % i for i in range(features)]
    post = a.get("post_transform", b"NONE").decode()
    base = [float(b) for b in a.get("base_values_as_tensor") or a.get("base_values") or []]
    if node.op_type == "TreeEnsembleRegressor":
        outputs = a.get("n_targets", 1)
        transform = {"NONE": "identity", "LOGISTIC": "sigmoid"}.get(post)
        if transform is None:
            raise Refused("post_transform %s of a regressor" % post)
        task = "multioutput" if outputs > 1 else "binary" if post == "LOGISTIC" else "regression"
        model = new_model("onnx " + node.op_type, names, task, transform, base or [0.0] * outputs, base_first=False)
        how = a.get("aggregate_function", b"SUM").decode()
        if how not in ("SUM", "AVERAGE"):
            raise Refused("aggregate_function %s: SUM and AVERAGE are supported" % how)
        onnx_trees(model, a, outputs, "target_", lambda k: k)
        if how == "AVERAGE":
            model["divisor"] = float(len(model["trees"]))
        return model
    classes = [str(c) for c in a.get("classlabels_int64s") or [s.decode() for s in a.get("classlabels_strings", [])]]
    ids = set(a["class_ids"])
    transform = {"NONE": "probability", "LOGISTIC": "sigmoid", "SOFTMAX": "softmax"}.get(post)
    if transform is None:
        raise Refused("post_transform %s of a classifier" % post)
    if len(classes) == 2 and len(ids) == 1:  # one score; all weights positive: a probability, else a logit
        positive = min(a.get("class_weights_as_tensor") or a["class_weights"]) >= 0 and all(b >= 0 for b in base)
        transform = "sigmoid" if post == "LOGISTIC" else "probability" if positive else "identity"
        if post == "SOFTMAX":
            raise Refused("post_transform SOFTMAX of one score")
        if len(base) > 1:
            raise Refused("%d base_values for one score" % len(base))
        model = new_model("onnx " + node.op_type, names, "binary", transform, base or [0.0], base_first=False, classes=classes)
        return onnx_trees(model, a, 1, "class_", lambda k: 0)
    if len(classes) < 2:
        raise Refused("a classifier of %d classes" % len(classes))
    model = new_model("onnx " + node.op_type, names, "multiclass", transform, base or [0.0] * len(classes), base_first=False, classes=classes)
    return onnx_trees(model, a, len(classes), "class_", lambda k: k)


def onnx_net(graph, arrays, inputs):
    layers = []
    pending = False  # a MatMul waits for its Add
    ended = False    # by a sigmoid, which decides like its margin
    for node in graph.node:
        given = [arrays[i] for i in node.input if i in arrays]
        attributes = {x.name: (x.f if x.type == 1 else x.i) for x in node.attribute}
        if node.op_type in ("Identity", "Flatten", "Cast"):
            continue
        if ended:
            raise Refused("the operator %s behind a Sigmoid" % node.op_type)
        if node.op_type == "Gemm":
            if attributes.get("transA", 0) or attributes.get("alpha", 1) != 1 or attributes.get("beta", 1) != 1:
                raise Refused("a Gemm with transA, alpha or beta")
            w = given[0] if attributes.get("transB", 0) else given[0].T
            layers.append(dense_layer(w, given[1].ravel() if len(given) > 1 else [0.0] * w.shape[0], False))
            pending = False
        elif node.op_type == "MatMul" and len(given) == 1 and node.input[1] in arrays:
            layers.append(dense_layer(given[0].T, [0.0] * given[0].shape[1], False))
            pending = True
        elif node.op_type == "Add" and len(given) == 1 and pending and given[0].size == layers[-1]["outputs"]:
            layers[-1]["bias"] = [number(v) for v in given[0].ravel()]
            pending = False
        elif node.op_type == "Relu" and layers and not layers[-1]["relu"]:
            layers[-1]["relu"], pending = True, False
        elif node.op_type == "Sigmoid" and layers and layers[-1]["outputs"] == 1:
            ended = True
        else:
            raise Refused("the operator %s: a chain of Gemm or MatMul, Add, Relu, with a Sigmoid of one output last, is supported" % node.op_type)
    if not layers:
        raise Refused("no layer and no tree ensemble in the graph")
    return new_net(inputs, layers)


def export_onnx(proto):
    from onnx import helper, numpy_helper
    graph = proto.graph
    arrays = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    ensembles = [n for n in graph.node if n.op_type.startswith("TreeEnsemble")]
    shape = [i for i in graph.input if i.name not in arrays][0].type.tensor_type.shape.dim
    features = shape[-1].dim_value if len(shape) else 0
    if not ensembles:
        if not features:
            raise Refused("the graph does not say how many inputs it has")
        return onnx_net(graph, arrays, features)
    if len(ensembles) > 1 or ensembles[0].op_type == "TreeEnsemble":
        raise Refused("one TreeEnsembleClassifier or TreeEnsembleRegressor is supported")
    others = {n.op_type for n in graph.node} - {ensembles[0].op_type, "ZipMap", "Cast", "Identity"}
    if others:
        raise Refused("the operators %s around the tree ensemble" % ", ".join(sorted(others)))
    attributes = {}
    for x in ensembles[0].attribute:
        value = helper.get_attribute_value(x)
        attributes[x.name] = numpy_helper.to_array(value).ravel().tolist() if x.name.endswith("_as_tensor") else value
    return onnx_ensemble(ensembles[0], attributes, max(features, max(attributes["nodes_featureids"]) + 1))


def export(model):
    """A fitted scikit-learn estimator or an ONNX ModelProto as a dict for json.dump()."""
    return export_onnx(model) if type(model).__name__ == "ModelProto" else export_sklearn(model)


def main():
    parser = argparse.ArgumentParser(description="writes a trained model as rmt_float JSON for `rmt-load model import`")
    parser.add_argument("model", help=".onnx, or a pickle of scikit-learn (.pkl, .joblib) that you trust")
    parser.add_argument("-o", "--output", help="file to write; default: standard output")
    args = parser.parse_args()
    try:
        if args.model.endswith(".onnx"):
            import onnx
            model = onnx.load(args.model)
        else:
            import joblib
            model = joblib.load(args.model)
        text = json.dumps(export(model), allow_nan=False)
    except Refused as e:
        sys.exit("export_model: " + str(e))
    except ImportError as e:
        sys.exit("export_model: %s; on Debian: apt-get install python3-sklearn python3-onnx" % e)
    except OSError as e:
        sys.exit("export_model: %s" % e)
    if args.output:
        with open(args.output, "w") as f:
            f.write(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
