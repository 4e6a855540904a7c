"""
What a model has to beat: logistic regression on the same features, and always answering the commonest class.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]


def baseline(x_train: Floats, y_train: Classes, x_test: Floats, y_test: Classes) -> dict[str, Any]:
    """
    Fit on the training part, score on the test part: exactly what the quantum model saw.

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
