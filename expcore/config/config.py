"""ExperimentConfig: an experiment described as data, and create_experiment, which makes it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

from expcore.cluster import RunConfig
from expcore.config.components import Components, Host, Make
from expcore.config.file import merge, plain, read_file
from expcore.config.imports import Imports, anchored, is_reference
from expcore.errors import ConfigError, InvalidArgument, InvalidType, listing, nearest
from expcore.tf_config import shown
from expcore.types import Clock, EvalInputFn, InputFn

if TYPE_CHECKING:
    from expcore.experiment import Experiment
    from expcore.host import PluginHost

Source = Any
"""An ExperimentConfig, a mapping, a path of a YAML, JSON or TOML file, or a list of these."""


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """An experiment as data. Nothing is imported, opened or made by it; ``create_experiment`` does that.

    A component is a plugin's name, or a mapping of its ``type`` (the name, also ``dist:name``) and its
    parameters, with ``of`` for the component that it is wrapped around:
    ``{type: best, name: best_auc, of: {type: saved_model}, metric: auc}``. Where objects are at hand, as in
    code, they may stand in place of components, functions and run_config.

    Args:
        estimator: a component, whose ``model`` may be ``package.module:attribute`` where imports are
            allowed; or an estimator.
        train_input_fn: ``package.module:attribute`` or ``./file.py:attribute``, relative to the config
            file, where imports are allowed; or a function.
        eval_input_fn: the same, or a mapping of names to such; the first is the main set.
        name: what people call the experiment; None: nothing.
        output_dir: the model directory, relative to the working directory; None: to be given otherwise.
        run_config: a mapping of RunConfig's fields without ``model_dir``, or a RunConfig; None: its
            defaults. The seed is its ``random_seed``.
        train_steps: as Experiment's, like all that follow.
        eval_steps: batches.
        eval_delay_secs: seconds.
        continuous_eval_throttle_secs: seconds.
        eval_every_n_steps: steps.
        delay_workers_by_global_step: True or False.
        train_steps_per_iteration: steps.
        train_hooks: a list of components or hooks; None: none.
        eval_hooks: the same.
        export_strategies: a list of components or exporters; None: none.
        schedule: the schedule that is run by default: its name, or a mapping of ``type`` and its options,
            in which mappings with ``type`` are predicates; None: by the task of the process.

    Raises:
        ConfigError: a field is missing or of a wrong type; each fault is one line that begins with its path.
    """

    estimator: Any
    train_input_fn: Any
    eval_input_fn: Any
    name: str | None = None
    output_dir: str | None = None
    run_config: Any = None
    train_steps: int | None = None
    eval_steps: int | None = 10
    eval_delay_secs: float = 0
    continuous_eval_throttle_secs: float = 60
    eval_every_n_steps: int | None = 1
    delay_workers_by_global_step: bool = False
    train_steps_per_iteration: int | None = 100
    train_hooks: list[Any] | None = None
    eval_hooks: list[Any] | None = None
    export_strategies: list[Any] | None = None
    schedule: Any = None

    def __post_init__(self) -> None:
        for name, value in _checked(vars(self)).items():
            object.__setattr__(self, name, value)

    @classmethod
    def read_configs(cls, source: Source) -> ExperimentConfig:
        """Returns the config that a source describes.

        Of a list the later ones win: mappings are merged in depth, everything else is replaced, lists too.
        Of an ExperimentConfig in a list the fields count that differ from their defaults.

        Args:
            source: an ExperimentConfig, a mapping, a path, or a list of these.

        Raises:
            ConfigError: a file cannot be read (``expcore.config.file.read_file`` says when), a source is
                something else, a key is unknown, or as at construction.
        """
        if isinstance(source, ExperimentConfig):
            return source
        sources = source if isinstance(source, (list, tuple)) else [source]
        if not sources:
            raise ConfigError("config: the list is empty; give at least one path or mapping")
        merged: dict[str, Any] = {}
        for each in sources:
            merged = merge(merged, _read(each))
        return cls(**_checked(merged))

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields that differ from their defaults; ``read_configs`` gives the same config back."""
        return {
            field.name: plain(getattr(self, field.name), field.name)
            for field in dataclasses.fields(self)
            if field.default is dataclasses.MISSING or getattr(self, field.name) != field.default
        }


_LISTS = {"train_hooks": "hooks", "eval_hooks": "hooks", "export_strategies": "exporters"}


