"""`ResponsesChat` against a real server on 127.0.0.1."""

import pytest

from stretto.models.factory import Model
from stretto.testing.chat_server import ChatServer
from stretto.testing.model_contract import ModelContract, contract_answer


class TestContract(ModelContract):
    cancel_within = 1.0

    @pytest.fixture
    async def model(self):
        async with ChatServer(otherwise=contract_answer, pace=0.001) as server:
            model = Model("compatible/responses:scripted", base_url=server.url)
            yield model
            await model.close()
