"""``refmg conformance run``: counts, messages, xfails, JSON and exit status."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import wrong_adapters as wrong

from refmg import RefmgError
from refmg.integrators import Integrator
from refmg_validation.adapters.backends import Adapter as Reference
from refmg_validation.cli import main
from refmg_validation.conformance import FUNCTIONS, cases
from refmg_validation.conformance.adapter import Adapter, load_adapter
from refmg_validation.conformance.functions import CHOICES
from refmg_validation.conformance.run_report import as_json, counts, describe, failure_lines
from refmg_validation.conformance.runner import run_cases
from refmg_validation.conformance.xfails import read_xfails

CORE = cases("core")
RIGHT = Reference("numpy")
CONVOLUTIONS = [case for case in CORE if case.function == "convolve"]
ADAPTER = """
from scipy import ndimage
import numpy as np

class Mine:
    def convolve(self, features, stencil, boundary, stride):
        def channel(o, e):
            pairs = zip(features[..., e], stencil[o])
            return sum(ndimage.OPERATION(y, s, mode="wrap") for y, s in pairs)
        rows = [[channel(o, e) for e in range(features.shape[-1])] for o in range(len(stencil))]
        return np.moveaxis(np.array(rows), 1, -1)

convolve = Mine().convolve
"""


def named(verdict, outcomes):
    return [o.case.name for o in outcomes if o.verdict == verdict]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a right and a flipped adapter that know periodic grids only."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "right_on_circles.py").write_text(ADAPTER.replace("OPERATION", "correlate"))
    (tmp_path / "flipped_on_circles.py").write_text(ADAPTER.replace("OPERATION", "convolve"))
    return tmp_path


def test_a_missing_function_fails_only_its_own_cases():
    some = SimpleNamespace(convolve=RIGHT.convolve, restrict_features=RIGHT.restrict_features)
    chosen = [case for case in CORE if case.group in ("convolution", "transfer")]
    outcomes = run_cases(Adapter("some", some), chosen)
    missing = [c.name for c in chosen if c.function not in ("convolve", "restrict_features")]
    assert missing
    assert named("not implemented", outcomes) == missing
    assert counts(outcomes)["passed"] == len(chosen) - len(missing)
    assert not any(o.failed for o in outcomes)


def test_not_implemented_error_counts_as_missing():
    def convolve(**inputs):
        if inputs["boundary"] != "periodic":
            raise NotImplementedError
        return RIGHT.convolve(**inputs)

    outcomes = run_cases(Adapter("some", SimpleNamespace(convolve=convolve)), CONVOLUTIONS)
    assert named("passed", outcomes) == [c.name for c in CONVOLUTIONS if c.inputs["boundary"] == "periodic"]
    assert not named("wrong", outcomes)


def test_not_implemented_error_keeps_its_text_and_may_come_from_a_helper():
    def helper(boundary):
        raise NotImplementedError(f"no {boundary} here")

    def convolve(boundary, **inputs):
        helper(boundary)

    outcomes = run_cases(Adapter("some", SimpleNamespace(convolve=convolve)), CONVOLUTIONS)
    assert [o.verdict for o in outcomes] == ["not implemented"] * len(CONVOLUTIONS)
    assert outcomes[0].message == "no periodic here"


def test_not_implemented_error_of_a_library_is_wrong():
    """As PyTorch's of a mode that one of its kernels lacks: no decision of the adapter."""

    def convolve(**inputs):
        return Integrator().schedule(1.0, 1)

    outcomes = run_cases(Adapter("some", SimpleNamespace(convolve=convolve)), CONVOLUTIONS)
    assert {o.verdict for o in outcomes} == {"wrong"}
    assert "raised NotImplementedError: Integrator must say what its steps are" in outcomes[0].message


def test_not_implemented_error_of_pytorch_is_wrong():
    torch = pytest.importorskip("torch", reason="raises it in PyTorch")

    def convolve(features, **rest):
        return torch.nn.functional.pad(torch.ones((2,) * 6), (1, 1), mode="reflect")

    outcomes = run_cases(Adapter("some", SimpleNamespace(convolve=convolve)), CONVOLUTIONS[:1])
    assert outcomes[0].verdict == "wrong"
    assert "raised NotImplementedError: Padding size 2" in outcomes[0].message