def create_experiment(
    experiment_config: Source,
    *,
    allow_imports: bool = False,
    plugins: PluginHost | None = None,
    clock: Clock | None = None,
    output_dir: str | None = None,
) -> Experiment:
    """Makes the experiment that a config describes.

    Everything is checked first, against the signatures of the installed plugins; then the data's functions
    are imported, and the components made, the estimator last.

    Args:
        experiment_config: an ExperimentConfig, a mapping, the path of a YAML, JSON or TOML file, or a list
            of these, of which later ones win.
        allow_imports: whether functions and models may be given as ``package.module:attribute`` or
            ``./file.py:attribute``, which runs their code. Without it a config can start only what
            installed plugins provide.
        plugins: the host that finds components; None: the process's own.
        clock: the experiment's clock; None: the real one.
        output_dir: the model directory, in place of the config's; None: the config's, or the one in
            TF_CONFIG. Not needed where the estimator is given as an object.

    Raises:
        ConfigError: the config is wrong, and the message begins with the path of the fault.
        ClusterError: TF_CONFIG breaks a rule.
        PluginLoadError: a plugin that the config names cannot be imported.
        InvalidArgument: Experiment does not accept a value.
    """
    from expcore.experiment import Experiment
    from expcore.host import default_host

    config = ExperimentConfig.read_configs(experiment_config)
    host = default_host() if plugins is None else plugins
    components, imports = Components(host), Imports(allow_imports)
    make_estimator = _check_estimator(config, components, imports, output_dir)
    make_lists = {
        field: [
            components.check(kind, value, f"{field}[{n}]")
            for n, value in enumerate(getattr(config, field) or ())
        ]
        for field, kind in _LISTS.items()
    }
    train_input_fn, eval_input_fn = _input_fns(config, imports)
    lists = {field: [make() for make in makers] for field, makers in make_lists.items()}
    return Experiment(
        make_estimator(),
        train_input_fn,
        eval_input_fn,
        train_steps=config.train_steps,
        eval_steps=config.eval_steps,
        eval_delay_secs=config.eval_delay_secs,
        continuous_eval_throttle_secs=config.continuous_eval_throttle_secs,
        eval_every_n_steps=config.eval_every_n_steps,
        delay_workers_by_global_step=config.delay_workers_by_global_step,
        train_steps_per_iteration=config.train_steps_per_iteration,
        plugins=host,
        clock=clock,
        **lists,
    )


def schedule_of(config: Source, *, plugins: Host | None = None) -> tuple[str | None, dict[str, Any]]:
    """Returns the name and the options of a config's schedule; its predicates are made.

    Args:
        config: as for ``create_experiment``.
        plugins: the host that finds predicates; None: the process's own.

    Returns:
        The name, None where the config names none, and the options as ``Experiment.run`` takes them.

    Raises:
        ConfigError: the schedule is not of its form, or a predicate is wrong.
        PluginLoadError: a predicate's plugin cannot be imported.
    """
    schedule = ExperimentConfig.read_configs(config).schedule
    if schedule is None or isinstance(schedule, str):
        return schedule, {}
    if plugins is None:
        from expcore.host import default_host

        plugins = default_host()
    options = {key: value for key, value in schedule.items() if key != "type"}
    components = Components(plugins)
    makers = {
        key: components.check("predicates", value, f"schedule.{key}")
        for key, value in options.items()
        if isinstance(value, Mapping) and "type" in value
    }
    return schedule["type"], {**options, **{key: make() for key, make in makers.items()}}


def _check_estimator(
    config: ExperimentConfig, components: Components, imports: Imports, output_dir: str | None
) -> Make:
    """Returns what makes the estimator; where it is an object already, checks that it is used as it is."""
    estimator = config.estimator
    if not isinstance(estimator, (str, Mapping)):
        wanted, own = output_dir or config.output_dir, getattr(estimator, "model_dir", None)
        if config.run_config is not None:
            raise ConfigError(
                "run_config: the estimator is an object and has its config; leave run_config out"
            )
        if wanted and own and os.path.abspath(wanted) != os.path.abspath(own):
            raise ConfigError(
                f"output_dir: {wanted!r} is not the model_dir {own!r} of the estimator, which is an object; "
                "leave output_dir out"
            )
        return lambda: estimator
    run_config = _run_config(config.run_config, config.output_dir if output_dir is None else output_dir)
    directory = run_config.model_dir
    make = components.check("estimators", estimator, "estimator", model_dir=directory, config=run_config)
    model = estimator.get("model") if isinstance(estimator, Mapping) else None
    if not (isinstance(model, str) and is_reference(model)):
        return make
    imports.check(model, "estimator.model")
    return lambda: make(model=imports.load(model, "estimator.model"))


def _run_config(value: Any, output_dir: str | None) -> RunConfig:
    known = [f.name for f in dataclasses.fields(RunConfig) if f.name != "model_dir"]
    given = {} if value is None else value
    if not isinstance(given, (RunConfig, Mapping)):
        raise ConfigError(f"run_config: {value!r} is not a mapping; it must be one of RunConfig's fields")
    for key in given if isinstance(given, Mapping) else ():
        if key == "model_dir":
            raise ConfigError("run_config.model_dir: the directory is given by output_dir; write it there")
        if key not in known:
            raise ConfigError(
                f"run_config.{key}: unknown key{nearest(key, known)}; there are {listing(known)}"
            )
    try:
        if isinstance(given, RunConfig):
            made = given if output_dir is None else given.replace(model_dir=output_dir)
        else:
            made = RunConfig(model_dir=output_dir, **given)
    except (InvalidArgument, InvalidType) as error:
        raise ConfigError(f"run_config: {error}") from error
    if made.model_dir is None:
        raise ConfigError("output_dir: it is missing; give it in the config or as output_dir= (--output-dir)")
    return made


