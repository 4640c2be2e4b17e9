"""`keys.show` and `keys.reseal`: the keys of all workers, and what is sealed to others than the active one."""

from __future__ import annotations

from services.executor.control.ports import Caller, Controls, Keys
from shared.contracts.commands import KeysShown, Resealed, ResealKeys, ShowKeys
from shared.contracts.errors import DibopError
from shared.security.principals import Action, authorise


async def show(caller: Caller, _query: ShowKeys, controls: Controls) -> KeysShown:
    """The ids of every worker's keys."""
    authorise(caller.principal, Action.ROTATE_KEYS, caller.enterprise)
    return await _keys(controls).fleet.ask()


async def reseal(caller: Caller, command: ResealKeys, controls: Controls) -> Resealed:
    """Reseal to the active key what is sealed to others."""
    authorise(caller.principal, Action.ROTATE_KEYS, caller.enterprise)
    return await _keys(controls).resealer.reseal(command.kid, limit=command.limit, request_id=caller.request_id)


def _keys(controls: Controls) -> Keys:
    if controls.keys is None:
        raise DibopError(
            "conflict", "This executor holds no sealing keys. Have its operator set DIBOP_SEAL_KEYRING_FILE."
        )
    return controls.keys