def test_an_adapter_that_exits_is_wrong_and_the_run_goes_on(here, capsys):
    (here / "leaves.py").write_text("import sys\ndef convolve(**inputs):\n    sys.exit(0)\n")
    assert main(["conformance", "run", "leaves.py", "--level", "core"]) == 1
    told = capsys.readouterr().out
    assert "raised SystemExit: 0" in told
    assert f"{len(CORE)} cases: {len(CONVOLUTIONS)} wrong" in told


def test_a_module_that_exits_when_imported_is_refused(here, capsys):
    (here / "leaves.py").write_text("import sys\nsys.exit(0)\n")
    assert main(["conformance", "run", "leaves.py"]) == 2
    assert "leaves.py cannot be imported: SystemExit: 0" in capsys.readouterr().err


def test_a_run_in_which_nothing_passes_fails(here, capsys):
    (here / "lacks.py").write_text("def convolve(**inputs):\n    raise NotImplementedError\n")
    arguments = ["conformance", "run", "lacks.py", "--level", "core", "--json", "found.json"]
    assert main(arguments) == 1
    assert "no case passed" in capsys.readouterr().out
    assert json.loads((here / "found.json").read_text())["passed"] is False


def test_functions_may_import_what_lies_beside_the_adapter(here):
    """Whether the module was named or its file, and whatever the working directory is by then."""
    (here / "beside.py").write_text("SIGN = 1\n")
    late = "def convolve(**inputs):\n    import {0}\n    return {0}.SIGN * inputs['features']\n"
    (here / "late.py").write_text(late.format("beside"))
    (here / "sub").mkdir()
    (here / "sub" / "beside_too.py").write_text("SIGN = 1\n")
    (here / "sub" / "late_too.py").write_text(late.format("beside_too"))
    path = list(sys.path)
    for name in ("late", "sub/late_too.py"):
        outcomes = run_cases(load_adapter(name), CONVOLUTIONS[:1])
        assert "raised" not in outcomes[0].message
        assert sys.path == path
    for name in ("beside", "beside_too", "late"):
        sys.modules.pop(name, None)


class OfGradients:
    """Raises as a tensor that requires gradients, or lies on a GPU, does."""

    def __init__(self, error):
        self.error = error

    def detach(self):
        return self

    def __array__(self, *arguments, **options):
        raise self.error


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (OfGradients(RuntimeError("Can't call numpy() on Tensor that requires grad.")),
         "RuntimeError: Can't call numpy() on Tensor that requires grad.; of a tensor return .detach()"),
        (OfGradients(TypeError("can't convert cuda:0 device type tensor to numpy.")),
         "TypeError: can't convert cuda:0 device type tensor to numpy.; of a tensor return .detach().cpu()"),
        ([[1.0], [1.0, 2.0]], "not an array: ValueError"),
        (np.ones(3) * 1j, "found complex128; expected numbers"),
        (object(), "found object; expected numbers"),
        ({"features": None}, "found object; expected numbers"),
        (np.array(["a"]), "found <U1; expected numbers"),
    ],
)  # fmt: skip
def test_what_is_no_array_of_numbers_is_wrong_and_said(returned, says):
    adapter = Adapter("mine", SimpleNamespace(convolve=lambda **inputs: returned))
    (outcome,) = run_cases(adapter, CONVOLUTIONS[:1])
    assert outcome.verdict == "wrong"
    assert says in outcome.message
    assert outcome.cause == "none of the usual mistakes"


def test_a_tensor_that_requires_gradients_is_wrong_and_said():
    torch = pytest.importorskip("torch", reason="returns a tensor")

    def convolve(features, **rest):
        return torch.from_numpy(features).requires_grad_()

    (outcome,) = run_cases(Adapter("mine", SimpleNamespace(convolve=convolve)), CONVOLUTIONS[:1])
    assert outcome.verdict == "wrong"
    assert "of a tensor return .detach().cpu()" in outcome.message


