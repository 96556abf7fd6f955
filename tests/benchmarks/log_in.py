"""Sign-ins per second, apart from the rest: Argon2 is made to cost what it does."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.benchmarks import generator
from tests.benchmarks.generator import Call, Measured
from tests.benchmarks.requests import count_statements
from tests.benchmarks.world import PASSWORD, World


def run(world: World, *, connections: Sequence[int], rounds: int, seconds: int) -> None:
    calls = [
        Call(
            "/api/v1/auth/login",
            {"Content-Type": "application/json"},
            json.dumps({"email": f"bench{number}@example.com", "password": PASSWORD}),
        )
        for number in range(world.connections)
    ]
    statements = count_statements("POST", calls[0])
    found = [Measured("sign-in", each, statements) for each in connections]
    for number in range(rounds + 1):
        for each in found:
            served = generator.send(
                world, method="POST", calls=calls, connections=each.connections, seconds=seconds
            )
            if number:  # the first round warms up
                each.served.append(served)
    generator.show("log-in", f"Sign-ins, {world.server}", found)