def _input_fns(config: ExperimentConfig, imports: Imports) -> tuple[InputFn, EvalInputFn]:
    """Returns the data's functions; all are checked before the first is imported."""
    train, evaluation = config.train_input_fn, config.eval_input_fn
    sets = evaluation if isinstance(evaluation, Mapping) else {"": evaluation}
    paths = {name: f"eval_input_fn.{name}" if name else "eval_input_fn" for name in sets}
    for value, path in [(train, "train_input_fn"), *((sets[name], path) for name, path in paths.items())]:
        if isinstance(value, str):
            imports.check(value, path)
        elif not callable(value):
            raise ConfigError(f"{path}: {value!r} is no function; give one, or package.module:attribute")
    train = _input_fn(train, "train_input_fn", imports)
    loaded = {name: _input_fn(sets[name], path, imports) for name, path in paths.items()}
    return train, loaded if isinstance(evaluation, Mapping) else loaded[""]


def _input_fn(value: Any, path: str, imports: Imports) -> InputFn:
    function = imports.load(value, path) if isinstance(value, str) else value
    if not callable(function):
        raise ConfigError(f"{path}: {value!r} is {function!r} and no function; name one")
    return function  # type: ignore[no-any-return]


def _read(source: Source) -> dict[str, Any]:
    if isinstance(source, ExperimentConfig):
        return source.to_dict()
    if isinstance(source, Mapping):
        return plain(source, "config")  # type: ignore[no-any-return]
    if isinstance(source, (str, os.PathLike)):
        found = read_file(source)
        return _anchor(found, os.path.dirname(os.path.abspath(source)))
    raise ConfigError(
        f"config {source!r}: it is a {type(source).__name__}; give an ExperimentConfig, a mapping, "
        "the path of a YAML, JSON or TOML file, or a list of these"
    )


def _anchor(config: dict[str, Any], folder: str) -> dict[str, Any]:
    """Makes references to files relative to their config, which is not known any more after merging."""

    def anchor(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: anchor(inner) for key, inner in value.items()}
        return anchored(value, folder) if isinstance(value, str) else value

    found: dict[str, Any] = {
        key: anchor(config[key]) for key in ("train_input_fn", "eval_input_fn") if key in config
    }
    estimator = config.get("estimator")
    if isinstance(estimator, dict) and "model" in estimator:
        found["estimator"] = {**estimator, "model": anchor(estimator["model"])}
    return {**config, **found}


@cache
def _model() -> Any:
    """Returns the fields as a pydantic model, which is imported only now."""
    import pydantic

    hints = get_type_hints(ExperimentConfig)
    fields = {
        f.name: (hints[f.name], ... if f.default is dataclasses.MISSING else f.default)
        for f in dataclasses.fields(ExperimentConfig)
    }
    config = pydantic.ConfigDict(extra="forbid", strict=True)
    return pydantic.create_model("ExperimentConfig", __config__=config, **fields)  # type: ignore[call-overload]


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a copy of the fields in their plain form; raises ConfigError for every fault."""
    checked = {key: plain(value, key) for key, value in values.items()}
    for key, value in checked.items():
        if key == "output_dir" and isinstance(value, os.PathLike):
            checked[key] = os.fspath(value)
        if key in _LISTS and isinstance(value, tuple):
            checked[key] = list(value)
    _validate(checked)
    return checked


def _validate(values: Mapping[str, Any]) -> None:
    import pydantic

    try:
        _model()(**values)
    except pydantic.ValidationError as error:
        raise ConfigError("\n".join(map(_fault, error.errors(include_url=False)))) from None
    for key in ("estimator", "train_input_fn", "eval_input_fn"):
        if values[key] is None or (isinstance(values[key], (str, Mapping)) and not values[key]):
            raise ConfigError(f"{key}: it is empty; an experiment needs it")
    schedule = values.get("schedule")
    named = schedule.get("type") if isinstance(schedule, Mapping) else schedule
    if (named is not None or isinstance(schedule, Mapping)) and not (isinstance(named, str) and named):
        raise ConfigError(
            f"schedule: {named!r} is not a schedule's name; write a name, or {{type: NAME, OPTION: ...}}"
        )


def _fault(error: Mapping[str, Any]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])[1:]
    known = [f.name for f in dataclasses.fields(ExperimentConfig)]
    if error["type"] == "extra_forbidden":
        return f"{path}: unknown key{nearest(path, known)}; the keys are {listing(known)}"
    if error["type"] == "missing":
        return f"{path}: it is missing; an experiment needs it"
    return f"{path}: {shown(error['input'])} is not allowed: {error['msg']}; correct it"