def test_an_exception_is_wrong_in_its_case_alone():
    def convolve(features, stencil, boundary, stride):
        return RIGHT.convolve(features, stencil, {"periodic": "periodic", "zero": "zero"}[boundary], stride)

    outcomes = run_cases(Adapter("mine", SimpleNamespace(convolve=convolve)), CONVOLUTIONS)
    failed = [o for o in outcomes if o.failed]
    assert [o.case.inputs["boundary"] for o in failed] == ["reflect"] * len(failed)
    assert "raised KeyError: 'reflect'" in failed[0].message


def test_an_adapter_that_works_in_place_does_not_change_the_cases():
    def convolve(features, **rest):
        found = RIGHT.convolve(features=features, **rest)
        features[:] = 0
        return found

    for _ in range(2):
        assert not any(
            o.failed for o in run_cases(Adapter("m", SimpleNamespace(convolve=convolve)), CONVOLUTIONS)
        )


def test_the_message_says_case_function_shapes_values_and_cause():
    (case,) = (case for case in CORE if case.name == "convolve-2d-zero")
    (outcome,) = run_cases(Adapter("wrong", wrong.Flipped()), [case])
    text = "\n".join(describe(outcome))
    found = wrong.Flipped().convolve(**case.inputs)
    at = tuple(int(i) for i in np.argwhere(found != case.expected["features"])[0])
    assert "wrong: convolve-2d-zero" in text
    assert "convolve(features: (3, 5, 4, 2), stencil: (2, 3, 3, 3), boundary='zero', stride=1)" in text
    first = f"at {at}: found {found[at]:.6g}, expected {case.expected['features'][at]:.6g}"
    assert f"first differing entry of features {first}" in text
    assert f"largest error {np.abs(found - case.expected['features']).max():.3g}, allowed 0" in text
    assert "likely cause: flipped stencil" in text


def test_many_failures_are_told_in_a_line_each():
    outcomes = run_cases(Adapter("wrong", wrong.ExamplesFirst()), CONVOLUTIONS[:2]) * 15
    lines = failure_lines(outcomes)
    assert lines[-1] == f"wrong: {CONVOLUTIONS[1].name}: examples first"
    assert sum(line.startswith("wrong: ") for line in lines) == 30


def test_an_expected_failure_is_no_failure_and_an_unexpected_pass_is_one():
    adapter = Adapter("wrong", wrong.AlwaysPeriodic())
    known = {"convolve-2d-zero": "only circles", "convolve-2d-periodic": "a mistake of the list"}
    chosen = [case for case in CORE if case.name in known or case.name == "convolve-1d-periodic"]
    outcomes = run_cases(adapter, chosen, xfails=known)
    assert named("expected failure", outcomes) == ["convolve-2d-zero"]
    assert named("unexpectedly passing", outcomes) == ["convolve-2d-periodic"]
    assert [o.case.name for o in outcomes if o.failed] == ["convolve-2d-periodic"]
    assert "take it out of the xfails" in "\n".join(failure_lines(outcomes))


def test_xfails_are_names_and_patterns_with_reasons(tmp_path):
    names = [case.name for case in cases()]
    path = tmp_path / "xfails.txt"
    path.write_text("# of ours\n\nconvolve-2d-zero  # no zero padding yet\ntranspose-*\n")
    found = read_xfails(path, names)
    assert found["convolve-2d-zero"] == "no zero padding yet"
    assert set(found) - {"convolve-2d-zero"} == {name for name in names if name.startswith("transpose-")}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("convolve-2d-zeros", "line 2: unknown case 'convolve-2d-zeros' (did you mean 'convolve-2d-zero'?)"),
        ("convolve-9*", "the pattern 'convolve-9*', which no case matches; expected one such as convolve-*"),
        ("convolve-2d-zero broken", "one case a line"),
    ],
)
def test_a_bad_line_of_xfails_is_refused(tmp_path, line, says):
    path = tmp_path / "xfails.txt"
    path.write_text(f"# first\n{line}\n")
    with pytest.raises(RefmgError) as caught:
        read_xfails(path, [case.name for case in cases()])
    assert says in str(caught.value)


def test_the_pattern_that_is_proposed_matches_cases(tmp_path):
    path = tmp_path / "xfails.txt"
    path.write_text("convolve-*\n")
    assert len(read_xfails(path, [case.name for case in cases()])) > 5


