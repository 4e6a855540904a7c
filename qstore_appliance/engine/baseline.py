"""
What a model has to beat: the plainest classical model on the same features, and an answer that looks at no features.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstore_appliance.engine.tasks.regression import measures

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]


def baseline(x_train: Floats, y_train: Classes, x_test: Floats, y_test: Classes) -> dict[str, Any]:
    """
    Logistic regression, and always the commonest class. Fitted on the training part, scored on the test part: exactly
    what the quantum model saw.

    Features are standardised first (their scale is chosen for the circuit's sake and would act as a stronger penalty);
    the penalty itself is scikit-learn's default.

    Returns:
        `{"logistic_regression": accuracy, "majority": accuracy, "features": n}`.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(x_train, y_train)
    commonest = int(np.bincount(y_train).argmax())
    return {
        "logistic_regression": float(fitted.score(x_test, y_test)),
        "majority": float(np.mean(y_test == commonest)),
        "features": int(x_train.shape[1]),
    }


def regression_baseline(x_train: Floats, y_train: Floats, x_test: Floats, y_test: Floats) -> dict[str, Any]:
    """
    Ridge regression on standardised features with scikit-learn's default penalty, and always the training part's mean.

    Args:
        y_train, y_test: in the data's units.

    Returns:
        `{"ridge": r2, "mean": r2, "ridge_mae", "mean_mae", "features": n}`; an r2 is None where the test targets do not
        vary.
    """
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    ridge = measures(y_test, make_pipeline(StandardScaler(), Ridge()).fit(x_train, y_train).predict(x_test))
    mean = measures(y_test, np.full(len(y_test), y_train.mean()))
    return {
        "ridge": ridge["r2"],
        "mean": mean["r2"],
        "ridge_mae": ridge["mae"],
        "mean_mae": mean["mae"],
        "features": int(x_train.shape[1]),
    }
