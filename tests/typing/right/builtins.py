"""Every built-in fits the type of its kind; hooks are left out, for they do not derive from Hook."""

from __future__ import annotations

from expcore import typed
from expcore_plugins.estimators.keras import KerasEstimator
from expcore_plugins.estimators.module import ModuleEstimator
from expcore_plugins.exporters.best import Best
from expcore_plugins.exporters.final import Final
from expcore_plugins.exporters.keras_archive import KerasArchive
from expcore_plugins.exporters.latest import Latest
from expcore_plugins.exporters.litert import LiteRT
from expcore_plugins.exporters.post_process import PostProcess
from expcore_plugins.exporters.saved_model import SavedModel
from expcore_plugins.exporters.steps import Steps
from expcore_plugins.predicates.all_of import AllOf
from expcore_plugins.predicates.any_of import AnyOf
from expcore_plugins.predicates.for_evaluations import ForEvaluations
from expcore_plugins.predicates.for_seconds import ForSeconds
from expcore_plugins.predicates.negate import Negate
from expcore_plugins.predicates.until_metric import UntilMetric
from expcore_plugins.predicates.until_step import UntilStep
from expcore_plugins.predicates.while_file_exists import WhileFileExists
from expcore_plugins.predicates.while_improving import WhileImproving
from expcore_plugins.schedules.continuous_eval import continuous_eval
from expcore_plugins.schedules.continuous_eval_on_train_data import continuous_eval_on_train_data
from expcore_plugins.schedules.continuous_train_and_evaluate import continuous_train_and_evaluate
from expcore_plugins.schedules.evaluate import evaluate
from expcore_plugins.schedules.run_std_server import run_std_server
from expcore_plugins.schedules.test import test
from expcore_plugins.schedules.train import train
from expcore_plugins.schedules.train_and_evaluate import train_and_evaluate

typed.estimator(KerasEstimator)
typed.estimator(ModuleEstimator)

typed.exporter(Best)
typed.exporter(Final)
typed.exporter(KerasArchive)
typed.exporter(Latest)
typed.exporter(LiteRT)
typed.exporter(PostProcess)
typed.exporter(SavedModel)
typed.exporter(Steps)

typed.predicate(AllOf)
typed.predicate(AnyOf)
typed.predicate(ForEvaluations)
typed.predicate(ForSeconds)
typed.predicate(Negate)
typed.predicate(UntilMetric)
typed.predicate(UntilStep)
typed.predicate(WhileFileExists)
typed.predicate(WhileImproving)

typed.schedule(continuous_eval)
typed.schedule(continuous_eval_on_train_data)
typed.schedule(continuous_train_and_evaluate)
typed.schedule(evaluate)
typed.schedule(run_std_server)
typed.schedule(test)
typed.schedule(train)
typed.schedule(train_and_evaluate)