def test_json_has_every_case(here):
    outcomes = run_cases(Adapter("wrong", wrong.Flipped()), CONVOLUTIONS)
    record = json.loads(json.dumps(as_json(outcomes, "wrong", "core", "float64"), allow_nan=False))
    assert [row["name"] for row in record["cases"]] == [case.name for case in CONVOLUTIONS]
    assert record["passed"] is False
    assert record["counts"]["wrong"] == sum(row["verdict"] == "wrong" for row in record["cases"])
    assert {row["cause"].partition(":")[0] for row in record["cases"]} == {"flipped stencil"}


def test_run_tells_and_records(here, capsys):
    arguments = ["conformance", "run", "flipped_on_circles", "--level", "core", "--json", "found.json"]
    assert main(arguments) == 1
    told = capsys.readouterr().out
    assert "likely cause: flipped stencil" in told
    record = json.loads((here / "found.json").read_text())
    assert record["adapter"] == "flipped_on_circles"
    assert record["counts"]["wrong"] == len(CONVOLUTIONS)
    assert record["counts"]["not implemented"] == len(CORE) - len(CONVOLUTIONS)


def test_run_passes_with_xfails_and_in_float32(here, capsys):
    (here / "xfails.txt").write_text("convolve-*-zero # circles only\nconvolve-*-reflect # circles only\n")
    arguments = ["conformance", "run", "right_on_circles.py", "--level", "core", "--xfails", "xfails.txt"]
    assert main([*arguments, "--dtype", "float32"]) == 0
    assert "2 passed" in capsys.readouterr().out
    # The same failures are failures without the file.
    assert main(arguments[:-2]) == 1
    assert "wrong boundary" in capsys.readouterr().out


def test_run_fails_if_an_expected_failure_passes(here, capsys):
    (here / "xfails.txt").write_text("convolve-*\n")
    arguments = [
        "conformance",
        "run",
        "right_on_circles.py:Mine",
        "--level",
        "core",
        "--xfails",
        "xfails.txt",
    ]
    assert main(arguments) == 1
    assert "unexpectedly passing: convolve-2d-periodic" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no_such_module"], "found no module 'no_such_module'"),
        (["no/such/file.py"], "found no file no/such/file.py"),
        (["json"], "found no function of the suite in 'json'"),
        (["right_on_circles:Yours"], "unknown class 'Yours'"),
        (["needs_more"], "needs_more needs the module 'never_heard_of', which is not installed"),
        (["broken.py"], "broken.py cannot be imported: ZeroDivisionError"),
        (["right_on_circles", "--level", "corr"], "unknown level 'corr' (did you mean 'core'?)"),
        (["right_on_circles", "--dtype", "float16"], "float16"),
        (["right_on_circles", "--xfails", "none.txt"], "cannot read none.txt"),
    ],
)
def test_bad_input_is_one_line_and_status_2(here, capsys, arguments, says):
    (here / "needs_more.py").write_text("import never_heard_of\n")
    (here / "broken.py").write_text("1 / 0\n")
    assert main(["conformance", "run", *arguments]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == 1


def test_a_class_that_needs_arguments_is_refused(here):
    (here / "asks.py").write_text("class Adapter:\n    def __init__(self, much): ...\n")
    with pytest.raises(RefmgError, match="cannot be made without arguments"):
        load_adapter("asks.py")


def test_a_file_called_torch_can_import_torch(here):
    (here / "json.py").write_text("import json\nconvolve = json.dumps\n")
    assert load_adapter("json.py").function("convolve") is json.dumps


def test_every_function_has_cases():
    assert {case.function for case in cases()} == set(FUNCTIONS)


def test_functions_are_listed_with_their_arguments(capsys):
    assert main(["conformance", "functions"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * len(FUNCTIONS) + len(CHOICES)
    assert "boundary: 'periodic', 'reflect', 'zero'" in lines
    assert "restrict_features(features, transfer, factor, boundary) -> features" in lines
    assert main(["conformance", "functions", "restrict_feature"]) == 2
    assert "did you mean 'restrict_features'" in capsys.readouterr().err
