import pytest

from stretto.testing.model_contract import ModelContract, contract_answer
from stretto.testing.scripted import ScriptedModel


class TestScriptedModel(ModelContract):
    @pytest.fixture
    def model(self):
        return ScriptedModel(otherwise=contract_answer)
