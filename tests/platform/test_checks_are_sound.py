"""What a check calls impossible never happens: generated rules over generated records, against the interpreter.

The generators are those that the engines are compared with (`test_engine_agreement`). Every rule is put into words too.
"""

import runpy
from pathlib import Path
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from cohortium_plugins.checking.outcomes import Outcomes
from cohortium_plugins.interpreter import Evaluation
from cohortium_plugins.model import ValueType, nodes
from cohortium_plugins.statement import statement

drawing = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("test_engine_agreement.py"))))


def own_nodes(definition):
    """Nodes that have a value for a patient: what is about a row has one only inside its frame."""
    for node in nodes.walk(*definition.roots()):
        about_row = isinstance(node, nodes.Series) and any(
            isinstance(part, nodes.RowValue) for part in nodes.own_parts(node)
        )
        if not about_row:
            yield node


def assert_possible(outcomes, evaluation, node):
    if isinstance(node, nodes.Frame) and outcomes.is_empty(node):
        assert not evaluation.frame(node).rows
    if isinstance(node, nodes.Series) and node.type is ValueType.BOOL:
        found = evaluation.value(node)
        assert found.reason is not None or found.value in outcomes.of(node)
        assert found.value is not True or outcomes.holds(node)


@drawing.tried(30)
@given(definition=drawing.definitions(), seed=st.integers(0, 2**32), day=st.sampled_from(drawing.INDEX_DATES))
def test_what_is_called_impossible_never_happens(definition, seed, day):
    assert statement(definition)
    anywhere = Outcomes()
    among_members = {cohort.name: Outcomes([cohort.members]) for cohort in definition.cohorts}
    listed = list(own_nodes(definition))
    for record in drawing.some_records(seed, 5):
        evaluation = Evaluation(record, day, definition.codelists)
        known = [anywhere]
        known += [among_members[c.name] for c in definition.cohorts if evaluation.value(c.members).value is True]
        for node in listed:
            for outcomes in known:
                assert_possible(outcomes, evaluation, node)
